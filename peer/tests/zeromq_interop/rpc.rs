//! Whole workers and clients in a [`Peer`](crate::peer::Peer), made of libzmq's sockets.

use serde_json::{Value, json};

use crate::peer::Peer;
use crate::socket::Socket;

/// The form of requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    /// `rid`, `key`, `payload` as parts, as in 2016.
    Frames,
    /// A part with a JSON array.
    Array,
}

impl Form {
    pub(crate) const BOTH: [Self; 2] = [Self::Frames, Self::Array];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Frames => "frames",
            Self::Array => "array",
        }
    }
}

/// A ROUTER with these services, by what stands after the last colon of the key: `echo` answers with the payload, `fail` with the
/// payload as the error, `later` after the next answer, `never` not at all, `busy` that it has not begun (in the array form).
#[derive(Clone)]
pub(crate) struct Worker {
    pub(crate) socket: Socket,
}

impl Worker {
    pub(crate) fn new(socket: Socket) -> Worker {
        Worker { socket }
    }

    /// Where it was bound.
    pub(crate) fn port(&self) -> u16 {
        self.socket.port()
    }

    /// Awaits that a request has come: its key and payload.
    #[track_caller]
    pub(crate) fn request(&self) -> String {
        self.socket.event("request")
    }
}

/// A DEALER or a REQ that asks.
#[derive(Clone)]
pub(crate) struct Client {
    pub(crate) socket: Socket,
    form: Form,
}

/// What a worker says.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Answer {
    /// In the frames form, a text.
    Result(Value),
    Error(String),
    /// An error that says that the request was not begun.
    Busy(String),
}

impl Client {
    pub(crate) fn new(socket: Socket, form: Form) -> Client {
        Client { socket, form }
    }

    /// Asks and awaits the answer. In the frames form, the payload goes as it is if it is a text, and as its JSON otherwise.
    #[track_caller]
    pub(crate) fn ask(&self, key: &str, payload: &Value) -> Answer {
        let payload = match (self.form, payload) {
            (Form::Frames, other) if !other.is_string() => other.to_string().into(),
            _ => payload.clone(),
        };
        let answer = self.socket.ask("ask", json!({"key": key, "payload": payload}));
        match (answer[0].as_str(), answer[2].as_u64()) {
            (Some(error), Some(503)) => Answer::Busy(error.to_string()),
            (Some(error), _) => Answer::Error(error.to_string()),
            (None, _) => Answer::Result(answer[1].clone()),
        }
    }
}

/// Starts libzmq's proxy in front of a worker, a ROUTER and a DEALER that live as long as the peer, which is Python's. Where it
/// is bound.
#[track_caller]
pub(crate) fn proxy(peer: &Peer, worker: u16) -> u16 {
    let port = peer.ask(json!({"do": "proxy", "port": worker}));
    port.as_u64().and_then(|port| port.try_into().ok()).expect("a port")
}
