//! WebSocket (RFC 6455), both roles, with permessage-deflate (RFC 7692).
//!
//! [`handshake`] is how a connection begins: a request and an answer of HTTP. After it, [`Connection`] turns the bytes of one
//! connection into messages that borrow from the receive buffer, where they are unmasked in place; [`frame`] writes what goes
//! out. Sockets, deadlines and the randomness of masks are the caller's; [`Heartbeat`](crate::Heartbeat) says when a ping is due.
//!
//! ```
//! use bytes::BytesMut;
//! use grenache_transports::ws::{Config, Connection, Event, Kind, Role, frame};
//!
//! let mut wire = BytesMut::new();
//! frame::write_message(&mut wire, Kind::Text, Some([1, 2, 3, 4]), b"hello");
//! let mut server = Connection::new(Role::Server, Config::default());
//! let mut input = &mut wire[..];
//! let Ok(Some(Event::Message(message))) = server.receive(&mut input) else { panic!() };
//! assert_eq!((message.kind, message.data), (Kind::Text, &b"hello"[..]));
//! ```
//!
//! Where RFC 6455 leaves a choice between tolerance and refusal we refuse: a text that is not UTF-8 fails at the first byte that
//! cannot be, a length that is not in its shortest form is no length (section 5.2).

mod close;
mod config;
mod connection;
mod deflate;
mod error;
pub mod frame;
pub mod handshake;
mod mask;
mod utf8;

pub use close::{Close, code};
pub use config::{Config, Role};
pub use connection::{Connection, Event, Message};
pub use deflate::{Deflate, Deflater};
pub use error::Error;
pub use frame::Kind;
pub use mask::Mask;
