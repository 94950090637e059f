//! The executor of one core: turns of driver, timers, tasks.
//!
//! A turn takes what the driver has, fires timers, polls runnable tasks, and hands what they wrote
//! to the driver. The executor has no clock, randomness, socket or thread of its own: all come from
//! its [`Driver`]. It can therefore be stepped: many may live on one thread, and the one whose turn
//! it is is the thread's current core for as long.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::Waker;
use std::time::Duration;

use slab::Slab;

use crate::config::{DriverKind, Limits};
use crate::driver::{Driver, Wait};
use crate::idle::Idle;
use crate::mesh::Link;
use crate::net::table::Sockets;
use crate::stats::Stats;
use crate::task::{Polled, TaskId, Tasks};
use crate::waiters::Waiters;
use crate::wake::Home;
use crate::wheel::Wheel;

thread_local! {
    static CURRENT: RefCell<Option<Rc<Executor>>> = const { RefCell::new(None) };
}

/// The current core.
///
/// # Panics
/// Outside of a core.
pub(crate) fn current() -> Rc<Executor> {
    let current = CURRENT.with_borrow(Clone::clone);
    current.expect("this works only on a core of the engine, inside its main or a task")
}

/// Queues a task if `home` is the current core's; its wakers run anywhere.
pub(crate) fn queue_if_current(home: &Arc<Home>, task: TaskId) -> bool {
    let queued = CURRENT.try_with(|current| match &*current.borrow() {
        Some(executor) if Arc::ptr_eq(&executor.home, home) => {
            executor.ready.borrow_mut().push_back(task);
            true
        }
        _ => false,
    });
    queued.unwrap_or(false)
}

/// Makes a core the current one until dropped.
pub(crate) struct Entered {
    previous: Option<Rc<Executor>>,
}

impl Drop for Entered {
    fn drop(&mut self) {
        CURRENT.set(self.previous.take());
    }
}

/// What an executor is made of.
pub(crate) struct Parts {
    pub(crate) index: usize,
    pub(crate) driver: Box<dyn Driver>,
    pub(crate) home: Arc<Home>,
    /// What comes in over the mesh.
    pub(crate) inbound: Vec<Arc<Link>>,
    pub(crate) limits: Limits,
    pub(crate) idle: Idle,
}

pub(crate) struct Executor {
    index: usize,
    home: Arc<Home>,
    idle: Cell<Idle>,
    turn_polls: usize,
    tasks: Tasks,
    ready: RefCell<VecDeque<TaskId>>,
    now: Cell<Duration>,
    wheel: RefCell<Wheel>,
    /// Before the sockets, so that it is dropped before the memory it sends from.
    driver: RefCell<Box<dyn Driver>>,
    sockets: RefCell<Sockets>,
    inbound: Vec<Arc<Link>>,
    mesh_waiters: RefCell<Waiters>,
    /// Tasks that wait for the next turn.
    turn_waiters: RefCell<Vec<Waker>>,
    mesh_written: RefCell<Vec<Arc<Link>>>,
    /// By key, as any number of tasks wait for the one end, and most are gone before it.
    stop_waiters: RefCell<Slab<Waker>>,
    spawned: Cell<u64>,
    panicked: Cell<u64>,
    turns: Cell<u64>,
    spun: Cell<Duration>,
    parked: Cell<Duration>,
}

impl Executor {
    pub(crate) fn new(mut parts: Parts) -> Rc<Self> {
        let now = parts.driver.now();
        Rc::new(Self {
            index: parts.index,
            home: parts.home,
            idle: Cell::new(parts.idle),
            turn_polls: parts.limits.turn_polls.max(1),
            tasks: Tasks::default(),
            ready: RefCell::default(),
            now: Cell::new(now),
            wheel: RefCell::new(Wheel::new(now)),
            sockets: RefCell::new(Sockets::new(parts.limits, now)),
            driver: RefCell::new(parts.driver),
            inbound: parts.inbound,
            mesh_waiters: RefCell::default(),
            turn_waiters: RefCell::default(),
            mesh_written: RefCell::default(),
            stop_waiters: RefCell::default(),
            spawned: Cell::new(0),
            panicked: Cell::new(0),
            turns: Cell::new(0),
            spun: Cell::new(Duration::ZERO),
            parked: Cell::new(Duration::ZERO),
        })
    }

