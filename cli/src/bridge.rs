//! `grenache bridge`: workers of one transport, offered on all.

use std::net::{Ipv4Addr, SocketAddr, ToSocketAddrs};
use std::time::Duration;

use grenache_engine::signal::StopSignals;
use grenache_peer::bridge::{self, Route};
use grenache_peer::publish::{self, Publisher};
use grenache_peer::{Worker, server, subscribe, worker};
use serde::Serialize;

use crate::exit::{Exit, Failure};
use crate::network::{self, Network};
use crate::output::{self, Output};
use crate::tls::{ClientTls, ServerTls, WorkerTls};
use crate::transport::Transport;
use crate::zeromq::{ClientZmq, ServerZmq, WorkerZmq};

/// Offers services of workers that speak one transport on all transports, on one port, until stopped
///
/// What it is asked for it asks one of the workers behind, once; replies and errors pass through as they are. Each SERVICE
/// is announced as SERVICE:bridge. Prints `bridging <service> as <name> on <address>` as soon as the network knows it. On
/// SIGINT (Ctrl-C) or SIGTERM it stops announcing, finishes the requests it has, and ends; a second signal ends it at once.
#[derive(Debug, clap::Args)]
pub(crate) struct Bridge {
    /// The services of the workers behind
    #[arg(required = true, value_name = "SERVICE")]
    services: Vec<String>,

    /// The port to listen on, or the address and port; port 0 picks one that is free
    #[arg(long, value_name = "[IP:]PORT", value_parser = listen)]
    listen: SocketAddr,

    /// How the workers behind are spoken to [default: http, with --publications ws]
    #[arg(long, value_enum)]
    transport: Option<Transport>,

    /// Announce the service as NAME; for one SERVICE
    #[arg(long = "as", value_name = "NAME")]
    name: Option<String>,

    /// A worker behind, or one of several; none is looked up then
    #[arg(long, value_name = "HOST:PORT")]
    to: Vec<String>,

    /// Carry what is published, not requests: listen to all publishers of SERVICE and publish what comes
    #[arg(long)]
    publications: bool,

    /// How long a worker may take, finding it included, in milliseconds; and how long a stream may stand still
    #[arg(long, value_name = "MS", default_value_t = 60_000)]
    #[arg(value_parser = clap::value_parser!(u64).range(1..))]
    timeout: u64,

    /// Threads that serve
    #[arg(long, value_name = "N", default_value_t = 1)]
    #[arg(value_parser = clap::value_parser!(u8).range(1..=128))]
    cores: u8,

    #[command(flatten)]
    tls: ServerTls,

    #[command(flatten)]
    worker_tls: WorkerTls,

    #[command(flatten)]
    zmq: ServerZmq,

    #[command(flatten)]
    worker_zmq: WorkerZmq,
}

#[derive(Serialize)]
struct Bridging<'a> {
    service: &'a str,
    name: &'a str,
    address: SocketAddr,
}

impl Bridge {
    pub(crate) fn run(&self, network: &Network, output: &Output) -> Result<Exit, Failure> {
        output::log_warnings();
        let routes = self.routes()?;
        let bridge = bridge::Bridge::new(bridge::Config {
            routes: routes.clone(),
            to: self.workers()?,
            timeout: Duration::from_millis(self.timeout),
        })?;
        let transport = self.transport()?;
        let security = ClientZmq::from(&self.worker_zmq).security(transport, output)?;
        let config = worker::Config {
            listen: self.listen,
            grapes: network.grapes.clone(),
            cores: usize::from(self.cores),
            tls: self.tls.config()?,
            client_tls: ClientTls::from(&self.worker_tls).config()?,
            server: server::Config { gate: self.zmq.gate(output)?, ..server::Config::default() },
            client: network::client_config(transport, security.clone()),
            subscribe: match self.publications {
                true => network::subscribe_config(transport, security),
                false => subscribe::Config::default(),
            },
            ..worker::Config::default()
        };
        // Threads that start before this would die of the signals.
        let signals = StopSignals::block()
            .map_err(|error| Failure::failed(format!("signals cannot be blocked: {error}")))?;
        let publisher = self.publications.then(|| Publisher::new(publish::Config::default()));
        let worker = Worker::start(config, move |context, services| match &publisher {
            Some(publisher) => bridge.carry_publications(context, services, publisher),
            None => bridge.carry_requests(context, services),
        })?;
        signals
            .stop(worker.stopper())
            .map_err(|error| Failure::failed(format!("no thread for signals: {error}")))?;
        if worker.announced() {
            routes.iter().for_each(|route| tell(route, worker.addr(), output));
        }
        worker.join()?;
        Ok(Exit::Done)
    }

    /// What is offered as what.
    fn routes(&self) -> Result<Vec<Route>, Failure> {
        let [service, more @ ..] = &self.services[..] else { return Ok(Vec::new()) };
        if self.publications && !more.is_empty() {
            return Err(Failure::usage(
                "--publications is for one SERVICE; start a bridge for each",
            ));
        }
        let Some(name) = &self.name else {
            return Ok(self.services.iter().map(Route::new).collect());
        };
        if !more.is_empty() {
            return Err(Failure::usage("--as is for one SERVICE; start a bridge for each"));
        }
        if name == service && self.to.is_empty() {
            return Err(Failure::usage(format!(
                "a bridge that looks up '{service}' and is announced as '{service}' would find itself; give another name by \
                 --as, or its workers by --to"
            )));
        }
        Ok(vec![Route { service: service.clone(), name: name.clone() }])
    }

    fn workers(&self) -> Result<Vec<SocketAddr>, Failure> {
        let mut workers = Vec::new();
        for to in &self.to {
            let found = to.to_socket_addrs().map_err(|error| {
                Failure::usage(format!("--to {to} is no address HOST:PORT: {error}"))
            })?;
            workers.extend(found);
        }
        Ok(workers)
    }

    fn transport(&self) -> Result<Transport, Failure> {
        match self.transport {
            None if self.publications => Ok(Transport::Ws),
            None => Ok(Transport::Http),
            Some(Transport::Http) if self.publications => {
                Err(Failure::usage("nothing is published over HTTP; leave --transport out"))
            }
            Some(transport) => Ok(transport),
        }
    }
}

/// Says where a service is. If nobody reads that, it is carried all the same.
fn tell(Route { service, name }: &Route, address: SocketAddr, output: &Output) {
    let _ = match output.json {
        true => output.json(&Bridging { service, name, address }),
        false => output.line(format_args!("bridging {service} as {name} on {address}")),
    };
}

/// An address to listen on, or a port on all addresses.
fn listen(text: &str) -> Result<SocketAddr, String> {
    let port = text.parse().map(|port| SocketAddr::from((Ipv4Addr::UNSPECIFIED, port)));
    port.or_else(|_| text.parse()).map_err(|_| "expected PORT or IP:PORT".into())
}
