//! Loads for one client core. Each keeps a fixed number of requests in flight, checks every answer, and the echo loads
//! spin instead of sleeping, so that waking the client is never on the server's bill.

use std::time::Duration;

mod announcer;
mod http;
mod latency;
mod subscribers;
mod tcp_echo;
mod tls;
mod udp_echo;
mod websocket;
mod ws_echo;

pub use announcer::Announcer;
pub use http::{Http, Post, call};
pub use latency::{Latencies, round_trips};
pub use subscribers::Subscribers;
pub use tcp_echo::TcpEcho;
pub use tls::{client_config, handshakes};
pub use udp_echo::UdpEcho;
pub use ws_echo::WsEcho;

/// Bytes per echo request.
pub const MESSAGE: usize = 64;

/// A load that stands still for this long has failed: no server here takes a tenth of it for an answer.
pub const STALL: Duration = Duration::from_secs(5);

/// What one window of load did.
#[derive(Clone, Copy, Debug, Default)]
pub struct Outcome {
    /// Requests sent and answered in full within the window.
    pub requests: u64,
    /// From the first request to the last answer.
    pub elapsed: Duration,
    /// Datagrams that had to be sent again (UDP only).
    pub lost: u64,
}
