//! One piece of work that several wait for.

use std::cell::{Cell, OnceCell, RefCell};
use std::future::{Future, poll_fn};
use std::rc::{Rc, Weak};
use std::task::{Context, Poll, Waker};

use grenache_engine::{JoinHandle, spawn_local};
use slab::Slab;

/// Tasks that wait for something to happen.
#[derive(Default)]
pub(crate) struct Waiters(RefCell<Slab<Waker>>);

impl Waiters {
    /// Waits until `ready` gives something; it is asked at once and after each [`wake`](Self::wake).
    pub(crate) async fn until<T>(&self, mut ready: impl FnMut() -> Option<T>) -> T {
        let mut place = Place { waiters: self, key: None };
        poll_fn(|context| match ready() {
            Some(value) => Poll::Ready(value),
            None => place.wait(context),
        })
        .await
    }

    pub(crate) fn wake(&self) {
        // Taken first: a waker may run into this list.
        let waiters: Vec<Waker> = self.0.borrow().iter().map(|(_, waker)| waker.clone()).collect();
        waiters.into_iter().for_each(Waker::wake);
    }
}

/// A waiter's place in the list, given back when it is dropped.
struct Place<'a> {
    waiters: &'a Waiters,
    key: Option<usize>,
}

impl Place<'_> {
    fn wait<T>(&mut self, context: &mut Context<'_>) -> Poll<T> {
        let mut waiters = self.waiters.0.borrow_mut();
        match self.key {
            Some(key) => waiters[key].clone_from(context.waker()),
            None => self.key = Some(waiters.insert(context.waker().clone())),
        }
        Poll::Pending
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        if let Some(key) = self.key {
            self.waiters.0.borrow_mut().remove(key);
        }
    }
}

/// A task whose result goes to all who wait for it. It goes on as long as there is one; who asked first does not matter.
pub(crate) struct Flight<T> {
    result: RefCell<Option<T>>,
    ended: Cell<bool>,
    waiters: Waiters,
    task: OnceCell<JoinHandle<()>>,
}

impl<T: Clone + 'static> Flight<T> {
    pub(crate) fn start(work: impl Future<Output = T> + 'static) -> Rc<Flight<T>> {
        let flight = Rc::new(Flight {
            result: RefCell::new(None),
            ended: Cell::new(false),
            waiters: Waiters::default(),
            task: OnceCell::new(),
        });
        let end = End(Rc::downgrade(&flight));
        let task = spawn_local(async move {
            let end = end;
            let result = work.await;
            if let Some(flight) = end.0.upgrade() {
                *flight.result.borrow_mut() = Some(result);
            }
        });
        let _ = flight.task.set(task);
        flight
    }

    /// Whether there is nothing more to wait for.
    pub(crate) fn has_ended(&self) -> bool {
        self.ended.get()
    }

    /// The result; none if the task has panicked.
    pub(crate) async fn result(&self) -> Option<T> {
        let ended = || self.ended.get().then(|| self.result.borrow().clone());
        self.waiters.until(ended).await
    }
}

impl<T> Drop for Flight<T> {
    fn drop(&mut self) {
        if let Some(task) = self.task.get() {
            task.abort();
        }
    }
}

/// Tells those who wait that the task is over, however it went.
struct End<T>(Weak<Flight<T>>);

impl<T> Drop for End<T> {
    fn drop(&mut self) {
        if let Some(flight) = self.0.upgrade() {
            flight.ended.set(true);
            flight.waiters.wake();
        }
    }
}
