//! What a grape is told when it starts.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use grenache_engine::{DriverChoice, Idle};

/// Settings of one grape. `Config::default()` is a lone grape on 127.0.0.1 with Node's default
/// ports (DHT 20001, HTTP API 30001) and one core.
#[derive(Debug, Clone)]
pub struct Config {
    /// UDP port of the DHT; 0 asks the system for a free one.
    pub dht_port: u16,
    /// Address the DHT's sockets are bound to. Node binds every interface, whatever `host` says.
    pub dht_bind: Ipv4Addr,
    /// TCP port of the HTTP API; 0 asks the system for a free one.
    pub api_port: u16,
    /// Address the HTTP API is bound to; `::` also takes IPv4.
    pub api_bind: IpAddr,
    /// Node's `-b`: the address under which peers announced here are kept here as well.
    pub host: Option<Ipv4Addr>,
    /// Other grapes, as `host:port`; names are looked up at the start, and again while they have no
    /// address.
    pub bootstrap: Vec<String>,
    /// Queries of one lookup in flight.
    pub dht_concurrency: usize,
    /// Services for which each core remembers the nodes (and tokens) of the last announcement.
    pub dht_max_tables: usize,
    /// BEP44 items kept by each core.
    pub dht_max_values: usize,
    /// How long an announced peer is kept, unless it is announced again.
    pub peer_max_age: Duration,
    /// Routing-table contacts are checked when nothing was heard for this long.
    pub node_liveness: Duration,
    /// Threads, each with its own sockets and its share of the keys. May exceed the machine's.
    pub cores: usize,
    /// io_uring, epoll, or whichever works here.
    pub driver: DriverChoice,
    /// What a core does when it has nothing to do.
    pub idle: Idle,
    /// Limits on what HTTP clients may send and hold.
    pub limits: Limits,
}

/// Limits on HTTP clients, each per core where it counts things.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Longest request body in bytes (Node's `--check_maxPayloadSize`); longer ones answer 413.
    pub max_payload: usize,
    /// Open connections per core; further ones are closed at once, with a warning in the log.
    pub max_connections: usize,
    /// A connection without a request is closed after this long.
    pub idle_timeout: Duration,
    /// A request whose bytes do not arrive in this time answers 408 and closes.
    pub request_timeout: Duration,
    /// A client that does not read its answers is cut off after this long.
    pub write_timeout: Duration,
    /// Unread answer bytes of one connection above which no further request is read.
    pub write_high_water: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            max_payload: 8192,
            max_connections: 50_000,
            idle_timeout: Duration::from_secs(120),
            request_timeout: Duration::from_secs(30),
            write_timeout: Duration::from_secs(30),
            write_high_water: 256 * 1024,
        }
    }
}

/// Node's workers announce themselves again after 60 to 180 s, and its grape, started from the command
/// line without `--dpa`, forgets nobody. The documented 120 s, kept exactly, would lose a worker for
/// an eighth of its life; this outlasts the longest interval with its retries.
const DEFAULT_PEER_MAX_AGE: Duration = Duration::from_secs(200);

impl Default for Config {
    fn default() -> Self {
        Config {
            dht_port: 20001,
            dht_bind: Ipv4Addr::LOCALHOST,
            api_port: 30001,
            api_bind: IpAddr::V4(Ipv4Addr::LOCALHOST),
            host: Some(Ipv4Addr::LOCALHOST),
            bootstrap: Vec::new(),
            dht_concurrency: 16,
            dht_max_tables: 5000,
            dht_max_values: 5000,
            peer_max_age: DEFAULT_PEER_MAX_AGE,
            node_liveness: Duration::from_millis(300_000),
            cores: 1,
            driver: DriverChoice::Auto,
            idle: Idle::Park,
            limits: Limits::default(),
        }
    }
}

impl Config {
    /// Where the DHT listens.
    pub fn dht_addr(&self) -> SocketAddr {
        SocketAddr::new(IpAddr::V4(self.dht_bind), self.dht_port)
    }

    /// Where the HTTP API listens.
    pub fn api_addr(&self) -> SocketAddr {
        SocketAddr::new(self.api_bind, self.api_port)
    }
}
