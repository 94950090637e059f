//! What a publisher counts.

use std::iter::Sum;

use crate::server::Counter;

/// Counters of a publisher since its start.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Stats {
    /// Subscribers connected now.
    pub subscribers: u64,
    /// Of these, the ones that have said which topics they want, or want everything.
    pub listening: u64,
    /// Messages times the cores that have sent them.
    pub published: u64,
    /// Messages that were given to a subscriber's connection, once for each.
    pub sent: u64,
    /// Messages that were dropped because a subscriber did not keep up, or was gone before they had left, once for each.
    pub dropped: u64,
    /// Subscribers that were disconnected because they did not keep up.
    pub disconnected: u64,
    /// Messages that a core was not told of because too many waited for it.
    pub missed: u64,
}

impl Sum for Stats {
    fn sum<I: Iterator<Item = Stats>>(all: I) -> Stats {
        all.fold(Stats::default(), |sum, one| Stats {
            subscribers: sum.subscribers + one.subscribers,
            listening: sum.listening + one.listening,
            published: sum.published + one.published,
            sent: sum.sent + one.sent,
            dropped: sum.dropped + one.dropped,
            disconnected: sum.disconnected + one.disconnected,
            missed: sum.missed + one.missed,
        })
    }
}

/// The counters of one core.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    pub(super) subscribers: Counter,
    pub(super) listening: Counter,
    pub(super) published: Counter,
    pub(super) sent: Counter,
    pub(super) dropped: Counter,
    pub(super) disconnected: Counter,
    /// Any thread may count here.
    missed: std::sync::atomic::AtomicU64,
}

impl Counters {
    pub(super) fn missed(&self) {
        self.missed.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
    }

    pub(super) fn read(&self) -> Stats {
        Stats {
            subscribers: self.subscribers.get(),
            listening: self.listening.get(),
            published: self.published.get(),
            sent: self.sent.get(),
            dropped: self.dropped.get(),
            disconnected: self.disconnected.get(),
            missed: self.missed.load(std::sync::atomic::Ordering::Relaxed),
        }
    }
}
