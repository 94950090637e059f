//! Trying a call again.

use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use grenache_engine::{now, sleep};

use super::destinations::Destination;
use super::{Call, Inner, choice, exchange, within};
use crate::error::Error;
use crate::http::Failed;

/// How long one try may take.
#[derive(Clone, Copy)]
pub(super) struct Limit {
    pub(super) deadline: Duration,
    /// The time that was given.
    pub(super) of: Duration,
}

/// Why one try failed.
pub(super) struct Failure {
    pub(super) error: Error,
    /// The worker may have begun the request.
    may_have_run: bool,
}

impl Failure {
    pub(super) fn of(failed: Failed, to: SocketAddr, limit: Duration) -> Failure {
        let may_have_run = failed.may_have_run();
        Failure { error: failed.into_error(to, limit), may_have_run }
    }

    /// Whether another try could be the better one.
    fn is_final(&self, call: &Call) -> bool {
        match self.error {
            Error::Remote(_) | Error::ReplyTooLarge { .. } | Error::Busy(_) | Error::Stopped => {
                true
            }
            _ => self.may_have_run && !call.idempotent,
        }
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Failure {
        Failure { may_have_run: error.may_have_run(), error }
    }
}

impl Inner {
    /// Makes a call until it succeeds, or may not be tried again. `fixed` is the destination, if there is no choice.
    pub(super) async fn attempts<T>(
        &self,
        call: &Call,
        fixed: Option<Rc<Destination>>,
        deadline: Duration,
        exchange: impl AsyncFn(&Rc<Destination>, Limit) -> Result<T, Failure>,
    ) -> Result<T, Error> {
        self.budget.earn();
        let mut tried: Vec<SocketAddr> = Vec::new();
        // The first failure after which a worker may have begun: what the caller must know of.
        let mut unsure: Option<Error> = None;
        loop {
            let to = match &fixed {
                Some(to) => Ok(to.clone()),
                None => self.destination(call, &tried, deadline).await,
            };
            let to = match to {
                Ok(to) => to,
                Err(error) => return Err(unsure.unwrap_or(error)),
            };
            let limit = match call.attempt_timeout.filter(|_| call.idempotent) {
                Some(limit) if now().saturating_add(limit) < deadline => {
                    Limit { deadline: now().saturating_add(limit), of: limit }
                }
                _ => Limit { deadline, of: call.timeout },
            };
            let began = now();
            let failure = match exchange(&to, limit).await {
                Ok(done) => return Ok(done),
                Err(failure) => failure,
            };
            let health = exchange::health(&failure.error, now() - began);
            to.report(health, &self.config, &self.random);
            tried.push(to.addr());
            if failure.may_have_run {
                unsure.get_or_insert(failure.error.clone());
            }
            let pause = match tried.len() {
                1 if fixed.is_none() && self.has_another(call, &tried) => Duration::ZERO,
                tries => self.config.retry.pause(tries as u32, &self.random),
            };
            let in_time = now().saturating_add(pause) < deadline;
            let left = tried.len() < call.attempts as usize;
            if failure.is_final(call) || !left || !in_time || !self.budget.spend() {
                return Err(told(failure, unsure));
            }
            if !pause.is_zero() {
                sleep(pause).await;
            }
        }
    }

    /// A destination for the next try: one that was not tried, if there is one, after another lookup if need be.
    async fn destination(
        &self,
        call: &Call,
        tried: &[SocketAddr],
        deadline: Duration,
    ) -> Result<Rc<Destination>, Error> {
        let known = self.look_up(call, deadline).await?;
        if let Some(destination) = self.choose(&known, tried) {
            return Ok(destination);
        }
        let refreshed = Box::pin(self.link.refresh(&call.service));
        let refreshed = within(deadline, call.timeout, refreshed).await;
        let known = match refreshed {
            Ok(refreshed) => refreshed,
            Err(error @ (Error::LookupEmpty { .. } | Error::Timeout { .. })) => return Err(error),
            // What is known has to do.
            Err(_) => known,
        };
        let destination = self.choose(&known, tried);
        let any = || choice::any(&known, &self.destinations, &self.random, now());
        let nobody = || Error::LookupEmpty { service: call.service.clone() };
        destination.or_else(any).ok_or_else(nobody)
    }

    fn choose(&self, known: &[SocketAddr], tried: &[SocketAddr]) -> Option<Rc<Destination>> {
        let Inner { config, destinations, random, .. } = self;
        choice::fresh(config.choice, known, tried, destinations, random, now())
    }

    fn has_another(&self, call: &Call, tried: &[SocketAddr]) -> bool {
        let known = self.link.cached(&call.service);
        known.is_some_and(|known| self.choose(&known, tried).is_some())
    }
}

/// What the caller is told: the last failure, unless an earlier one leaves it open whether the request has run.
fn told(last: Failure, unsure: Option<Error>) -> Error {
    match (last.error, unsure) {
        (Error::Timeout { limit, to, .. }, Some(_)) => {
            Error::Timeout { limit, to, may_have_run: true }
        }
        (last_error, Some(unsure)) if !last.may_have_run => {
            tracing::debug!("it is open what became of an earlier try; the last one: {last_error}");
            unsure
        }
        (error, _) => error,
    }
}
