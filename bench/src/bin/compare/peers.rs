//! Workers and clients, ours or Node's, each a process on one CPU.

use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::{Duration, Instant};

use grenache_bench::client::Client;
use grenache_bench::load::call;
use grenache_bench::sample::Times;
use grenache_bench::server::{LOAD_CPU, SERVER_CPU, Server};
use serde_json::json;

use crate::Plan;
use crate::figures::{Cast, Figure};
use crate::ring::{self, Kind, Ring};

/// Node compiles what runs often; before that it is several times slower.
const NODE_WARM_UP: Duration = Duration::from_secs(3);

/// How long a worker may take to announce itself.
const ANNOUNCED: Duration = Duration::from_secs(10);

/// What a request travels by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Transport {
    Http,
    WebSocket,
    ZeroMq,
}

impl Transport {
    /// As packages are named after it and command lines have it.
    fn name(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::WebSocket => "ws",
            Self::ZeroMq => "zmq",
        }
    }
}

/// What a worker and its client are run with.
#[derive(Clone, Copy)]
pub(crate) struct Setting<'a> {
    /// In the report.
    pub(crate) name: &'static str,
    pub(crate) kind: Kind,
    pub(crate) service: &'static str,
    pub(crate) transport: Transport,
    /// What our cores do when there is nothing to do.
    pub(crate) idle: &'static str,
    /// The folder with certificates, for TLS on both sides.
    pub(crate) tls: Option<&'a Path>,
    /// What ours are told besides, both sides.
    pub(crate) more: &'a [&'a str],
}

/// A worker and a client of the same kind that finds it on a grape of the same kind.
pub(crate) struct Pair<'a> {
    pub(crate) setting: Setting<'a>,
    pub(crate) worker: Server,
    pub(crate) addr: SocketAddr,
    asking: Server,
    pub(crate) client: Client,
}

impl<'a> Pair<'a> {
    /// Starts both and waits until the worker has announced itself.
    pub(crate) fn start(plan: &Plan, ring: &Ring, setting: Setting<'a>) -> io::Result<Self> {
        let (program, arguments) = command(plan, ring, &setting, "worker");
        let (worker, addr) = Server::listening(&SERVER_CPU.to_string(), &program, &arguments)?;
        let start = Instant::now();
        while !ring::lookup(ring.api, setting.service)?.contains(&addr.to_string()) {
            if start.elapsed() > ANNOUNCED {
                return Err(io::Error::other("the worker did not announce itself"));
            }
            sleep(Duration::from_millis(10));
        }
        let (program, arguments) = command(plan, ring, &setting, "client");
        let (asking, client) = Client::start(&LOAD_CPU.to_string(), &program, &arguments)?;
        Ok(Self { setting, worker, addr, asking, client })
    }

    /// Has the client keep `flying` requests in flight. In the first `round` Node has time to compile.
    pub(crate) fn measure(
        &mut self,
        plan: &Plan,
        ring: &Ring,
        flying: usize,
        round: usize,
    ) -> io::Result<Figure> {
        let cast = Cast {
            worker: &self.worker,
            broker: None,
            asking: &self.asking,
            client: &mut self.client,
            helpers: &[&ring.tested, &ring.other],
        };
        let figure = Figure::take(cast, warm(plan, self.setting.kind, round), flying);
        figure.map_err(|error| self.named(error))
    }

    /// The time until a client that asked too early has its reply: the service comes up `late` after the question.
    pub(crate) fn find(
        &mut self,
        ring: &Ring,
        service: &str,
        late: Duration,
    ) -> io::Result<Duration> {
        self.client.find(service)?;
        sleep(late);
        let announcement = json!({ "data": [service, self.addr.port()] }).to_string();
        let stored = call(ring.api, "/announce", &announcement)?;
        if stored != "1" {
            return Err(io::Error::other(format!("announce says {stored}")));
        }
        self.client.found().map_err(|error| self.named(error))
    }

    fn named(&self, error: io::Error) -> io::Error {
        io::Error::new(error.kind(), format!("{}: {error}", self.setting.name))
    }
}

/// The program and arguments of one side, `worker` or `client`.
fn command(plan: &Plan, ring: &Ring, setting: &Setting<'_>, side: &str) -> (PathBuf, Vec<String>) {
    let grape = ring.api.to_string();
    let tls = setting.tls.map(|folder| folder.join(side));
    match setting.kind {
        Kind::Ours => {
            let mut arguments = vec![
                side.to_owned(),
                grape,
                setting.service.to_owned(),
                "--idle".to_owned(),
                setting.idle.to_owned(),
            ];
            // It speaks HTTP unless told otherwise, and refuses what it does not know.
            if setting.transport != Transport::Http {
                let transport = setting.transport.name().to_owned();
                arguments.extend(["--transport".to_owned(), transport]);
            }
            if let Some(tls) = tls {
                arguments.extend(["--tls".to_owned(), tls.display().to_string()]);
            }
            arguments.extend(setting.more.iter().map(|&argument| argument.to_owned()));
            (plan.binaries.join("rpc"), arguments)
        }
        Kind::Node => {
            let script = format!("{}/node/{side}.js", env!("CARGO_MANIFEST_DIR"));
            let conf = json!({
                "modules": plan.node_modules,
                "grape": grape,
                "service": setting.service,
                "transport": setting.transport.name(),
                "tls": tls,
            });
            (PathBuf::from("node"), vec![script, conf.to_string()])
        }
    }
}

/// The plan's times, with time for Node to compile in the first `round`.
pub(crate) fn warm(plan: &Plan, kind: Kind, round: usize) -> Times {
    if round == 0 && !plan.quick && kind == Kind::Node {
        return Times { warm_up: NODE_WARM_UP, ..plan.times };
    }
    plan.times
}
