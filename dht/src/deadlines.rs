use core::time::Duration;
use std::collections::VecDeque;

/// Moments at which something is due, all set the same time ahead, so that they come in order.
/// What ended before its time is passed over: the owner says what is still alive.
#[derive(Default)]
pub(crate) struct Deadlines {
    queue: VecDeque<(Duration, u64)>,
}

impl Deadlines {
    /// Sets one; `alive` counts those that have not ended, so that the ended ones stay few.
    pub(crate) fn set(
        &mut self,
        at: Duration,
        id: u64,
        alive: usize,
        is_alive: impl Fn(Duration, u64) -> bool,
    ) {
        if self.queue.len() > 2 * alive + 64 {
            self.queue.retain(|&(at, id)| is_alive(at, id));
        }
        self.queue.push_back((at, id));
    }

    /// Passes over the ended ones in front, so that [`next`](Self::next) is exact.
    pub(crate) fn settle(&mut self, is_alive: impl Fn(Duration, u64) -> bool) {
        while self.queue.front().is_some_and(|&(at, id)| !is_alive(at, id)) {
            self.queue.pop_front();
        }
    }

    pub(crate) fn next(&self) -> Option<Duration> {
        self.queue.front().map(|&(at, _)| at)
    }

    /// The first one that is due.
    pub(crate) fn pop_due(&mut self, now: Duration) -> Option<(Duration, u64)> {
        self.queue.pop_front_if(|&mut (at, _)| at <= now)
    }
}
