//! A running engine: its threads, and how others stop them and talk to them.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::mpsc;
use std::thread::{self, JoinHandle};

use crate::config::{Config, DriverKind};
use crate::core::Core;
use crate::driver::clock::Clock;
use crate::driver::{self, Bound, Protocol};
use crate::error::{CorePanicked, StartError};
use crate::mesh::{self, Ends, Full, Outside};
use crate::net::bind;
use crate::sys::EventFd;
use crate::task::JoinError;
use crate::thread::{Seed, run_core};
use crate::wake::Home;

/// Tells all cores of a runtime to stop. Clones do the same.
#[derive(Clone)]
pub struct Stopper {
    homes: Arc<[Arc<Home>]>,
}

impl Stopper {
    /// Resolves [`shutdown`](crate::shutdown) on every core.
    pub fn stop(&self) {
        self.homes.iter().for_each(|home| home.stop());
    }

    pub(crate) fn home(&self, core: usize) -> Arc<Home> {
        self.homes[core].clone()
    }
}

/// Sends messages to the cores of a runtime from any thread, also after it has ended.
pub struct Poster<M> {
    outside: Arc<[Arc<Outside<M>>]>,
}

impl<M> Clone for Poster<M> {
    fn clone(&self) -> Self {
        Self { outside: self.outside.clone() }
    }
}

impl<M> Poster<M> {
    /// Sends a message to a core; it comes from [`Sender::Outside`](crate::Sender).
    ///
    /// # Errors
    /// [`Full`] if `Limits::mesh_outside` messages wait there already.
    ///
    /// # Panics
    /// If there is no such core.
    pub fn post(&self, core: usize, message: M) -> Result<(), Full<M>> {
        self.outside[core].post(message)
    }
}

/// A running engine. Dropping it stops it and waits for its threads.
pub struct Runtime<M> {
    driver: DriverKind,
    notice: Option<String>,
    tcp: Vec<SocketAddr>,
    udp: Vec<SocketAddr>,
    poster: Poster<M>,
    stopper: Stopper,
    threads: Vec<JoinHandle<Result<(), JoinError>>>,
}

impl<M: Send + 'static> Runtime<M> {
    /// Binds all sockets, starts the threads and calls `main` once on each.
    ///
    /// # Errors
    /// See [`StartError`]; then nothing runs and nothing is bound.
    pub fn start<F, Fut>(config: Config, main: F) -> Result<Self, StartError>
    where
        F: Fn(Core<M>) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = ()> + 'static,
    {
        if config.cores == 0 {
            return Err(StartError::NoCores);
        }
        let (driver, notice) = driver::choose(config.driver).map_err(StartError::Uring)?;
        let (tcp, mut tcp_sockets) = bind_all(Protocol::Tcp, &config.tcp, &config)?;
        let (udp, mut udp_sockets) = bind_all(Protocol::Udp, &config.udp, &config)?;

        let descriptor = |source| StartError::System { doing: "making a descriptor", source };
        let clock = Clock::start();
        let mut bells = Vec::new();
        let mut homes = Vec::new();
        for _ in 0..config.cores {
            let bell = EventFd::new().map_err(descriptor)?;
            homes.push(Home::new(Box::new(bell.try_clone().map_err(descriptor)?)));
            bells.push(bell);
        }
        let ends = mesh::build(&homes, config.limits.mesh_ring, config.limits.mesh_outside);
        let poster = Poster { outside: ends.iter().map(Ends::outside).collect() };
        let stopper = Stopper { homes: homes.into() };

        let config = Arc::new(config);
        let main = Arc::new(main);
        let (report, reports) = mpsc::channel();
        // Should anything fail from here on, the permits go first, then this waits for the threads.
        let threads = Vec::new();
        let mut runtime = Self { driver, notice, tcp, udp, poster, stopper, threads };
        let mut permits = Vec::new();
        for (index, (ends, bell)) in ends.into_iter().zip(bells).enumerate() {
            let seed = Seed {
                index,
                config: config.clone(),
                driver,
                clock,
                bell,
                ends,
                tcp: tcp_sockets.iter_mut().map(|group| group.remove(0)).collect(),
                udp: udp_sockets.iter_mut().map(|group| group.remove(0)).collect(),
                stopper: runtime.stopper.clone(),
            };
            let (permit, permitted) = mpsc::channel();
            permits.push(permit);
            let (main, report) = (main.clone(), report.clone());
            let thread = thread::Builder::new().name(format!("{}-{index}", config.name));
            let thread = thread.spawn(move || run_core(seed, &main, report, &permitted));
            runtime.threads.push(
                thread
                    .map_err(|source| StartError::System { doing: "starting a thread", source })?,
            );
        }
        // All cores are ready or none runs: without its permit a core ends before its main.
        drop(report);
        for _ in 0..runtime.threads.len() {
            reports
                .recv()
                .unwrap_or_else(|_| Err(io::ErrorKind::Other.into()))
                .map_err(|source| StartError::System { doing: "starting a core", source })?;
        }
        for permit in permits {
            // A core that does not take it has panicked; `join` tells.
            let _ = permit.send(());
        }
        Ok(runtime)
    }
}

