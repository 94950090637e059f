//! One destination: its connections, and the calls that wait for one.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::future::poll_fn;
use std::mem;
use std::net::SocketAddr;
use std::rc::{Rc, Weak};
use std::task::{Poll, Waker};
use std::time::Duration;

use grenache_engine::now;

use super::connection::Connection;
use super::lease::Lease;
use super::pool::Shared;
use super::{Config, Failed, Target};

/// The connections to one destination. At most `max_connections` places are taken, by connections and by those who make one;
/// who finds none waits in a queue.
pub(super) struct Destination {
    target: Target,
    config: Rc<Config>,
    pool: Weak<Shared>,
    places: Cell<usize>,
    /// Places with a connection.
    connections: Cell<usize>,
    /// The connections that nobody uses, the most recently used last.
    idle: RefCell<Vec<Idle>>,
    /// Those in use that take further requests.
    shared: RefCell<Vec<Rc<Connection>>>,
    waiters: RefCell<VecDeque<Rc<Waiter>>>,
    /// Calls, waiting ones included.
    in_flight: Cell<usize>,
}

struct Idle {
    connection: Rc<Connection>,
    until: Duration,
}

/// The right to have one connection.
pub(super) struct Place {
    destination: Weak<Destination>,
    connected: Cell<bool>,
}

/// What a call is given to go on with.
pub(super) enum Given {
    Lease(Lease),
    /// To make a connection.
    Place(Place),
    /// Nothing.
    Refused(Failed),
}

struct Waiter {
    /// It may share a connection.
    shares: bool,
    given: Cell<Option<Given>>,
    waker: Cell<Option<Waker>>,
}

impl Destination {
    pub(super) fn new(target: Target, config: Rc<Config>, pool: Weak<Shared>) -> Rc<Destination> {
        Rc::new(Destination {
            target,
            config,
            pool,
            places: Cell::new(0),
            connections: Cell::new(0),
            idle: RefCell::default(),
            shared: RefCell::default(),
            waiters: RefCell::default(),
            in_flight: Cell::new(0),
        })
    }

    pub(super) fn addr(&self) -> SocketAddr {
        self.target.addr
    }

    pub(super) fn config(&self) -> &Config {
        &self.config
    }

    /// Whether connections to it serve for a target. The Host header may differ from request to request, the name on a
    /// certificate may not.
    pub(super) fn serves(&self, target: &Target) -> bool {
        self.target.secure == target.secure && (!target.secure || self.target.host == target.host)
    }

    pub(super) fn target(&self) -> &Target {
        &self.target
    }

    #[cfg(test)]
    pub(super) fn in_flight(&self) -> usize {
        self.in_flight.get()
    }

    /// Whether nothing is left of it.
    pub(super) fn is_unused(&self) -> bool {
        self.places.get() == 0 && self.in_flight.get() == 0 && self.waiters.borrow().is_empty()
    }

    /// What a new call can go on with at once: the connection used last, a place for another, or one in use if it `shares`.
    pub(super) fn take(self: &Rc<Self>, shares: bool) -> Option<Given> {
        if !self.waiters.borrow().is_empty() {
            return None;
        }
        let idle = self.idle.borrow_mut().pop();
        // The server may be about to close it, though it was not swept yet.
        if let Some(idle) = idle.filter(|idle| idle.until > now()) {
            return Some(Given::Lease(Lease::new(idle.connection, self.clone())));
        }
        if self.places.get() < self.config.max_connections.max(1) {
            return Some(Given::Place(Place::new(self)));
        }
        self.shareable().filter(|_| shares).map(Given::Lease)
    }

    /// Of the connections that take another request the one with the fewest under way.
    fn shareable(self: &Rc<Self>) -> Option<Lease> {
        let shared = self.shared.borrow();
        let open = shared.iter().filter(|connection| {
            connection.load() < self.config.pipelined() && connection.is_open()
        });
        let connection = open.min_by_key(|connection| connection.load())?.clone();
        Some(Lease::new(connection, self.clone()))
    }

    /// Waits in the queue for what [`take`](Self::take) did not give. Dropping the future leaves the queue.
    pub(super) async fn wait(&self, shares: bool) -> Result<Given, Failed> {
        if self.waiters.borrow().len() >= self.config.max_waiting {
            return Err(Failed::Full);
        }
        let (given, waker) = (Cell::new(None), Cell::new(None));
        let waiter = Rc::new(Waiter { shares, given, waker });
        self.waiters.borrow_mut().push_back(waiter.clone());
        let queued = Queued { destination: self, waiter };
        let given = poll_fn(|context| {
            queued.waiter.given.take().map_or_else(
                || {
                    queued.waiter.waker.set(Some(context.waker().clone()));
                    Poll::Pending
                },
                Poll::Ready,
            )
        });
        Ok(given.await)
    }

    /// The call that has waited longest, if it is one that `fits`.
    fn next(&self, fits: impl FnOnce(&Waiter) -> bool) -> Option<Rc<Waiter>> {
        let mut waiters = self.waiters.borrow_mut();
        if waiters.front().is_some_and(|waiter| fits(waiter)) { waiters.pop_front() } else { None }
    }

