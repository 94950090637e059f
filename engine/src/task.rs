//! Tasks of one core: futures, their wakers and handles.

use std::any::Any;
use std::cell::RefCell;
use std::fmt;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};

use slab::Slab;

use crate::executor::{self, Executor};
use crate::waiters::Waiters;
use crate::wake::Home;

/// A slot and the generation of its occupant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TaskId {
    slot: u32,
    generation: u32,
}

type BoxFuture = Pin<Box<dyn Future<Output = ()>>>;

/// What a waker holds. The future is not in here: it never leaves its core, wakers may.
struct Header {
    id: TaskId,
    queued: AtomicBool,
    home: Arc<Home>,
}

impl Wake for Header {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if self.queued.swap(true, Ordering::AcqRel) {
            return;
        }
        if !executor::queue_if_current(&self.home, self.id) {
            self.home.wake(self.id);
        }
    }
}

struct Body {
    future: BoxFuture,
    waker: Waker,
}

struct Task {
    header: Arc<Header>,
    /// Empty while the task is being polled.
    body: Option<Body>,
    aborted: bool,
}

/// All tasks of a core.
#[derive(Default)]
pub(crate) struct Tasks {
    slab: RefCell<Slab<Task>>,
    generation: std::cell::Cell<u32>,
}

/// What a poll came to.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Polled {
    Fine,
    Panicked,
}

impl Tasks {
    pub(crate) fn insert(&self, home: &Arc<Home>, future: BoxFuture) -> TaskId {
        self.generation.set(self.generation.get().wrapping_add(1));
        let mut slab = self.slab.borrow_mut();
        let entry = slab.vacant_entry();
        let id = TaskId { slot: entry.key() as u32, generation: self.generation.get() };
        let header = Arc::new(Header { id, queued: AtomicBool::new(true), home: home.clone() });
        let waker = Waker::from(header.clone());
        entry.insert(Task { header, body: Some(Body { future, waker }), aborted: false });
        id
    }

    /// Polls a task if it still exists.
    pub(crate) fn poll(&self, id: TaskId) -> Polled {
        let Some(mut body) = self.with(id, |task| {
            // Whoever woke it and found it queued has made its change before: the poll sees it.
            task.header.queued.swap(false, Ordering::AcqRel);
            task.body.take()
        }) else {
            return Polled::Fine;
        };
        let mut context = Context::from_waker(&body.waker);
        let polled = catch_unwind(AssertUnwindSafe(|| body.future.as_mut().poll(&mut context)));
        let outcome = match &polled {
            Ok(_) => Polled::Fine,
            Err(panic) => {
                tracing::error!("a task panicked: {}", panic_message(&**panic));
                Polled::Panicked
            }
        };
        let keep = matches!(polled, Ok(Poll::Pending));
        let mut slab = self.slab.borrow_mut();
        let Some(task) = slab.get_mut(id.slot as usize) else { return outcome };
        if keep && !task.aborted {
            task.body = Some(body);
            return outcome;
        }
        let task = slab.remove(id.slot as usize);
        drop(slab);
        drop(task);
        drop_quietly(body);
        outcome
    }

    /// Drops a task, at once or, if it is the one that runs, after its poll.
    fn abort(&self, id: TaskId) {
        let body = self.with(id, |task| {
            task.aborted = true;
            task.body.take()
        });
        if let Some(body) = body {
            self.slab.borrow_mut().remove(id.slot as usize);
            drop_quietly(body);
        }
    }

    fn with(&self, id: TaskId, act: impl FnOnce(&mut Task) -> Option<Body>) -> Option<Body> {
        let mut slab = self.slab.borrow_mut();
        let task = slab.get_mut(id.slot as usize)?;
        if task.header.id == id { act(task) } else { None }
    }

    /// Drops all tasks, also those that are started meanwhile by the others' destructors.
    pub(crate) fn clear(&self) {
        loop {
            let tasks = std::mem::take(&mut *self.slab.borrow_mut());
            if tasks.is_empty() {
                return;
            }
            for (_, task) in tasks {
                task.body.into_iter().for_each(drop_quietly);
            }
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.slab.borrow().len()
    }
}

/// A destructor that panics takes down its task only.
fn drop_quietly(body: Body) {
    if let Err(panic) = catch_unwind(AssertUnwindSafe(|| drop(body))) {
        tracing::error!("a task panicked while it was dropped: {}", panic_message(&*panic));
    }
}

pub(crate) fn panic_message(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("no message")
}

/// Why a task gave no result.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JoinError {
    /// It was aborted, or its core stopped.
    Aborted,
    /// It panicked.
    Panicked,
}

impl fmt::Display for JoinError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Aborted => "the task was aborted",
            Self::Panicked => "the task panicked",
        })
    }
}

impl std::error::Error for JoinError {}

struct Joined<T> {
    result: RefCell<Option<Result<T, JoinError>>>,
    finished: std::cell::Cell<bool>,
    waiters: RefCell<Waiters>,
}

impl<T> Joined<T> {
    fn finish(&self, result: Result<T, JoinError>) {
        self.finished.set(true);
        *self.result.borrow_mut() = Some(result);
        self.waiters.borrow_mut().wake();
    }
}

/// Tells the handle that the task is gone, however it went.
struct FinishOnDrop<T> {
    joined: Rc<Joined<T>>,
}

impl<T> Drop for FinishOnDrop<T> {
    fn drop(&mut self) {
        if !self.joined.finished.get() {
            let panicking = std::thread::panicking();
            let error = if panicking { JoinError::Panicked } else { JoinError::Aborted };
            self.joined.finish(Err(error));
        }
    }
}

/// Waits for a task: a future of its result. Dropping the handle lets the task run on.
pub struct JoinHandle<T> {
    id: TaskId,
    executor: Rc<Executor>,
    joined: Rc<Joined<T>>,
}

impl<T> JoinHandle<T> {
    /// Drops the task. Its handle then answers [`JoinError::Aborted`].
    pub fn abort(&self) {
        self.executor.tasks().abort(self.id);
    }

    /// Whether the task has ended, in whatever way.
    pub fn is_finished(&self) -> bool {
        self.joined.finished.get()
    }

    pub(crate) fn take_result(&self) -> Option<Result<T, JoinError>> {
        self.joined.result.borrow_mut().take()
    }
}

impl<T> Future for JoinHandle<T> {
    type Output = Result<T, JoinError>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        if let Some(result) = self.take_result() {
            return Poll::Ready(result);
        }
        self.joined.waiters.borrow_mut().add(context.waker());
        Poll::Pending
    }
}

/// Starts a task on `executor`.
pub(crate) fn spawn_on<F>(executor: &Rc<Executor>, future: F) -> JoinHandle<F::Output>
where
    F: Future + 'static,
    F::Output: 'static,
{
    let joined = Rc::new(Joined {
        result: RefCell::new(None),
        finished: std::cell::Cell::new(false),
        waiters: RefCell::new(Waiters::default()),
    });
    let guard = FinishOnDrop { joined: joined.clone() };
    let id = executor.start(Box::pin(async move {
        let guard = guard;
        // The future is dropped before the handle is told.
        let result = { future.await };
        guard.joined.finish(Ok(result));
    }));
    JoinHandle { id, executor: executor.clone(), joined }
}

/// Starts a task on the current core. It runs until it ends, is aborted, or `main` of its core
/// returns. A panic in it is logged and counted and touches nothing else.
///
/// # Panics
/// Outside of a core.
pub fn spawn_local<F>(future: F) -> JoinHandle<F::Output>
where
    F: Future + 'static,
    F::Output: 'static,
{
    spawn_on(&executor::current(), future)
}