impl<M> Runtime<M> {
    /// Which driver runs.
    pub fn driver(&self) -> DriverKind {
        self.driver
    }

    /// One line that says why io_uring is not used, if it was wanted.
    pub fn notice(&self) -> Option<&str> {
        self.notice.as_deref()
    }

    /// The TCP addresses, in the order of the configuration, with real ports.
    pub fn tcp_addrs(&self) -> &[SocketAddr] {
        &self.tcp
    }

    /// The UDP addresses, in the order of the configuration, with real ports.
    pub fn udp_addrs(&self) -> &[SocketAddr] {
        &self.udp
    }

    /// As [`Poster::post`].
    ///
    /// # Errors
    /// As [`Poster::post`].
    pub fn post(&self, core: usize, message: M) -> Result<(), Full<M>> {
        self.poster.post(core, message)
    }

    /// A handle that posts from anywhere.
    pub fn poster(&self) -> Poster<M> {
        self.poster.clone()
    }

    /// Resolves [`shutdown`](crate::shutdown) on every core.
    pub fn stop(&self) {
        self.stopper.stop();
    }

    /// A handle that can stop the runtime from anywhere.
    pub fn stopper(&self) -> Stopper {
        self.stopper.clone()
    }

    /// Waits until `main` of every core has returned and what was written has left.
    ///
    /// # Errors
    /// A core panicked. The others were told to stop when it happened.
    pub fn join(mut self) -> Result<(), CorePanicked> {
        self.join_threads()
    }

    /// Lets go without stopping: the cores run until a [`stopper`](Self::stopper) ends them, and nobody waits for that.
    pub fn detach(mut self) {
        self.threads.clear();
    }

    fn join_threads(&mut self) -> Result<(), CorePanicked> {
        let mut first = Ok(());
        for (core, thread) in self.threads.drain(..).enumerate() {
            if !matches!(thread.join(), Ok(Ok(()))) {
                first = first.and(Err(CorePanicked { core }));
            }
        }
        first
    }
}

impl<M> Drop for Runtime<M> {
    fn drop(&mut self) {
        if !self.threads.is_empty() {
            self.stopper.stop();
            // Who wants to know calls `join`.
            let _ = self.join_threads();
        }
    }
}

type Groups = (Vec<SocketAddr>, Vec<Vec<Bound>>);

fn bind_all(
    protocol: Protocol,
    addresses: &[SocketAddr],
    config: &Config,
) -> Result<Groups, StartError> {
    let mut groups = Vec::new();
    for address in addresses {
        let group = bind::bind_group(protocol, *address, config.cores, &config.limits)?;
        if let (Protocol::Udp, Some(program), true) = (protocol, &config.steer, config.cores > 1) {
            bind::steer(&group, program)
                .map_err(|source| StartError::System { doing: "steering datagrams", source })?;
        }
        groups.push(group);
    }
    Ok((groups.iter().map(|group| group[0].address).collect(), groups))
}
