//! The client's side.

use core::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::{BufMut, BytesMut};

use super::{ACCEPT, VERSION, accept, has_token};
use crate::http::client::{self, Start, request};
use crate::http::{self, Field};
use crate::ws::Deflate;
use crate::ws::deflate::OFFER;

/// What a client proves its question by: 16 bytes that nobody can foresee, as text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Key([u8; 24]);

impl Key {
    /// Of random bytes.
    pub fn new(random: [u8; 16]) -> Key {
        let mut key = [0; 24];
        // 16 bytes are 24 characters.
        let _ = STANDARD.encode_slice(random, &mut key);
        Key(key)
    }
}

/// Appends the request (section 4.1). `start` is a GET. `fields` are further ones, and may name the protocol that is wanted.
pub fn write_request(
    out: &mut BytesMut,
    start: Start<'_>,
    key: &Key,
    deflate: bool,
    fields: &[Field<'_>],
) {
    request::write_head(out, start, fields, http::Framing::None);
    // Before the empty line.
    out.truncate(out.len() - 2);
    out.put_slice(b"upgrade: websocket\r\nconnection: Upgrade\r\nsec-websocket-version: ");
    out.put_slice(VERSION);
    out.put_slice(b"\r\nsec-websocket-key: ");
    out.put_slice(&key.0);
    if deflate {
        out.put_slice(b"\r\nsec-websocket-extensions: ");
        out.put_slice(OFFER);
    }
    out.put_slice(b"\r\n\r\n");
}

/// What a server has agreed to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Agreed {
    /// It speaks the protocol that was asked for.
    pub protocol: bool,
    /// Messages may be compressed.
    pub deflate: Option<Deflate>,
}

/// Why there is no WebSocket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Failure {
    /// The answer is no HTTP, or over a limit.
    Http(http::Error),
    /// The server answers with another status than 101.
    Status(u16),
    /// It switches to another protocol, or does not show that it has understood.
    NotWebSocket,
    /// It says that it does what nobody asked for.
    NotAsked,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Http(error) => write!(f, "the answer is not HTTP: {error}"),
            Self::Status(401) => f.write_str("the server does not let this client in (401)"),
            Self::Status(status) => write!(f, "the server answers {status} instead of upgrading"),
            Self::NotWebSocket => f.write_str("the answer is not a WebSocket's"),
            Self::NotAsked => f.write_str("the server answers with an extension nobody asked for"),
        }
    }
}

impl core::error::Error for Failure {}

/// Reads the answer.
#[derive(Debug)]
pub struct Answer {
    accept: [u8; ACCEPT],
    protocol: Option<&'static str>,
    deflate: bool,
    parser: client::Parser,
    head: Vec<u8>,
    /// Answers that were not the last.
    interim: usize,
}

impl Answer {
    /// The answer to a request with this key, that asked for a protocol, and offered compression.
    pub fn new(key: &Key, protocol: Option<&'static str>, deflate: bool) -> Answer {
        let (parser, head) = (client::Parser::new(), Vec::new());
        Answer { accept: accept(&key.0), protocol, deflate, parser, head, interim: 0 }
    }

    /// Takes bytes off the front of `input`. Once the answer is complete, what is left are frames.
    ///
    /// # Errors
    /// Why there is no WebSocket: close the connection.
    pub fn receive(&mut self, input: &mut &mut [u8]) -> Result<Option<Agreed>, Failure> {
        let config = client::Config::default();
        loop {
            let known = self.head.len();
            self.head.extend_from_slice(input);
            let complete = self.parser.parse(&self.head, &config).map_err(Failure::Http)?;
            let taken = if complete { self.parser.len() - known } else { input.len() };
            *input = &mut core::mem::take(input)[taken..];
            if !complete {
                return Ok(None);
            }
            let head = self.parser.view(&self.head, true).ok_or(Failure::NotWebSocket)?;
            // Others of its kind may come first (RFC 9110 section 15.2).
            let interim = (100..200).contains(&head.status) && head.status != 101;
            if !interim || self.interim == config.max_informational {
                return self.judge(&head).map(Some);
            }
            self.interim += 1;
            self.parser = client::Parser::new();
            self.head.clear();
        }
    }

    /// Whether the server has understood, and says nothing that was not asked for (section 4.1).
    fn judge(&self, head: &client::Head<'_>) -> Result<Agreed, Failure> {
        if head.status != 101 {
            return Err(Failure::Status(head.status));
        }
        let headers = head.headers;
        let mut accepts = headers.get_all("sec-websocket-accept");
        let accepted = accepts.next() == Some(&self.accept) && accepts.next().is_none();
        if !accepted
            || head.version != http::Version::Http11
            || !has_token(headers, "upgrade", b"websocket")
            || !has_token(headers, "connection", b"upgrade")
        {
            return Err(Failure::NotWebSocket);
        }
        let mut protocols = headers.get_all("sec-websocket-protocol");
        let protocol = match (protocols.next(), protocols.next(), self.protocol) {
            (None, ..) => false,
            (Some(one), None, Some(asked)) if one == asked.as_bytes() => true,
            _ => return Err(Failure::NotAsked),
        };
        let deflate = Deflate::agreed(headers).map_err(|()| Failure::NotAsked)?;
        if deflate.is_some() && !self.deflate {
            return Err(Failure::NotAsked);
        }
        Ok(Agreed { protocol, deflate })
    }
}
