//! The server's side.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::{BufMut, BytesMut};

use super::{ACCEPT, VERSION, accept, has_token};
use crate::http::{Framing, Head, Headers, Version};
use crate::ws::Deflate;

/// Whether a request asks for a WebSocket.
pub fn is_asked(head: &Head<'_>) -> bool {
    head.version == Version::Http11 && has_token(head.headers, "upgrade", b"websocket")
}

/// A request for a WebSocket that can be granted.
#[derive(Debug, Clone, Copy)]
pub struct Offer<'a> {
    accept: [u8; ACCEPT],
    headers: Headers<'a>,
}

/// Why a request for a WebSocket is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// It is not GET: 405.
    Method,
    /// It has a body: 400.
    Body,
    /// Connection does not say Upgrade: 400.
    Connection,
    /// `Sec-WebSocket-Key` is missing, or there are several, or it is not 16 bytes: 400.
    Key,
    /// Another version than 13: 426, with the field `sec-websocket-version: 13`.
    Version,
}

impl Refusal {
    /// The status code to answer with.
    pub const fn status(self) -> u16 {
        match self {
            Self::Method => 405,
            Self::Version => 426,
            Self::Body | Self::Connection | Self::Key => 400,
        }
    }

    /// One short line for the client.
    pub const fn text(self) -> &'static str {
        match self {
            Self::Method => "a WebSocket is asked for by GET",
            Self::Body => "a request for a WebSocket has no body",
            Self::Connection => "no 'connection: upgrade'",
            Self::Key => "bad Sec-WebSocket-Key",
            Self::Version => "Sec-WebSocket-Version has to be 13",
        }
    }
}

impl<'a> Offer<'a> {
    /// Reads a request (section 4.2.1).
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn read(head: &Head<'a>) -> Result<Offer<'a>, Refusal> {
        let headers = head.headers;
        if head.method != "GET" {
            return Err(Refusal::Method);
        }
        if !matches!(head.framing, Framing::None | Framing::Length(0)) {
            return Err(Refusal::Body);
        }
        if !has_token(headers, "connection", b"upgrade") {
            return Err(Refusal::Connection);
        }
        if headers.get("sec-websocket-version") != Some(VERSION) {
            return Err(Refusal::Version);
        }
        let mut keys = headers.get_all("sec-websocket-key");
        let (Some(key), None) = (keys.next(), keys.next()) else { return Err(Refusal::Key) };
        let mut nonce = [0; 18];
        if STANDARD.decode_slice(key, &mut nonce) != Ok(16) {
            return Err(Refusal::Key);
        }
        Ok(Offer { accept: accept(key), headers })
    }

    /// The protocols that the client speaks, the one it likes best first; each may be chosen.
    pub fn protocols(&self) -> impl Iterator<Item = &'a [u8]> {
        let fields = self.headers.get_all("sec-websocket-protocol");
        let all = fields.flat_map(|value| value.split(|&byte| byte == b','));
        all.map(<[u8]>::trim_ascii).filter(|name| !name.is_empty())
    }

    /// What can be agreed upon of compression, if the client offers it.
    pub fn deflate(&self) -> Option<Deflate> {
        Deflate::accept(self.headers)
    }

    /// Appends the answer, after which the connection is a WebSocket. `protocol` is said only if it is one of those offered,
    /// which cannot end the head.
    pub fn accept(&self, out: &mut BytesMut, protocol: Option<&str>, deflate: Option<Deflate>) {
        out.put_slice(
            b"HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: Upgrade\r\n\
              sec-websocket-accept: ",
        );
        out.put_slice(&self.accept);
        let offered = |name: &&str| self.protocols().any(|one| one == name.as_bytes());
        if let Some(protocol) = protocol.filter(offered) {
            out.put_slice(b"\r\nsec-websocket-protocol: ");
            out.put_slice(protocol.as_bytes());
        }
        if let Some(deflate) = deflate {
            out.put_slice(b"\r\nsec-websocket-extensions: ");
            out.put_slice(deflate.to_string().as_bytes());
        }
        out.put_slice(b"\r\n\r\n");
    }
}