    /// Makes this the thread's current core until the guard is dropped.
    pub(crate) fn enter(self: &Rc<Self>) -> Entered {
        Entered { previous: CURRENT.replace(Some(self.clone())) }
    }

    /// One turn. Returns at once unless `park` allows to wait for something to do.
    ///
    /// The core must have been entered.
    pub(crate) fn turn(&self, park: bool) {
        self.turns.set(self.turns.get() + 1);
        if !park || self.has_work() {
            self.poll_driver(Wait::No);
        } else if !self.spin() {
            self.home.bell.parking();
            let wait = if self.has_work() { Wait::No } else { Wait::Until(self.next_deadline()) };
            let began = self.driver.borrow_mut().now();
            self.poll_driver(wait);
            self.parked.set(self.parked.get() + self.now.get().saturating_sub(began));
            self.home.bell.awake();
        }
        let now = self.now.get();
        self.wheel.borrow_mut().advance(now);
        self.turn_waiters.take().into_iter().for_each(Waker::wake);
        self.notice();
        for _ in 0..self.turn_polls {
            let Some(task) = self.ready.borrow_mut().pop_front() else { break };
            if self.tasks.poll(task) == Polled::Panicked {
                self.panicked.set(self.panicked.get() + 1);
            }
        }
        self.flush();
    }

    /// One turn of a stepped core, which is left parked: whoever brings work from outside rings its
    /// bell. Says whether another turn would find work already. The core must have been entered.
    pub(crate) fn step(&self) -> bool {
        self.home.bell.awake();
        self.turn(false);
        self.home.bell.parking();
        self.has_work()
    }

    /// Whether a turn would find something to do without the driver.
    pub(crate) fn has_work(&self) -> bool {
        !self.ready.borrow().is_empty()
            || !self.turn_waiters.borrow().is_empty()
            || self.sockets.borrow().is_dirty()
            || self.home.any_woken()
            || (self.mesh_waiters.borrow().is_waiting() && self.mesh_has_mail())
            || (!self.stop_waiters.borrow().is_empty() && self.home.is_stopped())
    }

    /// When the next timer is due, as far as known now.
    pub(crate) fn next_deadline(&self) -> Option<Duration> {
        let timer = self.wheel.borrow().next_deadline();
        let socket = self.sockets.borrow().next_deadline();
        [timer, socket].into_iter().flatten().min()
    }

    fn poll_driver(&self, wait: Wait) {
        let mut driver = self.driver.borrow_mut();
        let mut sockets = self.sockets.borrow_mut();
        driver.poll(wait, &mut sockets);
        let now = driver.now();
        self.now.set(now);
        sockets.advance(now, &mut **driver);
    }

    /// Looks for work without entering the kernel; false once the time to do so is over.
    fn spin(&self) -> bool {
        let Idle::Spin(patience) = self.idle.get() else { return false };
        let deadline = self.next_deadline();
        let mut started = None;
        // How long it looked in vain: until before the look that found something, as that one had something to do.
        let mut vain = Duration::ZERO;
        let found = loop {
            self.poll_driver(Wait::No);
            let now = self.now.get();
            if self.has_work() || deadline.is_some_and(|deadline| deadline <= now) {
                break true;
            }
            vain = now.saturating_sub(*started.get_or_insert(now));
            if vain >= patience {
                break false;
            }
            std::hint::spin_loop();
        };
        self.spun.set(self.spun.get() + vain);
        found
    }

    /// Wakes tasks for what others have brought.
    fn notice(&self) {
        if self.home.any_woken() {
            self.ready.borrow_mut().extend(self.home.take_woken());
        }
        if self.mesh_waiters.borrow().is_waiting() && self.mesh_has_mail() {
            self.mesh_waiters.borrow_mut().wake();
        }
        if !self.stop_waiters.borrow().is_empty() && self.home.is_stopped() {
            let waiters = std::mem::take(&mut *self.stop_waiters.borrow_mut());
            waiters.into_iter().for_each(|(_, waker)| waker.wake());
        }
    }

    fn mesh_has_mail(&self) -> bool {
        self.home.has_mail() || self.inbound.iter().any(|link| link.has_mail())
    }

    /// Hands to the driver what the tasks of this turn have written.
    fn flush(&self) {
        let mut driver = self.driver.borrow_mut();
        self.sockets.borrow_mut().flush(&mut **driver);
        for link in self.mesh_written.borrow_mut().drain(..) {
            driver.publish(&link);
        }
    }

