//! The requests that are to be sent, and who waits to send one.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::task::Waker;
use std::time::Duration;

/// The most requests of an open loop that wait for a connection. Those beyond are given up unsent.
pub(crate) const MAX_WAITING: usize = 1_000_000;

/// What the connections of one group are to send. A closed loop always has a next request; an open one has those that
/// are due.
pub(crate) struct Demand {
    /// Of an open loop: when each request that is due was to be sent.
    due: Option<RefCell<VecDeque<Duration>>>,
    state: Cell<State>,
    /// So many are left, if they are counted.
    left: Cell<Option<u64>>,
    /// Connections with room, the one that was busy last on top: it is the warmest, and the others may rest.
    waiting: RefCell<Vec<(usize, Waker)>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// No request may be taken yet.
    Early,
    Open,
    /// Those that are due may be taken; no more come.
    Last,
    /// No request may be taken any more.
    Over,
}

impl Demand {
    /// Of a closed loop.
    pub(crate) fn closed() -> Self {
        Self::new(None)
    }

    /// Of an open loop.
    pub(crate) fn due() -> Self {
        Self::new(Some(RefCell::default()))
    }

    fn new(due: Option<RefCell<VecDeque<Duration>>>) -> Self {
        Self {
            due,
            state: Cell::new(State::Early),
            left: Cell::new(None),
            waiting: RefCell::default(),
        }
    }

    /// From now on requests may be taken, as many as `left` if that is given.
    pub(crate) fn start(&self, left: Option<u64>) {
        self.state.set(if left == Some(0) { State::Over } else { State::Open });
        self.left.set(left);
        let waiting = std::mem::take(&mut *self.waiting.borrow_mut());
        waiting.into_iter().for_each(|(_, waker)| waker.wake());
    }

    /// No more requests come; those that are due may still be taken.
    pub(crate) fn finish(&self) {
        if self.state.get() == State::Open {
            self.state.set(if self.len() == 0 { State::Over } else { State::Last });
        }
    }

    /// No request may be taken any more. Gives when those that still waited were to be sent.
    pub(crate) fn stop(&self) -> Vec<Duration> {
        self.state.set(State::Over);
        self.due.as_ref().map_or_else(Vec::new, |due| due.borrow_mut().drain(..).collect())
    }

    /// Whether no request will be taken any more: it has ended, or all that were to be sent are.
    pub(crate) fn is_over(&self) -> bool {
        self.state.get() == State::Over
    }

    /// Whether more requests may come to be sent.
    pub(crate) fn is_open(&self) -> bool {
        self.state.get() == State::Open
    }

    /// Adds a request that is due. False if too many wait: it will not be sent.
    pub(crate) fn add(&self, intended: Duration) -> bool {
        let Some(due) = &self.due else { return false };
        let mut due = due.borrow_mut();
        if due.len() >= MAX_WAITING || self.state.get() != State::Open {
            return false;
        }
        due.push_back(intended);
        true
    }

    /// Requests that are due and not taken.
    pub(crate) fn len(&self) -> usize {
        self.due.as_ref().map_or(0, |due| due.borrow().len())
    }

    /// Takes the next request, and tells when it was to be sent; of a closed loop that is now.
    pub(crate) fn take(&self, now: Duration) -> Option<Duration> {
        if !matches!(self.state.get(), State::Open | State::Last) {
            return None;
        }
        let intended = match &self.due {
            None => now,
            Some(due) => due.borrow_mut().pop_front()?,
        };
        if self.state.get() == State::Last && self.len() == 0 {
            self.state.set(State::Over);
        }
        if let Some(left) = self.left.get() {
            self.left.set(Some(left - 1));
            if left == 1 {
                self.state.set(State::Over);
            }
        }
        Some(intended)
    }

    /// Connection `number` has room for a request and found none.
    pub(crate) fn wait(&self, number: usize, waker: &Waker) {
        let mut waiting = self.waiting.borrow_mut();
        match waiting.iter_mut().find(|(waits, _)| *waits == number) {
            Some((_, old)) => old.clone_from(waker),
            None => waiting.push((number, waker.clone())),
        }
    }

    /// Connection `number` is gone.
    pub(crate) fn leave(&self, number: usize) {
        self.waiting.borrow_mut().retain(|(waits, _)| *waits != number);
    }

    /// Wakes a connection that has room. False if there is none.
    pub(crate) fn wake(&self) -> bool {
        let next = self.waiting.borrow_mut().pop();
        next.map(|(_, waker)| waker.wake()).is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn a_closed_loop_has_a_next_request_while_it_is_open() {
        let demand = Demand::closed();
        assert_eq!(demand.take(MS), None, "not yet");
        demand.start(None);
        assert_eq!((demand.take(MS), demand.take(2 * MS)), (Some(MS), Some(2 * MS)));
        assert!(!demand.is_over());
        assert_eq!(demand.stop(), []);
        assert_eq!(demand.take(MS), None);
    }

    #[test]
    fn counted_requests_come_to_an_end() {
        let demand = Demand::closed();
        demand.start(Some(2));
        assert!(demand.take(MS).is_some() && !demand.is_over());
        assert!(demand.take(MS).is_some() && demand.is_over());
        assert_eq!(demand.take(MS), None);
    }

    #[test]
    fn an_open_loop_has_what_is_due_and_tells_what_is_left() {
        let demand = Demand::due();
        demand.start(None);
        assert_eq!(demand.take(9 * MS), None);
        for due in [MS, 2 * MS, 3 * MS] {
            assert!(demand.add(due));
        }
        assert_eq!((demand.take(9 * MS), demand.len()), (Some(MS), 2));
        assert_eq!(demand.stop(), [2 * MS, 3 * MS]);
        assert!(!demand.add(4 * MS), "too late");
    }

    #[test]
    fn what_is_due_at_the_end_may_be_taken() {
        let demand = Demand::due();
        demand.start(None);
        assert!(demand.add(MS));
        demand.finish();
        assert!(!demand.is_over() && !demand.add(MS));
        assert!(demand.take(MS).is_some() && demand.is_over());
    }

    #[test]
    fn what_waits_is_bounded() {
        let demand = Demand::due();
        demand.start(None);
        assert_eq!((0..=MAX_WAITING).filter(|_| demand.add(MS)).count(), MAX_WAITING);
    }

    #[test]
    fn the_one_that_was_busy_last_is_woken_first() {
        let demand = Demand::due();
        demand.start(None);
        assert!(!demand.wake(), "nobody waits");
        demand.wait(1, Waker::noop());
        demand.wait(2, Waker::noop());
        demand.wait(1, Waker::noop());
        assert_eq!(demand.waiting.borrow().last().map(|(number, _)| *number), Some(2));
        assert!(demand.wake() && demand.wake() && !demand.wake());
    }
}
