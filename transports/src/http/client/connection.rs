//! One connection of a client: bytes in, answers out.

use std::collections::VecDeque;

use bytes::Bytes;
use memchr::memchr;

use super::{Config, Error, Head, Response, head::Parser};
use crate::http::{
    Framing, Limit,
    chunked::{Decoder, Piece},
};
use crate::input::{fill, take, take_up_to};

/// Decodes what a server sends in answer to the requests that [`expect`](Self::expect) was told of, in their order.
///
/// An answer that lies whole in the receive buffer is handed out as it lies there. Of one that does not, what has come so far
/// is kept here and completed by the next receive buffers; this copy is bounded by `max_head + max_body` of [`Config`].
#[derive(Debug)]
pub struct Connection {
    config: Config,
    state: State,
    head: Parser,
    /// The unfinished answer: its head, and its body as far as it came. Empty while all can be borrowed.
    buffer: Vec<u8>,
    /// The requests that wait for an answer whose head is not here yet.
    expected: VecDeque<Expected>,
    /// Informational answers to the first of them.
    informational: usize,
}

/// The answer that a request is to get.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Expected {
    /// The request was HEAD: the answer has no body, whatever it says.
    pub to_head: bool,
    /// The body comes in pieces as they arrive (`Head`, `Data`.., `End`) and is not bounded; otherwise the answer comes whole.
    pub stream: bool,
}

/// `max_outstanding` requests wait for their answers already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Full;

impl core::fmt::Display for Full {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("too many requests wait for their answers")
    }
}

impl core::error::Error for Full {}

