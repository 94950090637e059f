//! Services on an engine of their own.

use std::fmt;
use std::future::Future;
use std::net::{Ipv4Addr, SocketAddr};
use std::rc::Rc;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use grenache_engine::{
    Core, DriverChoice, DriverKind, Idle, Pinning, Runtime, StartError, Stopper, shutdown,
    spawn_local,
};

use crate::client;
pub use crate::context::Context;
use crate::context::Contexts;
use crate::error::Error;
use crate::link::{self, Announcing};
use crate::server::{self, Counters, Server, Services, Stats};
use crate::subscribe;
use crate::tls::{Acceptor, ClientTls, ServerTls};

/// How to start a [`Worker`].
#[derive(Debug, Clone)]
pub struct Config {
    /// The address that requests are taken on, by every core. Port 0, the default, takes a free one. It must not be a single
    /// address of this machine that the grapes do not see: they tell clients the address that they see, and this port.
    pub listen: SocketAddr,
    /// The port that is announced, if it is not the one listened on because something between forwards it.
    pub announce_port: Option<u16>,
    /// Where services are announced: `http://host:port`, `https://host:port`. None: they are not announced.
    pub grapes: Vec<String>,
    /// Cores that serve, each a thread.
    pub cores: usize,
    /// Which driver does the I/O.
    pub driver: DriverChoice,
    /// What a core does when there is nothing to do.
    pub idle: Idle,
    /// Where the threads run.
    pub pinning: Pinning,
    /// Take TLS connections, and no others.
    pub tls: Option<ServerTls>,
    /// Call other workers over TLS, and grapes whose address says `https` as well. Without it workers are called without TLS,
    /// and such grapes are trusted if one of the system's authorities vouches for them.
    pub client_tls: Option<ClientTls>,
    /// Limits of the server.
    pub server: server::Config,
    /// How handlers call other services.
    pub client: client::Config,
    /// How handlers listen to publishers.
    pub subscribe: subscribe::Config,
    /// How services are announced and looked up.
    pub link: link::Config,
    /// How long requests that run may take once the worker is asked to stop.
    pub drain: Duration,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0)),
            announce_port: None,
            grapes: Vec::new(),
            cores: 1,
            driver: DriverChoice::Auto,
            idle: Idle::Park,
            pinning: Pinning::Off,
            tls: None,
            client_tls: None,
            server: server::Config::default(),
            client: client::Config::default(),
            subscribe: subscribe::Config::default(),
            link: link::Config::default(),
            drain: Duration::from_secs(10),
        }
    }
}

type Setup = Box<dyn Fn(&Context, &mut Services) + Send + Sync>;

/// What runs on every core of a worker: for an engine that is not started by [`Worker::start`], such as the simulator's.
pub struct Program {
    config: Config,
    contexts: Contexts,
    acceptor: Option<Acceptor>,
    setup: Setup,
    /// Of each core.
    counters: Arc<[Arc<Counters>]>,
    /// Whether every service has been announced, once that is known.
    announced: Arc<OnceLock<bool>>,
}

impl Program {
    /// `setup` is called on every core and registers the services.
    ///
    /// # Errors
    /// Settings that cannot be: [`Error::Config`], [`Error::Tls`].
    pub fn new(
        config: Config,
        setup: impl Fn(&Context, &mut Services) + Send + Sync + 'static,
    ) -> Result<Program, Error> {
        let Config { grapes, link, client, subscribe, client_tls, .. } = config.clone();
        let contexts = Contexts::new(&grapes, link, client, subscribe, client_tls)?;
        let acceptor = config.tls.as_ref().map(Acceptor::new).transpose()?;
        let counters = (0..config.cores).map(|_| Arc::default()).collect();
        let (setup, announced) = (Box::new(setup), Arc::default());
        Ok(Program { config, contexts, acceptor, setup, counters, announced })
    }

    /// The engine's settings.
    pub fn engine_config(&self) -> grenache_engine::Config {
        grenache_engine::Config {
            cores: self.config.cores,
            driver: self.config.driver,
            idle: self.config.idle,
            pinning: self.config.pinning,
            tcp: vec![self.config.listen],
            name: "worker".into(),
            ..grenache_engine::Config::default()
        }
    }

