//! HTTP/1.1, the client's side.
//!
//! [`request`] writes requests; [`Connection`] is told of each with [`Connection::expect`] and turns the bytes that come back
//! into answers, first in, first out, with the strictness of the server's side. Sockets and deadlines are the caller's.
//!
//! ```
//! use bytes::BytesMut;
//! use grenache_transports::http::client::{Config, Connection, Event, Expected, Start, request};
//!
//! let mut out = BytesMut::new();
//! let start = Start::new("POST", "/", "127.0.0.1:1337").unwrap();
//! request::write(&mut out, start, &[], br#"["rid","rest:net:util","hello"]"#);
//!
//! let mut connection = Connection::new(Config::default());
//! connection.expect(Expected::default()).unwrap();
//! let mut input: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 19\r\n\r\n[\"rid\",null,\"world\"]";
//! let Ok(Some(Event::Response(answer))) = connection.receive(&mut input) else { panic!() };
//! assert_eq!((answer.status, answer.body), (200, &br#"["rid",null,"world"]"#[..19]));
//! ```

mod config;
mod connection;
mod error;
mod head;
pub mod request;
mod response;

pub use config::Config;
pub use connection::{Connection, Event, Expected, Full, Phase};
pub use error::Error;
pub(crate) use head::Parser;
pub use request::{BadStart, Start};
pub use response::{Head, Response};
