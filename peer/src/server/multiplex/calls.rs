//! Handlers of one connection that are still at work.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::future::poll_fn;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Waker};

use grenache_engine::{JoinHandle, spawn_local};
use slab::Slab;

use crate::json::Json;
use crate::server::Counters;
use crate::server::owed::{Flight, drop_quietly, poll_work};
use crate::server::reply::Reply;
use crate::server::services::Work;

/// What a handler has given, and to whom: the request's id, and how the answer finds its way back.
pub(super) type Outcome<B> = ((Json, B), Result<Reply, String>);

/// The handlers that were not done at once, each in a task of its own: so none is polled because of another.
/// Dropping this drops them.
pub(super) struct Calls<B> {
    shared: Rc<Shared<B>>,
}

struct Shared<B> {
    counters: Arc<Counters>,
    running: RefCell<Slab<JoinHandle<()>>>,
    done: RefCell<VecDeque<Outcome<B>>>,
    connection: RefCell<Waker>,
}

impl<B: 'static> Calls<B> {
    pub(super) fn new(counters: Arc<Counters>) -> Calls<B> {
        let (running, done) = Default::default();
        let connection = RefCell::new(Waker::noop().clone());
        Calls { shared: Rc::new(Shared { counters, running, done, connection }) }
    }

    /// Handlers at work.
    pub(super) fn running(&self) -> usize {
        self.shared.running.borrow().len()
    }

    /// Nothing is at work, and all outcomes are taken.
    pub(super) fn is_empty(&self) -> bool {
        self.running() == 0 && self.shared.done.borrow().is_empty()
    }

    /// Whom to wake when a handler is done.
    pub(super) fn wake_by(&self, context: &Context<'_>) {
        let mut waker = self.shared.connection.borrow_mut();
        if !waker.will_wake(context.waker()) {
            *waker = context.waker().clone();
        }
    }

    /// Lets a handler go on by itself.
    pub(super) fn run(&self, to: (Json, B), mut work: Work<Reply>, flight: Flight) {
        let mut running = self.shared.running.borrow_mut();
        let entry = running.vacant_entry();
        let (key, shared) = (entry.key(), self.shared.clone());
        entry.insert(spawn_local(async move {
            let outcome = poll_fn(|context| poll_work(&mut work, &shared.counters, context)).await;
            drop_quietly(work);
            drop(flight);
            shared.done.borrow_mut().push_back((to, outcome));
            shared.running.borrow_mut().remove(key);
            shared.connection.borrow().wake_by_ref();
        }));
    }

    /// The next outcome that was not taken yet.
    pub(super) fn done(&self) -> Option<Outcome<B>> {
        self.shared.done.borrow_mut().pop_front()
    }
}

impl<B> Drop for Calls<B> {
    fn drop(&mut self) {
        for (_, handler) in self.shared.running.take() {
            self.shared.counters.cancelled.add(1);
            handler.abort();
        }
    }
}