/// What comes out of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event<'a> {
    /// A whole answer.
    Response(Response<'a>),
    /// The head of an answer whose body follows in pieces; also if it has none.
    Head(Head<'a>),
    /// A piece of the body.
    Data(&'a [u8]),
    /// The body is complete.
    End,
}

/// What a connection waits for; deadlines go by it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// Nothing: no answer is due. The only phase in which a server may end the connection properly, and in which it may be
    /// used for another request if nothing else is to be sent before.
    Idle,
    /// The first byte of an answer.
    Waiting,
    /// The rest of a head, or the answer after an informational one.
    Head,
    /// The rest of a body.
    Body,
    /// Nothing any more: close. Requests that still wait are not answered, and what comes is thrown away.
    Finished,
}

#[derive(Debug, Clone, Copy)]
enum State {
    /// Between two answers.
    Idle,
    Head,
    /// `buffer` is to grow to `total` bytes.
    Length {
        total: usize,
    },
    Chunked(Decoder),
    UntilClose,
    StreamLength {
        left: u64,
    },
    StreamChunked(Decoder),
    StreamUntilClose,
    Finished,
}

/// Where an event's bytes are: in the input, or else in the connection's buffer.
type Source<'i> = Option<&'i [u8]>;

enum Step<'i> {
    Response(Source<'i>),
    Head(Source<'i>),
    Data(&'i [u8]),
    End,
}

impl Connection {
    /// A connection on which nothing has been sent yet. It has no buffer until an answer comes in parts.
    pub const fn new(config: Config) -> Self {
        Self {
            config,
            state: State::Idle,
            head: Parser::new(),
            buffer: Vec::new(),
            expected: VecDeque::new(),
            informational: 0,
        }
    }

    /// Notes that a request was sent, before bytes are received that may answer it.
    ///
    /// # Errors
    /// `max_outstanding`. Nothing was noted.
    pub fn expect(&mut self, answer: Expected) -> Result<(), Full> {
        if self.expected.len() >= self.config.max_outstanding {
            return Err(Full);
        }
        self.expected.push_back(answer);
        Ok(())
    }

    /// Takes bytes off the front of `input` until there is an event or nothing left.
    ///
    /// Call it until it returns `None`, with what the last call left of `input`; a caller that stops earlier must come back
    /// with the same rest. After an error, which comes once, or an answer that is not
    /// [`keep_alive`](Head::keep_alive), the connection is [`Phase::Finished`].
    ///
    /// # Errors
    /// What came is no answer, or not due, or over a limit.
    #[inline]
    pub fn receive<'c, 'i: 'c>(
        &'c mut self,
        input: &mut &'i [u8],
    ) -> Result<Option<Event<'c>>, Error> {
        match self.step(input) {
            Ok(None) => Ok(None),
            Ok(Some(step)) => Ok(self.event(step)),
            Err(error) => {
                *input = &[];
                Err(self.fail(error))
            }
        }
    }

    /// The server has ended its side. Gives the last event, of a body that goes on until then. The connection is finished.
    ///
    /// # Errors
    /// An answer was due, or is not complete. Comes once, and not after another error.
    pub fn end_of_input(&mut self) -> Result<Option<Event<'_>>, Error> {
        let step = match self.state {
            State::UntilClose => Some(Step::Response(None)),
            State::StreamUntilClose => Some(Step::End),
            State::Idle if self.expected.is_empty() => None,
            State::Idle => return Err(self.fail(Error::Unanswered)),
            State::Finished => None,
            _ => return Err(self.fail(Error::Cut)),
        };
        self.finish();
        Ok(step.and_then(|step| self.event(step)))
    }

    /// The body of the whole answer that came last, without copying it, if that was [`assembled`](Response::assembled); to be
    /// called before [`receive`](Self::receive) is. Empty otherwise.
    pub fn take_body(&mut self) -> Bytes {
        if !matches!(self.state, State::Idle | State::Finished) {
            return Bytes::new();
        }
        let head = self.head.len();
        let message = Bytes::from(core::mem::take(&mut self.buffer));
        if message.len() > head { message.slice(head..) } else { Bytes::new() }
    }

    /// What the connection waits for.
    pub fn phase(&self) -> Phase {
        match self.state {
            State::Idle if self.expected.is_empty() => Phase::Idle,
            State::Idle => Phase::Waiting,
            State::Head => Phase::Head,
            State::Finished => Phase::Finished,
            _ => Phase::Body,
        }
    }

    fn event<'c, 'i: 'c>(&'c self, step: Step<'i>) -> Option<Event<'c>> {
        let view = |source: Source<'i>| {
            let bytes: &'c [u8] = source.unwrap_or(&self.buffer);
            // The state tells by now whether the connection goes on: after the body, or until its end.
            let until_close = matches!(self.state, State::StreamUntilClose | State::Finished);
            let keep_alive = self.head.keep_alive() && !until_close;
            let head = self.head.view(bytes, keep_alive)?;
            Some((head, &bytes[self.head.len()..]))
        };
        Some(match step {
            Step::Response(source) => {
                let (head, body) = view(source)?;
                Event::Response(Response { head, body, assembled: source.is_none() })
            }
            Step::Head(source) => Event::Head(view(source)?.0),
            Step::Data(data) => Event::Data(data),
            Step::End => Event::End,
        })
    }

    fn step<'i>(&mut self, input: &mut &'i [u8]) -> Result<Option<Step<'i>>, Error> {
        loop {
            match &mut self.state {
                State::Idle => {
                    self.release();
                    if input.is_empty() {
                        return Ok(None);
                    }
                    if self.expected.is_empty() {
                        return Err(Error::Unasked);
                    }
                    self.informational = 0;
                    self.head = Parser::new();
                    self.state = State::Head;
                }
                State::Head => {
                    let Some(source) = self.read_head(input)? else { return Ok(None) };
                    if let Some(step) = self.begin_body(source, input)? {
                        return Ok(Some(step));
                    }
                }
                State::Length { total } => {
                    let total = *total;
                    fill(&mut self.buffer, total, input);
                    if self.buffer.len() < total {
                        return Ok(None);
                    }
                    self.next_answer();
                    return Ok(Some(Step::Response(None)));
                }
                State::Chunked(decoder) => {
                    let room = self.config.max_body - (self.buffer.len() - self.head.len()) as u64;
                    match decoder.decode(input, room, self.config.extras())? {
                        Some(Piece::Data(data)) => self.buffer.extend_from_slice(data),
                        Some(Piece::End) => {
                            self.next_answer();
                            return Ok(Some(Step::Response(None)));
                        }
                        None => return Ok(None),
                    }
                }
                State::UntilClose => {
                    let body = self.buffer.len() - self.head.len() + input.len();
                    if body as u64 > self.config.max_body {
                        return Err(Limit::Body.into());
                    }
                    self.buffer.extend_from_slice(take(input, input.len()));
                    return Ok(None);
                }
                State::StreamLength { left: 0 } => {
                    self.next_answer();
                    return Ok(Some(Step::End));
                }
                State::StreamLength { left } => {
                    let data = take_up_to(input, left);
                    return Ok((!data.is_empty()).then_some(Step::Data(data)));
                }
                State::StreamChunked(decoder) => {
                    match decoder.decode(input, u64::MAX, self.config.extras())? {
                        Some(Piece::Data(data)) => return Ok(Some(Step::Data(data))),
                        Some(Piece::End) => {
                            self.next_answer();
                            return Ok(Some(Step::End));
                        }
                        None => return Ok(None),
                    }
                }
                State::StreamUntilClose => {
                    let data = take(input, input.len());
                    return Ok((!data.is_empty()).then_some(Step::Data(data)));
                }
                State::Finished => {
                    *input = &[];
                    self.release();
                    return Ok(None);
                }
            }
        }
    }

    /// Reads a head in the input, or, once a part of it is in the buffer, there: line by line, so that not a byte of what
    /// comes after the head is copied. Gives where the head is, without taking it off the input.
    fn read_head<'i>(&mut self, input: &mut &'i [u8]) -> Result<Option<Source<'i>>, Error> {
        if self.buffer.is_empty() {
            if input.is_empty() {
                return Ok(None);
            }
            if self.head.parse(input, &self.config)? {
                return Ok(Some(Some(input)));
            }
            self.buffer.extend_from_slice(take(input, input.len()));
            return Ok(None);
        }
        while !input.is_empty() {
            let line = memchr(b'\n', input).map_or(input.len(), |lf| lf + 1);
            let room = self.config.max_head.saturating_sub(self.buffer.len());
            self.buffer.extend_from_slice(take(input, line.min(room)));
            if self.head.parse(&self.buffer, &self.config)? {
                return Ok(Some(None));
            }
        }
        Ok(None)
    }

    /// Decides how long the body of the head is that was read (RFC 9112 section 6.3). Takes the head off the input, into the
    /// buffer if the body is not there yet.
    fn begin_body<'i>(
        &mut self,
        source: Source<'i>,
        input: &mut &'i [u8],
    ) -> Result<Option<Step<'i>>, Error> {
        let head = match source {
            Some(_) => self.head.len(),
            None => 0,
        };
        let status = self.head.status();
        if status < 200 {
            return self.skip(status).map(|()| take(input, head)).map(|_| None);
        }
        let Some(expected) = self.expected.pop_front() else { return Err(Error::Unasked) };
        let framing = match self.head.framing() {
            _ if expected.to_head || matches!(status, 204 | 304) => Framing::Length(0),
            framing => framing,
        };
        if expected.stream {
            self.state = match framing {
                Framing::Length(left) => State::StreamLength { left },
                Framing::Chunked => State::StreamChunked(Decoder::new()),
                Framing::None => State::StreamUntilClose,
            };
            return Ok(Some(Step::Head(source.map(|_| take(input, head)))));
        }
        let length = match framing {
            Framing::Length(length) if length > self.config.max_body => {
                return Err(Limit::Body.into());
            }
            Framing::Length(length) => usize::try_from(length).map_err(|_| Limit::Body)?,
            Framing::Chunked | Framing::None => {
                self.buffer.extend_from_slice(take(input, head));
                self.state = match framing {
                    Framing::Chunked => State::Chunked(Decoder::new()),
                    _ => State::UntilClose,
                };
                return Ok(None);
            }
        };
        let total = self.head.len().checked_add(length).ok_or(Limit::Body)?;
        if source.is_some() && input.len() >= total {
            self.next_answer();
            return Ok(Some(Step::Response(Some(take(input, total)))));
        }
        self.buffer.extend_from_slice(take(input, head));
        self.state = State::Length { total };
        Ok(None)
    }

    /// Goes on to the head after an informational answer.
    fn skip(&mut self, status: u16) -> Result<(), Error> {
        if status == 101 {
            return Err(Error::Upgrade);
        }
        self.informational += 1;
        if self.informational > self.config.max_informational {
            return Err(Error::Informational);
        }
        self.buffer.clear();
        self.head = Parser::new();
        Ok(())
    }

    fn next_answer(&mut self) {
        if self.head.keep_alive() {
            self.state = State::Idle;
        } else {
            self.finish();
        }
    }

    fn fail(&mut self, error: Error) -> Error {
        self.finish();
        self.release();
        error
    }

    fn finish(&mut self) {
        self.state = State::Finished;
        self.expected.clear();
    }

    fn release(&mut self) {
        if self.buffer.capacity() > self.config.keep_buffer {
            self.buffer = Vec::new();
        }
        self.buffer.clear();
    }
}
