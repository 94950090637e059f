//! The options that say how much load there is, and for how long.

use std::time::Duration;

use grenache_engine::{DriverChoice, Idle};

use super::output::OutputOptions;
use crate::failure::{Exit, Failure};
use crate::knee::{self, Search};
use crate::null_server::NullServer;
use crate::outcome::{Arrivals, Outcome, Pace, Service};
use crate::payload::Payload;
use crate::plan::{Address, End, Plan, Target};
use crate::run::{Interrupt, run};
use crate::self_check;
use crate::threshold::Promise;
use crate::what::{Security, Transport, What};

/// Connections, or sockets, that are open unless another number is asked for.
const CLOSED: usize = 16;
/// An open loop opens connections as it needs them, so that no request waits for another's answer.
const OPEN: usize = 1024;
/// Requests in flight on a socket of an open loop over UDP.
const DATAGRAMS: usize = 65_536;

/// What is left out in the beginning, unless another time is asked for.
const WARM_UP: Duration = Duration::from_secs(2);

/// How long a thread looks for something to do before it parks: its CPU is its own.
const SPIN: Duration = Duration::from_secs(1);

/// How much load, and for how long.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Load")]
pub(super) struct LoadOptions {
    /// Connections (UDP: sockets). All are open in a closed loop [default: 16]; an open loop opens as many as it needs, at
    /// most this number [default: 1024]
    #[arg(short, long, value_name = "COUNT", value_parser = at_least_one)]
    connections: Option<usize>,

    /// Requests in flight on one connection; over HTTP they are pipelined [default: 1; with --rate over UDP 65536]
    #[arg(short = 'n', long, value_name = "COUNT", value_parser = at_least_one)]
    in_flight: Option<usize>,

    /// Open loop: so many requests per second, whether answers come or not
    #[arg(short, long, value_name = "PER SECOND", value_parser = rate)]
    rate: Option<f64>,

    /// Open loop: how requests are spaced
    #[arg(long, value_enum, default_value_t = Arrivals::Poisson)]
    arrivals: Arrivals,

    /// How long the load is measured: 10s, 500ms, 2m
    #[arg(short, long, value_name = "TIME", default_value = "10s", value_parser = time)]
    #[arg(conflicts_with = "find_knee")]
    duration: Duration,

    /// End after so many requests instead, once all are answered; without a warm-up
    #[arg(long, value_name = "COUNT", conflicts_with_all = ["duration", "find_knee", "warm_up"])]
    #[arg(value_parser = clap::value_parser!(u64).range(1..))]
    requests: Option<u64>,

    /// How long the load is on before it is measured [default: 2s]
    #[arg(short, long, value_name = "TIME", value_parser = time)]
    warm_up: Option<Duration>,

    /// After this a request, or an attempt to connect, is given up
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = some_time)]
    timeout: Duration,

    /// Close a connection after so many requests and make a new one
    #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(u64).range(1..))]
    requests_per_connection: Option<u64>,

    /// Find the highest rate that keeps the promise of --slo: the rate doubles from --rate (or 1000) on until it is broken, then
    /// the distance is halved
    #[arg(long, requires = "slo", conflicts_with_all = ["csv", "hlog"])]
    find_knee: bool,

    /// The promise: p99=1ms, or several: p50=200us,p99.9=5ms
    #[arg(long, value_name = "FIGURE=LIMIT", requires = "find_knee")]
    slo: Option<Promise>,

    /// How long each step of the search is measured
    #[arg(long, value_name = "TIME", default_value = "3s", value_parser = some_time)]
    #[arg(requires = "find_knee")]
    step: Duration,

    /// First see for a second what the generator can drive against a null server
    #[arg(long)]
    self_check: bool,

    #[command(flatten)]
    generator: GeneratorOptions,

    #[command(flatten)]
    output: OutputOptions,
}

/// How the generator runs.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Generator")]
pub(super) struct GeneratorOptions {
    /// Threads that make the load, each on a CPU of its own
    #[arg(long, value_name = "COUNT", default_value_t = 1, value_parser = at_least_one)]
    cores: usize,

    /// The CPU of the first thread, of those that this process may use [default: the last ones are taken]
    #[arg(long, value_name = "NUMBER")]
    cpu: Option<usize>,

    /// What does input and output: auto, uring or epoll
    #[arg(long, default_value = "auto")]
    driver: DriverChoice,

    /// What a thread does while there is nothing to do: park, or spin:<µs> before it parks. To park saves CPU and adds the time
    /// of waking up to every latency [default: spin:1000000; park on a machine with one CPU]
    #[arg(long)]
    idle: Option<Idle>,

    /// The seed of what is drawn at random [default: another one each time]
    #[arg(long)]
    seed: Option<u64>,

    /// Measure what this process of this machine needs: its CPU time per request, and memory
    #[arg(long, value_name = "PID")]
    server_pid: Option<u32>,
}

/// Shows what the generator itself can drive on this machine, against a null server
///
/// The server answers RPC over HTTP, does nothing else, and runs on the CPU after the generator's.
#[derive(Debug, clap::Args)]
pub(super) struct SelfCheck {
    #[command(flatten)]
    load: LoadOptions,
}

