//! One time to be woken at, which may be moved closer.

use std::cell::{Cell, RefCell};
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::{Poll, Waker};
use std::time::Duration;

use grenache_engine::{now, sleep_until};

/// The time at which something is due, and the task that waits for it.
#[derive(Default)]
pub(crate) struct Alarm {
    due: Cell<Option<Duration>>,
    task: RefCell<Option<Waker>>,
}

impl Alarm {
    /// Rings at `due`, unless it is set to ring sooner already. It may then ring for nothing, which
    /// costs less than moving it with every query that is answered.
    pub(crate) fn set(&self, due: Option<Duration>) {
        let Some(due) = due else { return };
        if self.due.get().is_none_or(|sooner| due < sooner) {
            self.due.set(Some(due));
            if let Some(task) = self.task.borrow_mut().take() {
                task.wake();
            }
        }
    }

    /// Waits until it rings, which unsets it.
    pub(crate) async fn rings(&self) {
        let mut sleep = pin!(sleep_until(Duration::MAX));
        poll_fn(|context| {
            let Some(due) = self.due.get() else {
                self.task.replace(Some(context.waker().clone()));
                return Poll::Pending;
            };
            if due <= now() {
                self.due.set(None);
                return Poll::Ready(());
            }
            if sleep.deadline() != due {
                sleep.as_mut().get_mut().reset(due);
            }
            match sleep.as_mut().poll(context) {
                Poll::Ready(()) => {
                    self.due.set(None);
                    Poll::Ready(())
                }
                Poll::Pending => {
                    self.task.replace(Some(context.waker().clone()));
                    Poll::Pending
                }
            }
        })
        .await;
    }
}
