//! What must hold for every call, whatever happens to the network:
//!
//! - it ends once, at its deadline at the latest; one that reports a time-out ends at its deadline exactly (to a millisecond), or, if
//!   its tries have one, at that of the last;
//! - a reply is the one to this call, from a run of it; an error of a handler is that of this call's handler;
//! - if it is reported as not run, it has not run and never will;
//! - it runs once at most, unless the caller has allowed more; a map once at most on each worker;
//! - once everything has healed, it succeeds, and within [`PROMPT`].
//!
//! What is broken is collected rather than panicked about: handlers and tasks catch panics.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use grenache_peer::Error;

/// How late a call may end: timers are exact to a millisecond.
const SLACK: Duration = Duration::from_millis(1);

/// When all is well, a call takes no longer than this on top of what its handler takes.
pub(crate) const PROMPT: Duration = Duration::from_secs(1);

/// Workers are found so long after they have started, the network is whole and all grapes have power.
const SETTLED: Duration = Duration::from_secs(15);

/// What may be done with a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Runs once at most.
    Once,
    /// May run again.
    Idempotent,
    /// Runs once at most on each worker.
    Map,
}

/// How a call ended for the one who made it.
pub(crate) enum Outcome {
    /// The reply names the run that made it.
    Reply(usize),
    /// The reply is not what a handler gives for this call.
    Nonsense(String),
    Failed(Error),
    /// The caller has dropped it.
    Cancelled,
    /// A map has given all its parts.
    Mapped,
}

struct Call {
    kind: Kind,
    began: Duration,
    timeout: Duration,
    /// How long one try may take, if it may be tried again.
    attempt: Option<Duration>,
    /// How long its handler takes.
    work: Duration,
    /// It had to succeed.
    must: bool,
    ended: bool,
    /// Workers that must not run it any more, or ever have, by what the caller was told; `None` is any worker.
    refused: Vec<Option<SocketAddr>>,
    runs: Vec<(SocketAddr, Duration)>,
}

#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct Counts {
    pub(crate) calls: usize,
    pub(crate) replies: usize,
    pub(crate) cancelled: usize,
    pub(crate) maps: usize,
    /// Calls that had to succeed, and did.
    pub(crate) had_to_succeed: usize,
    /// Calls reported as not run.
    pub(crate) not_run: usize,
    /// Calls that ran more than once, as they were allowed to.
    pub(crate) repeated: usize,
    /// Times that a worker had to be found, and was.
    pub(crate) had_to_be_found: usize,
    /// By the name of the error.
    pub(crate) failed: BTreeMap<String, usize>,
}

pub(crate) struct Oracle {
    seed: u64,
    calls: Vec<Call>,
    open: usize,
    healed_since: Option<Duration>,
    /// Since when the network is whole and all grapes have power.
    calm_since: Option<Duration>,
    /// The workers that have power, and since when.
    up: BTreeMap<usize, Duration>,
    pub(crate) counts: Counts,
    broken: Vec<String>,
}

impl Oracle {
    pub(crate) fn new(seed: u64) -> Oracle {
        Oracle {
            seed,
            calls: Vec::new(),
            open: 0,
            healed_since: None,
            calm_since: None,
            up: BTreeMap::new(),
            counts: Counts::default(),
            broken: Vec::new(),
        }
    }

    /// From now on every call has to succeed.
    pub(crate) fn healed(&mut self, now: Duration) {
        self.healed_since = Some(now);
    }

    /// The network is whole and all grapes have power, or that is over.
    pub(crate) fn calm(&mut self, calm: bool, now: Duration) {
        self.calm_since = calm.then(|| self.calm_since.unwrap_or(now));
        if !calm {
            self.healed_since = None;
        }
    }

    pub(crate) fn worker_started(&mut self, worker: usize, now: Duration) {
        self.up.insert(worker, now);
    }

    pub(crate) fn worker_killed(&mut self, worker: usize) {
        self.up.remove(&worker);
        self.healed_since = None;
    }

    /// The workers that a lookup has to find now.
    pub(crate) fn must_be_found(&self, now: Duration) -> Vec<usize> {
        let settled = |since: &Duration| *since + SETTLED <= now;
        if !self.calm_since.as_ref().is_some_and(settled) {
            return Vec::new();
        }
        self.up.iter().filter(|(_, since)| settled(since)).map(|(worker, _)| *worker).collect()
    }

    pub(crate) fn begin(
        &mut self,
        kind: Kind,
        (timeout, attempt): (Duration, Option<Duration>),
        work: Duration,
        now: Duration,
    ) -> usize {
        let enough = attempt.unwrap_or(timeout).min(timeout) > work + PROMPT;
        self.open += 1;
        self.counts.calls += 1;
        self.calls.push(Call {
            kind,
            began: now,
            timeout,
            attempt,
            work,
            must: self.healed_since.is_some() && enough,
            ended: false,
            refused: Vec::new(),
            runs: Vec::new(),
        });
        self.calls.len() - 1
    }

