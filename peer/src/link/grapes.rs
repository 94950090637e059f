//! The grapes of a link: which one is asked, and what becomes of one that fails.

use std::cell::{Cell, RefCell};
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;
use grenache_engine::{now, sleep, timeout};
use grenache_transports::http::Field;

use super::answer::{self, Told};
use super::{Config, Grape};
use crate::backoff::Random;
use crate::envelope::Rids;
use crate::error::Error;
use crate::http::{Failed, Outgoing, Pool, Target};

/// One call of the API.
pub(super) struct Question<'a> {
    /// `/lookup` and so on.
    pub(super) path: &'static str,
    /// What is asked, as JSON.
    pub(super) data: &'a str,
    /// Whether it may be done twice.
    pub(super) repeatable: bool,
}

/// All grapes that are known, in the order in which they were named.
pub(super) struct Grapes {
    grapes: Vec<Known>,
    /// The one that answered last; it is asked first.
    current: Cell<usize>,
    pool: Pool,
    rids: Rids,
    config: Rc<Config>,
}

struct Known {
    grape: Grape,
    host: Rc<str>,
    /// None as long as the name was not looked up, and again when all have failed.
    addresses: RefCell<Option<Rc<[SocketAddr]>>>,
    /// Which of them is dialled first.
    first: Cell<usize>,
    failures: Cell<u32>,
    aside_until: Cell<Duration>,
}

/// Why a try got no answer.
struct NoAnswer {
    why: String,
    may_have_run: bool,
}

impl Grapes {
    pub(super) fn new(grapes: &[Grape], config: Rc<Config>, pool: Pool) -> Grapes {
        let known = |grape: &Grape| Known {
            grape: grape.clone(),
            host: grape.authority().into(),
            addresses: RefCell::new(None),
            first: Cell::new(0),
            failures: Cell::new(0),
            aside_until: Cell::new(Duration::ZERO),
        };
        let grapes = grapes.iter().map(known).collect();
        Grapes { grapes, current: Cell::new(0), pool, rids: Rids::new(), config }
    }

    pub(super) fn names(&self) -> impl Iterator<Item = &Grape> {
        self.grapes.iter().map(|known| &known.grape)
    }

    /// Asks one grape after the other until one answers what `read` can read.
    pub(super) async fn ask<T>(
        &self,
        question: &Question<'_>,
        random: &Random,
        read: impl Fn(&Bytes) -> Option<T>,
    ) -> Result<T, Error> {
        let count = self.grapes.len();
        if count == 0 {
            return Err(Error::GrapeUnreachable("no grapes are set".into()));
        }
        let body = Bytes::from(format!(
            "{{\"rid\":\"{}\",\"data\":{}}}",
            self.rids.draw().as_str(),
            question.data
        ));
        let mut failed: Vec<Option<String>> = vec![None; count];
        let mut elsewhere = None;
        let mut round = vec![false; count];
        for attempt in 0..self.config.tries.max(count) {
            if attempt > 0 && attempt % count == 0 {
                round.fill(false);
                sleep(self.config.retry.pause((attempt / count) as u32, random)).await;
            }
            let index = self.pick(&round);
            round[index] = true;
            let known = &self.grapes[index];
            let told = match self.try_one(known, question, &body).await {
                Ok((status, body)) => answer::told(status, &body, &read),
                Err(NoAnswer { why, may_have_run: true }) => Told::Lost(why),
                Err(NoAnswer { why, may_have_run: false }) => Told::NotTaken(why),
            };
            match told {
                Told::Lost(why) => {
                    self.failed(known, random);
                    if !question.repeatable {
                        let text = format!("{}: {why}", known.grape);
                        return Err(Error::GrapeUnreachable(text));
                    }
                    failed[index] = Some(why);
                }
                Told::NotTaken(why) => {
                    self.failed(known, random);
                    failed[index] = Some(why);
                }
                // Some node may have stored it and not said so.
                Told::Alone(text) if !question.repeatable && text != answer::NO_NODES => {
                    return Err(Error::Grape(text));
                }
                Told::Alone(text) => elsewhere = Some(Error::Grape(text)),
                Told::Refused(text) => {
                    self.works(index);
                    return Err(Error::Grape(text));
                }
                Told::Answer(answer) => {
                    self.works(index);
                    return Ok(answer);
                }
            }
        }
        Err(elsewhere.unwrap_or_else(|| self.unreachable(&failed)))
    }

