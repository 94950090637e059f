//! What a run found: the document that `--json` writes, `loadgen compare` reads and every report is made of.
//!
//! `loadgen schema` prints its JSON Schema. Times are in microseconds, rates in requests per second, unless a name says
//! otherwise. A field that is added later has a default, so that newer programs read older documents.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The version of the document's form. It grows when a field changes its meaning or goes.
pub const SCHEMA: u32 = 1;

/// Everything that one run of the load generator found.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Outcome {
    /// The version of this form: 1.
    pub schema: u32,
    /// When the measured window began: RFC 3339, UTC.
    pub began: String,
    /// Where it ran.
    pub environment: Environment,
    /// What was asked, of whom and how fast.
    pub load: Load,
    /// Length of the measured window in seconds; warm-up is left out, and so is the wait for the last answers.
    pub window_s: f64,
    /// It was stopped before its time (SIGINT, SIGTERM); the figures are of what it had until then.
    pub interrupted: bool,
    /// What became of the requests of the window.
    pub requests: Requests,
    /// Right answers that arrived within the window, per second; of `sub` messages heard, of `pub` messages published.
    pub rate: f64,
    /// How long answers took.
    pub latency: Latency,
    /// The window second by second. The last one may be shorter.
    pub seconds: Vec<Second>,
    /// What subscribers heard, of `sub`.
    pub heard: Option<Heard>,
    /// What became of publications, of `pub`.
    pub published: Option<Published>,
    /// What the generator itself needed, and whether it was the bottleneck.
    pub generator: Generator,
    /// What the server needed, if its process was named by `--server-pid`.
    pub server: Option<Server>,
    /// The steps of `--find-knee`, if it was asked for. The other figures are then of the highest step that held.
    pub knee: Option<Knee>,
    /// What `--fail-if` asked for, and what came of it.
    pub thresholds: Vec<Threshold>,
    /// What a reader should know before using the figures, a sentence each.
    pub notes: Vec<String>,
}

/// The machine and the programs.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Environment {
    /// The model of the CPU.
    pub cpu: String,
    /// CPUs that are online.
    pub cpus: usize,
    /// The kernel's release.
    pub kernel: String,
    /// The scaling governor of the first CPU, or why there is none to see.
    pub governor: String,
    /// The load averages when the run began, as in /proc/loadavg.
    pub load_average: String,
    /// The revision of the generator's source, `unknown` if it was not built from a repository.
    pub revision: String,
    /// The version of the generator.
    pub version: String,
    /// The command line of the generator.
    pub command: Vec<String>,
    /// The command line of the server, if `--server-pid` names its process.
    pub server_command: Option<Vec<String>>,
}

/// What was asked, of whom and how fast.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Load {
    /// What was asked, such as `rpc` or `grape lookup`.
    pub what: String,
    /// The transport: `http`, `https`, `ws`, `wss`, `udp`, or `zmq`, which may be followed by ` frames` and `, curve`.
    pub transport: String,
    /// Where, each `ip:port`.
    pub targets: Vec<String>,
    /// The services asked for and the weight of each.
    pub services: Vec<Service>,
    /// The payload, as `--size` or `--payload` gave it.
    pub payload: String,
    /// Closed or open loop.
    pub pace: Pace,
    /// Connections that may be open at once.
    pub connections: usize,
    /// Requests that may be in flight on one connection.
    pub in_flight: usize,
    /// A connection is closed and made anew after so many requests, if at all.
    pub requests_per_connection: Option<u64>,
    /// Seconds of warm-up, which are left out.
    pub warm_up_s: f64,
    /// After so many seconds a request is given up.
    pub timeout_s: f64,
    /// Threads that made the load, each on a CPU of its own.
    pub cores: usize,
    /// The seed of everything drawn at random.
    pub seed: u64,
}

/// A service and its share of the requests.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Service {
    /// Its name.
    pub name: String,
    /// Its share is this divided by the sum over all services.
    pub weight: f64,
}

/// When requests are sent.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Pace {
    /// The next one when an answer has come: finds the peak, and hides how long users would have waited.
    #[default]
    Closed,
    /// On a schedule, whether answers come or not.
    Open {
        /// Requests per second.
        rate: f64,
        /// How they are spaced.
        arrivals: Arrivals,
    },
}

