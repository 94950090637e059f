//! Announcing a service again and again.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use grenache_engine::{JoinHandle, sleep, spawn_local};

use super::Link;
use crate::error::Error;
use crate::flight::Waiters;

/// A service that is being announced, until this is stopped or dropped. Nothing can be withdrawn from the network: the grapes
/// forget the worker once its lifetime there is over.
#[must_use = "dropping it stops the announcements"]
pub struct Announcing {
    state: Rc<State>,
    task: JoinHandle<()>,
}

#[derive(Default)]
struct State {
    announced: Cell<bool>,
    error: RefCell<Option<Error>>,
    waiters: Waiters,
}

impl Announcing {
    pub(super) fn start(link: Link, service: String, port: u16) -> Announcing {
        let state = Rc::new(State::default());
        let task = spawn_local(keep_announcing(link, service, port, state.clone()));
        Announcing { state, task }
    }

    /// Waits until a grape has taken the announcement for the first time. There is no time-out: while none does, it is tried
    /// again and again; [`last_error`](Self::last_error) says why it did not work.
    pub async fn announced(&self) {
        self.state.waiters.until(|| self.state.announced.get().then_some(())).await;
    }

    /// Why the last announcement failed, if it did.
    pub fn last_error(&self) -> Option<Error> {
        self.state.error.borrow().clone()
    }

    /// Stops announcing, at once; the same as dropping it.
    pub fn stop(self) {}
}

impl Drop for Announcing {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn keep_announcing(link: Link, service: String, port: u16, state: Rc<State>) {
    let mut failures = 0;
    loop {
        let result = link.announce(&service, port).await;
        let pause = match result {
            Ok(nodes) => {
                tracing::debug!("'{service}' announced; nodes that stored it: {nodes}");
                failures = 0;
                *state.error.borrow_mut() = None;
                state.announced.set(true);
                state.waiters.wake();
                link.announce_pause()
            }
            Err(error) => {
                if failures == 0 {
                    tracing::warn!("'{service}' is not announced: {error}; trying again");
                }
                failures += 1;
                *state.error.borrow_mut() = Some(error);
                link.announce_retry_pause(failures)
            }
        };
        sleep(pause).await;
    }
}
