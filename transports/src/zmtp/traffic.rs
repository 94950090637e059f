//! Frames put together: whole messages, and the commands between them.

use bytes::Bytes;

use super::frame::Header;
use super::mechanism::curve::{OVERHEAD, Session};
use super::{Config, Error, Limit, Malformed};
use crate::input::{fill, take};

/// Where bytes are: in the input, or else here.
pub(super) type Source<'i> = Option<&'i [u8]>;

/// What the frames of a connection say.
#[derive(Debug, Clone, Copy)]
pub(super) enum Unit<'i> {
    /// A whole message: its frames, and how many of them.
    Message(Source<'i>, usize),
    /// The body of a command.
    Command(Source<'i>),
}

/// Puts frames together. What lies whole in the input is left there.
#[derive(Debug, Default)]
pub(super) struct Traffic {
    /// A frame that is no part of a plain message, or only a header, as far as it has come.
    partial: Vec<u8>,
    /// The frames of the message under way, as far as they have come; in clear.
    message: Vec<u8>,
    tally: Tally,
    /// What `message` is to grow to with the frame under way, and whether that is the last; zero between frames.
    total: usize,
    last: bool,
    /// A body that was not whole in the input begins at `held_at`.
    held: Vec<u8>,
    held_at: usize,
    /// The unit that was given last is the message here: it is over.
    given: bool,
}

/// What has come of a message.
#[derive(Debug, Default, Clone, Copy)]
struct Tally {
    parts: usize,
    bytes: u64,
}

impl Tally {
    #[inline]
    fn add(&mut self, length: u64, config: &Config) -> Result<(), Limit> {
        if length > config.max_frame as u64 {
            return Err(Limit::Frame);
        }
        self.parts += 1;
        self.bytes += length;
        if self.parts > config.max_parts {
            return Err(Limit::Parts);
        }
        if self.bytes > config.max_message as u64 { Err(Limit::Message) } else { Ok(()) }
    }
}

impl Traffic {
    /// The body of the next command of a handshake, in which there is nothing else.
    pub(super) fn command<'i>(
        &mut self,
        input: &mut &'i [u8],
        config: &Config,
    ) -> Result<Option<Source<'i>>, Error> {
        self.frame(input, |header| match header.command {
            true => check_command(header.length, config),
            false => Err(Malformed::EarlyMessage.into()),
        })
    }

    /// The next unit.
    #[inline]
    pub(super) fn next<'i>(
        &mut self,
        input: &mut &'i [u8],
        session: Option<&mut Session>,
        config: &Config,
    ) -> Result<Option<Unit<'i>>, Error> {
        if self.given {
            self.given = false;
            self.tally = Tally::default();
            clear(&mut self.message, config);
        }
        match session {
            None => self.plain(input, config),
            Some(session) => self.boxed(input, session, config),
        }
    }

    /// The bytes of a message that was given.
    #[inline]
    pub(super) fn message<'a>(&'a self, source: Source<'a>) -> &'a [u8] {
        source.unwrap_or(&self.message)
    }

    /// The body of a command that was given.
    pub(super) fn body<'a>(&'a self, source: Source<'a>) -> &'a [u8] {
        source.unwrap_or(&self.held[self.held_at..])
    }

    /// The message that was given last, if it is here.
    pub(super) fn take_message(&mut self) -> Bytes {
        if self.given { core::mem::take(&mut self.message).into() } else { Bytes::new() }
    }

    /// Bytes kept of what is not complete, or was given last.
    pub(super) fn buffered(&self) -> usize {
        self.partial.len() + self.message.len()
    }

    fn plain<'i>(
        &mut self,
        input: &mut &'i [u8],
        config: &Config,
    ) -> Result<Option<Unit<'i>>, Error> {
        let between = self.partial.is_empty() && self.message.is_empty();
        if between && let Some(unit) = whole(input, config)? {
            return Ok(Some(unit));
        }
        loop {
            if self.total > 0 {
                fill(&mut self.message, self.total, input);
                if self.message.len() < self.total {
                    return Ok(None);
                }
                self.total = 0;
                if self.last {
                    self.given = true;
                    return Ok(Some(Unit::Message(None, self.tally.parts)));
                }
            }
            let Some((header, len)) = self.header(input)? else { return Ok(None) };
            if header.command {
                check_command(header.length, config)?;
                return Ok(self.finish(&header, len, input).then_some(Unit::Command(None)));
            }
            self.tally.add(header.length, config)?;
            self.message.append(&mut self.partial);
            self.total = self.message.len() + header.length as usize;
            self.last = !header.more;
        }
    }

    fn boxed<'i>(
        &mut self,
        input: &mut &'i [u8],
        session: &mut Session,
        config: &Config,
    ) -> Result<Option<Unit<'i>>, Error> {
        let most = config.max_frame.max(config.max_command).saturating_add(OVERHEAD);
        loop {
            let frame = self.frame(input, |header| match header.more {
                true => Err(Malformed::Flags.into()),
                false if header.length > most as u64 => Err(Limit::Frame.into()),
                false => Ok(()),
            })?;
            let Some(source) = frame else { return Ok(None) };
            let cut = core::mem::take(&mut self.held);
            let start = self.message.len();
            let body = source.unwrap_or_else(|| &cut[self.held_at..]);
            let opened = session.open(body, &mut self.message)?;
            let length = (self.message.len() - opened.body) as u64;
            if opened.command {
                check_command(length, config)?;
                self.held = self.message[opened.body..].to_vec();
                self.held_at = 0;
                self.message.truncate(start);
                return Ok(Some(Unit::Command(None)));
            }
            self.tally.add(length, config)?;
            if !opened.more {
                self.given = true;
                return Ok(Some(Unit::Message(None, self.tally.parts)));
            }
        }
    }

    /// The body of the next frame, whatever it is, once it passes the check and is whole.
    fn frame<'i>(
        &mut self,
        input: &mut &'i [u8],
        check: impl Fn(&Header) -> Result<(), Error>,
    ) -> Result<Option<Source<'i>>, Error> {
        if self.partial.is_empty() {
            let Some((header, len)) = Header::read(input)? else {
                self.partial.extend_from_slice(take(input, input.len()));
                return Ok(None);
            };
            check(&header)?;
            if let Some(body) = header.body(&input[len..]) {
                take(input, len + body.len());
                return Ok(Some(Some(body)));
            }
        }
        let Some((header, len)) = self.header(input)? else { return Ok(None) };
        check(&header)?;
        Ok(self.finish(&header, len, input).then_some(None))
    }

    /// Moves the header of the next frame into `partial`, byte by byte once it is cut.
    fn header(&mut self, input: &mut &[u8]) -> Result<Option<(Header, usize)>, Error> {
        loop {
            if let Some(read) = Header::read(&self.partial)? {
                return Ok(Some(read));
            }
            let Some(byte) = take(input, 1).first() else { return Ok(None) };
            self.partial.push(*byte);
        }
    }

    /// Completes the frame in `partial`, of which the header is there, and keeps it. Whether it is complete.
    fn finish(&mut self, header: &Header, len: usize, input: &mut &[u8]) -> bool {
        let total = len + header.length as usize;
        fill(&mut self.partial, total, input);
        if self.partial.len() < total {
            return false;
        }
        self.held = core::mem::take(&mut self.partial);
        self.held_at = len;
        true
    }
}

