//! Grenache's transports as pure protocols: bytes in, bytes and events out.
//!
//! Nothing here knows a socket, a clock, a thread or a source of randomness; whoever drives a protocol brings them.

mod heartbeat;
pub mod http;
mod input;
pub mod ws;
pub mod zmtp;

pub use heartbeat::{Due, Heartbeat};
