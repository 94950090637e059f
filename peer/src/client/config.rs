//! Settings of a client.

use std::time::Duration;

use crate::backoff::Backoff;
use crate::error::Error;
use crate::{http, websocket, zeromq};

/// How a destination is chosen among those that work.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Choice {
    /// The one with fewer requests of this core in flight, of two drawn at random.
    #[default]
    LeastLoaded,
    /// Any, as Node does.
    Random,
}

/// What requests go over. A worker of ours takes all on the same port; one of Node's takes the one it was made for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Transport {
    /// HTTP, as grenache-nodejs-http: a connection for each request under way.
    #[default]
    Http,
    /// WebSocket, as grenache-nodejs-ws: all requests to a worker on one connection, answered in any order. Headers, compression
    /// of a single call, and streams are HTTP's.
    WebSocket,
    /// ZeroMQ, to a worker's ROUTER socket: otherwise as [`WebSocket`](Self::WebSocket). Workers that are not ours are asked as
    /// grenache-nodejs-zmq did; then payload and result are texts, see [`zeromq::Form`].
    ZeroMq,
}

impl Transport {
    /// # Errors
    /// [`Error::Config`] if it is not HTTP, which alone has `what`.
    pub(super) fn needs_http(self, what: &str) -> Result<(), Error> {
        let name = match self {
            Transport::Http => return Ok(()),
            Transport::WebSocket => "WebSocket",
            Transport::ZeroMq => "ZeroMQ",
        };
        Err(Error::Config(format!("{what} are HTTP's: not over {name}")))
    }
}

/// Settings of a [`Client`](super::Client).
#[derive(Debug, Clone)]
pub struct Config {
    /// What requests go over.
    pub transport: Transport,
    /// How a destination is chosen.
    pub choice: Choice,
    /// Requests in flight, waiting ones included, per client and core. Further ones fail with
    /// [`Error::Busy`].
    pub max_in_flight: usize,
    /// Largest reply after decompression, in bytes. What comes over the wire is limited by [`pool`](Self::pool).
    pub max_inflated: usize,
    /// Retries that are allowed per request, in the long run: with 0.1 ten requests earn one retry.
    pub retry_ratio: f64,
    /// Retries per second that are allowed in any case.
    pub retries_per_second: f64,
    /// Retries that can be saved up for when many requests fail at once.
    pub retry_burst: f64,
    /// Pauses before a retry, but for the first that goes to another destination: that one leaves at once.
    pub retry: Backoff,
    /// How long a destination that failed is left out. After that one request probes it.
    pub aside: Backoff,
    /// Failures in a row after which a destination that can be connected to is set aside. One that cannot is set aside at the
    /// first. That it did not answer a caller who waited for less than 10 ms is no failure of it.
    pub failures_before_aside: u32,
    /// Destinations that are remembered per core; the one that was used least recently makes room.
    pub max_destinations: usize,
    /// A destination that was not used for so long is forgotten.
    pub destination_age: Duration,
    /// Requests of one `map` that run at the same time.
    pub map_concurrency: usize,
    /// HTTP connections to workers.
    pub pool: http::Config,
    /// WebSocket connections to workers.
    pub websocket: websocket::Config,
    /// ZeroMQ connections to workers.
    pub zeromq: zeromq::Config,
}

impl Default for Config {
    fn default() -> Config {
        Config {
            transport: Transport::default(),
            choice: Choice::default(),
            max_in_flight: 16_384,
            max_inflated: 64 * 1024 * 1024,
            retry_ratio: 0.1,
            retries_per_second: 10.0,
            retry_burst: 100.0,
            retry: Backoff::from_millis(25, 1000),
            aside: Backoff::from_millis(250, 30_000),
            failures_before_aside: 3,
            max_destinations: 10_000,
            destination_age: Duration::from_secs(600),
            map_concurrency: 64,
            pool: http::Config::default(),
            websocket: websocket::Config::default(),
            zeromq: zeromq::Config::default(),
        }
    }
}
