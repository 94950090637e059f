//! What is known of requests that share connections, and what has to hold for them:
//!
//! - a request runs once at most, and not at all if it was answered by `ERR_BUSY`;
//! - it is answered once at most, on the connection that it was sent on, by the answer to it and no other.

use std::collections::BTreeMap;
use std::sync::Mutex;

use serde_json::json;

use crate::client::draw;
use crate::wire::{Answer, Next, Wire};
use crate::worker::filler;

/// What is known of every request, and what did not hold.
#[derive(Default)]
pub(crate) struct Ledger {
    /// How often each ran.
    pub(crate) runs: Vec<usize>,
    pub(crate) answered: usize,
    pub(crate) busy: usize,
    pub(crate) connections: usize,
    /// Connections that fell silent early.
    pub(crate) hung: usize,
    /// Close frames that the worker has sent, by their codes.
    pub(crate) codes: BTreeMap<u16, usize>,
    pub(crate) broken: Vec<String>,
}

impl Ledger {
    pub(crate) fn broken(&mut self, what: impl Into<String>) {
        self.broken.push(what.into());
    }
}

/// The requests under way on one connection.
pub(crate) struct Asked<'l> {
    ledger: &'l Mutex<Ledger>,
    connection: usize,
    waiting: BTreeMap<String, Request>,
    count: usize,
}

struct Request {
    id: usize,
    size: usize,
    fails: bool,
}

/// The text of a handler's error.
pub(crate) fn failure(id: usize) -> String {
    format!("ERR_FAILED: {id}")
}

/// Bytes of a request or an answer: mostly few, at times more than a window of the network.
fn size() -> usize {
    match draw(32) {
        0 => 150_000,
        1..8 => 3000,
        _ => draw(200) as usize,
    }
}

impl Asked<'_> {
    /// On a new connection.
    pub(crate) fn new(ledger: &Mutex<Ledger>) -> Asked<'_> {
        let connection = {
            let mut ledger = ledger.lock().unwrap();
            ledger.connections += 1;
            ledger.connections
        };
        Asked { ledger, connection, waiting: BTreeMap::new(), count: 0 }
    }

    /// How many wait for their answers.
    pub(crate) fn waiting(&self) -> usize {
        self.waiting.len()
    }

    /// The connection's number.
    pub(crate) fn connection(&self) -> usize {
        self.connection
    }

    /// Sends a request: `[id, milliseconds, bytes of the answer, whether it fails, filler]`.
    pub(crate) fn ask(&mut self, wire: &mut Wire) {
        let (rid, fails, size) =
            (format!("{}-{}", self.connection, self.count), draw(8) == 0, size());
        self.count += 1;
        let id = {
            let mut ledger = self.ledger.lock().unwrap();
            ledger.runs.push(0);
            ledger.runs.len() - 1
        };
        let millis = if draw(2) == 0 { 0 } else { draw(200) };
        let payload = json!([id, millis, size, fails, filler(id, self::size())]);
        wire.ask(&rid, &payload.to_string());
        self.waiting.insert(rid, Request { id, size, fails });
    }

    /// Looks at what has come. True if it was the last.
    pub(crate) fn take(&mut self, next: Next) -> bool {
        let mut ledger = self.ledger.lock().unwrap();
        let (rid, answer) = match next {
            Next::Answer(rid, answer) => (rid, answer),
            Next::Published(..) => panic!("nothing is published"),
            Next::Closed(code) => {
                *ledger.codes.entry(code.unwrap_or_default()).or_default() += 1;
                return true;
            }
            Next::Gone => return true,
        };
        let Some(Request { id, size, fails }) = self.waiting.remove(&rid) else {
            ledger.broken(format!("an answer to {rid}, which nobody waits for: {answer:?}"));
            return false;
        };
        ledger.answered += 1;
        let (runs, expected) = match answer {
            Answer::Busy => {
                ledger.busy += 1;
                (0, Answer::Busy)
            }
            _ if fails => (1, Answer::Error(failure(id))),
            _ => (1, Answer::Result(json!([id, filler(id, size)]))),
        };
        let ran = ledger.runs[id];
        if answer != expected || ran != runs {
            ledger.broken(format!("{rid} ran {ran} times and was answered {answer:?}"));
        }
        false
    }
}