/// How the requests of an open loop are spaced.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema, clap::ValueEnum,
)]
#[serde(rename_all = "snake_case")]
pub enum Arrivals {
    /// At equal distances.
    Fixed,
    /// As independent users send: the gaps follow an exponential distribution.
    Poisson,
}

/// What became of the requests of the window: those whose time to be sent lay in it. Once all is over,
/// `sent` is `answered` + the sum of `failed` + `abandoned`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Requests {
    /// Sent.
    pub sent: u64,
    /// Rightly answered, be it after the window.
    pub answered: u64,
    /// Of those, answers that found nothing: an empty lookup, an item that is not there.
    pub empty: u64,
    /// Sent and not rightly answered, by kind of failure; of `sub` subscriptions that ended.
    pub failed: BTreeMap<Fault, u64>,
    /// Still in flight when the run was interrupted.
    pub abandoned: u64,
    /// Open loop: sent more than a millisecond after their time.
    pub late: u64,
    /// Open loop: never sent, because all connections were taken until the end of the window.
    pub unsent: u64,
    /// Answers that came after their request had been given up (over HTTP the connection is gone by then).
    pub unasked: u64,
    /// Connections made during the window.
    pub connections: u64,
    /// Attempts to connect that failed, of the whole run.
    pub connect_failed: u64,
    /// The first failure of each kind in words, warm-up included.
    pub examples: BTreeMap<Fault, String>,
}

impl Requests {
    /// The sum of all kinds of failure.
    pub fn failures(&self) -> u64 {
        self.failed.values().sum()
    }

    /// Failures, and what was never sent, as a share of all that should have been sent; 0 of nothing.
    pub fn failed_share(&self) -> f64 {
        let due = self.sent + self.unsent;
        if due == 0 { 0.0 } else { (self.failures() + self.unsent) as f64 / due as f64 }
    }
}

/// What subscribers heard within the window.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Heard {
    /// Connections that read nothing, on purpose.
    pub stalled: usize,
    /// Messages that the others received.
    pub messages: u64,
    /// What these messages said, in bytes.
    pub bytes: u64,
    /// The same per second.
    pub byte_rate: f64,
    /// Messages of the subscriber that received the fewest.
    pub fewest: u64,
    /// And of that which received the most.
    pub most: u64,
}

/// What a publisher counted within the window.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Published {
    /// Messages published.
    pub messages: u64,
    /// Messages that were refused because too many waited to be sent.
    pub refused: u64,
    /// Subscribers in the end, those that want nothing left out.
    pub subscribers: u64,
    /// Messages given to subscribers' connections, once for each.
    pub sent: u64,
    /// Messages dropped because a subscriber did not keep up, or was gone, once for each.
    pub dropped: u64,
    /// Subscribers that were disconnected because they did not keep up.
    pub disconnected: u64,
}

impl Outcome {
    /// How often what was wanted has happened: right answers, or messages that came, or were sent.
    pub fn achieved(&self) -> u64 {
        match (&self.heard, &self.published) {
            (Some(heard), _) => heard.messages,
            (_, Some(published)) => published.sent,
            _ => self.requests.answered,
        }
    }

    /// It is of publications, not of requests.
    pub fn is_of_publications(&self) -> bool {
        self.heard.is_some() || self.published.is_some()
    }
}

/// The ways in which a request fails.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Fault {
    /// No connection could be made.
    Connect,
    /// The connection broke with the request in flight.
    Reset,
    /// The server ended the connection in good order, but without the answer.
    Closed,
    /// No answer in time.
    Timeout,
    /// What came is no answer of the protocol.
    Malformed,
    /// An HTTP status other than 200.
    Status,
    /// An answer to something else than what was asked.
    Wrong,
    /// The server answered with an error.
    Remote,
    /// The server answered that it has too much to do, and has not begun.
    Busy,
}

impl Fault {
    /// Its name in reports.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Connect => "not connected",
            Self::Reset => "connection broken",
            Self::Closed => "connection closed",
            Self::Timeout => "no answer in time",
            Self::Malformed => "malformed answer",
            Self::Status => "other status",
            Self::Wrong => "wrong answer",
            Self::Remote => "error answered",
            Self::Busy => "server busy",
        }
    }
}

