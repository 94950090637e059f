//! `grenache serve`: a worker without a program.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use clap::ArgGroup;
use grenache_engine::signal::StopSignals;
use grenache_peer::server::{self, Reply, Request, Services};
use grenache_peer::worker::Config;
use grenache_peer::{Json, Worker};
use serde::Serialize;

use crate::exec::{Call, Children, Queue};
use crate::exit::{Exit, Failure};
use crate::network::Network;
use crate::output::{self, Output};
use crate::payload;
use crate::tls::ServerTls;
use crate::transport::Transport;
use crate::zeromq::ServerZmq;

/// Offers a service until stopped: an echo, a fixed reply, or a shell command
///
/// Prints `serving <service> on <address>` as soon as the network knows it. On SIGINT (Ctrl-C) or SIGTERM it stops
/// announcing, finishes the requests it has, and ends; a second signal ends it at once.
#[derive(Debug, clap::Args)]
#[command(group = ArgGroup::new("handler").required(true).args(["echo", "reply", "exec"]))]
pub(crate) struct Serve {
    /// The service
    service: String,

    /// The port to listen on; 0 picks one that is free
    #[arg(long)]
    port: u16,

    /// The address to listen on
    #[arg(long, value_name = "IP", default_value = "0.0.0.0")]
    bind: IpAddr,

    /// Reply with the payload
    #[arg(long)]
    echo: bool,

    /// Reply with this JSON; - reads it from standard input
    #[arg(long, value_name = "JSON", allow_hyphen_values = true)]
    reply: Option<String>,

    /// Run this command by /bin/sh for each request: payload on standard input, JSON on standard output (nothing is null).
    /// If it ends with another code than 0, the last line of its standard error is the error that the caller gets. It
    /// finds GRENACHE_SERVICE, GRENACHE_PEER (ip:port) and GRENACHE_FINGERPRINT (of the caller's certificate) in its
    /// environment
    #[arg(long, value_name = "COMMAND")]
    exec: Option<String>,

    /// Commands that run at a time; further requests wait
    #[arg(long, value_name = "N", default_value_t = 8)]
    #[arg(value_parser = clap::value_parser!(u16).range(1..=1024))]
    #[arg(conflicts_with_all = ["echo", "reply"])]
    children: u16,

    /// How long a command may run before it is killed, in milliseconds
    #[arg(long, value_name = "MS", default_value_t = 30_000)]
    #[arg(value_parser = clap::value_parser!(u64).range(1..))]
    #[arg(conflicts_with_all = ["echo", "reply"])]
    exec_timeout: u64,

    /// Threads that serve
    #[arg(long, value_name = "N", default_value_t = 1)]
    #[arg(value_parser = clap::value_parser!(u8).range(1..=128))]
    cores: u8,

    /// How clients may speak, all on the same port
    #[arg(long, value_enum, value_delimiter = ',', default_values_t = Transport::ALL)]
    transport: Vec<Transport>,

    #[command(flatten)]
    tls: ServerTls,

    #[command(flatten)]
    zmq: ServerZmq,
}

/// What answers requests.
#[derive(Clone)]
enum Handler {
    Echo,
    Fixed(Json),
    Command(Queue),
}

impl Handler {
    async fn answer(self, request: Request) -> Result<Reply, String> {
        let reply = match self {
            Handler::Echo => request.payload().clone(),
            Handler::Fixed(reply) => reply,
            Handler::Command(queue) => {
                let fingerprint = request.certificate().map(|shown| shown.sha1().to_string());
                let call = Call {
                    service: request.service().to_string(),
                    peer: request.peer_addr(),
                    fingerprint,
                    payload: request.payload().clone(),
                };
                queue.run(call).await?
            }
        };
        Ok(reply.into())
    }
}

#[derive(Serialize)]
struct Serving<'a> {
    service: &'a str,
    address: SocketAddr,
}

impl Serve {
    pub(crate) fn run(&self, network: &Network, output: &Output) -> Result<Exit, Failure> {
        output::log_warnings();
        let tls = self.tls.config()?;
        let fixed = self.reply.as_deref().map(payload::read).transpose()?;
        // Threads that start before this would die of the signals.
        let signals = StopSignals::block()
            .map_err(|error| Failure::failed(format!("signals cannot be blocked: {error}")))?;
        let (handler, children) = self.handler(fixed);
        let config = Config {
            listen: SocketAddr::new(self.bind, self.port),
            grapes: network.grapes.clone(),
            cores: usize::from(self.cores),
            tls,
            server: server::Config {
                http: self.transport.contains(&Transport::Http),
                websocket: self.transport.contains(&Transport::Ws),
                zeromq: self.transport.contains(&Transport::Zmq),
                gate: self.zmq.gate(output)?,
                ..server::Config::default()
            },
            ..Config::default()
        };
        let service = self.service.clone();
        let worker = Worker::start(config, move |_, services: &mut Services| {
            let handler = handler.clone();
            services.add(&service, move |request| handler.clone().answer(request));
        })?;
        signals
            .stop(worker.stopper())
            .map_err(|error| Failure::failed(format!("no thread for signals: {error}")))?;
        if worker.announced() {
            self.tell(&worker, output);
        }
        worker.join()?;
        if let Some(children) = children {
            children.join();
        }
        Ok(Exit::Done)
    }

    fn handler(&self, fixed: Option<Json>) -> (Handler, Option<Children>) {
        match (&self.exec, fixed) {
            (Some(command), _) => {
                let limit = Duration::from_millis(self.exec_timeout);
                let (children, queue) = Children::start(command, self.children.into(), limit);
                (Handler::Command(queue), Some(children))
            }
            (None, Some(reply)) => (Handler::Fixed(reply), None),
            (None, None) => (Handler::Echo, None),
        }
    }

    /// Says where the service is. If nobody reads that, it is served all the same.
    fn tell(&self, worker: &Worker, output: &Output) {
        let (service, address) = (self.service.as_str(), worker.addr());
        let _ = match output.json {
            true => output.json(&Serving { service, address }),
            false => output.line(format_args!("serving {service} on {address}")),
        };
    }
}
