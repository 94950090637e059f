//! Settings of WebSockets.

use std::time::Duration;

use grenache_transports::ws;

/// Settings of a WebSocket that is made, or that is taken by [`Socket::accept`](super::Socket::accept).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// Longest time for making a connection, with the handshakes of TLS and WebSocket. 5 s.
    pub connect_timeout: Duration,
    /// Longest message that is received, in bytes, decompressed; over it, the connection is closed with 1009. 64 MiB.
    pub max_message: usize,
    /// A connection on which nothing has come for so long is sent a ping. 30 s.
    pub ping_interval: Duration,
    /// How long anything may take to come after a ping. Then the connection is broken off. 15 s.
    pub ping_timeout: Duration,
    /// Compress messages, if the other side can (permessage-deflate). It takes some 300 KB for each connection. Off.
    pub deflate: bool,
    /// Of connections on which requests are under way: one that nobody has used for so long is closed. 120 s.
    pub idle_timeout: Duration,
    /// Most requests under way on one of them, before another is made to the same destination. 512.
    pub max_in_flight: usize,
    /// Most of them to one destination, per core; beyond that each takes more. At least 1. 64.
    pub max_connections: usize,
    /// Bytes that are queued for sending at once; the rest of a large message waits. 256 KiB.
    pub send_high_water: usize,
}

impl Default for Config {
    fn default() -> Config {
        Config {
            connect_timeout: Duration::from_secs(5),
            max_message: 64 * 1024 * 1024,
            ping_interval: Duration::from_secs(30),
            ping_timeout: Duration::from_secs(15),
            deflate: false,
            idle_timeout: Duration::from_secs(120),
            max_in_flight: 512,
            max_connections: 64,
            send_high_water: 256 * 1024,
        }
    }
}

impl Config {
    pub(crate) fn limits(&self) -> ws::Config {
        let max_frame = self.max_message as u64;
        ws::Config { max_frame, max_message: self.max_message, ..ws::Config::default() }
    }
}