/// How long answers took.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Latency {
    /// As users feel it. Open loop: from the time at which the request was to be sent. Closed loop: corrected for coordinated
    /// omission as HdrHistogram does it, with the median as the interval at which requests should have been sent.
    pub corrected: Distribution,
    /// From the time at which the request was sent.
    pub uncorrected: Distribution,
}

/// Latencies, µs. All are 0 if there is none.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Distribution {
    /// How many; with correction of a closed loop more than were measured.
    pub count: u64,
    /// The least.
    pub min: f64,
    /// The mean.
    pub mean: f64,
    /// The standard deviation.
    pub stddev: f64,
    /// 50 of 100 took no longer.
    pub p50: f64,
    /// 90 of 100.
    pub p90: f64,
    /// 99 of 100.
    pub p99: f64,
    /// 999 of 1,000.
    pub p99_9: f64,
    /// 9,999 of 10,000.
    pub p99_99: f64,
    /// The greatest.
    pub max: f64,
    /// The whole curve: percentile (0 to 100) and latency, ever denser towards 100.
    pub curve: Vec<(f64, f64)>,
}

impl Distribution {
    /// The latency of a percentile from 0 to 100, as the curve gives it: that of the next point on the curve.
    pub fn at(&self, percentile: f64) -> f64 {
        let next = self.curve.iter().find(|(percent, _)| *percent >= percentile - 1e-9);
        next.map_or(self.max, |(_, latency)| *latency)
    }
}

/// One second of the window.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Second {
    /// When it began, in seconds since the window's begin.
    pub at: f64,
    /// Its length in seconds.
    pub length: f64,
    /// Right answers that arrived in it, per second.
    pub rate: f64,
    /// Requests that failed in it.
    pub failed: u64,
    /// Open loop: requests that were sent late in it, and those given up unsent.
    pub late: u64,
    /// Requests in flight at its end.
    pub in_flight: u64,
    /// Connections open at its end.
    pub connections: u64,
    /// Median of the answers in it: corrected in an open loop, uncorrected in a closed one.
    pub p50: f64,
    /// 99th percentile, likewise.
    pub p99: f64,
    /// The greatest, likewise.
    pub max: f64,
}

/// What the generator itself needed.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Generator {
    /// What did its input and output: `io_uring` or `epoll`.
    pub driver: String,
    /// What it did while nothing was to do: `park` or `spin`.
    pub idle: String,
    /// CPU time per request, µs, without the time it spun.
    pub cpu_us_per_request: f64,
    /// The share of the window in which its busiest core had something to do: near 1 it was the bottleneck.
    pub busy: f64,
    /// What the same load reached against a null server right before, requests per second (`--self-check`).
    pub null_server_rate: Option<f64>,
    /// Median latency of that, µs.
    pub null_server_p50: Option<f64>,
    /// Why the figures may tell of the generator rather than of the server. Empty if nothing says so.
    pub limited: Vec<String>,
}

/// What the server needed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Server {
    /// Its process.
    pub pid: u32,
    /// CPU time of all its threads per answered request, µs.
    pub cpu_us_per_request: f64,
    /// CPUs it kept busy during the window: 1.0 is one.
    pub busy: f64,
    /// Resident memory at the end, bytes.
    pub resident: u64,
}

/// The search for the highest rate that keeps a promise.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Knee {
    /// The promise, such as `p99=1ms`.
    pub slo: String,
    /// The highest rate that held it, requests per second; none if not even the first did.
    pub rate: Option<f64>,
    /// Every step in the order taken.
    pub steps: Vec<Step>,
}

/// One step of the search.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Step {
    /// What was offered, requests per second.
    pub offered: f64,
    /// What was answered, requests per second.
    pub rate: f64,
    /// Corrected latencies, µs.
    pub p50: f64,
    /// 99 of 100.
    pub p99: f64,
    /// 999 of 1,000.
    pub p99_9: f64,
    /// Whether it held, and if not, why.
    pub held: bool,
    /// Why it did not hold.
    pub why: Option<String>,
}

/// One condition of `--fail-if`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Threshold {
    /// As it was written, such as `p99>2ms`.
    pub condition: String,
    /// What was measured of it: µs of times, percent of shares, 0 if there was nothing to measure.
    pub measured: f64,
    /// True if the run fails by it.
    pub failed: bool,
}
