//! What a handle is told when it starts.

use std::time::Duration;

use grenache_engine::{DriverChoice, Idle, Pinning};

use crate::client;
use crate::link;
use crate::subscribe;
use crate::tls::ClientTls;

/// Settings of one [`Handle`](super::Handle). `Config::default()` is one core that asks the grape on 127.0.0.1:30001.
#[derive(Clone, Debug)]
pub struct Config {
    /// The grapes: `http://host:port` or `https://host:port` each.
    pub grapes: Vec<String>,
    /// Threads that do the calls. One carries tens of thousands of calls a second.
    pub cores: usize,
    /// io_uring, epoll, or whichever works here.
    pub driver: DriverChoice,
    /// What a core does when it has nothing to do.
    pub idle: Idle,
    /// Whether and where the threads are pinned.
    pub pinning: Pinning,
    /// For workers that take TLS, and for `https` grapes. Without it workers are called in plain, and `https` grapes are
    /// checked against the system's authorities.
    pub client_tls: Option<ClientTls>,
    /// How services are called.
    pub client: client::Config,
    /// How publishers are listened to.
    pub subscribe: subscribe::Config,
    /// How grapes are asked.
    pub link: link::Config,
    /// Calls and other jobs that are queued or run at once; more are refused with [`Error::Busy`](crate::Error::Busy).
    pub max_calls: usize,
    /// How long calls that run may take once the handle is stopped; those left end with
    /// [`Error::Stopped`](crate::Error::Stopped).
    pub drain: Duration,
}

impl Default for Config {
    fn default() -> Config {
        Config {
            grapes: vec!["http://127.0.0.1:30001".into()],
            cores: 1,
            driver: DriverChoice::Auto,
            idle: Idle::Park,
            pinning: Pinning::Off,
            client_tls: None,
            client: client::Config::default(),
            subscribe: subscribe::Config::default(),
            link: link::Config::default(),
            max_calls: 16 * 1024,
            drain: Duration::from_secs(5),
        }
    }
}
