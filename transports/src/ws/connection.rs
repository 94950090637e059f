//! One connection: bytes in, messages out.

use bytes::Bytes;

use super::close::Close;
use super::deflate::Inflater;
use super::frame::{Header, Kind, MAX_CONTROL, MAX_HEADER, Opcode};
use super::utf8::{Invalid, Validator};
use super::{Config, Deflate, Error, Role, mask};

/// Most bytes of room that are made for a frame before it has come.
const AHEAD: usize = 32 * 1024;

/// Decodes what the other side sends.
///
/// A message that lies whole in the receive buffer, in one frame, is unmasked and handed out where it lies. Of one that does
/// not, what has come so far is kept here and completed by the next receive buffers; this copy is bounded by `max_message`
/// of [`Config`]. Control frames come between the fragments of a message as they were sent.
#[derive(Debug)]
pub struct Connection {
    role: Role,
    config: Config,
    inflater: Option<Inflater>,
    /// A header of which not all has come.
    header: [u8; MAX_HEADER],
    header_len: usize,
    state: State,
    /// The message whose fragments come.
    message: Option<Current>,
    /// That message as far as it has come, decompressed.
    buffer: Vec<u8>,
    control: [u8; MAX_CONTROL],
    control_len: usize,
    utf8: Validator,
}

#[derive(Debug, Clone, Copy)]
enum State {
    Header,
    /// In the payload of a frame.
    Payload {
        header: Header,
        done: u64,
    },
    /// After a close frame or an error.
    Finished,
}

/// A message of which the first frame has begun.
#[derive(Debug, Clone, Copy)]
struct Current {
    kind: Kind,
    compressed: bool,
}

