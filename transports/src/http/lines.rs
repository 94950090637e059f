//! Reading a head line by line (RFC 9112 sections 2.2 and 5), the same for requests and answers.
//!
//! A line is judged when its LF is there, and once only, so it makes no difference where the bytes were cut.

use memchr::memchr;

use super::{Error, Limit, Malformed, Unsupported, Version, syntax};

/// How far a head has been read.
#[derive(Debug, Clone, Copy)]
pub(super) struct Lines {
    /// Where the line begins that is to be judged next.
    at: usize,
    /// No LF between `at` and here.
    scanned: usize,
}

/// Why a line gave nothing.
pub(super) enum Stop {
    /// The bytes end before the line does.
    Short,
    /// The line is wrong, if it is all there.
    Wrong(Error),
    /// It is wrong whatever follows: those who speak another protocol may never send a LF.
    AtOnce(Error),
}

impl<E: Into<Error>> From<E> for Stop {
    fn from(error: E) -> Self {
        Self::Wrong(error.into())
    }
}

impl Lines {
    pub(super) const fn new() -> Self {
        Self { at: 0, scanned: 0 }
    }

    /// Bytes of the lines that were taken.
    pub(super) const fn len(&self) -> usize {
        self.at
    }

    /// Reads on in `bytes`, which are everything since the head began; it may have `max` bytes. `line` is shown the bytes from
    /// where its line begins, and says how long that is, and whether it was the last. True when the head is complete.
    #[inline]
    pub(super) fn read(
        &mut self,
        bytes: &[u8],
        max: usize,
        mut line: impl FnMut(usize, &[u8]) -> Result<(usize, bool), Stop>,
    ) -> Result<bool, Error> {
        loop {
            if self.scanned > self.at && memchr(b'\n', &bytes[self.scanned..]).is_none() {
                return self.short(bytes, max);
            }
            let stop = match line(self.at, &bytes[self.at..]) {
                Ok((len, last)) => {
                    self.at += len;
                    match last {
                        _ if self.at > max => return Err(Limit::Head.into()),
                        true => return Ok(true),
                        false => continue,
                    }
                }
                Err(Stop::AtOnce(error)) => return Err(error),
                Err(stop) => stop,
            };
            let Some(end) = memchr(b'\n', &bytes[self.at..]) else {
                return self.short(bytes, max);
            };
            return Err(match stop {
                Stop::Wrong(error) if self.at + end < max => error,
                _ => Limit::Head.into(),
            });
        }
    }

    /// The bytes ended within a line.
    fn short(&mut self, bytes: &[u8], max: usize) -> Result<bool, Error> {
        self.scanned = bytes.len();
        if bytes.len() >= max { Err(Limit::Head.into()) } else { Ok(false) }
    }
}

/// Whether a line is the empty one, which ends a head; a line that begins in CR or LF is nothing else.
#[inline]
pub(super) fn is_empty(line: &[u8]) -> Result<bool, Stop> {
    match line {
        [b'\r', b'\n', ..] => Ok(true),
        [] | [b'\r'] => Err(Stop::Short),
        [b'\r', ..] => Err(Malformed::BareCr.into()),
        [b'\n', ..] => Err(Malformed::BareLf.into()),
        _ => Ok(false),
    }
}

/// One header line: its name, its value without blanks around, and its length with the line end.
#[inline]
pub(super) fn field(line: &[u8]) -> Result<(&[u8], &[u8], usize), Stop> {
    let colon = syntax::token_len(line);
    let (name, rest) = line.split_at(colon);
    let rest = match rest {
        [b':', rest @ ..] if colon > 0 => rest,
        [b' ' | b'\t', ..] if colon > 0 => return Err(Malformed::SpaceBeforeColon.into()),
        [b' ' | b'\t', ..] => return Err(Malformed::Folded.into()),
        [] => return Err(Stop::Short),
        _ => return Err(Malformed::HeaderName.into()),
    };
    let len = syntax::value_len(rest);
    line_end(&rest[len..])?;
    Ok((name, syntax::trim(&rest[..len]), colon + 1 + len + 2))
}

/// Whether the line ends after what may stand in a value.
#[inline]
pub(super) fn line_end(rest: &[u8]) -> Result<(), Stop> {
    match rest {
        [b'\r', b'\n', ..] => Ok(()),
        [] | [b'\r'] => Err(Stop::Short),
        [b'\r', ..] => Err(Malformed::BareCr.into()),
        [b'\n', ..] => Err(Malformed::BareLf.into()),
        _ => Err(Malformed::HeaderValue.into()),
    }
}

/// `HTTP/1.1`, as both kinds of first line have it.
#[inline]
pub(super) fn version(name: &[u8; 8]) -> Result<Version, Error> {
    match name {
        b"HTTP/1.0" => Ok(Version::Http10),
        [b'H', b'T', b'T', b'P', b'/', major, b'.', minor]
            if major.is_ascii_digit() && minor.is_ascii_digit() =>
        {
            if *major == b'1' {
                Ok(Version::Http11)
            } else {
                Err(Unsupported::Version.into())
            }
        }
        _ => Err(Malformed::Version.into()),
    }
}

/// What the options of a Connection header say of persistence.
#[derive(Debug, Clone, Copy)]
pub(super) struct Options {
    pub(super) close: bool,
    pub(super) keep_alive: bool,
}

impl Options {
    pub(super) const fn new() -> Self {
        Self { close: false, keep_alive: false }
    }

    /// A Connection header; several make one list.
    pub(super) fn add(&mut self, value: &[u8]) {
        for option in value.split(|&byte| byte == b',').map(syntax::trim) {
            self.close |= option.eq_ignore_ascii_case(b"close");
            self.keep_alive |= option.eq_ignore_ascii_case(b"keep-alive");
        }
    }
}
