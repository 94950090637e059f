//! Workers and clients, ours or Node's, each a process on one CPU.

use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::{Duration, Instant};

use grenache_bench::client::{Client, Run};
use grenache_bench::load::call;
use grenache_bench::sample::{Sample, Times, median};
use grenache_bench::server::{LOAD_CPU, SERVER_CPU, Server};
use serde_json::{Value, json};

use crate::Plan;
use crate::report::Table;
use crate::ring::{self, Kind, Ring};

/// Node compiles what runs often; before that it is several times slower.
const NODE_WARM_UP: Duration = Duration::from_secs(3);

/// How long a worker may take to announce itself.
const ANNOUNCED: Duration = Duration::from_secs(10);

/// What a worker and its client are run with.
#[derive(Clone, Copy)]
pub(crate) struct Setting<'a> {
    /// In the report.
    pub(crate) name: &'static str,
    pub(crate) kind: Kind,
    pub(crate) service: &'static str,
    /// What our cores do when there is nothing to do.
    pub(crate) idle: &'static str,
    /// The folder with certificates, for TLS on both sides.
    pub(crate) tls: Option<&'a Path>,
}

/// A worker and a client of the same kind that finds it on a grape of the same kind.
pub(crate) struct Pair<'a> {
    pub(crate) setting: Setting<'a>,
    pub(crate) worker: Server,
    pub(crate) addr: SocketAddr,
    asking: Server,
    pub(crate) client: Client,
}

/// What one window told of a pair.
pub(crate) struct Figure {
    pub(crate) worker: Sample,
    /// CPU time of the client per request, µs, and the share of the window in which it ran.
    pub(crate) client_cpu: f64,
    pub(crate) client_busy: f64,
    pub(crate) p50: f64,
    pub(crate) p99: f64,
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
        let times = warm(plan, self.setting.kind, round);
        let helpers = [&self.asking, &ring.tested, &ring.other];
        let mut last: Option<(Run, Duration)> = None;
        let worker = Sample::take(&self.worker, &helpers, times, |window| {
            let before = self.asking.cpu_time()?;
            let run = self.client.run(flying, window)?;
            last = Some((run, self.asking.cpu_time()?.saturating_sub(before)));
            Ok(run.outcome)
        });
        let worker = worker.map_err(|error| self.named(error))?;
        let (run, used) = last.ok_or_else(|| io::Error::other("nothing was measured"))?;
        let micros = |time: Duration| time.as_secs_f64() * 1e6;
        Ok(Figure {
            worker,
            client_cpu: micros(used) / run.outcome.requests as f64,
            client_busy: used.as_secs_f64() / run.outcome.elapsed.as_secs_f64(),
            p50: micros(run.p50),
            p99: micros(run.p99),
        })
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
            if let Some(tls) = tls {
                arguments.extend(["--tls".to_owned(), tls.display().to_string()]);
            }
            (plan.binaries.join("rpc"), arguments)
        }
        Kind::Node => {
            let script = format!("{}/node/{side}.js", env!("CARGO_MANIFEST_DIR"));
            let conf = json!({
                "modules": plan.node_modules,
                "grape": grape,
                "service": setting.service,
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

/// The figures of several pairs, round by round.
#[derive(Default)]
pub(crate) struct Figures {
    systems: Vec<(&'static str, Vec<Figure>)>,
}

impl Figures {
    pub(crate) fn push(&mut self, system: &'static str, figure: Figure) {
        match self.systems.iter_mut().find(|(name, _)| *name == system) {
            Some((_, figures)) => figures.push(figure),
            None => self.systems.push((system, vec![figure])),
        }
    }

    fn of(&self, system: &str) -> &[Figure] {
        self.systems.iter().find(|(name, _)| *name == system).map_or(&[], |(_, figures)| figures)
    }

    /// The median over the rounds of `figure` of `system` divided by that of `reference` in the same round.
    pub(crate) fn ratio(&self, system: &str, reference: &str, of: impl Fn(&Figure) -> f64) -> f64 {
        median(self.of(system).iter().zip(self.of(reference)).map(|(a, b)| of(a) / of(b)))
    }

    /// True when both have figures to compare.
    pub(crate) fn have(&self, systems: [&str; 2]) -> bool {
        systems.iter().all(|system| !self.of(system).is_empty())
    }

    pub(crate) fn table(&self, title: &str) -> Table {
        let columns = vec![
            "requests/s",
            "µs CPU/request, worker",
            "client",
            "worker busy",
            "client busy",
            "p50, µs",
            "p99, µs",
            "other load on the machine",
        ];
        let rows = self.systems.iter().map(|(name, figures)| {
            let of = |figure: fn(&Figure) -> f64| median(figures.iter().map(figure));
            let cells = vec![
                format!("{:.0}", of(|f| f.worker.rate)),
                format!("{:.2}", of(|f| f.worker.cpu)),
                format!("{:.2}", of(|f| f.client_cpu)),
                format!("{:.0} %", of(|f| f.worker.busy) * 100.0),
                format!("{:.0} %", of(|f| f.client_busy) * 100.0),
                format!("{:.1}", of(|f| f.p50)),
                format!("{:.1}", of(|f| f.p99)),
                format!("{:.0} %", of(|f| f.worker.foreign) * 100.0),
            ];
            ((*name).to_owned(), cells)
        });
        let raw = self.systems.iter().map(|(name, figures)| {
            let raw = figures.iter().map(|f| {
                json!({
                    "rate": f.worker.rate, "cpu_us": f.worker.cpu, "client_cpu_us": f.client_cpu,
                    "busy": f.worker.busy, "client_busy": f.client_busy, "p50_us": f.p50,
                    "p99_us": f.p99, "foreign": f.worker.foreign, "requests": f.worker.requests,
                })
            });
            ((*name).to_owned(), Value::Array(raw.collect()))
        });
        Table::plain(title, columns, rows.collect(), Value::Object(raw.collect()))
    }
}
