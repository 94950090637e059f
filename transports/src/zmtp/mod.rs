//! ZMTP 3.1 (RFC 37), which ZeroMQ sockets speak over TCP, and its predecessor 3.0 (RFC 23); both sides of a connection.
//!
//! [`Connection`] turns the bytes of one connection into messages that borrow from the receive buffer, once both sides have
//! greeted each other and a [`Mechanism`] lets them: NULL, PLAIN (RFC 24) or CURVE (RFC 26). What makes a socket of connections
//! (queues, who gets what, identities, the empty part around a REQ's message) is the caller's, like sockets, deadlines and
//! randomness; [`Connection::phase`] says what the connection waits for, [`Heartbeat`](crate::Heartbeat) when a PING is due.
//!
//! Where libzmq differs from the RFCs, what it does is taken, and what it takes is sent:
//!
//! - It sends the first ten bytes of its greeting and waits for ours before the rest. So a listener goes by the first byte
//!   ([`is_zmtp`]) and greets at once. It never says that it is the server of a mechanism.
//! - CURVE's MESSAGE is no command frame, and what is a command inside is marked there by a bit that RFC 26 does not know.
//! - A PING may come between the parts of a message.
//!
//! Peers that speak 1.0 or 2.0 only (libzmq 2 and 3) are refused.

mod command;
mod config;
mod connection;
mod error;
mod event;
pub mod frame;
mod greeting;
mod mechanism;
mod metadata;
mod socket;
mod subscription;
mod traffic;

pub use config::Config;
pub use connection::Connection;
pub use error::{Error, Insecure, Limit, Malformed, Misuse, Unsupported};
pub use event::{Event, Message, Phase};
pub use frame::Parts;
pub use greeting::{Version, is_zmtp};
pub use mechanism::{Credentials, Mechanism, Side, curve};
pub use metadata::{Metadata, Peer, Properties};
pub use socket::SocketType;
