//! HTTP/1.1 (RFC 9112, RFC 9110): the server's side here, the client's in [`client`].
//!
//! [`Connection`] turns the bytes of one connection into requests that borrow from the receive buffer; [`response`] writes
//! the answers, [`chunk`] bodies whose length nobody knows yet. The order of answers, the sockets and the deadlines are the caller's; [`Connection::phase`] says what the
//! connection waits for.
//!
//! Where RFC 9112 leaves a choice between tolerance and refusal we refuse, because two parsers that disagree about where a
//! request ends are how requests are smuggled: a bare LF does not end a line (section 2.2), a repeated Content-Length is
//! refused even if both are equal (6.3), blanks around a chunk size are refused (7.1).

mod body;
pub mod chunk;
mod chunked;
pub mod client;
mod config;
mod connection;
pub mod date;
mod error;
mod field;
mod head;
mod lines;
mod request;
pub mod response;
mod syntax;

pub use config::{Bodies, Config};
pub use connection::{Connection, Event, Phase};
pub use error::{Error, Limit, Malformed, Unsupported};
pub use field::{BadField, Field};
pub use request::{Fields, Form, Framing, Head, Headers, Persistence, Request, Version};
