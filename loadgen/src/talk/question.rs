//! What is asked over HTTP, and which answers are right.

use std::cell::{Cell, RefCell};

use bytes::{Bytes, BytesMut};
use grenache_peer::Json;
use grenache_peer::envelope::{self, Rid, Rids};
use grenache_transports::http::client::{Response, Start, request};
use rand::Rng;
use rand::rngs::StdRng;

use super::{Verdict, quote};
use crate::outcome::Fault;
use crate::services::Mix;

/// What is asked. One of a core and a destination's group, shared by its connections.
#[expect(clippy::large_enum_variant, reason = "there is one for each group")]
pub(crate) enum Question {
    /// The same each time; any answer of status 200 is right.
    Fixed {
        /// GET without a body, POST with one.
        method: &'static str,
        path: String,
        body: Bytes,
    },
    /// `[rid, service, payload]`; right is `[rid, null, ..]`.
    Rpc { services: RefCell<Mix>, payloads: Turns<Json>, rids: Rids },
    /// Who offers a service; one body for each service.
    Lookup { services: RefCell<Mix>, bodies: Vec<Bytes> },
    /// That somebody offers a service; one body for each service.
    Announce { services: RefCell<Mix>, bodies: Vec<Bytes> },
    /// That an item be stored, a new one each time.
    Put { values: Turns<Json>, random: RefCell<StdRng> },
    /// An item.
    Get { body: Bytes },
}

/// Several of the same kind, taken in turn.
pub(crate) struct Turns<T> {
    all: Vec<T>,
    next: Cell<usize>,
}

impl<T> Turns<T> {
    /// There must be at least one.
    pub(crate) fn new(all: Vec<T>) -> Self {
        Self { all, next: Cell::new(0) }
    }

    pub(super) fn take(&self) -> &T {
        let next = self.next.get();
        self.next.set((next + 1) % self.all.len());
        &self.all[next]
    }
}

/// Letters at the beginning of a value that are replaced, so that each put stores another item.
const NUMBER: usize = 16;

impl Question {
    /// Appends the next request to `host`; gives its id if it has one.
    pub(super) fn write(&self, host: &str, out: &mut BytesMut) -> Option<Rid> {
        let mut post = |path: &str, body: &[u8]| put(out, "POST", path, host, body);
        match self {
            Self::Fixed { method, path, body } => put(out, method, path, host, body),
            Self::Rpc { services, payloads, rids } => {
                let rid = rids.draw();
                let mut services = services.borrow_mut();
                let service = services.draw();
                post("/", &envelope::encode_request(&rid, services.name(service), payloads.take()));
                return Some(rid);
            }
            Self::Lookup { services, bodies } => {
                post("/lookup", &bodies[services.borrow_mut().draw()]);
            }
            Self::Announce { services, bodies } => {
                post("/announce", &bodies[services.borrow_mut().draw()]);
            }
            Self::Put { values, random } => {
                let mut body = [br#"{"data":{"v":"#, &values.take().as_bytes()[..], b"}}"].concat();
                let begin = br#"{"data":{"v":"#.len() + 1;
                let end = body.len() - b"\"}}".len();
                let number = format!("{:0NUMBER$x}", random.borrow_mut().next_u64());
                let letters = &mut body[begin..end.min(begin + NUMBER)];
                // As many of its digits as the value has letters.
                letters.copy_from_slice(&number.as_bytes()[NUMBER - letters.len()..]);
                post("/put", &body);
            }
            Self::Get { body } => post("/get", body),
        }
        None
    }

    /// What to think of an answer to a request with this id.
    pub(super) fn judge(&self, rid: Option<&Rid>, response: &Response<'_>) -> Verdict {
        if response.status != 200 {
            let why = format!("status {} {}", response.status, quote(response.body));
            return Verdict::failed(Fault::Status, why);
        }
        let body = response.body.trim_ascii();
        match self {
            Self::Fixed { .. } => Verdict::Right,
            Self::Rpc { .. } => rid.map_or_else(|| Verdict::wrong(body), |rid| reply(rid, body)),
            Self::Lookup { .. } => match body {
                b"[]" => Verdict::Empty,
                [b'[', b'"', .., b']'] => Verdict::Right,
                _ => refused(body),
            },
            Self::Announce { .. } if is(body, u8::is_ascii_digit) => Verdict::Right,
            Self::Put { .. } => match body {
                [b'"', key @ .., b'"'] if key.len() == 40 && is(key, u8::is_ascii_hexdigit) => {
                    Verdict::Right
                }
                _ => refused(body),
            },
            Self::Get { .. } => match body {
                b"" => Verdict::Empty,
                [b'{', .., b'}'] => Verdict::Right,
                _ => refused(body),
            },
            Self::Announce { .. } => refused(body),
        }
    }
}

fn is(text: &[u8], kind: impl Fn(&u8) -> bool) -> bool {
    !text.is_empty() && text.iter().all(kind)
}

fn put(out: &mut BytesMut, method: &str, path: &str, host: &str, body: &[u8]) {
    // Path and host were checked when the plan was made.
    if let Ok(start) = Start::new(method, path, host) {
        request::write(out, start, &[], body);
    }
}

/// A grape's errors are texts of JSON with status 200.
fn refused(body: &[u8]) -> Verdict {
    match body {
        [b'"', .., b'"'] => Verdict::failed(Fault::Remote, quote(body)),
        _ => Verdict::wrong(body),
    }
}

/// A worker's reply. The usual form is compared as it stands, any other is taken apart.
fn reply(rid: &Rid, body: &[u8]) -> Verdict {
    if let Some(rest) = body.strip_prefix(b"[\"")
        && let Some(rest) = rest.strip_prefix(rid.as_str().as_bytes())
        && rest.starts_with(b"\",null,")
        && body.ends_with(b"]")
    {
        return Verdict::Right;
    }
    match envelope::decode_reply(&Bytes::copy_from_slice(body)) {
        Ok(reply) if !rid.is(&reply.rid) => {
            Verdict::failed(Fault::Wrong, format!("the answer of another request: {}", quote(body)))
        }
        Ok(reply) => match reply.outcome {
            Ok(_) => Verdict::Right,
            Err(error) => Verdict::failed(Fault::Remote, quote(error.as_bytes())),
        },
        Err(_) => Verdict::wrong(body),
    }
}