    /// Lets other requests be sent on a connection while it is in use.
    pub(super) fn share(self: &Rc<Self>, connection: &Rc<Connection>) {
        if !self.is_shared(connection) {
            self.shared.borrow_mut().push(connection.clone());
            self.fill(connection);
        }
    }

    fn is_shared(&self, connection: &Rc<Connection>) -> bool {
        self.shared.borrow().iter().any(|other| Rc::ptr_eq(other, connection))
    }

    /// Gives a connection in use to those in front of the queue who may share it, as long as it takes more.
    fn fill(self: &Rc<Self>, connection: &Rc<Connection>) {
        while connection.load() < self.config.pipelined()
            && connection.is_open()
            && let Some(waiter) = self.next(|waiter| waiter.shares)
        {
            waiter.give(Given::Lease(Lease::new(connection.clone(), self.clone())));
        }
    }

    /// Decides what becomes of a connection that one call fewer uses.
    pub(super) fn release(self: &Rc<Self>, connection: &Rc<Connection>) {
        if connection.users.get() > 0 {
            if self.is_shared(connection) {
                self.fill(connection);
            }
            return;
        }
        self.shared.borrow_mut().retain(|other| !Rc::ptr_eq(other, connection));
        let pool = self.pool.upgrade().filter(|pool| !pool.is_stopped());
        let Some(pool) = pool.filter(|_| connection.is_free()) else {
            if connection.failed().is_some() || connection.channel.queued() > 0 {
                connection.break_off();
            }
            return;
        };
        if let Some(waiter) = self.next(|_| true) {
            waiter.give(Given::Lease(Lease::new(connection.clone(), self.clone())));
            return;
        }
        let until = connection.idle_until(self.config.idle_timeout);
        self.idle.borrow_mut().push(Idle { connection: connection.clone(), until });
        pool.sweep_idle();
    }

    /// Closes the idle connections whose time is up, or that the server has closed. True if others are left.
    pub(super) fn sweep(&self) -> bool {
        let now = now();
        let (keep, close): (Vec<_>, Vec<_>) = mem::take(&mut *self.idle.borrow_mut())
            .into_iter()
            .partition(|idle| idle.until > now && idle.connection.is_quiet());
        let left = !keep.is_empty();
        *self.idle.borrow_mut() = keep;
        // Each gives its place back, for which the list has to be at rest.
        drop(close);
        left
    }

    /// Closes what is idle and sends home who waits.
    pub(super) fn stop(&self) {
        self.refuse_all(&Failed::Stopped);
        let idle = mem::take(&mut *self.idle.borrow_mut());
        drop(idle);
    }

    /// A connection could not be made. While there is none, those who wait could only try the same in their turn, each for as
    /// long as connecting may take: they are told at once.
    pub(super) fn not_connected(&self, why: &Failed) {
        if self.connections.get() == 0 {
            self.refuse_all(why);
        }
    }

    fn refuse_all(&self, why: &Failed) {
        let waiters = mem::take(&mut *self.waiters.borrow_mut());
        for waiter in waiters {
            waiter.give(Given::Refused(why.clone()));
        }
    }

    fn forget_if_unused(&self) {
        if self.is_unused()
            && let Some(pool) = self.pool.upgrade()
        {
            pool.forget(self.addr());
        }
    }
}

impl Place {
    fn new(destination: &Rc<Destination>) -> Place {
        destination.places.set(destination.places.get() + 1);
        Place { destination: Rc::downgrade(destination), connected: Cell::new(false) }
    }

    /// There is a connection from now on.
    pub(super) fn connected(&self) {
        let before = self.connected.replace(true);
        if let Some(destination) = self.destination.upgrade().filter(|_| !before) {
            destination.connections.set(destination.connections.get() + 1);
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let Some(destination) = self.destination.upgrade() else { return };
        destination.places.set(destination.places.get() - 1);
        if self.connected.get() {
            destination.connections.set(destination.connections.get() - 1);
        }
        match destination.next(|_| true) {
            Some(waiter) => waiter.give(Given::Place(Place::new(&destination))),
            None => destination.forget_if_unused(),
        }
    }
}

impl Waiter {
    fn give(&self, given: Given) {
        self.given.set(Some(given));
        if let Some(waker) = self.waker.take() {
            waker.wake();
        }
    }
}

/// A call in the queue.
struct Queued<'a> {
    destination: &'a Destination,
    waiter: Rc<Waiter>,
}

impl Drop for Queued<'_> {
    fn drop(&mut self) {
        let mut waiters = self.destination.waiters.borrow_mut();
        if let Some(at) = waiters.iter().position(|other| Rc::ptr_eq(other, &self.waiter)) {
            waiters.remove(at);
        }
        drop(waiters);
        // What it was given and has not taken goes to the next.
        drop(self.waiter.given.take());
    }
}

/// Counts a call.
pub(super) struct InFlight(Rc<Destination>);

impl InFlight {
    pub(super) fn new(destination: Rc<Destination>) -> InFlight {
        destination.in_flight.set(destination.in_flight.get() + 1);
        InFlight(destination)
    }

    pub(super) fn destination(&self) -> &Rc<Destination> {
        &self.0
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.in_flight.set(self.0.in_flight.get() - 1);
        self.0.forget_if_unused();
    }
}
