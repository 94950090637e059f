//! What whoever asked a handle for something waits for.

use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};

use crate::error::Error;

/// The result of something a [`Handle`](super::Handle) was asked to do: a future for any executor, or [`wait`](Asked::wait)
/// for it.
///
/// Calls have begun when they return this, and go on whether anybody polls it or not; dropping it before the result is there
/// cancels them. What is asked of a [`Stream`](super::Stream) begins only when it is polled or waited for.
#[must_use = "dropping it cancels the work"]
pub struct Asked<T> {
    state: State<T>,
}

enum State<T> {
    /// It could not even be asked.
    Refused(Error),
    Asked {
        answer: oneshot::AsyncReceiver<Result<T, Error>>,
        /// Nothing is ever sent: the core learns from the drop.
        _cancel: oneshot::Sender<()>,
    },
    /// Work on the caller's side of something that the core does.
    Later(Pin<Box<dyn Future<Output = Result<T, Error>> + Send>>),
    Over,
}

impl<T> Asked<T> {
    pub(super) fn refused(error: Error) -> Asked<T> {
        Asked { state: State::Refused(error) }
    }

    pub(super) fn new(
        answer: oneshot::AsyncReceiver<Result<T, Error>>,
        cancel: oneshot::Sender<()>,
    ) -> Asked<T> {
        Asked { state: State::Asked { answer, _cancel: cancel } }
    }

    pub(super) fn later(work: impl Future<Output = Result<T, Error>> + Send + 'static) -> Asked<T> {
        Asked { state: State::Later(Box::pin(work)) }
    }

    /// Blocks this thread until the result is there.
    ///
    /// # Errors
    /// Those of the work; [`Error::Busy`] if `Config::max_calls` are queued or run already; [`Error::Stopped`] if the handle
    /// was stopped before, or stopped meanwhile and the work took longer than `Config::drain`, or if the work panicked;
    /// [`Error::Config`] on one of the handle's own threads, which would wait for itself.
    pub fn wait(self) -> Result<T, Error> {
        if super::core::is_own() {
            return Err(Error::Config(
                "a handle's own core cannot block: `.await` there instead of `.wait()`".into(),
            ));
        }
        block_on(self)
    }
}

impl<T> Future for Asked<T> {
    type Output = Result<T, Error>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let polled = match &mut self.state {
            State::Asked { answer, .. } => {
                Pin::new(answer).poll(context).map(|answer| answer.unwrap_or(Err(Error::Stopped)))
            }
            State::Later(work) => work.as_mut().poll(context),
            State::Refused(error) => Poll::Ready(Err(error.clone())),
            State::Over => panic!("polled after it was ready"),
        };
        if polled.is_ready() {
            self.state = State::Over;
        }
        polled
    }
}

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.0.unpark();
    }
}

/// Waits for a future on this thread.
pub(super) fn block_on<F: Future>(future: F) -> F::Output {
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let mut context = Context::from_waker(&waker);
    let mut future = pin!(future);
    loop {
        if let Poll::Ready(output) = future.as_mut().poll(&mut context) {
            return output;
        }
        thread::park();
    }
}
