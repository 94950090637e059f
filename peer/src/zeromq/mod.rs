//! ZeroMQ (ZMTP 3.1): how peers of it are met, and who is let in.
//!
//! Requests go over it when [`client::Config::transport`](crate::client::Config) says so, and a worker takes it on its port as it
//! takes HTTP and WebSocket. How calls and publications stand on the wire is in `docs/zmtp-rpc.md`. A [`Socket`] is one by itself,
//! for programs that speak something else.

mod accept;
mod config;
mod connect;
mod frames;
mod gate;
mod link;
mod message;
mod sealer;
mod security;
mod socket;
#[cfg(test)]
pub(crate) mod tests;
mod wire;

pub(crate) use accept::accept;
pub use config::{Config, Form};
pub(crate) use connect::{Met, connect};
pub use gate::Gate;
pub use grenache_transports::zmtp::SocketType;
pub use grenache_transports::zmtp::curve::{BadKey, KeyPair, PublicKey, SecretKey};
pub(crate) use link::{Incoming, Link};
pub use message::Message;
pub(crate) use sealer::Sealer;
pub use security::{Security, draw_keys};
pub use socket::{Settings, Socket, Stats};

/// The connections of a core on which requests are under way.
pub(crate) type Pool = crate::multiplex::Pool<wire::Dialer>;

/// The property by which a worker says that it takes calls as arrays: [`Form::Array`].
pub(crate) const RPC_PROPERTY: &str = "X-Grenache-Rpc";

/// Its value.
pub(crate) const RPC_ARRAY: &[u8] = b"array";
