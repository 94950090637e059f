//! Streamed requests: both bodies flow at once.

use std::fmt;
use std::future::poll_fn;
use std::net::SocketAddr;
use std::rc::Rc;

use bytes::Bytes;
use serde::de::DeserializeOwned;

use super::flow::Stream;
use super::reply;
use super::request::{Origin, header_text};
use crate::error::Error;
use crate::json::Json;
use crate::tls::Certificate;

/// A streamed request: its body is read piece by piece, and the reply's body is written piece by piece.
///
/// Either may be waited for while the other is. When the handler ends, so does the reply, and what it has not read of the
/// request is thrown away. If the client hangs up, [`read`](Self::read) and [`write`](Self::write) fail once; a handler that
/// still waits for something then is dropped.
pub struct StreamRequest {
    pub(super) service: Rc<str>,
    pub(super) rid: Json,
    pub(super) origin: Origin,
    pub(super) stream: Rc<Stream>,
}

impl StreamRequest {
    /// The service that is asked.
    pub fn service(&self) -> &str {
        &self.service
    }

    /// The request's id: mostly a text, in quotes.
    pub fn rid(&self) -> &Json {
        &self.rid
    }

    /// The action that the client names (header `_a`).
    pub fn action(&self) -> Option<&str> {
        self.header("_a").filter(|action| !action.is_empty())
    }

    /// The arguments that the client gives (header `_ar`), as a type. Without any it is taken from `{}`, as in Node.
    ///
    /// # Errors
    /// [`Error::Json`] if the header is not JSON, or not of this type.
    pub fn args<T: DeserializeOwned>(&self) -> Result<T, Error> {
        self.args_json()?.map_or_else(|| Json::from_text("{}"), Ok)?.to()
    }

    /// The arguments as they came; `None` if there are none.
    ///
    /// # Errors
    /// [`Error::Json`] if the header is not JSON.
    pub fn args_json(&self) -> Result<Option<Json>, Error> {
        let args = self.origin.raw_header("_ar").map(header_text);
        args.map(|args| Json::from_text(args.into_owned())).transpose()
    }

    /// A header field of the request, in any case of letters; the first, if there are several.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.origin.header(name)
    }

    /// All header fields with their values.
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

    /// Waits for the next piece of the request's body, which is never empty; `None` is the end. The client waits while more
    /// than [`Config::stream_buffer`](super::Config::stream_buffer) bytes are unread. Dropping the future loses nothing.
    ///
    /// # Errors
    /// [`Error::Closed`] if the client has hung up, [`Error::Timeout`] if nothing has come for
    /// [`Config::idle_timeout`](super::Config::idle_timeout).
    pub async fn read(&self) -> Result<Option<Bytes>, Error> {
        poll_fn(|context| self.stream.poll_read(context)).await
    }

    /// Adds a piece to the reply's body; an empty one is nothing. Waits first while more than
    /// [`Config::stream_buffer`](super::Config::stream_buffer) bytes wait for the client. Dropped earlier, nothing is added.
    ///
    /// # Errors
    /// [`Error::Closed`] if the client has hung up, or the reply is finished.
    pub async fn write(&self, piece: impl Into<Bytes>) -> Result<(), Error> {
        let mut piece = Some(piece.into());
        poll_fn(|context| self.stream.poll_write(&mut piece, context)).await
    }

    /// Ends the reply's body.
    pub fn finish(&self) {
        self.stream.finish();
    }

    /// Ends the reply with the usual array, which is all there is of it if nothing was written before: a result, or the text
    /// of an error. Does nothing if the reply is finished.
    pub fn reply(&self, outcome: Result<&Json, &str>) {
        let outcome = outcome.map(|json| json.clone().into()).map_err(str::to_owned);
        self.stream.end_with(reply::envelope(&self.rid, &outcome));
    }
}

impl fmt::Debug for StreamRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StreamRequest")
            .field("service", &self.service)
            .field("rid", &self.rid)
            .field("action", &self.action())
            .field("peer", &self.origin.peer.addr)
            .finish()
    }
}
