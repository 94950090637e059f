//! The tasks that wait for one condition.

use std::task::Waker;

/// Nearly always none or one. The one waker is kept after it was woken, so that a task that waits
/// for the same thing again and again is not cloned each time.
#[derive(Default)]
pub(crate) struct Waiters {
    first: Option<Waker>,
    armed: bool,
    more: Vec<Waker>,
}

impl Waiters {
    pub(crate) fn add(&mut self, waker: &Waker) {
        let same = self.first.as_ref().is_some_and(|first| first.will_wake(waker));
        if !self.armed {
            if !same {
                self.first = Some(waker.clone());
            }
            self.armed = true;
        } else if !same && !self.more.iter().any(|other| other.will_wake(waker)) {
            self.more.push(waker.clone());
        }
    }

    pub(crate) fn wake(&mut self) {
        if std::mem::take(&mut self.armed)
            && let Some(first) = &self.first
        {
            first.wake_by_ref();
        }
        for waker in self.more.drain(..) {
            waker.wake();
        }
    }

    pub(crate) fn is_waiting(&self) -> bool {
        self.armed
    }
}
