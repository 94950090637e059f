//! The search for the highest rate at which a server keeps a promise.

use std::io;
use std::time::Duration;

use crate::failure::Failure;
use crate::outcome::{Knee, Outcome, Pace, Step};
use crate::plan::{End, Plan};
use crate::run::{Interrupt, run};
use crate::threshold::Promise;
use crate::tick::Tick;

/// The search ends when the highest rate that held and the lowest that did not are this close.
const NEAR: f64 = 1.05;

/// The rate grows by this from step to step until one does not hold.
const GROWTH: f64 = 2.0;

/// A rate holds only if nearly all of it was answered.
const ANSWERED: f64 = 0.99;

/// No search takes more steps.
const MAX_STEPS: usize = 40;

/// How to search.
#[derive(Debug, Clone)]
pub struct Search {
    /// What has to be kept.
    pub promise: Promise,
    /// The first rate, requests per second.
    pub first: f64,
    /// How long each step lasts, its warm-up apart.
    pub step: Duration,
}

/// What is seen of a search while it is on.
pub trait Observer {
    /// A step begins.
    fn step(&mut self, number: usize, rate: f64);

    /// A second of a step has ended.
    ///
    /// # Errors
    /// Ends the search.
    fn tick(&mut self, tick: &Tick<'_>) -> io::Result<()>;
}

/// Doubles the rate until the promise is broken, then halves the distance. Gives the outcome of the highest step that
/// held, or of the lowest if none did, with all the steps.
///
/// # Errors
/// As [`run`].
pub fn find(
    plan: &Plan,
    search: &Search,
    interrupt: &Interrupt,
    observer: &mut dyn Observer,
) -> Result<Outcome, Failure> {
    let Pace::Open { arrivals, .. } = plan.pace else {
        return Err(Failure::usage("a knee is searched in an open loop"));
    };
    let mut steps = Vec::new();
    let mut best: Option<Outcome> = None;
    let mut worst: Option<Outcome> = None;
    let (mut held, mut broken) = (None, None);
    let mut rate = search.first;
    while steps.len() < MAX_STEPS && !interrupt.is_interrupted() {
        observer.step(steps.len() + 1, rate);
        let plan = Plan {
            pace: Pace::Open { rate, arrivals },
            end: End::After(search.step),
            ..plan.clone()
        };
        let outcome = match run(&plan, interrupt, &mut |tick| observer.tick(tick)) {
            Ok(outcome) if outcome.interrupted => break,
            Ok(outcome) => outcome,
            Err(failure) if steps.is_empty() => return Err(failure),
            Err(failure) => {
                // What was found before is worth telling.
                let why = Some(failure.to_string());
                steps.push(Step { offered: rate, held: false, why, ..Step::default() });
                break;
            }
        };
        let why = why_not(&outcome, &search.promise);
        steps.push(Step {
            offered: rate,
            rate: outcome.rate,
            p50: outcome.latency.corrected.p50,
            p99: outcome.latency.corrected.p99,
            p99_9: outcome.latency.corrected.p99_9,
            held: why.is_none(),
            why,
        });
        if steps.last().is_some_and(|step| step.held) {
            held = Some(rate);
            best = Some(outcome);
        } else {
            broken = Some(rate);
            worst = Some(outcome);
        }
        let Some(next) = next(search.first, held, broken) else { break };
        rate = next;
    }
    let knee = Knee { slo: search.promise.to_string(), rate: held, steps };
    let worst_limit = worst.as_ref().and_then(|worst| worst.generator.limited.first().cloned());
    let mut outcome = best.or(worst).ok_or_else(|| Failure {
        exit: crate::failure::Exit::Interrupted,
        text: "interrupted before a step ended".to_owned(),
    })?;
    outcome.interrupted |= interrupt.is_interrupted();
    // The step that ended the search is the one that counts.
    let bound = worst_limit.filter(|_| outcome.generator.limited.is_empty());
    outcome.generator.limited.extend(bound);
    outcome.knee = Some(knee);
    Ok(outcome)
}

/// The next rate to try, given the highest that held and the lowest above it that did not.
fn next(first: f64, held: Option<f64>, broken: Option<f64>) -> Option<f64> {
    match (held, broken) {
        (Some(held), None) => Some(held * GROWTH),
        (Some(held), Some(broken)) => (broken / held > NEAR).then(|| f64::midpoint(held, broken)),
        // Not even the first held: look below, for a thousandth of it at the least.
        (None, Some(broken)) => {
            (broken > first / 1000.0 && broken > 1.0).then_some(broken / GROWTH)
        }
        (None, None) => Some(first),
    }
}

/// Why a step does not count.
fn why_not(outcome: &Outcome, promise: &Promise) -> Option<String> {
    if let Some(why) = outcome.generator.limited.first() {
        return Some(format!("the generator was the limit: {why}"));
    }
    let requests = &outcome.requests;
    let failed = requests.failures() + requests.unsent;
    if failed > 0 {
        return Some(format!("{failed} requests failed or were not sent"));
    }
    // With what was due, not with the rate: as many as that come only on average.
    let (answered, due) = (outcome.rate * outcome.window_s, requests.sent as f64);
    if answered < ANSWERED * due && due - answered > 10.0 {
        return Some(format!("{:.0} per second were answered in time", outcome.rate));
    }
    promise.broken_by(outcome)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The rates tried against a server that holds up to `limit`.
    fn tried(first: f64, limit: f64) -> (Vec<f64>, Option<f64>) {
        let (mut rates, mut held, mut broken, mut rate) = (Vec::new(), None, None, first);
        loop {
            rates.push(rate);
            if rate <= limit {
                held = Some(rate)
            } else {
                broken = Some(rate)
            }
            match next(first, held, broken) {
                Some(next) => rate = next,
                None => return (rates, held),
            }
        }
    }

    #[test]
    fn the_highest_rate_that_holds_is_found() {
        for limit in [1000.0, 1700.0, 123_456.0] {
            let (rates, held) = tried(1000.0, limit);
            let held = held.unwrap();
            assert!(held <= limit && held * NEAR * 1.001 >= limit, "{limit}: {held}");
            assert!(rates.len() < 20, "{rates:?}");
        }
    }

    #[test]
    fn a_first_rate_that_is_too_high_is_lowered() {
        let (_, held) = tried(1000.0, 300.0);
        assert!((280.0..=300.0).contains(&held.unwrap()));
        let (rates, held) = tried(1000.0, 0.0);
        assert!(held.is_none() && rates.len() < 15, "{rates:?}");
    }
}
