//! Status line and header fields of an answer (RFC 9112 sections 4, 5 and 6.3).

use super::{Config, response::Head};
use crate::http::{
    Error, Framing, Headers, Limit, Malformed, Version,
    body::Length,
    lines::{self, Lines, Options, Stop},
    syntax,
};

/// Parses one head, over as many calls as its bytes take to come.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Parser {
    lines: Lines,
    line: Option<StatusLine>,
    fields: Fields,
    framing: Framing,
}

#[derive(Debug, Clone, Copy)]
struct StatusLine {
    version: Version,
    status: u16,
    /// Bytes of the line with its end; the reason is what comes after the code.
    len: usize,
}

/// What the header fields so far mean to the connection.
#[derive(Debug, Clone, Copy)]
struct Fields {
    count: usize,
    options: Options,
    length: Length,
}

/// `HTTP/1.1 200`, after which comes a space and the reason.
const CODE_END: usize = 12;

impl Parser {
    pub(crate) const fn new() -> Self {
        Self {
            lines: Lines::new(),
            line: None,
            fields: Fields { count: 0, options: Options::new(), length: Length::new() },
            framing: Framing::None,
        }
    }

    /// Bytes of the head, with its last line.
    pub(crate) const fn len(&self) -> usize {
        self.lines.len()
    }

    /// What the fields say of the body; some answers have none all the same.
    pub(super) const fn framing(&self) -> Framing {
        self.framing
    }

    pub(super) const fn status(&self) -> u16 {
        match self.line {
            Some(line) => line.status,
            None => 0,
        }
    }

    /// Whether the connection stays (RFC 9112 section 9.3), if the body has an end of its own.
    pub(super) const fn keep_alive(&self) -> bool {
        let options = self.fields.options;
        match self.line {
            _ if options.close => false,
            Some(StatusLine { version: Version::Http11, .. }) => true,
            _ => options.keep_alive,
        }
    }

    /// Reads on in `bytes`, which are everything since the head began. True when the head is complete.
    pub(crate) fn parse(&mut self, bytes: &[u8], config: &Config) -> Result<bool, Error> {
        if self.line.is_none() {
            first_bytes(bytes)?;
        }
        let Self { lines, line: start, fields, .. } = self;
        let complete = lines.read(bytes, config.max_head, |_, line| {
            let Some(_) = start else {
                let read = status_line(line)?;
                *start = Some(read);
                return Ok((read.len, false));
            };
            if lines::is_empty(line)? {
                return Ok((2, true));
            }
            fields.field(line, config).map(|len| (len, false))
        })?;
        if complete {
            let http11 = self.line.is_some_and(|line| line.version == Version::Http11);
            self.framing = self.fields.length.framing(http11)?;
        }
        Ok(complete)
    }

    /// The head for the caller; `bytes` are what was parsed.
    pub(crate) fn view<'a>(&self, bytes: &'a [u8], keep_alive: bool) -> Option<Head<'a>> {
        let line = self.line?;
        let reason = bytes.get(CODE_END..line.len - 2)?;
        Some(Head {
            status: line.status,
            reason: reason.strip_prefix(b" ").unwrap_or(reason),
            version: line.version,
            headers: Headers { lines: bytes.get(line.len..self.len() - 2)? },
            keep_alive,
        })
    }
}

impl Fields {
    /// Takes a header line, and gives its length.
    #[inline]
    fn field(&mut self, line: &[u8], config: &Config) -> Result<usize, Stop> {
        let (name, value, len) = lines::field(line)?;
        if self.count == config.max_headers {
            return Err(Limit::Headers.into());
        }
        match name.len() {
            10 if name.eq_ignore_ascii_case(b"connection") => self.options.add(value),
            14 if name.eq_ignore_ascii_case(b"content-length") => self.length.stated(value)?,
            17 if name.eq_ignore_ascii_case(b"transfer-encoding") => self.length.encoded(value)?,
            _ => {}
        }
        self.count += 1;
        Ok(len)
    }
}

/// What can be refused before a line is there: those who speak another protocol may never send a LF.
fn first_bytes(line: &[u8]) -> Result<(), Malformed> {
    const NAME: &[u8] = b"HTTP/";
    let len = line.len().min(NAME.len());
    match line {
        [0x15, ..] => Err(Malformed::TlsAlert),
        _ if line[..len] == NAME[..len] => Ok(()),
        _ => Err(Malformed::StatusLine),
    }
}

/// `HTTP/1.1 200 OK`. The space before the reason may be missing with it: many servers forget it, and nothing depends on it.
fn status_line(line: &[u8]) -> Result<StatusLine, Stop> {
    let bad = || Stop::from(Malformed::StatusLine);
    let (version, rest) = line.split_first_chunk().ok_or(Malformed::Version)?;
    let version = lines::version(version)?;
    let digits = rest.strip_prefix(b" ").ok_or_else(bad)?;
    let (code, reason) = digits.split_first_chunk::<3>().ok_or_else(bad)?;
    if !matches!(code, [b'1'..=b'9', b'0'..=b'9', b'0'..=b'9'])
        || !matches!(reason, [] | [b' ' | b'\r' | b'\n', ..])
    {
        return Err(bad());
    }
    let status = code.iter().fold(0, |status, digit| status * 10 + u16::from(digit - b'0'));
    let len = syntax::value_len(reason);
    lines::line_end(&reason[len..]).map_err(|stop| match stop {
        Stop::Wrong(Error::Malformed(Malformed::HeaderValue)) => bad(),
        stop => stop,
    })?;
    Ok(StatusLine { version, status, len: CODE_END + len + 2 })
}
