//! WebSockets (RFC 6455).
//!
//! Requests go over them when [`client::Config::transport`](crate::client::Config) says so, and a worker takes them on its port as
//! it takes HTTP. A [`Socket`] is one by itself, for programs that speak something else on it.

mod accept;
mod config;
mod connect;
mod masks;
mod socket;
#[cfg(test)]
mod tests;
mod wire;

pub use config::Config;
pub(crate) use connect::connect;
pub use grenache_transports::ws::{Kind, code};
pub(crate) use masks::Masks;
pub use socket::{Answers, Data, Message, Socket};

/// The WebSockets of a core on which requests are under way.
pub(crate) type Pool = crate::multiplex::Pool<wire::Dialer>;
