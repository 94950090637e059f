//! Time as the driver tells it.

use std::fmt;
use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;

use crate::executor::{self, Executor};
use crate::wheel::TimerId;

/// The time since an arbitrary origin that all cores share. It stands still during a turn.
///
/// # Panics
/// Outside of a core.
pub fn now() -> Duration {
    executor::current().now()
}

/// The time since the Unix epoch, for what people read.
///
/// # Panics
/// Outside of a core.
pub fn wall_clock() -> Duration {
    executor::current().wall_clock()
}

/// Waits for `duration`.
///
/// # Panics
/// Outside of a core.
pub fn sleep(duration: Duration) -> Sleep {
    sleep_until(now().saturating_add(duration))
}

/// Waits until [`now`] is `deadline`; never wakes earlier.
///
/// # Panics
/// Outside of a core.
pub fn sleep_until(deadline: Duration) -> Sleep {
    Sleep { executor: executor::current(), deadline, timer: None }
}

/// The future of [`sleep`] and [`sleep_until`].
pub struct Sleep {
    executor: Rc<Executor>,
    deadline: Duration,
    timer: Option<TimerId>,
}

impl Sleep {
    /// When it ends.
    pub fn deadline(&self) -> Duration {
        self.deadline
    }

    /// Starts anew with another deadline.
    pub fn reset(&mut self, deadline: Duration) {
        self.cancel();
        self.deadline = deadline;
    }

    fn cancel(&mut self) {
        if let Some(timer) = self.timer.take() {
            self.executor.wheel().cancel(timer);
        }
    }
}

impl Future for Sleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        if self.executor.now() >= self.deadline {
            self.cancel();
            return Poll::Ready(());
        }
        let mut wheel = self.executor.wheel();
        let waker = context.waker();
        let timer = match self.timer {
            Some(timer) if wheel.update(timer, waker) => timer,
            _ => wheel.insert(self.deadline, waker.clone()),
        };
        drop(wheel);
        self.timer = Some(timer);
        Poll::Pending
    }
}

impl Drop for Sleep {
    fn drop(&mut self) {
        self.cancel();
    }
}

/// The time was up before the future was ready.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Elapsed;

impl fmt::Display for Elapsed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the time is up")
    }
}

impl std::error::Error for Elapsed {}

/// Waits for `future`, at most for `duration`; the future is dropped when the time is up.
///
/// # Panics
/// Outside of a core.
pub async fn timeout<F: Future>(duration: Duration, future: F) -> Result<F::Output, Elapsed> {
    let mut sleep = pin!(sleep(duration));
    let mut future = pin!(future);
    poll_fn(|context| match future.as_mut().poll(context) {
        Poll::Ready(output) => Poll::Ready(Ok(output)),
        Poll::Pending => sleep.as_mut().poll(context).map(|()| Err(Elapsed)),
    })
    .await
}

/// Lets all other runnable tasks run first.
pub async fn yield_now() {
    let mut yielded = false;
    poll_fn(|context| {
        if std::mem::replace(&mut yielded, true) {
            return Poll::Ready(());
        }
        context.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

/// Waits until what was written has been handed to the system and all sockets were looked at, as well as other tasks: for one that
/// has more to do than should be done in one go.
///
/// # Panics
/// Outside of a core.
pub async fn next_turn() {
    let mut waits = false;
    poll_fn(|context| {
        if std::mem::replace(&mut waits, true) {
            return Poll::Ready(());
        }
        executor::current().wake_next_turn(context.waker());
        Poll::Pending
    })
    .await;
}

/// Resolves once the runtime was told to stop.
///
/// # Panics
/// Outside of a core.
pub async fn shutdown() {
    let mut shutdown = Shutdown { executor: executor::current(), waiter: None };
    poll_fn(|context| shutdown.poll(context)).await;
}

struct Shutdown {
    executor: Rc<Executor>,
    waiter: Option<usize>,
}

impl Shutdown {
    fn poll(&mut self, context: &mut Context<'_>) -> Poll<()> {
        if self.executor.home().is_stopped() {
            return Poll::Ready(());
        }
        let mut waiters = self.executor.stop_waiters();
        match self.waiter {
            Some(waiter) => waiters[waiter].clone_from(context.waker()),
            None => self.waiter = Some(waiters.insert(context.waker().clone())),
        }
        Poll::Pending
    }
}

impl Drop for Shutdown {
    fn drop(&mut self) {
        // Once stopped the list is empty, and nobody enters it any more.
        if let Some(waiter) = self.waiter {
            self.executor.stop_waiters().try_remove(waiter);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Config, Core, Runtime, spawn_local};

    #[test]
    fn who_waits_for_the_end_no_more_is_forgotten() {
        let runtime = Runtime::start(Config::default(), |_: Core<()>| async {
            let waiters = || executor::current().stop_waiters().len();
            let waits: Vec<_> = (0..100).map(|_| spawn_local(shutdown())).collect();
            yield_now().await;
            assert_eq!(waiters(), 100);
            waits[..60].iter().for_each(crate::JoinHandle::abort);
            assert_eq!(waiters(), 40);
            executor::current().home().stop();
            for wait in waits {
                let _ = wait.await;
            }
            shutdown().await;
            assert_eq!(waiters(), 0);
        });
        runtime.unwrap().join().unwrap();
    }
}
