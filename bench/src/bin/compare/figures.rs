//! What windows of requests told of a worker, its client and what is between them.

use std::io;
use std::time::Duration;

use grenache_bench::client::{Client, Run};
use grenache_bench::sample::{Sample, Times, median};
use grenache_bench::server::Server;
use serde_json::{Value, json};

use crate::report::Table;

/// Who takes part.
pub(crate) struct Cast<'a> {
    pub(crate) worker: &'a Server,
    /// What carries requests to the worker and replies back, if they do not go directly.
    pub(crate) broker: Option<&'a Server>,
    /// The client's process, and the talk with it.
    pub(crate) asking: &'a Server,
    pub(crate) client: &'a mut Client,
    /// Others that belong to it and whose work is not counted.
    pub(crate) helpers: &'a [&'a Server],
}

/// What one window told. CPU times are per request, in µs; so are latencies.
pub(crate) struct Figure {
    pub(crate) worker: Sample,
    pub(crate) broker_cpu: f64,
    pub(crate) client_cpu: f64,
    /// Share of the window in which the client ran.
    pub(crate) client_busy: f64,
    pub(crate) p50: f64,
    pub(crate) p99: f64,
}

impl Figure {
    /// Has the client keep `flying` requests in flight, first to warm up and then for the window that is measured.
    pub(crate) fn take(cast: Cast<'_>, times: Times, flying: usize) -> io::Result<Self> {
        let broker_time = || cast.broker.map_or(Ok(Duration::ZERO), Server::cpu_time);
        let mut helpers = vec![cast.asking];
        helpers.extend(cast.broker);
        helpers.extend(cast.helpers);
        let mut last: Option<(Run, Duration, Duration)> = None;
        let worker = Sample::take(cast.worker, &helpers, times, |window| {
            let (asking, broker) = (cast.asking.cpu_time()?, broker_time()?);
            let run = cast.client.run(flying, window)?;
            let asking = cast.asking.cpu_time()?.saturating_sub(asking);
            last = Some((run, asking, broker_time()?.saturating_sub(broker)));
            Ok(run.outcome)
        })?;
        let (run, asking, broker) = last.ok_or_else(|| io::Error::other("nothing was measured"))?;
        let micros = |time: Duration| time.as_secs_f64() * 1e6;
        let requests = run.outcome.requests as f64;
        Ok(Self {
            worker,
            broker_cpu: micros(broker) / requests,
            client_cpu: micros(asking) / requests,
            client_busy: asking.as_secs_f64() / run.outcome.elapsed.as_secs_f64(),
            p50: micros(run.p50),
            p99: micros(run.p99),
        })
    }

    /// What a user of the service pays for besides the client.
    fn server_cpu(&self) -> f64 {
        self.worker.cpu + self.broker_cpu
    }

    /// Share of the window in which the worker or the broker ran; they have one CPU.
    fn server_busy(&self) -> f64 {
        self.worker.busy * self.server_cpu() / self.worker.cpu
    }

    /// All CPU time that a request costs.
    fn cpu(&self) -> f64 {
        self.server_cpu() + self.client_cpu
    }
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

    /// The median over the rounds of `figure` of `system` here divided by that in `others`, in the same round.
    pub(crate) fn over(&self, others: &Self, system: &str, of: impl Fn(&Figure) -> f64) -> f64 {
        median(self.of(system).iter().zip(others.of(system)).map(|(a, b)| of(a) / of(b)))
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
        Table::plain(title, columns, rows.collect(), self.raw())
    }

    /// The same with the broker's share, and the sums and their ratios to those of `reference` in the same rounds.
    pub(crate) fn compared(&self, title: &str, reference: &str) -> Table {
        let columns = vec![
            "requests/s",
            "to ours",
            "µs CPU/request, server",
            "of it broker",
            "client",
            "together",
            "to ours",
            "p50, µs",
            "to ours",
            "p99, µs",
            "server busy",
            "client busy",
            "other load on the machine",
        ];
        let rows = self.systems.iter().map(|(name, figures)| {
            let of = |figure: fn(&Figure) -> f64| median(figures.iter().map(figure));
            let to =
                |figure: fn(&Figure) -> f64| format!("{:.2}", self.ratio(name, reference, figure));
            let broker = of(|f| f.broker_cpu);
            let cells = vec![
                format!("{:.0}", of(|f| f.worker.rate)),
                to(|f| f.worker.rate),
                format!("{:.2}", of(Figure::server_cpu)),
                if broker > 0.0 { format!("{broker:.2}") } else { String::new() },
                format!("{:.2}", of(|f| f.client_cpu)),
                format!("{:.2}", of(Figure::cpu)),
                to(Figure::cpu),
                format!("{:.1}", of(|f| f.p50)),
                to(|f| f.p50),
                format!("{:.1}", of(|f| f.p99)),
                format!("{:.0} %", of(Figure::server_busy) * 100.0),
                format!("{:.0} %", of(|f| f.client_busy) * 100.0),
                format!("{:.0} %", of(|f| f.worker.foreign) * 100.0),
            ];
            ((*name).to_owned(), cells)
        });
        Table::plain(title, columns, rows.collect(), self.raw())
    }

    fn raw(&self) -> Value {
        let raw = self.systems.iter().map(|(name, figures)| {
            let raw = figures.iter().map(|f| {
                json!({
                    // As charts have it: what answers, with its broker if it has one.
                    "rate": f.worker.rate, "cpu_us": f.server_cpu(), "broker_cpu_us": f.broker_cpu,
                    "client_cpu_us": f.client_cpu, "busy": f.worker.busy, "client_busy": f.client_busy,
                    "p50_us": f.p50, "p99_us": f.p99, "foreign": f.worker.foreign,
                    "requests": f.worker.requests,
                })
            });
            ((*name).to_owned(), Value::Array(raw.collect()))
        });
        Value::Object(raw.collect())
    }
}
