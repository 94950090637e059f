//! Settings of ZeroMQ connections.

use std::time::Duration;

use grenache_transports::zmtp;

use super::Security;

/// How a call stands on the wire (`docs/zmtp-rpc.md`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Form {
    /// As an array if the worker says that it takes it, and as frames if it does not.
    #[default]
    Told,
    /// One part, `[rid, key, payload]`, as on a WebSocket; the answer is `[rid, error, result]`.
    Array,
    /// Three parts `rid`, `key`, `payload`, as grenache-nodejs-zmq had it; the answer is `rid`, `result`, or an error that begins
    /// with `ERR_`. Payload and result are texts.
    Frames,
}

/// Settings of a ZeroMQ connection that is made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// Longest time for making a connection, with the handshakes of TLS and ZMTP. 5 s.
    pub connect_timeout: Duration,
    /// How this side is secured, and the other is known. [`Security::Null`].
    pub security: Security,
    /// How calls stand on the wire. [`Form::Told`].
    pub form: Form,
    /// Longest message that is received, in bytes, all its parts together; over it, the connection is closed. 64 MiB.
    pub max_message: usize,
    /// Most parts in a message that is received. 1024.
    pub max_parts: usize,
    /// A connection on which nothing has come for so long is sent a PING, if the other side knows it (ZMTP 3.1). 30 s.
    pub ping_interval: Duration,
    /// How long anything may take to come after a PING. Then the connection is broken off. 15 s.
    pub ping_timeout: Duration,
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
            security: Security::default(),
            form: Form::default(),
            max_message: 64 * 1024 * 1024,
            max_parts: 1024,
            ping_interval: Duration::from_secs(30),
            ping_timeout: Duration::from_secs(15),
            idle_timeout: Duration::from_secs(120),
            max_in_flight: 512,
            max_connections: 64,
            send_high_water: 256 * 1024,
        }
    }
}

impl Config {
    pub(crate) fn limits(&self) -> zmtp::Config {
        zmtp::Config {
            max_frame: self.max_message,
            max_message: self.max_message,
            max_parts: self.max_parts,
            ..zmtp::Config::default()
        }
    }
}
