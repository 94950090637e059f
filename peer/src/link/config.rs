//! Settings of a link.

use std::time::Duration;

use crate::backoff::Backoff;
use crate::http;

/// Settings of a [`Link`](super::Link). The defaults are Node's where Node has the setting.
#[derive(Debug, Clone)]
pub struct Config {
    /// How long one try of one call may take, connecting included.
    pub request_timeout: Duration,
    /// Tries of one call, counted over all grapes; each grape is tried once at least.
    pub tries: usize,
    /// Pause before the grapes are gone through once more.
    pub retry: Backoff,
    /// How long a grape that failed is asked only after all others.
    pub aside: Backoff,
    /// How long the answer to a lookup is used. An empty answer is not kept at all.
    pub cache_age: Duration,
    /// Services whose answers are kept; the one that was used least recently makes room.
    pub cache_entries: usize,
    /// A client whose destinations all fail looks its service up again, unless the answer it has is younger than this.
    pub refresh_age: Duration,
    /// Announcements are repeated after this time on average. A grape forgets a peer after 120 s (Node's, as documented) or
    /// 200 s (ours).
    pub announce_interval: Duration,
    /// How far an interval may be off its average in either direction, as a share of it: 0.25 is a quarter.
    pub announce_jitter: f64,
    /// Pauses between announcements while no grape takes one.
    pub announce_retry: Backoff,
    /// Pauses between the lookups of [`Link::wait_for_service`](super::Link::wait_for_service) in its first ten seconds.
    pub wait: Backoff,
    /// The longest pause after that.
    pub wait_longest: Duration,
    /// Addresses that are taken from one answer; further ones are left out.
    pub max_peers: usize,
    /// Connections to grapes. A grape's answers are small, so the limits are lower than those for workers.
    pub pool: http::Config,
}

impl Default for Config {
    fn default() -> Config {
        Config {
            request_timeout: Duration::from_millis(2500),
            tries: 3,
            retry: Backoff::from_millis(50, 1000),
            aside: Backoff::from_millis(1000, 30_000),
            cache_age: Duration::from_secs(10),
            cache_entries: 2500,
            refresh_age: Duration::from_millis(100),
            announce_interval: Duration::from_secs(60),
            announce_jitter: 0.25,
            announce_retry: Backoff::from_millis(100, 10_000),
            wait: Backoff::from_millis(5, 40),
            wait_longest: Duration::from_secs(1),
            max_peers: 1000,
            pool: http::Config {
                max_connections: 16,
                max_reply: 1024 * 1024,
                ..http::Config::default()
            },
        }
    }
}
