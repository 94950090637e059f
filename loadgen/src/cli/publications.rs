//! The commands about publications: to listen, and to publish.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use grenache_cli::tls::ClientTls;
use grenache_engine::{DriverChoice, Idle};
use grenache_peer::publish::MAX_TOPIC;

use super::load::{GeneratorOptions, at_least_one, rate, some_time, time};
use super::output::OutputOptions;
use super::zeromq::CurveOptions;
use crate::failure::{Exit, Failure};
use crate::outcome::Service;
use crate::payload::MAX_PAYLOAD;
use crate::plan::{End, Plan, Target};
use crate::publisher::{Publications, Publishing};
use crate::run::{Interrupt, run};
use crate::targets;
use crate::what::{Feed, What};

/// Listens to a publisher with many subscribers, and counts what they hear
///
/// Any publisher over WebSocket, Node's included, or over ZeroMQ. Each subscriber has a connection of its own.
#[derive(Debug, clap::Args)]
pub(super) struct Sub {
    /// What the publisher speaks
    #[arg(long, value_enum, default_value_t = Feed::Ws)]
    transport: Feed,

    /// The publisher
    #[arg(short, long, value_name = "HOST:PORT", required_unless_present = "grape")]
    target: Option<String>,

    /// The grapes that know who publishes under --service, unless --target does
    #[arg(short, long, env = "GRENACHE_GRAPE", value_name = "URL,..", value_delimiter = ',')]
    #[arg(requires = "service")]
    grape: Vec<String>,

    /// What the publisher is announced as
    #[arg(short = 'S', long, value_name = "NAME")]
    service: Option<String>,

    /// Subscribers
    #[arg(short = 'n', long, value_name = "COUNT", default_value_t = 1000)]
    #[arg(value_parser = at_least_one)]
    subscribers: usize,

    /// Of them, subscribers that connect and then read nothing
    #[arg(long, value_name = "COUNT", default_value_t = 0)]
    stalled: usize,

    /// Only messages whose topic begins with this; over WebSocket that is agreed upon with a publisher that knows topics. May be
    /// repeated
    #[arg(long = "topic", value_name = "PREFIX")]
    topics: Vec<String>,

    /// How long is measured: 10s, 500ms, 2m
    #[arg(short, long, value_name = "TIME", default_value = "10s", value_parser = some_time)]
    duration: Duration,

    /// How long they listen before that
    #[arg(short, long, value_name = "TIME", default_value = "2s", value_parser = time)]
    warm_up: Duration,

    /// After this an attempt to connect is given up
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = some_time)]
    timeout: Duration,

    #[command(flatten)]
    tls: ClientTls,

    #[command(flatten)]
    curve: CurveOptions,

    #[command(flatten)]
    generator: GeneratorOptions,

    #[command(flatten)]
    output: OutputOptions,
}

/// Publishes over WebSocket and ZeroMQ to whoever connects
///
/// A publisher of the peer library, on a worker with one core. It prints where it listens, waits for --subscribers, and then
/// publishes binary messages. Node's subscribers can listen too.
#[derive(Debug, clap::Args)]
pub(super) struct Pub {
    /// The port
    #[arg(short, long, default_value_t = 0)]
    port: u16,

    /// Bytes of a message
    #[arg(short, long, default_value_t = 100, value_name = "BYTES")]
    #[arg(value_parser = size)]
    size: usize,

    /// Messages per second [default: as many as its subscribers take]
    #[arg(short, long, value_name = "PER SECOND", value_parser = rate)]
    rate: Option<f64>,

    /// The topic of all messages
    #[arg(long, default_value = "", value_parser = topic)]
    topic: String,

    /// Announce it as this
    #[arg(short = 'S', long, value_name = "NAME", requires = "grape")]
    service: Option<String>,

    /// The grapes that are told of --service
    #[arg(short, long, env = "GRENACHE_GRAPE", value_name = "URL,..", value_delimiter = ',')]
    grape: Vec<String>,