    /// Runs one core until the engine is asked to stop and all requests are answered.
    ///
    /// # Panics
    /// If the TLS settings, which could be used when this was made, cannot be any more.
    pub fn run(&self, core: Core<()>) -> impl Future<Output = ()> + use<> {
        let Core { index, listeners, .. } = core;
        let told = (index == 0).then(|| Told(self.announced.clone()));
        let context = self.contexts.open(index).expect("settings were checked");
        let mut services = Services::default();
        (self.setup)(&context, &mut services);
        let listened = listeners.first().map_or(0, |listener| listener.local_addr().port());
        let port = self.config.announce_port.unwrap_or(listened);
        // One core speaks for all: they share the port.
        let announced = index == 0 && !self.config.grapes.is_empty();
        let names = services.names().filter(|_| announced);
        let announcing: Rc<[Announcing]> =
            names.map(|name| context.link.start_announcing(name, port)).collect();
        let telling = told.map(|told| spawn_local(told.when_all(announcing.clone())));
        let counters = self.counters[index].clone();
        let acceptor = self.acceptor.clone();
        let server = Server::with(self.config.server.clone(), services, acceptor, counters);
        let drain = self.config.drain;
        async move {
            listeners.into_iter().for_each(|listener| server.listen(listener));
            shutdown().await;
            if let Some(telling) = telling {
                telling.abort();
            }
            drop(announcing);
            server.drain(drain).await;
            context.close().await;
        }
    }

    /// What all cores have counted.
    pub fn stats(&self) -> Stats {
        self.counters.iter().map(|counters| counters.read()).sum()
    }
}

impl fmt::Debug for Program {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Program").field("config", &self.config).finish_non_exhaustive()
    }
}

/// Tells whoever waits for it whether the services have been announced; not any more, if this is dropped before.
struct Told(Arc<OnceLock<bool>>);

impl Told {
    async fn when_all(self, announcing: Rc<[Announcing]>) {
        for service in &*announcing {
            service.announced().await;
        }
        let _ = self.0.set(true);
    }
}

impl Drop for Told {
    fn drop(&mut self) {
        let _ = self.0.set(false);
    }
}

/// Services on an engine of their own: one server per core, all on the same port.
///
/// Dropping it stops it, in the same order as [`stop`](Worker::stop), and waits.
pub struct Worker {
    runtime: Runtime<()>,
    program: Arc<Program>,
}

impl Worker {
    /// Starts it. `setup` is called on every core and registers the services, which are announced from then on.
    ///
    /// # Errors
    /// Settings that cannot be: [`Error::Config`], [`Error::Tls`]; an address that is taken, a driver that is refused:
    /// [`Error::Start`].
    pub fn start(
        config: Config,
        setup: impl Fn(&Context, &mut Services) + Send + Sync + 'static,
    ) -> Result<Worker, Error> {
        let program = Arc::new(Program::new(config, setup)?);
        let running = program.clone();
        let runtime = Runtime::start(program.engine_config(), move |core| running.run(core))
            .map_err(|error: StartError| Error::Start(error.to_string()))?;
        Ok(Worker { runtime, program })
    }

    /// The address it listens on.
    pub fn addr(&self) -> SocketAddr {
        self.runtime.tcp_addrs()[0]
    }

    /// Blocks until every service has been announced for the first time, so that clients find it. There is no time-out: while no
    /// grape takes an announcement, it is tried again. False if the worker was stopped before.
    pub fn announced(&self) -> bool {
        *self.program.announced.wait()
    }

    /// Whether every service has been announced for the first time; it does not wait for that.
    pub fn is_announced(&self) -> bool {
        self.program.announced.get() == Some(&true)
    }

    /// Which driver runs.
    pub fn driver(&self) -> DriverKind {
        self.runtime.driver()
    }

    /// One line that says why io_uring is not used, if it was wanted.
    pub fn notice(&self) -> Option<&str> {
        self.runtime.notice()
    }

    /// What all cores have counted.
    pub fn stats(&self) -> Stats {
        self.program.stats()
    }

    /// A handle that can stop it from anywhere, a signal's for example: [`grenache_engine::signal`].
    pub fn stopper(&self) -> Stopper {
        self.runtime.stopper()
    }

    /// Asks it to stop in good order: it is not announced any more, takes no more connections, finishes the requests that run
    /// within [`Config::drain`], and closes. Returns at once; [`join`](Worker::join) waits for the end.
    pub fn stop(&self) {
        self.runtime.stop();
    }

    /// Waits until it has stopped.
    ///
    /// # Errors
    /// [`Error::Stopped`] if a core has panicked; the others were stopped then.
    pub fn join(self) -> Result<(), Error> {
        self.runtime.join().map_err(|panicked| {
            tracing::error!("{panicked}");
            Error::Stopped
        })
    }
}

impl fmt::Debug for Worker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Worker")
            .field("addr", &self.addr())
            .field("driver", &self.driver())
            .field("stats", &self.stats())
            .finish()
    }
}
