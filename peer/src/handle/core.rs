//! One core of a handle's engine.

use std::cell::{Cell, RefCell};
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Poll, Waker};
use std::time::Duration;

use grenache_engine::{Core, Mesh, shutdown, spawn_local, timeout};

use super::calls::{Calls, Place};
use crate::context::{Context, Contexts};
use crate::error::Error;

thread_local! {
    /// Whether this is a thread of a handle's engine.
    static OWN: Cell<bool> = const { Cell::new(false) };
}

pub(super) fn is_own() -> bool {
    OWN.get()
}

/// Work on its way to a core, which starts it.
pub(super) type Job = Box<dyn FnOnce(&Context, &Rc<Running>) + Send>;

/// Wraps work so that it gives its answer, or stops when nobody waits for it any more.
pub(super) fn job<T, F, Fut>(
    work: F,
    place: Place,
    answer: oneshot::Sender<Result<T, Error>>,
    cancelled: oneshot::AsyncReceiver<()>,
) -> Job
where
    T: Send + 'static,
    F: FnOnce(Context, Rc<Stay>) -> Fut + Send + 'static,
    Fut: Future<Output = Result<T, Error>> + 'static,
{
    Box::new(move |context, running| {
        let stay = Rc::new(Stay { _place: place, _running: running.begin() });
        let context = context.clone();
        // What the caller has written runs inside of a task, where a panic ends nothing else.
        spawn_local(async move {
            let result = unless(cancelled, async move { work(context, stay).await }).await;
            if let Some(result) = result {
                // Nobody may be waiting any more.
                let _ = answer.send(result);
            }
        });
    })
}

/// What counts as one call of the handle; it may go on after its answer.
pub(super) struct Stay {
    _place: Place,
    _running: OneMore,
}

/// Runs work until it ends, or until `cancelled` does, which says that nobody waits for it.
pub(super) async fn unless<T>(cancelled: impl Future, work: impl Future<Output = T>) -> Option<T> {
    let (mut cancelled, mut work) = (pin!(cancelled), pin!(work));
    poll_fn(|context| {
        if cancelled.as_mut().poll(context).is_ready() {
            return Poll::Ready(None);
        }
        work.as_mut().poll(context).map(Some)
    })
    .await
}

/// What every core of a handle begins with.
pub(super) struct Start {
    pub(super) contexts: Contexts,
    pub(super) calls: Arc<Calls>,
    pub(super) drain: Duration,
}

impl Start {
    pub(super) fn run(&self, core: Core<Job>) -> impl Future<Output = ()> + use<> {
        OWN.set(true);
        let context = self.contexts.open(core.index);
        let inbox = Inbox { mesh: core.mesh, calls: self.calls.clone() };
        let drain = self.drain;
        async move {
            match context {
                Ok(context) => inbox.serve(context, drain).await,
                Err(error) => tracing::error!("a core of a handle cannot work: {error}"),
            }
        }
    }
}

/// What other threads have posted to this core.
struct Inbox {
    mesh: Mesh<Job>,
    calls: Arc<Calls>,
}

impl Inbox {
    async fn serve(self, context: Context, drain: Duration) {
        let running = Rc::new(Running::default());
        let mut shutdown = pin!(shutdown());
        loop {
            let mut next = pin!(self.mesh.recv());
            let job = poll_fn(|waker| match next.as_mut().poll(waker) {
                Poll::Ready((_, job)) => Poll::Ready(Some(job)),
                Poll::Pending => shutdown.as_mut().poll(waker).map(|()| None),
            });
            match job.await {
                Some(job) => job(&context, &running),
                None => break,
            }
        }
        // Another core may have ended the engine.
        self.calls.close();
        while let Some((_, job)) = self.mesh.try_recv() {
            job(&context, &running);
        }
        // Those that are left end with this main.
        let _ = timeout(drain, running.none()).await;
        context.close().await;
    }
}

impl Drop for Inbox {
    /// However the core ends, nobody waits for a job that it has not taken.
    fn drop(&mut self) {
        self.calls.close();
        while self.mesh.try_recv().is_some() {}
    }
}

/// The jobs that run on a core.
#[derive(Default)]
pub(super) struct Running {
    count: Cell<usize>,
    waiter: RefCell<Option<Waker>>,
}

pub(super) struct OneMore(Rc<Running>);

impl Running {
    fn begin(self: &Rc<Self>) -> OneMore {
        self.count.set(self.count.get() + 1);
        OneMore(self.clone())
    }

    /// Waits until none is left.
    async fn none(&self) {
        poll_fn(|context| {
            if self.count.get() == 0 {
                return Poll::Ready(());
            }
            *self.waiter.borrow_mut() = Some(context.waker().clone());
            Poll::Pending
        })
        .await;
    }
}

impl Drop for OneMore {
    fn drop(&mut self) {
        self.0.count.set(self.0.count.get() - 1);
        if self.0.count.get() == 0
            && let Some(waiter) = self.0.waiter.take()
        {
            waiter.wake();
        }
    }
}
