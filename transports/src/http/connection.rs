//! One connection of a server: bytes in, requests out.

use bytes::Bytes;
use memchr::memchr;

use super::{
    Bodies, Config, Error, Framing, Head, Limit, Request,
    chunked::{Decoder, Piece},
    head::Parser,
};
use crate::input::{fill, take, take_up_to};

/// Decodes what a client sends.
///
/// A request that lies whole in the receive buffer is handed out as it lies there. Of one that does not, what has come so far
/// is kept here and completed by the next receive buffers; this copy is bounded by `max_head + max_body` of [`Config`].
///
/// ```
/// use grenache_transports::http::{Config, Connection, Event};
///
/// let mut connection = Connection::new(Config::default());
/// let mut input: &[u8] = b"POST /lookup HTTP/1.1\r\nhost: a\r\ncontent-length: 2\r\n\r\n{}GET";
/// let Ok(Some(Event::Request(request))) = connection.receive(&mut input) else { panic!() };
/// assert_eq!((request.method, request.target, request.body), ("POST", "/lookup", &b"{}"[..]));
/// assert_eq!(connection.receive(&mut input), Ok(None));
/// assert!(input.is_empty());
/// ```
#[derive(Debug)]
pub struct Connection {
    config: Config,
    state: State,
    head: Parser,
    /// The unfinished request: its head, and its body as far as it came. Empty while all can be borrowed.
    buffer: Vec<u8>,
}