    fn unreachable(&self, failed: &[Option<String>]) -> Error {
        let told = self.grapes.iter().zip(failed);
        let told =
            told.filter_map(|(known, why)| Some(format!("{}: {}", known.grape, why.as_ref()?)));
        Error::GrapeUnreachable(told.collect::<Vec<_>>().join("; "))
    }

    /// The next one to ask in this round: those that are not set aside come first, from the current one on.
    fn pick(&self, round: &[bool]) -> usize {
        let (now, count) = (now(), self.grapes.len());
        let from_current = (0..count).map(|step| (self.current.get() + step) % count);
        let left = from_current.filter(|index| !round[*index]);
        let turn = |index: &usize| match self.grapes[*index].aside_until.get() {
            until if until <= now => Duration::ZERO,
            until => until,
        };
        left.min_by_key(turn).unwrap_or_default()
    }

    fn works(&self, index: usize) {
        self.grapes[index].failures.set(0);
        self.grapes[index].aside_until.set(Duration::ZERO);
        self.current.set(index);
    }

    fn failed(&self, known: &Known, random: &Random) {
        // Many calls that fail together are one failure.
        if known.aside_until.get() <= now() {
            known.failures.set(known.failures.get().saturating_add(1));
            let pause = self.config.aside.pause(known.failures.get(), random);
            known.aside_until.set(now().saturating_add(pause));
        }
    }

    async fn try_one(
        &self,
        known: &Known,
        question: &Question<'_>,
        body: &Bytes,
    ) -> Result<(u16, Bytes), NoAnswer> {
        let limit = self.config.request_timeout;
        let deadline = now().saturating_add(limit);
        let addresses = match known.addresses.borrow().clone() {
            Some(addresses) => addresses,
            None => Rc::from([]),
        };
        let addresses = if addresses.is_empty() {
            let resolved = timeout(limit, known.grape.resolve()).await;
            let resolved: Rc<[SocketAddr]> = match resolved {
                Ok(Ok(addresses)) => addresses.into(),
                Ok(Err(error)) => return Err(NoAnswer::unsent(error.to_string())),
                Err(_) => return Err(NoAnswer::unsent(format!("no address within {limit:?}"))),
            };
            *known.addresses.borrow_mut() = Some(resolved.clone());
            known.first.set(0);
            resolved
        } else {
            addresses
        };
        let mut last = NoAnswer::unsent(String::new());
        let fields: Vec<_> = Field::new("content-type", b"application/json").into_iter().collect();
        for step in 0..addresses.len() {
            let at = (known.first.get() + step) % addresses.len();
            let to = Target {
                addr: addresses[at],
                host: known.host.clone(),
                secure: known.grape.is_secure(),
            };
            let outgoing = Outgoing {
                target: question.path,
                fields: &fields,
                body: body.clone(),
                idempotent: question.repeatable,
            };
            match self.pool.exchange(&to, &outgoing, deadline).await {
                Ok(answer) => {
                    known.first.set(at);
                    return Ok((answer.status, answer.body));
                }
                Err(failed) => {
                    last = NoAnswer::of(failed, limit);
                    if last.may_have_run || now() >= deadline {
                        known.first.set((at + 1) % addresses.len());
                        return Err(last);
                    }
                }
            }
        }
        // The name may mean something else by now.
        *known.addresses.borrow_mut() = None;
        Err(last)
    }

    pub(super) async fn close(&self) {
        self.pool.close().await;
    }
}

impl NoAnswer {
    fn unsent(why: String) -> NoAnswer {
        NoAnswer { why, may_have_run: false }
    }

    fn of(failed: Failed, limit: Duration) -> NoAnswer {
        let may_have_run = failed.may_have_run();
        let why = match failed {
            Failed::Timeout { .. } => format!("no answer within {limit:?}"),
            Failed::TooLarge { limit } => format!("an answer of more than {limit} bytes"),
            Failed::Closed => "it closed the connection without an answer".into(),
            Failed::Full => "too many calls wait for it".into(),
            Failed::Stopped => "this link is closed".into(),
            Failed::Failure(failure) => failure.to_string(),
        };
        NoAnswer { why, may_have_run }
    }
}
