//! What a handler is given.

use std::borrow::Cow;
use std::fmt;
use std::net::SocketAddr;
use std::rc::Rc;

use bytes::{Bytes, BytesMut};
use grenache_transports::http::Headers;
use serde::de::DeserializeOwned;

use crate::channel::Channel;
use crate::error::Error;
use crate::json::Json;
use crate::tls::Certificate;
use crate::zeromq::PublicKey;

/// A request for a service. Keeping it keeps its bytes; they are shared by all that is taken from it.
#[derive(Clone)]
pub struct Request {
    pub(super) service: Rc<str>,
    pub(super) rid: Json,
    pub(super) payload: Json,
    pub(super) origin: Origin,
}

impl Request {
    /// The service that is asked.
    pub fn service(&self) -> &str {
        &self.service
    }

    /// The request's id: mostly a text, in quotes.
    pub fn rid(&self) -> &Json {
        &self.rid
    }

    /// What is asked, as it came.
    pub fn payload(&self) -> &Json {
        &self.payload
    }

    /// What is asked, as a type.
    ///
    /// # Errors
    /// As [`Json::to`]. Passed on by the handler it tells the client what is wrong with its request.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T, Error> {
        self.payload.to()
    }

    /// A header field of the request, in any case of letters; the first, if there are several.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.origin.header(name)
    }

    /// All header fields with their values. Of a WebSocket's request they are those of the handshake.
    pub fn headers(&self) -> impl Iterator<Item = (&str, &[u8])> {
        self.origin.headers()
    }

    /// The client's address.
    pub fn peer_addr(&self) -> SocketAddr {
        self.origin.peer.addr
    }

    /// The client's certificate, if it came over TLS and showed one.
    pub fn certificate(&self) -> Option<&Certificate> {
        self.origin.peer.certificate.as_deref()
    }

    /// The client's CURVE key, if it came over ZeroMQ with CURVE. It has proven that it has the secret one.
    pub fn curve_key(&self) -> Option<PublicKey> {
        self.origin.peer.key
    }

    /// The client's user name, if it came over ZeroMQ with PLAIN.
    pub fn user(&self) -> Option<&str> {
        self.origin.peer.user.as_deref()
    }
}

impl fmt::Debug for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Request")
            .field("service", &self.service)
            .field("rid", &self.rid)
            .field("payload", &self.payload)
            .field("peer", &self.origin.peer.addr)
            .finish()
    }
}

/// Who asks to be let in.
pub struct Visitor<'a> {
    pub(super) peer: &'a Peer,
    pub(super) target: &'a str,
    pub(super) headers: Headers<'a>,
}

impl Visitor<'_> {
    /// The client's address.
    pub fn peer_addr(&self) -> SocketAddr {
        self.peer.addr
    }

    /// The client's certificate, if it came over TLS and showed one.
    pub fn certificate(&self) -> Option<&Certificate> {
        self.peer.certificate.as_deref()
    }

    /// The client's CURVE key, if it came over ZeroMQ with CURVE.
    pub fn curve_key(&self) -> Option<PublicKey> {
        self.peer.key
    }

    /// The client's user name, if it came over ZeroMQ with PLAIN.
    pub fn user(&self) -> Option<&str> {
        self.peer.user.as_deref()
    }

    /// The path it asks for, with its query; empty over ZeroMQ, which has none, nor header fields.
    pub fn target(&self) -> &str {
        self.target
    }

    /// A header field of what it asks, in any case of letters; the first, if there are several.
    pub fn header(&self, name: &str) -> Option<&str> {
        std::str::from_utf8(self.headers.get(name)?).ok()
    }
}

impl fmt::Debug for Visitor<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Visitor")
            .field("peer", &self.peer.addr)
            .field("target", &self.target)
            .finish()
    }
}

/// The client of a connection.
pub(super) struct Peer {
    pub(super) addr: SocketAddr,
    pub(super) certificate: Option<Rc<Certificate>>,
    /// Over ZeroMQ: the key it has proven to have (CURVE), and the user it has shown to be (PLAIN).
    pub(super) key: Option<PublicKey>,
    pub(super) user: Option<Rc<str>>,
}

impl Peer {
    pub(super) fn new(channel: &Channel) -> Rc<Peer> {
        let (addr, certificate) = (channel.peer_addr(), channel.certificate().cloned());
        Rc::new(Peer { addr, certificate, key: None, user: None })
    }
}

/// Where a request comes from: its client, and its header lines as they came.
#[derive(Clone)]
pub(super) struct Origin {
    pub(super) peer: Rc<Peer>,
    pub(super) lines: Bytes,
}

impl Origin {
    /// A field's value; one that is not UTF-8 is as good as none.
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        std::str::from_utf8(self.raw_header(name)?).ok()
    }

    pub(super) fn raw_header(&self, name: &str) -> Option<&[u8]> {
        Headers::from_bytes(&self.lines).get(name)
    }

    pub(super) fn headers(&self) -> impl Iterator<Item = (&str, &[u8])> {
        Headers::from_bytes(&self.lines).into_iter()
    }
}

/// The text of a header. Node's clients write one byte a character (Latin-1); others write UTF-8.
pub(super) fn header_text(value: &[u8]) -> Cow<'_, str> {
    match std::str::from_utf8(value) {
        Ok(text) => Cow::Borrowed(text),
        Err(_) => Cow::Owned(value.iter().map(|byte| char::from(*byte)).collect()),
    }
}

/// The header lines and the body of a request, together in one piece of memory.
pub(super) struct Message {
    pub(super) lines: Bytes,
    pub(super) body: Bytes,
}

impl Message {
    pub(super) fn new(headers: Headers<'_>, body: &[u8]) -> Message {
        let lines = headers.as_bytes();
        let mut both = BytesMut::with_capacity(lines.len() + body.len());
        both.extend_from_slice(lines);
        both.extend_from_slice(body);
        let mut body = both.freeze();
        let lines = body.split_to(lines.len());
        Message { lines, body }
    }
}
