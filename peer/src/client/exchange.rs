//! One request to one destination.

use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use grenache_engine::{DriverKind, driver_kind, now, timeout};
use grenache_transports::http::Field;

use super::attempts::Limit;
use super::call::{Call, add_headers};
use super::destinations::Health;
use super::within;
use crate::envelope::{self, Reply, Rid};
use crate::error::{Error, Failure};
use crate::gzip::{self, Unreadable};
use crate::http::{Answer, Outgoing};
use crate::json::Json;

/// From this many bytes on, compressing is left to a thread of its own.
const LARGE: usize = 64 * 1024;

/// The same for decompressing, which can make a thousand times as much of it.
const LARGE_PACKED: usize = 4 * 1024;

/// Not every worker can be asked to answer in less. Said in [`Config::failures_before_aside`](super::Config).
const HURRY: Duration = Duration::from_millis(10);

/// Bytes of a body that is no reply which are passed on in an error.
const MAX_TEXT: usize = 256;

/// A call as it goes out; the same for all its tries.
pub(super) struct Prepared<'a> {
    pub(super) rid: Rid,
    pub(super) body: Bytes,
    pub(super) fields: Vec<Field<'a>>,
    idempotent: bool,
    gzip: bool,
}

impl<'a> Prepared<'a> {
    pub(super) async fn new(
        call: &'a Call,
        rid: Rid,
        deadline: Duration,
    ) -> Result<Prepared<'a>, Error> {
        let mut fields = Vec::new();
        add_headers(&mut fields, &call.headers)?;
        let mut body = envelope::encode_request(&rid, &call.service, &call.payload);
        if call.gzip {
            let field = Field::new("grc-compress", b"gzip");
            fields.push(field.map_err(|_| Error::Config("grc-compress".into()))?);
            body = within(deadline, call.timeout, async { Ok(compress(body).await) }).await?;
        }
        Ok(Prepared { rid, body, fields, idempotent: call.idempotent, gzip: call.gzip })
    }

    pub(super) fn outgoing(&self) -> Outgoing<'_> {
        Outgoing {
            target: "/",
            fields: &self.fields,
            body: self.body.clone(),
            idempotent: self.idempotent,
        }
    }

    /// What an answer says.
    pub(super) async fn read(
        &self,
        answer: Answer,
        to: SocketAddr,
        limit: Limit,
        max_inflated: usize,
    ) -> Result<Json, Error> {
        let read = self.read_body(&answer, to, limit, max_inflated).await;
        if let Err(Error::ReplyRid { .. }) = read {
            answer.distrust();
        }
        read
    }

    async fn read_body(
        &self,
        answer: &Answer,
        to: SocketAddr,
        limit: Limit,
        max_inflated: usize,
    ) -> Result<Json, Error> {
        let Answer { status, gzip, ref body, .. } = *answer;
        // Node's server does not say that what it sends is compressed; errors of other servers may not be.
        if !self.gzip || !(gzip || status == 200 || body.starts_with(&[0x1f, 0x8b])) {
            return read_reply(status, body, |rid| self.rid.is(rid), to);
        }
        let left = limit.deadline.saturating_sub(now());
        match timeout(left, decompress(body.clone(), max_inflated)).await {
            Ok(Ok(body)) => read_reply(status, &body, |rid| self.rid.is(rid), to),
            Ok(Err(Unreadable::TooLarge)) => {
                Err(Error::ReplyTooLarge { to, limit: max_inflated as u64 })
            }
            Ok(Err(_)) => Err(Error::ReplyCompression { to }),
            Err(_) => Err(Error::Timeout { limit: limit.of, to: Some(to), may_have_run: true }),
        }
    }
}

/// What a reply says that came without a status.
pub(super) fn read_envelope(reply: Reply, to: SocketAddr) -> Result<Json, Error> {
    if reply.busy {
        return Err(Error::Request { to, failure: Failure::Busy });
    }
    reply.outcome.map_err(Error::Remote)
}

/// Reads a plain body; `is_ours` tells the request's id. Node and we answer some errors with a status of their own and without an
/// id.
pub(super) fn read_reply(
    status: u16,
    body: &Bytes,
    is_ours: impl Fn(&Json) -> bool,
    to: SocketAddr,
) -> Result<Json, Error> {
    let reply = envelope::decode_reply(body);
    if status == 200 {
        let reply = reply.map_err(|_| Error::ReplyEmpty { to })?;
        if !is_ours(&reply.rid) {
            return Err(Error::ReplyRid { to });
        }
        return reply.outcome.map_err(Error::Remote);
    }
    if let Ok(reply) = reply
        && let Err(text) = reply.outcome
        && (reply.rid.is_null() || is_ours(&reply.rid))
    {
        return Err(match (status, &*text) {
            (503, "ERR_BUSY") => Error::Request { to, failure: Failure::Busy },
            _ => Error::Remote(text),
        });
    }
    let start = &body[..body.len().min(MAX_TEXT)];
    let text = String::from_utf8_lossy(start).trim().to_string();
    Err(Error::Request { to, failure: Failure::Status(status, text) })
}

/// What an error says about the worker, after `waited` for it. That of a caller who would not wait says nothing.
pub(super) fn health(error: &Error, waited: Duration) -> Health {
    match error {
        Error::Timeout { .. } if waited < HURRY => Health::Unknown,
        Error::Remote(_) | Error::ReplyTooLarge { .. } => Health::Well,
        Error::Request { failure, .. } => match failure {
            Failure::Connect(_) | Failure::Tls(_) => Health::Down,
            Failure::Status(status, _) if *status < 500 => Health::Well,
            _ => Health::Ill,
        },
        Error::Timeout { to: Some(_), .. }
        | Error::Closed { .. }
        | Error::ReplyEmpty { .. }
        | Error::ReplyRid { .. }
        | Error::ReplyCompression { .. } => Health::Ill,
        _ => Health::Unknown,
    }
}

/// The simulator knows no threads.
fn has_threads() -> bool {
    driver_kind() != DriverKind::Simulated
}

async fn compress(body: Bytes) -> Bytes {
    if body.len() >= LARGE && has_threads() {
        return blocking::unblock(move || gzip::compress(&body)).await;
    }
    gzip::compress(&body)
}

async fn decompress(body: Bytes, limit: usize) -> Result<Bytes, Unreadable> {
    if body.len() >= LARGE_PACKED && has_threads() {
        return blocking::unblock(move || gzip::decompress(&body, limit)).await;
    }
    gzip::decompress(&body, limit)
}