    /// A handler begins; gives the number of the run.
    pub(crate) fn run(&mut self, id: usize, worker: SocketAddr, now: Duration) -> usize {
        let Some(call) = self.calls.get_mut(id) else {
            self.broken(format!("call {id}, which nobody made, runs on {worker}"));
            return 0;
        };
        let again = match call.kind {
            Kind::Once => !call.runs.is_empty(),
            Kind::Idempotent => false,
            Kind::Map => call.runs.iter().any(|(other, _)| *other == worker),
        };
        call.runs.push((worker, now));
        let refused = call.refused.iter().any(|other| other.is_none_or(|other| other == worker));
        let (number, runs) = (call.runs.len() - 1, format!("{:?}", call.runs));
        if again {
            self.broken(format!("call {id} runs again: {runs}"));
        }
        if refused {
            self.broken(format!(
                "call {id} was reported as not run and runs on {worker} at {now:?}"
            ));
        }
        number
    }

    /// One of the replies to a map.
    pub(crate) fn part(&mut self, id: usize, worker: SocketAddr, outcome: Outcome, now: Duration) {
        let must = self.must(id);
        let call = &mut self.calls[id];
        let runs: Vec<usize> =
            (0..call.runs.len()).filter(|run| call.runs[*run].0 == worker).collect();
        let took = now - call.began;
        let describe = format!("the part of {worker} in map {id}, begun at {:?}", call.began);
        if took > call.timeout + SLACK {
            self.broken(format!("{describe} took {took:?}"));
        }
        match outcome {
            Outcome::Reply(run) if runs.contains(&run) => self.counts.replies += 1,
            Outcome::Failed(error) => {
                if must {
                    self.broken(format!("{describe} failed though all is well: {error}"));
                }
                if !error.may_have_run() {
                    self.calls[id].refused.push(Some(worker));
                    if !runs.is_empty() {
                        self.broken(format!("{describe} has run, and yet: {error}"));
                    }
                }
                self.failed(&error);
            }
            Outcome::Nonsense(what) => self.broken(format!("{describe}: {what}")),
            _ => self.broken(format!("{describe} is of another run")),
        }
    }

    fn must(&self, id: usize) -> bool {
        let call = &self.calls[id];
        call.must && self.healed_since.is_some_and(|since| since <= call.began)
    }

    fn failed(&mut self, error: &Error) {
        *self.counts.failed.entry(error.code().to_string()).or_default() += 1;
    }

    pub(crate) fn end(&mut self, id: usize, outcome: Outcome, now: Duration) {
        self.open -= 1;
        let must = self.must(id);
        let call = &mut self.calls[id];
        let (began, timeout, took) = (call.began, call.timeout, now - call.began);
        let attempt = call.attempt;
        let describe = format!("call {id} ({:?}, begun at {began:?}, {timeout:?})", call.kind);
        let prompt = took <= call.work + PROMPT;
        let twice = std::mem::replace(&mut call.ended, true);
        if twice {
            self.broken(format!("{describe} has ended twice"));
        }
        if took > timeout + SLACK {
            self.broken(format!("{describe} took {took:?}"));
        }
        match outcome {
            Outcome::Reply(run) => {
                let call = &self.calls[id];
                let known = call.runs.get(run).is_some_and(|(_, at)| (began..=now).contains(at));
                if !known {
                    self.broken(format!("{describe} has a reply that no run has made"));
                }
                self.counts.replies += 1;
            }
            Outcome::Failed(error) => {
                if must {
                    self.broken(format!("{describe} failed though all is well: {error}"));
                }
                if let Error::Timeout { limit, .. } = &error
                    && (took < *limit || (*limit != timeout && Some(*limit) != attempt))
                {
                    self.broken(format!("{describe} after {took:?}: {error}"));
                }
                if !error.may_have_run() {
                    self.counts.not_run += 1;
                    self.calls[id].refused.push(None);
                    let runs = &self.calls[id].runs;
                    if !runs.is_empty() {
                        let runs = format!("{runs:?}");
                        self.broken(format!("{describe} has run ({runs}), and yet: {error}"));
                    }
                }
                self.failed(&error);
                return;
            }
            Outcome::Nonsense(what) => self.broken(format!("{describe}: {what}")),
            Outcome::Cancelled => {
                self.counts.cancelled += 1;
                return;
            }
            Outcome::Mapped => self.counts.maps += 1,
        }
        if must && prompt {
            self.counts.had_to_succeed += 1;
        } else if must {
            self.broken(format!("{describe} took {took:?} though all is well"));
        }
    }

    /// A worker that had to be found was, or was not.
    pub(crate) fn found(&mut self, found: bool, describe: impl FnOnce() -> String) {
        if found {
            self.counts.had_to_be_found += 1;
        } else {
            self.broken(describe());
        }
    }

    pub(crate) fn broken(&mut self, what: String) {
        self.broken.push(what);
    }

    /// # Panics
    /// If something did not hold.
    pub(crate) fn check(&self) {
        let first =
            self.broken.iter().take(5).map(|what| format!("\n  {what}")).collect::<String>();
        assert!(self.broken.is_empty(), "seed {}, {} times:{first}", self.seed, self.broken.len());
    }

    pub(crate) fn finish(&mut self) -> Counts {
        self.check();
        assert_eq!(self.open, 0, "seed {}: calls without an end", self.seed);
        let again = |call: &&Call| call.kind == Kind::Idempotent && call.runs.len() > 1;
        self.counts.repeated = self.calls.iter().filter(again).count();
        self.counts.clone()
    }
}