/// The unit at the front of the input, if it lies there whole and in one piece.
#[inline]
fn whole<'i>(input: &mut &'i [u8], config: &Config) -> Result<Option<Unit<'i>>, Error> {
    let mut tally = Tally::default();
    let mut rest = *input;
    loop {
        let Some((header, len)) = Header::read(rest)? else { return Ok(None) };
        let body = header.body(&rest[len..]);
        if header.command {
            check_command(header.length, config)?;
            // A command may come between the parts of a message, which is then not in one piece.
            let Some(body) = body.filter(|_| tally.parts == 0) else { return Ok(None) };
            take(input, len + body.len());
            return Ok(Some(Unit::Command(Some(body))));
        }
        tally.add(header.length, config)?;
        let Some(body) = body else { return Ok(None) };
        rest = &rest[len + body.len()..];
        if !header.more {
            let frames = take(input, input.len() - rest.len());
            return Ok(Some(Unit::Message(Some(frames), tally.parts)));
        }
    }
}

fn check_command(length: u64, config: &Config) -> Result<(), Error> {
    if length > config.max_command as u64 { Err(Limit::Command.into()) } else { Ok(()) }
}

fn clear(buffer: &mut Vec<u8>, config: &Config) {
    if buffer.capacity() > config.keep_buffer {
        *buffer = Vec::new();
    }
    buffer.clear();
}
