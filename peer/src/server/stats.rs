//! What a server counts.

use std::iter::Sum;
use std::ops::Add;
use std::sync::atomic::{AtomicU64, Ordering};

/// Counters of a server since its start; those of several cores add up.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Stats {
    /// Requests that were given to a handler.
    pub requests: u64,
    /// Of these, the ones whose handler gave an error.
    pub errors: u64,
    /// Of these, the ones whose handler panicked.
    pub panics: u64,
    /// Requests whose client hung up before the answer, so that the handler was dropped.
    pub cancelled: u64,
    /// Requests that were not begun and connections that were not taken because a limit was reached.
    pub refused: u64,
    /// Requests that were no requests: not HTTP, no envelope, too large, too slow.
    pub malformed: u64,
    /// Connections taken.
    pub accepted: u64,
    /// Connections open now.
    pub connections: u64,
    /// Requests that handlers have in hand now.
    pub in_flight: u64,
    /// Bytes of requests kept now: see [`Config::max_held`](super::Config::max_held).
    pub held: u64,
}

impl Add for Stats {
    type Output = Stats;

    fn add(self, other: Stats) -> Stats {
        Stats {
            requests: self.requests + other.requests,
            errors: self.errors + other.errors,
            panics: self.panics + other.panics,
            cancelled: self.cancelled + other.cancelled,
            refused: self.refused + other.refused,
            malformed: self.malformed + other.malformed,
            accepted: self.accepted + other.accepted,
            connections: self.connections + other.connections,
            in_flight: self.in_flight + other.in_flight,
            held: self.held + other.held,
        }
    }
}

impl Sum for Stats {
    fn sum<I: Iterator<Item = Stats>>(all: I) -> Stats {
        all.fold(Stats::default(), Stats::add)
    }
}

/// One number that its core changes and any thread reads.
#[derive(Debug, Default)]
pub(crate) struct Counter(AtomicU64);

impl Counter {
    pub(crate) fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    /// As there is one writer, this need not be one atomic step.
    pub(crate) fn add(&self, more: u64) {
        self.0.store(self.get().wrapping_add(more), Ordering::Relaxed);
    }

    pub(crate) fn sub(&self, less: u64) {
        self.0.store(self.get().wrapping_sub(less), Ordering::Relaxed);
    }
}

/// The counters of one core.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    pub(crate) requests: Counter,
    pub(crate) errors: Counter,
    pub(crate) panics: Counter,
    pub(crate) cancelled: Counter,
    pub(crate) refused: Counter,
    pub(crate) malformed: Counter,
    pub(crate) accepted: Counter,
    pub(crate) connections: Counter,
    pub(crate) in_flight: Counter,
    pub(crate) held: Counter,
}

impl Counters {
    pub(crate) fn read(&self) -> Stats {
        Stats {
            requests: self.requests.get(),
            errors: self.errors.get(),
            panics: self.panics.get(),
            cancelled: self.cancelled.get(),
            refused: self.refused.get(),
            malformed: self.malformed.get(),
            accepted: self.accepted.get(),
            connections: self.connections.get(),
            in_flight: self.in_flight.get(),
            held: self.held.get(),
        }
    }
}
