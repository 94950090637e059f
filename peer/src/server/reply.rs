//! What a handler gives, and how it goes out.

use bytes::{Bytes, BytesMut};
use grenache_transports::http::{self, Field, Framing, Limit, Persistence, response};
use serde::Serialize;

use crate::envelope;
use crate::error::Error;
use crate::json::Json;

/// From this length on, an answer is handed to the connection instead of copied.
pub(super) const HAND_OVER: usize = 16 * 1024;

/// What a handler answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    pub(super) result: Json,
    /// There is no result: the request has not been begun.
    pub(super) busy: bool,
}

impl Reply {
    /// That the request has not been begun because there is too much to do, as a server says beyond its limits; so it may be sent
    /// elsewhere. For handlers that have nothing of their own to do with a request but to pass it on.
    pub fn busy() -> Reply {
        Reply { result: Json::null(), busy: true }
    }

    /// A value, written as JSON.
    ///
    /// # Errors
    /// As [`Json::of`].
    pub fn json<T: Serialize + ?Sized>(value: &T) -> Result<Reply, Error> {
        Json::of(value).map(Reply::from)
    }
}

impl From<Json> for Reply {
    fn from(json: Json) -> Reply {
        Reply { result: json, busy: false }
    }
}

/// An HTTP answer that does not come from a handler directly.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) body: Bytes,
}

impl Answer {
    /// An envelope with an error; `rid` is null if it is not known.
    pub(super) fn error(status: u16, rid: &Json, error: &str) -> Answer {
        Answer { status, body: envelope(rid, &Err(error.into())) }
    }

    /// A line of text.
    pub(super) fn text(status: u16, text: &'static str) -> Answer {
        Answer { status, body: Bytes::from_static(text.as_bytes()) }
    }

    pub(super) fn too_large() -> Answer {
        Answer::text(413, http::Error::from(Limit::Body).text())
    }
}

/// Bytes in the envelope of a result: `[rid,null,result]`.
pub(super) fn length(rid: &Json, result: &Json) -> usize {
    rid.as_bytes().len() + result.as_bytes().len() + 8
}

/// The envelope of what a handler gave.
pub(super) fn envelope(rid: &Json, outcome: &Result<Reply, String>) -> Bytes {
    let mut out = BytesMut::new();
    let outcome = outcome.as_ref().map(|reply| &reply.result).map_err(String::as_str);
    envelope::encode_reply(&mut out, rid, outcome);
    out.freeze()
}

/// How answers of a connection are written.
pub(super) struct Form<'a> {
    pub(super) persistence: Persistence,
    pub(super) date: &'a [u8; 29],
}

impl Form<'_> {
    /// Writes what a handler gave. What is returned is to be sent after it.
    pub(super) fn reply(
        &self,
        out: &mut BytesMut,
        rid: &Json,
        outcome: &Result<Reply, String>,
    ) -> Option<Bytes> {
        match outcome {
            Ok(Reply { result, .. }) if length(rid, result) < HAND_OVER => {
                let length = length(rid, result);
                self.head(out, 200, length);
                let start = out.len();
                envelope::encode_reply(out, rid, Ok(result));
                debug_assert_eq!(out.len() - start, length);
                None
            }
            outcome => {
                let body = envelope(rid, outcome);
                self.head(out, 200, body.len());
                Some(body)
            }
        }
    }

    /// Writes another answer. What is returned is to be sent after it.
    pub(super) fn answer(
        &self,
        out: &mut BytesMut,
        answer: Answer,
        is_head: bool,
    ) -> Option<Bytes> {
        self.head(out, answer.status, answer.body.len());
        (!is_head).then_some(answer.body)
    }

    fn head(&self, out: &mut BytesMut, status: u16, length: usize) {
        let length = Framing::Length(length as u64);
        let says: &[(&str, &[u8])] = match status {
            405 => &[("allow", b"POST")],
            // RFC 9110 section 15.5.22, RFC 6455 section 4.4.
            426 => &[
                ("upgrade", b"websocket"),
                ("connection", b"upgrade"),
                ("sec-websocket-version", b"13"),
            ],
            _ => &[],
        };
        let fields: Vec<_> =
            says.iter().filter_map(|(name, value)| Field::new(name, value).ok()).collect();
        response::write_head(out, status, self.persistence, self.date, &fields, length);
    }
}