/// What comes out of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event<'a> {
    /// A whole message.
    Message(Message<'a>),
    /// Answer it with a pong of the same payload (section 5.5.2); the last of several is enough.
    Ping(&'a [u8]),
    /// The answer to a ping, or a sign of life nobody asked for.
    Pong(&'a [u8]),
    /// The other side says no more. Answer with a close frame of the same code, unless one was sent, and close; what else comes
    /// is thrown away.
    Close(Option<Close<'a>>),
}

/// A whole message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Message<'a> {
    /// What it is; text was checked to be UTF-8.
    pub kind: Kind,
    /// The bytes, in the receive buffer, or in the connection if it is [`assembled`](Self::assembled).
    pub data: &'a [u8],
    /// It was put together of parts: [`Connection::take_message`] gives it without a copy.
    pub assembled: bool,
}

/// Where an event's bytes are: in the input, or else in the connection.
type Source<'i> = Option<&'i [u8]>;

enum Step<'i> {
    Message(Kind, Source<'i>),
    Control(Opcode, Source<'i>),
}

impl Connection {
    /// A connection after its handshake. It has no buffer until a message comes in parts.
    pub const fn new(role: Role, config: Config) -> Self {
        Self {
            role,
            config,
            inflater: None,
            header: [0; MAX_HEADER],
            header_len: 0,
            state: State::Header,
            message: None,
            buffer: Vec::new(),
            control: [0; MAX_CONTROL],
            control_len: 0,
            utf8: Validator::new(),
        }
    }

    /// Takes compressed messages as they were agreed upon.
    pub fn inflate(&mut self, agreed: Deflate) {
        self.inflater = Some(Inflater::new(self.role, agreed));
    }

    /// Takes bytes off the front of `input`, which it unmasks in place, until there is an event or nothing left.
    ///
    /// Call it until it returns `None`, with what the last call left of `input`; a caller that stops earlier must come back
    /// with the same rest.
    ///
    /// # Errors
    /// What came is not the protocol, or over a limit. It comes once; then the connection is finished, as after a close frame,
    /// and what comes is thrown away.
    #[inline]
    pub fn receive<'c, 'i: 'c>(
        &'c mut self,
        input: &mut &'i mut [u8],
    ) -> Result<Option<Event<'c>>, Error> {
        match self.step(input) {
            Ok(None) => Ok(None),
            Ok(Some(step)) => Ok(Some(self.event(step))),
            Err(error) => {
                self.finish();
                *input = &mut [];
                Err(error)
            }
        }
    }

    /// The message that came last, without copying it, if it was [`assembled`](Message::assembled); to be called before
    /// [`receive`](Self::receive) is. Empty otherwise.
    pub fn take_message(&mut self) -> Bytes {
        if self.message.is_some() {
            return Bytes::new();
        }
        Bytes::from(core::mem::take(&mut self.buffer))
    }

    /// Bytes kept of a message that is not complete; those of the last one still count until [`receive`](Self::receive) is
    /// called again.
    pub fn buffered(&self) -> usize {
        self.buffer.len()
    }

    /// Whether a message or a frame has begun and is not complete.
    pub fn is_within(&self) -> bool {
        let within = matches!(self.state, State::Payload { .. }) || self.header_len > 0;
        within || self.message.is_some()
    }

    /// Whether the other side has said its last, or was cut short for an error.
    pub fn is_finished(&self) -> bool {
        matches!(self.state, State::Finished)
    }

    fn event<'c, 'i: 'c>(&'c self, step: Step<'i>) -> Event<'c> {
        match step {
            Step::Message(kind, source) => Event::Message(Message {
                kind,
                data: source.unwrap_or(&self.buffer),
                assembled: source.is_none(),
            }),
            Step::Control(opcode, source) => {
                let payload = source.unwrap_or(&self.control[..self.control_len]);
                match opcode {
                    Opcode::Ping => Event::Ping(payload),
                    Opcode::Pong => Event::Pong(payload),
                    // It was read before, for what could be wrong with it.
                    _ => Event::Close(Close::read(payload).ok().flatten()),
                }
            }
        }
    }

    fn step<'i>(&mut self, input: &mut &'i mut [u8]) -> Result<Option<Step<'i>>, Error> {
        loop {
            match self.state {
                State::Header => {
                    if self.message.is_none() {
                        self.release();
                    }
                    let Some(header) = self.read_header(input)? else { return Ok(None) };
                    self.judge(header)?;
                    if let Some(step) = self.read_whole(header, input)? {
                        return Ok(Some(step));
                    }
                    self.control_len = 0;
                    self.state = State::Payload { header, done: 0 };
                }
                State::Payload { header, done } => {
                    let step = self.read_payload(header, done, input)?;
                    if step.is_some() || matches!(self.state, State::Payload { .. }) {
                        return Ok(step);
                    }
                }
                State::Finished => {
                    *input = &mut [];
                    return Ok(None);
                }
            }
        }
    }

    #[inline]
    fn read_header(&mut self, input: &mut &mut [u8]) -> Result<Option<Header>, Error> {
        if self.header_len == 0
            && let Some((header, len)) = Header::read(input, self.role)?
        {
            take(input, len);
            return Ok(Some(header));
        }
        self.complete_header(input)
    }

    /// Reads a header of which not all is in the input.
    #[inline(never)]
    fn complete_header(&mut self, input: &mut &mut [u8]) -> Result<Option<Header>, Error> {
        while let Some(&byte) = input.first() {
            take(input, 1);
            self.header[self.header_len] = byte;
            self.header_len += 1;
            if let Some((header, _)) = Header::read(&self.header[..self.header_len], self.role)? {
                self.header_len = 0;
                return Ok(Some(header));
            }
        }
        Ok(None)
    }

    /// Whether a frame may come now, and be as long as it is.
    #[inline]
    fn judge(&mut self, header: Header) -> Result<(), Error> {
        let Header { opcode, compressed, length, .. } = header;
        match opcode {
            Opcode::Message(_) if self.message.is_some() => return Err(Error::Interleaved),
            Opcode::Message(_) if compressed && self.inflater.is_none() => {
                return Err(Error::ReservedBits);
            }
            Opcode::Message(kind) => self.message = Some(Current { kind, compressed }),
            _ if compressed => return Err(Error::ReservedBits),
            Opcode::Continuation if self.message.is_none() => return Err(Error::Continuation),
            _ => {}
        }
        if opcode.is_control() { Ok(()) } else { self.check_length(length) }
    }

    /// Takes a payload where it lies, if it is here and all there is to its message.
    // As for `Header::read`.
    #[inline(always)]
    fn read_whole<'i>(
        &mut self,
        header: Header,
        input: &mut &'i mut [u8],
    ) -> Result<Option<Step<'i>>, Error> {
        if header.length > input.len() as u64 {
            return Ok(None);
        }
        let length = header.length as usize;
        let step = match header.opcode {
            Opcode::Message(kind) if header.fin && !header.compressed => {
                let data = unmasked(take(input, length), header, 0);
                if kind == Kind::Text {
                    core::str::from_utf8(data).map_err(|_| Error::Utf8)?;
                }
                self.message = None;
                Step::Message(kind, Some(data))
            }
            opcode @ (Opcode::Ping | Opcode::Pong | Opcode::Close) => {
                let payload = unmasked(take(input, length), header, 0);
                Step::Control(opcode, Some(payload))
            }
            _ => return Ok(None),
        };
        self.state = State::Header;
        if let Step::Control(Opcode::Close, Some(payload)) = step {
            self.close(payload)?;
        }
        Ok(Some(step))
    }

    fn check_length(&self, length: u64) -> Result<(), Error> {
        if length > self.config.max_frame {
            return Err(Error::FrameTooLarge);
        }
        let compressed = self.message.is_some_and(|message| message.compressed);
        let room = self.config.max_message.saturating_sub(self.buffer.len());
        if !compressed && length > room as u64 {
            return Err(Error::MessageTooLarge);
        }
        Ok(())
    }

    /// Takes what has come of a payload, and gives what is complete with it. The state is to be `Payload` until all has come.
    #[inline(never)]
    fn read_payload<'i>(
        &mut self,
        header: Header,
        done: u64,
        input: &mut &'i mut [u8],
    ) -> Result<Option<Step<'i>>, Error> {
        if done == 0
            && let Some(step) = self.read_whole(header, input)?
        {
            return Ok(Some(step));
        }
        let left = usize::try_from(header.length - done).unwrap_or(usize::MAX);
        let data = take(input, left.min(input.len()));
        let data = unmasked(data, header, done);
        let done = done + data.len() as u64;
        let complete = done == header.length;
        self.state = if complete { State::Header } else { State::Payload { header, done } };
        if header.opcode.is_control() {
            let at = self.control_len;
            self.control[at..at + data.len()].copy_from_slice(data);
            self.control_len += data.len();
            if !complete {
                return Ok(None);
            }
            if header.opcode == Opcode::Close {
                let payload = self.control;
                self.close(&payload[..self.control_len])?;
            }
            return Ok(Some(Step::Control(header.opcode, None)));
        }
        let last = complete && header.fin;
        let Some(message) = self.message else { return Err(Error::Continuation) };
        if !message.compressed {
            self.make_room(data.len(), header.fin, left);
        }
        self.append(message, data, last)?;
        if !last {
            return Ok(None);
        }
        self.message = None;
        Ok(Some(Step::Message(message.kind, None)))
    }

    /// Makes room for `len` bytes that have come. The buffer grows with what is there and not with what was promised, but for a
    /// little; and by as much again, so that the smallest fragments do not copy it each time.
    fn make_room(&mut self, len: usize, last_frame: bool, left: usize) {
        let before = self.buffer.len();
        if self.buffer.capacity() - before >= len {
            return;
        }
        let grown = before.max(len);
        let room = self.config.max_message.saturating_sub(before);
        let more = if last_frame { left.min(grown.max(AHEAD)) } else { room.min(grown) };
        self.buffer.reserve_exact(more);
    }

    /// Adds to the message, of which this may be the last.
    fn append(&mut self, message: Current, data: &[u8], last: bool) -> Result<(), Error> {
        let before = self.buffer.len();
        let added = match &mut self.inflater {
            Some(inflater) if message.compressed => {
                let (out, limit) = (&mut self.buffer, self.config.max_message);
                let pushed = inflater.push(data, out, limit);
                pushed.and_then(|()| if last { inflater.finish(out, limit) } else { Ok(()) })
            }
            _ => {
                self.buffer.extend_from_slice(data);
                Ok(())
            }
        };
        if message.kind == Kind::Text {
            // Also what came out before an error, or that would depend on how the input was cut.
            let invalid = |Invalid| Error::Utf8;
            self.utf8.push(&self.buffer[before..]).map_err(invalid)?;
            if added.is_ok() && last {
                self.utf8.finish().map_err(invalid)?;
            }
        }
        added
    }

    fn close(&mut self, payload: &[u8]) -> Result<(), Error> {
        Close::read(payload)?;
        self.finish();
        Ok(())
    }

    /// Nothing more is read, and nothing kept.
    fn finish(&mut self) {
        self.state = State::Finished;
        self.header_len = 0;
        self.message = None;
        self.buffer = Vec::new();
        self.inflater = None;
    }

    fn release(&mut self) {
        if self.buffer.capacity() > self.config.keep_buffer {
            self.buffer = Vec::new();
        }
        self.buffer.clear();
    }
}

/// Takes `len` bytes off `input`, which has as many.
#[inline]
fn take<'i>(input: &mut &'i mut [u8], len: usize) -> &'i mut [u8] {
    let (taken, rest) = core::mem::take(input).split_at_mut(len);
    *input = rest;
    taken
}

/// The bytes without their mask; the first is number `offset` of its frame.
#[inline]
fn unmasked(data: &mut [u8], header: Header, offset: u64) -> &[u8] {
    if let Some(mask) = header.mask {
        mask::apply(data, mask, (offset % 4) as usize);
    }
    data
}
