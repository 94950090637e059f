//! The limits of a server.

use std::time::Duration;

use crate::zeromq::Gate;

/// Limits of a server, each for one core unless it says otherwise. Of `max_pipelined`, `stream_buffer` and
/// `write_high_water` 0 is as much as 1.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// Answer requests by HTTP. If not: 426.
    pub http: bool,
    /// Take WebSockets. If not, asking for one is an HTTP request like any other.
    pub websocket: bool,
    /// Take ZeroMQ. If not, what it says first is refused as what is no HTTP.
    pub zeromq: bool,
    /// Whom it lets in over ZeroMQ.
    pub gate: Gate,
    /// Beside TLS, take connections without it. ZeroMQ is taken without it anyway if the gate is CURVE's, which encrypts.
    pub plain: bool,
    /// Most connections. Further ones are closed at once, and counted as refused.
    pub max_connections: usize,
    /// Most requests that handlers have in hand at a time. Further ones are answered 503 `ERR_BUSY` without being begun.
    pub max_in_flight: usize,
    /// Most HTTP requests of one connection in hand at a time; further ones wait in the connection.
    pub max_pipelined: usize,
    /// Most requests of one WebSocket, or ZeroMQ connection, in hand at a time. Further ones are answered `ERR_BUSY` without being begun.
    pub max_concurrent: usize,
    /// Longest request head in bytes, which is also where streamed requests have their arguments. Over: 431.
    pub max_head: usize,
    /// Longest body of a request that is not streamed, in bytes as sent. Over: 413. Longest message of a WebSocket,
    /// decompressed, or of ZeroMQ. Over: it is closed, WebSockets with 1009.
    pub max_body: u64,
    /// Longest body after decompression, in bytes. Over: 413.
    pub max_inflated: u64,
    /// Most bytes of requests that are kept at a time: bodies on their way and those of requests in hand, before and after
    /// decompression. Streamed ones have `stream_buffer` instead. A request that is over it is answered 503 `ERR_BUSY` without
    /// being begun; if it was still on its way, its connection is closed.
    pub max_held: u64,
    /// Most bytes of a body nobody wants (too large, or its handler has answered already) that are read and thrown away for
    /// the client's sake, so that it gets to read the answer. After that the connection is closed.
    pub max_discard: u64,
    /// Bytes of a streamed request that wait for its handler before the client is made to wait, and bytes of a streamed
    /// reply that wait for the client before the handler is.
    pub stream_buffer: usize,
    /// Bytes that a connection may have waiting to be sent before nothing more is read from it.
    pub write_high_water: usize,
    /// How long a request that is not streamed may take to arrive. Over: 408, and the connection is closed.
    pub request_timeout: Duration,
    /// How long a connection may be silent between two requests, or in the middle of a streamed request whose handler waits
    /// for more. Then it is closed; the handler reads [`Error::Timeout`](crate::Error::Timeout) first.
    pub idle_timeout: Duration,
    /// How long a handshake of ZeroMQ may take. Then the connection is closed.
    pub handshake_timeout: Duration,
    /// A WebSocket or a ZeroMQ connection on which nothing has come for so long is sent a ping.
    pub ping_interval: Duration,
    /// How long anything may take to come after a ping. Then the connection is broken off.
    pub ping_timeout: Duration,
    /// Compress messages of WebSockets that offer it (permessage-deflate), in both directions, but for what is published. It
    /// takes some 300 KB for each.
    pub deflate: bool,
    /// How long a client may leave its answers unread. Then the connection is broken off.
    pub write_timeout: Duration,
    /// While draining: how long a connection without a request stays open, for clients that have just sent one.
    pub drain_grace: Duration,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            http: true,
            websocket: true,
            zeromq: true,
            gate: Gate::Null,
            plain: false,
            max_connections: 10_000,
            max_in_flight: 4096,
            max_pipelined: 64,
            max_concurrent: 1024,
            max_head: 64 * 1024,
            max_body: 64 * 1024 * 1024,
            max_inflated: 64 * 1024 * 1024,
            max_held: 1024 * 1024 * 1024,
            max_discard: 64 * 1024 * 1024,
            stream_buffer: 256 * 1024,
            write_high_water: 256 * 1024,
            request_timeout: Duration::from_secs(60),
            idle_timeout: Duration::from_secs(120),
            handshake_timeout: Duration::from_secs(10),
            ping_interval: Duration::from_secs(30),
            ping_timeout: Duration::from_secs(15),
            deflate: false,
            write_timeout: Duration::from_secs(30),
            drain_grace: Duration::from_millis(100),
        }
    }
}
