//! What is said on a connection: the place for another transport. Pure: bytes in, bytes and verdicts out.

mod http;
mod ids;
mod krpc;
mod question;
#[cfg(test)]
mod tests;
pub(crate) mod websocket;
pub(crate) mod zmtp;

use std::borrow::Cow;
use std::time::Duration;

use bytes::BytesMut;

use crate::outcome::Fault;

pub(crate) use http::Http;
pub(crate) use krpc::{Krpc, Query};
pub(crate) use question::{Question, Turns};
pub(crate) use websocket::WebSocket;
pub(crate) use zmtp::Zmtp;

/// One connection's conversation. The caller numbers its requests from 0 as it [`ask`](Self::ask)s them, and is told by number
/// which one an answer is for.
pub(crate) trait Talk {
    /// Whether requests may be asked. Until then the caller [`greet`](Self::greet)s.
    fn is_open(&self) -> bool {
        true
    }

    /// Appends what has to be said besides requests, such as a handshake, if anything is due. To be called when the
    /// connection is new, now and then, and when it cannot go on; the answers are for the conversation itself.
    fn greet(&mut self, _now: Duration, _out: &mut BytesMut) {}

    /// Appends the next request.
    fn ask(&mut self, number: u64, out: &mut BytesMut);

    /// Takes what has been received, in pieces cut anywhere of a stream, whole of datagrams.
    ///
    /// # Errors
    /// The connection cannot go on: requests still in flight on it have failed.
    fn receive(&mut self, input: &mut [u8], answers: &mut Answers) -> Result<(), Broken>;

    /// Messages that nobody asked for, which have come since this was called last.
    fn heard(&mut self) -> Heard {
        Heard::default()
    }

    /// The other side has ended the stream.
    fn end(&mut self, answers: &mut Answers) -> Broken;

    /// Whether an answer can be missed without the others: requests are told apart by more than their order.
    fn is_multiplexed(&self) -> bool;
}

/// Answers found in what was received: the number of the request, and what to think of the answer.
pub(crate) type Answers = Vec<(u64, Verdict)>;

/// Messages that nobody asked for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Heard {
    pub(crate) messages: u64,
    /// What they say, in bytes.
    pub(crate) bytes: u64,
}

/// What to think of an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// What was asked for.
    Right,
    /// Right, and nothing was found.
    Empty,
    /// Anything else, in words.
    Failed(Fault, Cow<'static, str>),
}

/// Why a connection cannot go on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Broken {
    pub(crate) fault: Fault,
    pub(crate) why: Cow<'static, str>,
}

/// The most characters of a wrong answer that are quoted.
const QUOTED: usize = 120;

impl Broken {
    fn closed() -> Self {
        Self { fault: Fault::Closed, why: "the server has closed the connection".into() }
    }
}

impl Verdict {
    fn failed(fault: Fault, why: impl Into<Cow<'static, str>>) -> Self {
        Self::Failed(fault, why.into())
    }

    /// Something that is no answer to what was asked.
    fn wrong(body: &[u8]) -> Self {
        Self::failed(Fault::Wrong, format!("answered {}", quote(body)))
    }
}

/// Bytes from outside for a line of text.
fn quote(bytes: &[u8]) -> String {
    let cut = &bytes[..bytes.len().min(QUOTED)];
    let more = if cut.len() < bytes.len() { ".." } else { "" };
    format!("'{}{more}'", String::from_utf8_lossy(cut).escape_debug())
}