/// What comes out of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event<'a> {
    /// A whole request. Answers go out in the order of requests.
    Request(Request<'a>),
    /// The client waits for [`response::CONTINUE`](super::response::CONTINUE) before it sends the body: write it once all
    /// earlier requests are answered. The request follows when its body is here.
    Continue,
    /// This request's body is over `max_body`: answer 413 as for any request, with this head's persistence. The body is thrown
    /// away as it comes and the connection goes on after it.
    TooLarge(Head<'a>),
    /// The head of a request whose body follows in pieces; with `expects_continue` it is the caller who sends `100 Continue`.
    Head(Head<'a>),
    /// A piece of the body.
    Data(&'a [u8]),
    /// The body is complete.
    End,
}

/// What a connection waits for; deadlines go by it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// The first byte of the next request. The only phase in which a client may end the connection properly.
    Idle,
    /// The rest of a head.
    Head,
    /// The rest of a body.
    Body,
    /// Nothing: no request is taken any more. Read on, until the client closes, some deadline passes or the phase is
    /// `Exhausted`, so that the last answer is not lost to a reset; every byte is thrown away.
    Closing,
    /// Nothing, and more than `max_discard` bytes have been thrown away since the receive buffer of the last event: close.
    Exhausted,
}

#[derive(Debug, Clone, Copy)]
enum State {
    Idle,
    Head,
    /// `buffer` is to grow to `total` bytes.
    Length {
        total: usize,
    },
    Chunked(Decoder),
    StreamLength {
        left: u64,
    },
    StreamChunked(Decoder),
    /// The body of a refused request.
    Skip {
        left: u64,
    },
    Finished {
        discarded: u64,
    },
}

/// Where an event's bytes are: in the input, or else in the connection's buffer.
type Source<'i> = Option<&'i [u8]>;

enum Step<'i> {
    Request(Source<'i>),
    Continue,
    TooLarge(Source<'i>),
    Head(Source<'i>),
    Data(&'i [u8]),
    End,
}

impl Connection {
    /// A connection on which nothing has come yet. It has no buffer until a request comes in parts.
    pub const fn new(config: Config) -> Self {
        Self { config, state: State::Idle, head: Parser::new(), buffer: Vec::new() }
    }

    /// Takes bytes off the front of `input` until there is an event or nothing left.
    ///
    /// Call it until it returns `None`, with what the last call left of `input`; a caller that stops earlier must come back
    /// with the same rest. After an error, which comes once, the connection is finished: answer it, say `connection: close`,
    /// and see [`Phase::Closing`]. The same goes for a request whose persistence is `Close`.
    #[inline]
    pub fn receive<'c, 'i: 'c>(
        &'c mut self,
        input: &mut &'i [u8],
    ) -> Result<Option<Event<'c>>, Error> {
        match self.step(input) {
            Ok(None) => Ok(None),
            Ok(Some(step)) => Ok(self.event(step)),
            Err(error) => {
                self.state = State::Finished { discarded: 0 };
                *input = &[];
                self.release();
                Err(error)
            }
        }
    }

    /// The body of the whole request that came last, without copying it, if that was [`assembled`](Request::assembled); to be
    /// called before [`receive`](Self::receive) is. Empty otherwise.
    pub fn take_body(&mut self) -> Bytes {
        if !matches!(self.state, State::Idle | State::Finished { .. }) {
            return Bytes::new();
        }
        let head = self.head.len();
        let message = Bytes::from(core::mem::take(&mut self.buffer));
        if message.len() > head { message.slice(head..) } else { Bytes::new() }
    }

    /// Bytes kept of a request that is not complete; those of the last one still count until [`receive`](Self::receive) is
    /// called again.
    pub fn buffered(&self) -> usize {
        self.buffer.len()
    }

    /// What the connection waits for.
    pub fn phase(&self) -> Phase {
        match self.state {
            State::Idle => Phase::Idle,
            State::Head => Phase::Head,
            State::Finished { discarded } if discarded > self.config.max_discard => {
                Phase::Exhausted
            }
            State::Finished { .. } => Phase::Closing,
            _ => Phase::Body,
        }
    }

    fn event<'c, 'i: 'c>(&'c self, step: Step<'i>) -> Option<Event<'c>> {
        let view = |source: Source<'i>| {
            let bytes: &'c [u8] = source.unwrap_or(&self.buffer);
            self.head.view(bytes).map(|head| (head, &bytes[self.head.len()..]))
        };
        Some(match step {
            Step::Request(source) => {
                let (head, body) = view(source)?;
                Event::Request(Request { head, body, assembled: source.is_none() })
            }
            Step::Continue => Event::Continue,
            Step::TooLarge(source) => Event::TooLarge(view(source)?.0),
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
                    self.next_request();
                    return Ok(Some(Step::Request(None)));
                }
                State::Chunked(decoder) => {
                    let room = self.config.max_body - (self.buffer.len() - self.head.len()) as u64;
                    match decoder.decode(input, room, self.config.extras())? {
                        Some(Piece::Data(data)) => self.buffer.extend_from_slice(data),
                        Some(Piece::End) => {
                            self.next_request();
                            return Ok(Some(Step::Request(None)));
                        }
                        None => return Ok(None),
                    }
                }
                State::StreamLength { left: 0 } => {
                    self.next_request();
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
                            self.next_request();
                            return Ok(Some(Step::End));
                        }
                        None => return Ok(None),
                    }
                }
                State::Skip { left } => {
                    take_up_to(input, left);
                    if *left > 0 {
                        return Ok(None);
                    }
                    self.next_request();
                }
                State::Finished { discarded } => {
                    *discarded = discarded.saturating_add(input.len() as u64);
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

    /// Decides what to do about the body of the head that was read. Takes the head off the input, into the buffer if the
    /// body is not there yet.
    fn begin_body<'i>(
        &mut self,
        source: Source<'i>,
        input: &mut &'i [u8],
    ) -> Result<Option<Step<'i>>, Error> {
        let framing = self.head.framing();
        let stream = match self.config.bodies {
            Bodies::Whole => false,
            Bodies::StreamChunked => framing == Framing::Chunked,
            Bodies::Stream => !matches!(framing, Framing::None | Framing::Length(0)),
        };
        let head = match source {
            Some(_) => self.head.len(),
            None => 0,
        };
        let length = match framing {
            Framing::None => 0,
            Framing::Length(length) if stream => {
                self.state = State::StreamLength { left: length };
                return Ok(Some(Step::Head(source.map(|_| take(input, head)))));
            }
            Framing::Length(length) if length > self.config.max_body => {
                // Who asked first may not send the body now, or may: only closing is clear.
                let skip = length <= self.config.max_discard
                    && self.head.persistence().is_alive()
                    && !self.head.expects_continue();
                if !skip {
                    return Err(Limit::Body.into());
                }
                self.state = State::Skip { left: length };
                return Ok(Some(Step::TooLarge(source.map(|_| take(input, head)))));
            }
            Framing::Length(length) => usize::try_from(length).map_err(|_| Limit::Body)?,
            Framing::Chunked if stream => {
                self.state = State::StreamChunked(Decoder::new());
                return Ok(Some(Step::Head(source.map(|_| take(input, head)))));
            }
            Framing::Chunked => {
                self.buffer.extend_from_slice(take(input, head));
                self.state = State::Chunked(Decoder::new());
                return Ok(self.head.expects_continue().then_some(Step::Continue));
            }
        };
        let total = self.head.len().checked_add(length).ok_or(Limit::Body)?;
        let expects = self.head.expects_continue();
        if source.is_some() && input.len() >= total && !expects {
            self.next_request();
            return Ok(Some(Step::Request(Some(take(input, total)))));
        }
        self.buffer.extend_from_slice(take(input, head));
        self.state = State::Length { total };
        Ok(expects.then_some(Step::Continue))
    }

    fn next_request(&mut self) {
        self.state = match self.head.persistence().is_alive() {
            true => State::Idle,
            false => State::Finished { discarded: 0 },
        };
    }

    fn release(&mut self) {
        if self.buffer.capacity() > self.config.keep_buffer {
            self.buffer = Vec::new();
        }
        self.buffer.clear();
    }
}
