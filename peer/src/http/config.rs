//! The limits of a pool.

use std::time::Duration;

use grenache_transports::http::client;

/// How a core's connections to other peers and to grapes are made, kept and bounded. Each core has its own.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Config {
    /// Longest time for making a connection, with its TLS handshake; over it, the call fails as one that was refused. The
    /// call's own deadline applies as well. 5 s.
    pub connect_timeout: Duration,
    /// A connection that nobody has used for so long is closed; sooner if the server has announced that it will close it.
    /// Judged once a second. 120 s.
    pub idle_timeout: Duration,
    /// Most connections to one destination, per core. At least 1. 64.
    pub max_connections: usize,
    /// Most calls that wait for a connection to one destination, first come, first served; a call over it fails at once with
    /// `ERR_BUSY`. 16384.
    pub max_waiting: usize,
    /// Most requests under way on one connection once there are `max_connections`: those marked idempotent are sent one after
    /// another without waiting for answers, which come in their order, so that a slow one holds up the others. 1 does without
    /// that. At most 64.
    pub max_pipelined: usize,
    /// Longest reply in bytes, as it is on the wire, compressed if it is. Streamed ones are not bounded. 64 MiB.
    pub max_reply: u64,
    /// Longest head of an answer in bytes. 16 KiB.
    pub max_head: usize,
    /// Most header fields in an answer. 100.
    pub max_headers: usize,
    /// Bytes of a request that are queued for sending at once; the rest of a large body waits. 256 KiB.
    pub send_high_water: usize,
}

impl Default for Config {
    fn default() -> Self {
        let http = client::Config::default();
        Self {
            connect_timeout: Duration::from_secs(5),
            idle_timeout: Duration::from_secs(120),
            max_connections: 64,
            max_waiting: 16 * 1024,
            max_pipelined: 1,
            max_reply: 64 * 1024 * 1024,
            max_head: http.max_head,
            max_headers: http.max_headers,
            send_high_water: 256 * 1024,
        }
    }
}

impl Config {
    pub(super) fn http(&self) -> client::Config {
        let http = client::Config::default();
        client::Config {
            max_head: self.max_head,
            max_headers: self.max_headers,
            max_body: self.max_reply,
            max_outstanding: self.pipelined(),
            ..http
        }
    }

    /// `max_pipelined` as it is obeyed.
    pub(super) fn pipelined(&self) -> usize {
        self.max_pipelined.clamp(1, 64)
    }
}
