//! WebSockets (RFC 6455).
//!
//! Requests go over them when [`client::Config::transport`](crate::client::Config) says so, and a worker takes them on its port as
//! it takes HTTP. A [`Socket`] is one by itself, for programs that speak something else on it.

mod accept;
mod arena;
mod backlog;
mod config;
mod connect;
mod connection;
mod masks;
mod pending;
mod pool;
mod socket;
#[cfg(test)]
mod tests;

pub(crate) use arena::Arena;
pub use config::Config;
pub(crate) use connect::connect;
pub use grenache_transports::ws::{Kind, code};
pub(crate) use masks::Masks;
pub(crate) use pool::Pool;
pub use socket::{Answers, Data, Message, Socket};
