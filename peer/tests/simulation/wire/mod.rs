//! The client's end of a connection, made of transports/ by hand, so that it can do what no client of ours does.

mod stream;
mod websocket;
mod zeromq;

use std::net::SocketAddr;

use bytes::BytesMut;
use serde_json::Value;

use crate::client::draw;
use crate::speech::Speech;
use stream::Stream;

pub(crate) struct Wire {
    stream: Stream,
    speaker: Box<dyn Speaker>,
    /// Received, and not looked at.
    input: Vec<u8>,
}

/// What a connection is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// Requests of the service `work`.
    Requests,
    /// Publications of the topics that are subscribed to.
    Topics,
    /// All publications.
    Everything,
}

/// What comes next.
#[derive(Debug, PartialEq)]
pub(crate) enum Next {
    /// The answer to the request with this id.
    Answer(String, Answer),
    /// A publication, with its topic if that is told.
    Published(Option<String>, String),
    /// A close frame with its code.
    Closed(Option<u16>),
    /// The end without one, or a break.
    Gone,
}

#[derive(Debug, PartialEq)]
pub(crate) enum Answer {
    Result(Value),
    Error(String),
    Busy,
}

/// What one transport has of its own.
trait Speaker {
    /// Writes a request.
    fn ask(&mut self, out: &mut BytesMut, rid: &str, payload: &str);

    fn subscribe(&mut self, out: &mut BytesMut, prefix: &str);

    /// Writes what the other side has to answer.
    fn ping(&mut self, out: &mut BytesMut);

    /// Writes that it ends. False if there is no word for it.
    fn close(&mut self, out: &mut BytesMut, code: u16) -> bool;

    /// Takes bytes off the front of `input` until something comes of them or nothing is left. What the protocol itself answers
    /// is written to `out`.
    fn receive(&mut self, input: &mut &mut [u8], out: &mut BytesMut) -> Option<Next>;
}

impl Wire {
    /// A connection to a worker, `None` if it does not come about.
    pub(crate) async fn connect(to: SocketAddr, speech: Speech, purpose: Purpose) -> Option<Wire> {
        Wire::meet(Stream::connect(to).await?, speech, purpose).await
    }

    /// A connection that falls silent after so many bytes of the handshake, or after all of it: then it comes about.
    pub(crate) async fn hang(to: SocketAddr, speech: Speech, after: usize) -> Option<Wire> {
        let stream = Stream::connect(to).await?;
        stream.falls_silent(after);
        let wire = Wire::meet(stream, speech, Purpose::Requests).await?;
        wire.stream.falls_silent(0);
        Some(wire)
    }

    async fn meet(stream: Stream, speech: Speech, purpose: Purpose) -> Option<Wire> {
        let (speaker, input) = match speech {
            Speech::Http => unreachable!("it has no messages"),
            Speech::WebSocket => websocket::meet(&stream, purpose).await?,
            Speech::ZeroMq(form, lock) => zeromq::meet(&stream, purpose, form, lock).await?,
        };
        Some(Wire { stream, speaker, input })
    }

    /// Sends a request of `work`.
    pub(crate) fn ask(&mut self, rid: &str, payload: &str) {
        self.write(|speaker, out| speaker.ask(out, rid, payload));
    }

    /// Sends a part of a request, and never the rest, nor anything else.
    pub(crate) fn ask_in_part(&mut self, payload: &str) {
        let mut out = BytesMut::new();
        self.speaker.ask(&mut out, "part", payload);
        self.stream.falls_silent(1 + draw(out.len() as u32 - 1) as usize);
        self.stream.write(&out);
    }

    pub(crate) fn subscribe(&mut self, prefix: &str) {
        self.write(|speaker, out| speaker.subscribe(out, prefix));
    }

    pub(crate) fn ping(&mut self) {
        self.write(|speaker, out| speaker.ping(out));
    }

    /// Says that it ends, or if there is no word for it, ends this side.
    pub(crate) fn close(&mut self, code: u16) {
        if !self.write(|speaker, out| speaker.close(out, code)) {
            self.finish();
        }
    }

    /// Ends this side.
    pub(crate) fn finish(&mut self) {
        self.stream.shutdown();
    }

    /// Breaks it off.
    pub(crate) fn abort(self) {
        self.stream.abort();
    }

    /// What the worker sends next. Its pings are answered. Dropping the future loses nothing.
    pub(crate) async fn next(&mut self) -> Next {
        loop {
            let (mut input, mut out) = (&mut self.input[..], BytesMut::new());
            let before = input.len();
            let next = self.speaker.receive(&mut input, &mut out);
            let taken = before - input.len();
            self.input.drain(..taken);
            self.stream.write(&out);
            if let Some(next) = next {
                return next;
            }
            match self.stream.recv().await {
                Some(received) => self.input.extend_from_slice(&received),
                None => return Next::Gone,
            }
        }
    }

    fn write<T>(&mut self, write: impl FnOnce(&mut dyn Speaker, &mut BytesMut) -> T) -> T {
        let mut out = BytesMut::new();
        let written = write(&mut *self.speaker, &mut out);
        self.stream.write(&out);
        written
    }
}

/// Reads `[rid,error,result]`.
fn read_array(message: &[u8]) -> Next {
    let answer: Value = serde_json::from_slice(message).expect("JSON");
    let rid = answer[0].as_str().unwrap_or_default().to_owned();
    let answer = match (&answer[1], &answer[2]) {
        (Value::Null, result) => Answer::Result(result.clone()),
        (Value::String(busy), Value::Null) if busy == "ERR_BUSY" && answer[3] == 503 => {
            Answer::Busy
        }
        (Value::String(error), Value::Null) if answer[3].is_null() => Answer::Error(error.clone()),
        _ => panic!("no answer: {answer}"),
    };
    Next::Answer(rid, answer)
}

fn text(bytes: &[u8]) -> String {
    std::str::from_utf8(bytes).expect("text").to_owned()
}
