//! Work that cores drive themselves: each is server and client at once, so a machine is measured without a load beside it.
//!
//! A core's clients connect to its own listener over loopback, and every request of a core is sent, received and answered
//! there, unless it is one of the share that another core must answer: that one crosses the mesh and comes back. What
//! `compare` makes of it stands in docs/scaling.md.

use std::convert::Infallible;
use std::io;
use std::rc::Rc;
use std::sync::mpsc;
use std::time::Duration;

use grenache_engine::{
    Config as EngineConfig, Core, DriverChoice, Idle, Limits, Runtime, TcpListener, shutdown,
    spawn_local,
};

use crate::load::{MESSAGE, STALL};

mod arithmetic;
mod client;
mod echo;
mod http;
mod owners;
mod spread;

use client::Clients;
use owners::{Message, Owners};
pub use spread::accepted;

/// What a request is, whatever carries it: a number, zeros, and the connection's own filling. The core that answers it
/// puts its own number at [`STAMP`].
type Payload = [u8; MESSAGE];

/// Where the answering core signs.
const STAMP: usize = 8;

/// The work that is done over and over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Work {
    /// A message of 64 bytes over TCP, and back.
    Echo,
    /// A POST of 64 bytes over HTTP/1.1, answered with the same.
    Http,
    /// Some 10 µs of arithmetic in registers: what the CPUs do to each other when no software shares anything.
    Arithmetic,
}

/// How to start [`Cores`].
#[derive(Clone, Copy, Debug)]
pub struct Config {
    /// What they work at.
    pub work: Work,
    /// How many there are; threads go to the CPUs this process may use, in order.
    pub cores: usize,
    /// Connections of each core to itself, each with one request in flight.
    pub connections: usize,
    /// Which driver does the I/O.
    pub driver: DriverChoice,
}

/// One window of work.
#[derive(Clone, Copy, Debug)]
pub struct Window {
    /// How long requests are sent; those in flight are answered after it.
    pub time: Duration,
    /// The first so many cores work, the others sleep.
    pub active: usize,
    /// Share of each core's requests that another of the active cores answers, 0 to 1.
    pub share: f64,
}

/// What one core did in a window.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Count {
    /// Its requests that were answered, rightly.
    pub answered: u64,
    /// Those of them that another core answered.
    pub crossed: u64,
    /// From its first request to its last answer.
    pub elapsed: Duration,
}

/// Running cores. Dropping them ends them.
pub struct Cores {
    runtime: Runtime<Message>,
    reports: mpsc::Receiver<io::Result<Count>>,
    config: Config,
}

impl Cores {
    /// Starts the cores. They make their connections when they are first told to work.
    pub fn start(config: Config) -> io::Result<Self> {
        let limits = Limits::default();
        // A ring never fills: each request in flight is one message on it, asked for by either side.
        if config.cores > usize::from(u8::MAX) || 2 * config.connections > limits.mesh_ring {
            let most = limits.mesh_ring / 2;
            let message = format!("at most 255 cores, and {most} connections each");
            return Err(io::Error::new(io::ErrorKind::InvalidInput, message));
        }
        let (report, reports) = mpsc::channel();
        let engine = EngineConfig {
            cores: config.cores,
            driver: config.driver,
            idle: Idle::Park,
            ..EngineConfig::default()
        };
        let runtime = Runtime::start(engine, move |core| {
            let report = report.clone();
            async move {
                let life = spawn_local(async move {
                    let Err(error) = run_core(core, config, &report).await;
                    // Nobody listens any more once the cores are being ended.
                    let _ = report.send(Err(error));
                });
                shutdown().await;
                life.abort();
            }
        });
        let runtime = runtime.map_err(io::Error::other)?;
        let cores = Self { runtime, reports, config };
        cores.reports(config.cores, Duration::ZERO)?;
        Ok(cores)
    }

    /// Has the active cores work for a window, all at the same time; their counts, in no order.
    pub fn run(&self, window: Window) -> io::Result<Vec<Count>> {
        let crossing = window.share > 0.0 && self.config.work != Work::Arithmetic;
        if !(1..=self.config.cores).contains(&window.active)
            || !(0.0..=1.0).contains(&window.share)
            || (crossing && window.active == 1)
        {
            let message = format!("{window:?} is nothing {} cores can do", self.config.cores);
            return Err(io::Error::new(io::ErrorKind::InvalidInput, message));
        }
        for core in 0..window.active {
            self.runtime.post(core, Message::Work(Box::new(window))).map_err(io::Error::other)?;
        }
        self.reports(window.active, window.time)
    }

    /// The reports of `count` cores that have `time` to do.
    fn reports(&self, count: usize, time: Duration) -> io::Result<Vec<Count>> {
        let one = |_| self.reports.recv_timeout(time + STALL).map_err(io::Error::other)?;
        (0..count).map(one).collect()
    }
}

/// One core's life: it serves, and works when it is told to.
async fn run_core(
    core: Core<Message>,
    config: Config,
    report: &mpsc::Sender<io::Result<Count>>,
) -> io::Result<Infallible> {
    let owners = Rc::new(Owners::new(core.index, core.mesh));
    let listener = TcpListener::bind(([127, 0, 0, 1], 0).into())?;
    let clients = Rc::new(Clients::new(config.work, listener.local_addr(), config.connections));
    spawn_local(accept(listener, config.work, owners.clone()));
    // As if a window had passed in which nothing was asked.
    let _ = report.send(Ok(Count::default()));
    loop {
        let window = owners.order().await;
        let (clients, owners, report) = (clients.clone(), owners.clone(), report.clone());
        // Beside this loop, which serves the mesh meanwhile.
        spawn_local(async move {
            let count = match config.work {
                Work::Arithmetic => Ok(arithmetic::run(window.time)),
                Work::Echo | Work::Http => clients.ask(&owners, window).await,
            };
            let _ = report.send(count);
        });
    }
}

async fn accept(listener: TcpListener, work: Work, owners: Rc<Owners>) {
    while let Ok((stream, _)) = listener.accept().await {
        match work {
            Work::Echo => drop(spawn_local(echo::serve(stream, owners.clone()))),
            Work::Http => drop(spawn_local(http::serve(stream, owners.clone()))),
            // Nobody asks.
            Work::Arithmetic => {}
        }
    }
}

fn wrong(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}