impl LoadOptions {
    /// Makes the load, and shows and keeps what came of it.
    pub(super) fn run(
        self,
        what: What,
        targets: Vec<Target>,
        security: Security,
        interrupt: &Interrupt,
    ) -> Result<Exit, Failure> {
        let plan = self.plan(what, targets, security)?;
        let checked = match self.self_check {
            true => Some(self_check::check(&plan, interrupt)?),
            false => None,
        };
        if interrupt.is_interrupted() {
            let text = "interrupted before the load began".to_owned();
            return Err(Failure { exit: Exit::Interrupted, text });
        }
        let mut outcome = self.measure(&plan, interrupt)?;
        if let Some(checked) = &checked {
            self_check::compare(&mut outcome, checked);
        }
        self.output.finish(outcome)
    }

    fn measure(&self, plan: &Plan, interrupt: &Interrupt) -> Result<Outcome, Failure> {
        let window = match plan.end {
            End::After(window) => window,
            End::Requests(_) => Duration::ZERO,
        };
        let mut output = self.output.open(plan.pace, plan.warm_up, window)?;
        let Some(promise) = &self.slo else {
            output.begin("");
            let outcome = run(plan, interrupt, &mut |tick| output.tick(tick));
            output.end();
            return outcome;
        };
        let search = Search {
            promise: promise.clone(),
            first: self.rate.unwrap_or(1000.0),
            step: self.step,
        };
        let outcome = knee::find(plan, &search, interrupt, &mut output);
        output.end();
        outcome
    }

    fn plan(&self, what: What, targets: Vec<Target>, security: Security) -> Result<Plan, Failure> {
        let rate = self.rate.or(self.find_knee.then_some(1000.0));
        let pace = rate.map_or(Pace::Closed, |rate| Pace::Open { rate, arrivals: self.arrivals });
        let open = rate.is_some();
        let datagrams = open && !what.is_stream();
        Ok(Plan {
            pace,
            connections: self.connections.unwrap_or(if open && !datagrams { OPEN } else { CLOSED }),
            in_flight: self.in_flight.unwrap_or(if datagrams { DATAGRAMS } else { 1 }),
            requests_per_connection: self.requests_per_connection,
            warm_up: self.warm_up.unwrap_or(match self.requests {
                Some(_) => Duration::ZERO,
                None => WARM_UP,
            }),
            end: self.requests.map_or(End::After(self.duration), End::Requests),
            timeout: self.timeout,
            ..self.generator.plan(what, targets, security)?
        })
    }
}

impl GeneratorOptions {
    /// A closed loop, until something else is said.
    pub(super) fn plan(
        &self,
        what: What,
        targets: Vec<Target>,
        security: Security,
    ) -> Result<Plan, Failure> {
        let cpus = std::thread::available_parallelism().map_or(1, usize::from);
        if let Some(pid) = self.server_pid {
            crate::process::usage(pid).map_err(|error| {
                Failure::usage(format!("process {pid} cannot be measured: {error}"))
            })?;
        }
        Ok(Plan {
            what,
            targets,
            security,
            pace: Pace::Closed,
            connections: CLOSED,
            in_flight: 1,
            requests_per_connection: None,
            warm_up: WARM_UP,
            end: End::After(Duration::from_secs(10)),
            timeout: Duration::from_secs(10),
            cores: self.cores,
            first_cpu: self.cpu.unwrap_or(cpus.saturating_sub(self.cores)),
            driver: self.driver,
            idle: self.idle.unwrap_or(match cpus {
                1 => Idle::Park,
                _ => Idle::Spin(SPIN),
            }),
            seed: self.seed.unwrap_or_else(rand::random),
            server_pid: self.server_pid,
        })
    }
}

impl SelfCheck {
    pub(super) fn run(self, interrupt: &Interrupt) -> Result<Exit, Failure> {
        let payload = Payload::Value(grenache_peer::Json::of("hello").expect("a text is JSON"));
        let services = vec![Service { name: "null".to_owned(), weight: 1.0 }];
        let nowhere = Address { addr: ([127, 0, 0, 1], 0).into(), name: "127.0.0.1".to_owned() };
        let targets = vec![Target { services, addrs: vec![nowhere] }];
        let plan = self.load.plan(What::Rpc(payload, Transport::Http), targets, Security::Open)?;
        let server = NullServer::start(plan.first_cpu + plan.cores, plan.driver, plan.idle);
        let server = server.map_err(|error| Failure::failed(error.to_string()))?;
        let outcome = self.load.measure(&self_check::against(&plan, &server), interrupt)?;
        self.load.output.finish(outcome)
    }
}

pub(super) fn at_least_one(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(count) if (1..=1_000_000).contains(&count) => Ok(count),
        _ => Err("a number from 1 to 1000000 is wanted".to_owned()),
    }
}

pub(super) fn rate(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(rate) if (0.001..=1e8).contains(&rate) => Ok(rate),
        _ => Err("a number of requests per second, above 0".to_owned()),
    }
}

/// `10s`, `500ms`, `2m`; a bare number is seconds.
pub(super) fn time(text: &str) -> Result<Duration, String> {
    if let Ok(seconds) = text.parse() {
        return Duration::try_from_secs_f64(seconds).map_err(|_| "no time".to_owned());
    }
    humantime::parse_duration(text).map_err(|_| "a time such as 10s, 500ms or 2m".to_owned())
}

pub(super) fn some_time(text: &str) -> Result<Duration, String> {
    match time(text)? {
        Duration::ZERO => Err("a time above 0".to_owned()),
        time => Ok(time),
    }
}