    /// Wait for so many subscribers first
    #[arg(short = 'n', long, value_name = "COUNT", default_value_t = 1)]
    subscribers: u64,

    /// How long is measured: 10s, 500ms, 2m
    #[arg(short, long, value_name = "TIME", default_value = "10s", value_parser = some_time)]
    duration: Duration,

    /// How long it publishes before that
    #[arg(short, long, value_name = "TIME", default_value = "2s", value_parser = time)]
    warm_up: Duration,

    /// The CPU of the worker's core [default: any]
    #[arg(long, value_name = "NUMBER")]
    cpu: Option<usize>,

    /// What does input and output: auto, uring or epoll
    #[arg(long, default_value = "auto")]
    driver: DriverChoice,

    /// What the core does while there is nothing to do: park, or spin:<µs> before it parks
    #[arg(long, default_value = "park")]
    idle: Idle,

    #[command(flatten)]
    output: OutputOptions,
}

impl Sub {
    pub(super) fn run(self, interrupt: &Interrupt) -> Result<Exit, Failure> {
        if self.stalled > self.subscribers {
            let text = format!("--stalled: there are only {} subscribers", self.subscribers);
            return Err(Failure::usage(text));
        }
        let name = self.service.unwrap_or_default();
        let services = vec![Service { name, weight: 1.0 }];
        let targets = match &self.target {
            Some(target) => {
                vec![Target { services: Vec::new(), addrs: vec![targets::resolve(target)?] }]
            }
            None => targets::look_up(self.grape, &services)?,
        };
        let tls = self.tls.config().map_err(|error| Failure::usage(error.to_string()))?;
        let security = self.curve.security(self.transport == Feed::Zmq, tls)?;
        let (feed, topics) = (self.transport, self.topics);
        let what = What::Listen { feed, topics, stalled: self.stalled };
        let plan = Plan {
            connections: self.subscribers,
            // Nothing is asked.
            in_flight: 0,
            warm_up: self.warm_up,
            end: End::After(self.duration),
            timeout: self.timeout,
            ..self.generator.plan(what, targets, security)?
        };
        let mut output = self.output.open(plan.pace, plan.warm_up, self.duration)?;
        output.begin("");
        let outcome = run(&plan, interrupt, &mut |tick| output.tick(tick));
        output.end();
        self.output.finish(outcome?)
    }
}

impl Pub {
    pub(super) fn run(self, interrupt: &Interrupt) -> Result<Exit, Failure> {
        let publications = Publications {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, self.port)),
            grapes: if self.service.is_some() { self.grape } else { Vec::new() },
            service: self.service.unwrap_or_else(|| "pub".to_owned()),
            bytes: self.size,
            topic: self.topic,
            rate: self.rate,
            subscribers: self.subscribers,
            warm_up: self.warm_up,
            window: self.duration,
            driver: self.driver,
            idle: self.idle,
            cpu: self.cpu,
        };
        let pace = publications.pace();
        let mut output = self.output.open(pace, self.warm_up, self.duration)?;
        let publishing = Publishing::start(publications)?;
        // Not where the document may go.
        eprintln!("listening on {}", publishing.addr());
        output.begin("");
        let outcome = publishing.run(interrupt, &mut |tick| output.tick(tick));
        output.end();
        publishing.stop()?;
        self.output.finish(outcome?)
    }
}

fn topic(text: &str) -> Result<String, String> {
    match text.len() {
        ..=MAX_TOPIC if !text.contains('\0') => Ok(text.to_owned()),
        _ => Err(format!("a topic has at most {MAX_TOPIC} bytes")),
    }
}

fn size(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(bytes) if bytes <= MAX_PAYLOAD => Ok(bytes),
        _ => Err(format!("a message has 0 to {MAX_PAYLOAD} bytes")),
    }
}
