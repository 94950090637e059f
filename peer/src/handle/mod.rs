//! Calling services from anywhere: from any thread, on any executor.

mod asked;
mod calls;
mod config;
mod core;
mod replies;
mod requests;
mod stream;
mod subscription;

use std::future::Future;
use std::rc::Rc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use grenache_engine::{DriverKind, Limits, Poster, Runtime, Stopper};

pub use asked::Asked;
pub use config::Config;
pub use replies::{BlockingReplies, Part, Replies};
pub use requests::Announcing;
pub use stream::Stream;
pub use subscription::{BlockingMessages, Subscription};

use self::calls::Calls;
use self::core::{Job, Stay};
use crate::context::{Context, Contexts};
use crate::error::Error;

/// An engine of one's own that calls services, for programs that are not built on the engine.
///
/// Its clones share the engine and may be used by any thread. What is asked of it goes as one small message to one of its
/// cores and comes back as an [`Asked`]. Dropping the last clone stops the engine as [`stop`](Handle::stop) does, without
/// waiting for it.
#[derive(Clone)]
pub struct Handle {
    owner: Arc<Owner>,
}

/// What all clones share. Whoever drops it stops the engine, so no job may hold it for longer than it runs.
struct Owner {
    poster: Poster<Job>,
    stopper: Stopper,
    runtime: Mutex<Option<Runtime<Job>>>,
    calls: Arc<Calls>,
    cores: usize,
    next: AtomicUsize,
    driver: DriverKind,
    notice: Option<String>,
}

impl Drop for Owner {
    fn drop(&mut self) {
        self.calls.close();
        self.stopper.stop();
        let runtime = self.runtime.get_mut().unwrap_or_else(PoisonError::into_inner);
        if let Some(runtime) = runtime.take() {
            // This may be an executor's thread, or a core of this engine.
            runtime.detach();
        }
    }
}

impl Handle {
    /// Starts the engine.
    ///
    /// # Errors
    /// [`Error::Config`] for a grape that is no address, for no cores or no calls; [`Error::Tls`]; [`Error::Start`] if the
    /// system refuses a driver or a thread.
    pub fn start(config: Config) -> Result<Handle, Error> {
        let Config { cores, max_calls, .. } = config;
        if cores == 0 || max_calls == 0 {
            return Err(Error::Config("a handle needs a core, and a call at least".into()));
        }
        if config.grapes.is_empty() {
            return Err(Error::Config("a handle needs a grape".into()));
        }
        let engine = grenache_engine::Config {
            cores,
            driver: config.driver,
            idle: config.idle,
            pinning: config.pinning,
            name: "handle".into(),
            // What is queued counts as a call, so that there is one limit.
            limits: Limits { mesh_outside: max_calls, ..Limits::default() },
            ..grenache_engine::Config::default()
        };
        let calls = Arc::new(Calls::new(max_calls));
        let Config { grapes, link, client, subscribe, client_tls, drain, .. } = config;
        let contexts = Contexts::new(&grapes, link, client, subscribe, client_tls)?;
        let start = core::Start { contexts, calls: calls.clone(), drain };
        let runtime = Runtime::start(engine, move |core| start.run(core))
            .map_err(|error| Error::Start(error.to_string()))?;
        Ok(Handle {
            owner: Arc::new(Owner {
                poster: runtime.poster(),
                stopper: runtime.stopper(),
                driver: runtime.driver(),
                notice: runtime.notice().map(str::to_owned),
                runtime: Mutex::new(Some(runtime)),
                calls,
                cores,
                next: AtomicUsize::new(0),
            }),
        })
    }

    /// The driver that runs.
    pub fn driver(&self) -> DriverKind {
        self.owner.driver
    }

    /// Why io_uring does not run, if it was wanted and refused: one line.
    pub fn notice(&self) -> Option<&str> {
        self.owner.notice.as_deref()
    }

    /// How many calls and other jobs are queued or run.
    pub fn in_flight(&self) -> usize {
        self.owner.calls.count()
    }

    /// Runs work on one of the engine's cores, which take turns. There it has the core's [`Context`] for calls of its own;
    /// its future never leaves the core.
    ///
    /// Work that does not end by itself should end at [`grenache_engine::shutdown`], or a stop waits for it in vain. A panic
    /// in it ends it with [`Error::Stopped`] and touches nothing else.
    ///
    /// ```no_run
    /// # use grenache_peer::{Call, Error, Handle, Json};
    /// # let handle = Handle::start(grenache_peer::handle::Config::default())?;
    /// // Two calls, the second with the result of the first, and one way there and back.
    /// let user = handle.run(async |context| {
    ///     let id = context.client.request(Call::new("rest:ids", Json::of("alice")?)).await?;
    ///     context.client.request(Call::new("rest:users", id)).await
    /// });
    /// println!("{}", user.wait()?);
    /// # Ok::<(), Error>(())
    /// ```
    pub fn run<T, F, Fut>(&self, work: F) -> Asked<T>
    where
        T: Send + 'static,
        F: FnOnce(Context) -> Fut + Send + 'static,
        Fut: Future<Output = Result<T, Error>> + 'static,
    {
        self.begin(|context, stay| async move {
            let _stay = stay;
            work(context).await
        })
    }

    /// As [`run`](Self::run), for work that goes on after its result: it is counted until it drops its stay.
    fn begin<T, F, Fut>(&self, work: F) -> Asked<T>
    where
        T: Send + 'static,
        F: FnOnce(Context, Rc<Stay>) -> Fut + Send + 'static,
        Fut: Future<Output = Result<T, Error>> + 'static,
    {
        let place = match self.owner.calls.begin() {
            Ok(place) => place,
            Err(error) => return Asked::refused(error),
        };
        let (answer, answered) = oneshot::async_channel();
        let (cancel, cancelled) = oneshot::async_channel();
        let job = core::job(work, place, answer, cancelled);
        let core = self.owner.next.fetch_add(1, Ordering::Relaxed) % self.owner.cores;
        match self.owner.calls.post(&self.owner.poster, core, job) {
            Ok(()) => Asked::new(answered, cancel),
            Err(error) => Asked::refused(error),
        }
    }

    /// Takes no more calls, lets those that run end, for `Config::drain` at most, and ends the engine; blocks until then.
    ///
    /// Called on one of its own cores it does not wait. A program that must not block drops the handle instead.
    ///
    /// # Errors
    /// [`Error::Stopped`] if a core had failed before.
    pub fn stop(&self) -> Result<(), Error> {
        self.owner.calls.close();
        self.owner.stopper.stop();
        if core::is_own() {
            return Ok(());
        }
        // Who comes second waits for the first at this lock.
        let mut runtime = self.owner.runtime.lock().unwrap_or_else(PoisonError::into_inner);
        match runtime.take() {
            Some(runtime) => runtime.join().map_err(|_| Error::Stopped),
            None => Ok(()),
        }
    }
}
