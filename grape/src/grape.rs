//! A grape inside a program.

use std::fmt;
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use std::sync::mpsc;
use std::thread;

use bytes::Bytes;
use grenache_dht::{Get, Item, Put};
use grenache_engine::{DriverKind, Full, Runtime, StartError, Stopper};

use crate::asked::Asked;
use crate::bootstrap;
use crate::config::Config;
use crate::identity::Identity;
use crate::message::{Call, Message, Reply};
use crate::node::Node;

/// A running grape. Dropping it stops it without waiting; [`Grape::stop`] waits.
pub struct Grape {
    runtime: Runtime<Message>,
    local: Ipv4Addr,
    dht_port: u16,
    /// Hangs up on the thread that resolves names, if there is one.
    _resolver: Option<mpsc::Sender<()>>,
}

/// Why a grape did not start, or did not do what it was asked.
#[derive(Debug)]
pub enum Error {
    /// A port was taken, a driver refused, or a thread not to be had.
    Start(StartError),
    /// Misuse: a setting that cannot be.
    Config(&'static str),
    /// The network's or the grape's no; the texts are Node's.
    Dht(grenache_dht::Error),
    /// The grape has as much to do as its limits allow.
    Busy,
    /// The grape has stopped, or a core of it has failed.
    Stopped,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Start(error) => error.fmt(f),
            Error::Config(what) => f.write_str(what),
            Error::Dht(error) => error.fmt(f),
            Error::Busy => f.write_str("ERR_GRAPE_BUSY"),
            Error::Stopped => f.write_str("the grape has stopped"),
        }
    }
}

impl std::error::Error for Error {}

impl Grape {
    /// Binds the ports and starts the cores.
    ///
    /// # Errors
    /// [`Error::Start`] names the port that is taken or the driver that is refused, [`Error::Config`]
    /// a number of cores that is not between 1 and 128.
    pub fn start(config: Config) -> Result<Grape, Error> {
        Grape::start_verbose(config, false)
    }

    /// Like [`start`](Grape::start); `verbose` prints Node's debug lines on standard error.
    ///
    /// # Errors
    /// As [`start`](Grape::start).
    pub fn start_verbose(config: Config, verbose: bool) -> Result<Grape, Error> {
        if !(1..=128).contains(&config.cores) {
            return Err(Error::Config("a grape has between 1 and 128 cores"));
        }
        let (known, unknown) = bootstrap::resolve_soon(&config.bootstrap);
        for name in &unknown {
            tracing::warn!("bootstrap node '{name}' has no IPv4 address yet; trying again");
        }
        let identity = Identity::draw(|bytes| rand::fill(bytes));
        let cores = config.cores;
        let host = config.host;
        let node = Node { config, identity, bootstrap: known.clone(), verbose };
        let runtime = Runtime::start(node.engine_config(), move |core| node.run(core))
            .map_err(Error::Start)?;
        let dht = runtime.udp_addrs()[0];
        let local = host.unwrap_or(match dht {
            SocketAddr::V4(addr) if !addr.ip().is_unspecified() => *addr.ip(),
            _ => Ipv4Addr::LOCALHOST,
        });
        let resolver = (!unknown.is_empty()).then(|| {
            let (stop, stopped) = mpsc::channel();
            let poster = runtime.poster();
            thread::spawn(move || {
                bootstrap::keep_resolving(known, unknown, &stopped, |nodes| {
                    for core in 0..cores {
                        // A core that is too busy for news keeps the addresses it has.
                        let _ = poster.post(core, Message::Bootstrap(Box::new(nodes.clone())));
                    }
                });
            });
            stop
        });
        Ok(Grape { runtime, local, dht_port: dht.port(), _resolver: resolver })
    }

    /// Where the DHT listens (UDP).
    pub fn dht_addr(&self) -> SocketAddr {
        self.runtime.udp_addrs()[0]
    }

    /// Where the HTTP API listens (TCP).
    pub fn api_addr(&self) -> SocketAddr {
        self.runtime.tcp_addrs()[0]
    }

    /// The driver that runs.
    pub fn driver(&self) -> DriverKind {
        self.runtime.driver()
    }

    /// Why io_uring does not run, if it was wanted and refused: one line.
    pub fn notice(&self) -> Option<&str> {
        self.runtime.notice()
    }

    /// Peers of a service: at most 100, in no order.
    pub fn lookup(&self, service: &str) -> Asked<Vec<SocketAddrV4>> {
        let key = Bytes::copy_from_slice(service.as_bytes());
        Asked::new(self.ask(Call::Lookup { key }), |reply| match reply {
            Reply::Peers(peers) => Ok(peers),
            other => Err(unexpected(other)),
        })
    }

    /// Announces that a peer on this host offers a service on `port` (0: on the DHT's own). Answers
    /// how many grapes stored it.
    pub fn announce(&self, service: &str, port: u16) -> Asked<usize> {
        let key = Bytes::copy_from_slice(service.as_bytes());
        let port = if port == 0 { self.dht_port } else { port };
        let call = Call::Announce { key, port, local: self.local };
        Asked::new(self.ask(call), |reply| match reply {
            Reply::Announced(result) => result.map_err(Error::Dht),
            other => Err(unexpected(other)),
        })
    }

    /// Stores an item in the network. Answers the key under which it is found.
    pub fn put(&self, put: Put) -> Asked<[u8; 20]> {
        Asked::new(self.ask(Call::Put(put)), |reply| match reply {
            Reply::Stored(result) => result.map_err(Error::Dht),
            other => Err(unexpected(other)),
        })
    }

    /// Finds an item, verified against its key.
    pub fn get(&self, get: Get) -> Asked<Option<Item>> {
        Asked::new(self.ask(Call::Get(get)), |reply| match reply {
            Reply::Found(item) => Ok(item.map(|item| *item)),
            other => Err(unexpected(other)),
        })
    }

    fn ask(&self, call: Call) -> Result<oneshot::Receiver<Reply>, Error> {
        let (sender, receiver) = oneshot::channel();
        // Core 0 passes it on to the core that owns the key.
        match self.runtime.post(0, Message::Outside(Box::new((call, sender)))) {
            Ok(()) => Ok(receiver),
            Err(Full(_)) => Err(Error::Busy),
        }
    }

    /// Something that stops this grape from anywhere.
    pub fn stopper(&self) -> Stopper {
        self.runtime.stopper()
    }

    /// Waits until the grape has stopped because of its [`stopper`](Grape::stopper).
    ///
    /// # Errors
    /// [`Error::Stopped`] if a core has failed instead.
    pub fn join(self) -> Result<(), Error> {
        self.runtime.join().map_err(|_| Error::Stopped)
    }

    /// Stops taking requests, finishes those that run (for half a second at most), and ends the cores.
    ///
    /// # Errors
    /// [`Error::Stopped`] if a core had failed before.
    pub fn stop(self) -> Result<(), Error> {
        self.runtime.stop();
        self.join()
    }
}

fn unexpected(reply: Reply) -> Error {
    match reply {
        Reply::Busy => Error::Busy,
        _ => Error::Stopped,
    }
}