    /// Drops all tasks, then gives what they wrote the time to leave that `Limits::linger` says. Peers
    /// are not waited for.
    pub(crate) fn shut_down(self: &Rc<Self>) {
        let _entered = self.enter();
        self.abandon();
        // Each event may be the last one; spinning would look for work that comes no more.
        self.idle.set(Idle::Park);
        while self.is_closing() {
            self.turn(true);
        }
    }

    /// Whether dropped sockets still have something to send.
    pub(crate) fn is_closing(&self) -> bool {
        self.sockets.borrow().is_closing()
    }

    /// Drops all tasks and does nothing more.
    pub(crate) fn abandon(self: &Rc<Self>) {
        let _entered = self.enter();
        self.tasks.clear();
        self.ready.borrow_mut().clear();
        self.turn_waiters.take();
        self.sockets.borrow_mut().leave();
    }

    /// Queues a new task.
    pub(crate) fn start(&self, future: Pin<Box<dyn Future<Output = ()>>>) -> TaskId {
        let task = self.tasks.insert(&self.home, future);
        self.spawned.set(self.spawned.get() + 1);
        self.ready.borrow_mut().push_back(task);
        task
    }

    /// Has a task woken when the next turn begins.
    pub(crate) fn wake_next_turn(&self, waker: &Waker) {
        self.turn_waiters.borrow_mut().push(waker.clone());
    }

    /// Something was written into `link`; it becomes visible at the end of the turn.
    pub(crate) fn mesh_written(&self, link: &Arc<Link>) {
        let mut written = self.mesh_written.borrow_mut();
        if !written.iter().any(|other| other.to == link.to) {
            written.push(link.clone());
        }
    }

    /// Lets a caller use the driver and the sockets together.
    pub(crate) fn with_io<R>(&self, act: impl FnOnce(&mut dyn Driver, &mut Sockets) -> R) -> R {
        act(&mut **self.driver.borrow_mut(), &mut self.sockets.borrow_mut())
    }

    pub(crate) fn sockets(&self) -> std::cell::RefMut<'_, Sockets> {
        self.sockets.borrow_mut()
    }

    pub(crate) fn wheel(&self) -> std::cell::RefMut<'_, Wheel> {
        self.wheel.borrow_mut()
    }

    pub(crate) fn mesh_waiters(&self) -> std::cell::RefMut<'_, Waiters> {
        self.mesh_waiters.borrow_mut()
    }

    pub(crate) fn stop_waiters(&self) -> std::cell::RefMut<'_, Slab<Waker>> {
        self.stop_waiters.borrow_mut()
    }

    pub(crate) fn tasks(&self) -> &Tasks {
        &self.tasks
    }

    pub(crate) fn home(&self) -> &Arc<Home> {
        &self.home
    }

    pub(crate) fn index(&self) -> usize {
        self.index
    }

    /// The time of this turn.
    pub(crate) fn now(&self) -> Duration {
        self.now.get()
    }

    pub(crate) fn wall_clock(&self) -> Duration {
        self.driver.borrow_mut().wall_clock()
    }

    pub(crate) fn fill_random(&self, buffer: &mut [u8]) {
        self.driver.borrow_mut().fill_random(buffer);
    }

    pub(crate) fn kind(&self) -> DriverKind {
        self.driver.borrow().kind()
    }

    pub(crate) fn stats(&self) -> Stats {
        Stats {
            tasks_spawned: self.spawned.get(),
            tasks_panicked: self.panicked.get(),
            turns: self.turns.get(),
            spun: self.spun.get(),
            parked: self.parked.get(),
            ..self.sockets.borrow().stats
        }
    }
}

/// The counters of the current core.
///
/// # Panics
/// Outside of a core.
pub fn stats() -> Stats {
    current().stats()
}

/// The number of tasks alive on the current core.
///
/// # Panics
/// Outside of a core.
pub fn live_tasks() -> usize {
    current().tasks.len()
}

/// Which driver the current core runs on.
///
/// # Panics
/// Outside of a core.
pub fn driver_kind() -> DriverKind {
    current().kind()
}

/// Fills `buffer` with random bytes: unpredictable on a real driver, seeded in the simulator.
///
/// # Panics
/// Outside of a core.
pub fn fill_random(buffer: &mut [u8]) {
    current().fill_random(buffer);
}
