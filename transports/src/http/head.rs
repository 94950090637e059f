//! Request line and header fields (RFC 9112 sections 2, 3 and 5).
//!
//! A line is judged when its LF is there, and once only, so it makes no difference where the bytes were cut.

use memchr::memchr;

use super::{
    Config, Error, Form, Framing, Head, Headers, Limit, Malformed, Persistence, Unsupported,
    Version, body::Length, request::ascii, syntax,
};

/// Parses one head, over as many calls as its bytes take to come.
#[derive(Debug, Clone, Copy)]
pub(super) struct Parser {
    /// Where the line begins that is to be judged next.
    at: usize,
    /// No LF between `at` and here.
    scanned: usize,
    blank_lines: usize,
    line: Option<RequestLine>,
    headers: usize,
    host: bool,
    close: bool,
    keep_alive: bool,
    expects_continue: bool,
    unknown_expectation: bool,
    length: Length,
    framing: Framing,
}

/// Offsets into the head.
#[derive(Debug, Clone, Copy)]
struct RequestLine {
    method: (usize, usize),
    target: (usize, usize),
    form: Form,
    version: Version,
    end: usize,
}

/// Why a line gave nothing.
enum Stop {
    /// The bytes end before the line does.
    Short,
    /// The line is wrong, if it is all there.
    Wrong(Error),
}

impl<E: Into<Error>> From<E> for Stop {
    fn from(error: E) -> Self {
        Self::Wrong(error.into())
    }
}

impl Parser {
    pub(super) const fn new() -> Self {
        Self {
            at: 0,
            scanned: 0,
            blank_lines: 0,
            line: None,
            headers: 0,
            host: false,
            close: false,
            keep_alive: false,
            expects_continue: false,
            unknown_expectation: false,
            length: Length::new(),
            framing: Framing::None,
        }
    }

    /// Bytes of the head, with its last line.
    pub(super) const fn len(&self) -> usize {
        self.at
    }

    pub(super) const fn framing(&self) -> Framing {
        self.framing
    }

    pub(super) const fn expects_continue(&self) -> bool {
        self.expects_continue
    }

    pub(super) const fn persistence(&self) -> Persistence {
        match self.line {
            _ if self.close => Persistence::Close,
            Some(RequestLine { version: Version::Http11, .. }) => Persistence::KeepAlive,
            Some(_) if self.keep_alive => Persistence::KeepAliveStated,
            _ => Persistence::Close,
        }
    }

    /// Reads on in `bytes`, which are everything since the head began. True when the head is complete.
    pub(super) fn parse(&mut self, bytes: &[u8], config: &Config) -> Result<bool, Error> {
        loop {
            if self.line.is_none() {
                first_byte(&bytes[self.at..])?;
            }
            if self.scanned > self.at && memchr(b'\n', &bytes[self.scanned..]).is_none() {
                return self.short(bytes, config);
            }
            let stop = match self.line(bytes, config) {
                Ok(_) if self.at > config.max_head => return Err(Limit::Head.into()),
                Ok(true) => return self.complete().map(|()| true),
                Ok(false) => continue,
                Err(stop) => stop,
            };
            let Some(end) = memchr(b'\n', &bytes[self.at..]) else {
                return self.short(bytes, config);
            };
            return Err(match stop {
                Stop::Wrong(error) if self.at + end < config.max_head => error,
                _ => Limit::Head.into(),
            });
        }
    }

    /// The bytes ended within a line.
    fn short(&mut self, bytes: &[u8], config: &Config) -> Result<bool, Error> {
        self.scanned = bytes.len();
        if bytes.len() >= config.max_head { Err(Limit::Head.into()) } else { Ok(false) }
    }

    /// Takes one line and moves `at` past it. True at the empty line that ends the head.
    #[inline]
    fn line(&mut self, bytes: &[u8], config: &Config) -> Result<bool, Stop> {
        let line = &bytes[self.at..];
        match (line, self.line) {
            ([b'\r', b'\n', ..], None) => {
                self.blank_lines += 1;
                if self.blank_lines > config.max_blank_lines {
                    return Err(Limit::BlankLines.into());
                }
                self.at += 2;
                Ok(false)
            }
            ([b'\r', b'\n', ..], Some(_)) => {
                self.at += 2;
                Ok(true)
            }
            ([] | [b'\r'], _) => Err(Stop::Short),
            ([b'\r', ..], _) => Err(Malformed::BareCr.into()),
            ([b'\n', ..], _) => Err(Malformed::BareLf.into()),
            (_, None) => self.request_line(bytes, config).map(|()| false),
            (_, Some(_)) => {
                let (name, value, len) = field(line)?;
                if self.headers == config.max_headers {
                    return Err(Limit::Headers.into());
                }
                self.header(name, value)?;
                self.headers += 1;
                self.at += len;
                Ok(false)
            }
        }
    }

    fn request_line(&mut self, bytes: &[u8], config: &Config) -> Result<(), Stop> {
        let method = (self.at, self.at + syntax::token_len(&bytes[self.at..]));
        match bytes.get(method.1) {
            Some(b' ') if method.1 > method.0 => {}
            Some(_) => return Err(Malformed::Method.into()),
            None => return Err(Stop::Short),
        }
        let start = method.1 + 1;
        let rest = &bytes[start..];
        let len = rest.iter().position(|&byte| !syntax::is_target(byte)).ok_or(Stop::Short)?;
        if len > config.max_target {
            return Err(Limit::Target.into());
        }
        if len == 0 || rest[len] != b' ' {
            return Err(Malformed::Target.into());
        }
        let target = (start, start + len);
        let version = match &rest[len + 1..] {
            [b'H', b'T', b'T', b'P', b'/', major, b'.', minor, b'\r', b'\n', ..]
                if major.is_ascii_digit() && minor.is_ascii_digit() =>
            {
                match (major, minor) {
                    (b'1', b'0') => Version::Http10,
                    (b'1', _) => Version::Http11,
                    _ => return Err(Unsupported::Version.into()),
                }
            }
            _ => return Err(Malformed::Version.into()),
        };
        let form = form(&bytes[method.0..method.1], &rest[..len])?;
        self.at = target.1 + 1 + b"HTTP/1.1\r\n".len();
        self.line = Some(RequestLine { method, target, form, version, end: self.at });
        Ok(())
    }

    /// Notes what a header means to the connection; all others are the caller's.
    #[inline]
    fn header(&mut self, name: &[u8], value: &[u8]) -> Result<(), Malformed> {
        match name.len() {
            4 if name.eq_ignore_ascii_case(b"host") => {
                if self.host {
                    return Err(Malformed::HostRepeated);
                }
                self.host = true;
                if !syntax::is_host(value) {
                    return Err(Malformed::Host);
                }
            }
            6 if name.eq_ignore_ascii_case(b"expect") => {
                if value.eq_ignore_ascii_case(b"100-continue") {
                    self.expects_continue = true;
                } else {
                    self.unknown_expectation = true;
                }
            }
            10 if name.eq_ignore_ascii_case(b"connection") => {
                for option in value.split(|&byte| byte == b',').map(syntax::trim) {
                    self.close |= option.eq_ignore_ascii_case(b"close");
                    self.keep_alive |= option.eq_ignore_ascii_case(b"keep-alive");
                }
            }
            14 if name.eq_ignore_ascii_case(b"content-length") => self.length.stated(value)?,
            17 if name.eq_ignore_ascii_case(b"transfer-encoding") => self.length.encoded(value)?,
            _ => {}
        }
        Ok(())
    }

    /// What can only be judged when all headers are known.
    fn complete(&mut self) -> Result<(), Error> {
        let http11 = matches!(self.line, Some(RequestLine { version: Version::Http11, .. }));
        if http11 && !self.host {
            return Err(Malformed::HostMissing.into());
        }
        self.framing = self.length.framing(http11)?;
        // HTTP/1.0 knows no expectations and nobody waits there (RFC 9110 section 10.1.1).
        if http11 && self.unknown_expectation {
            return Err(Unsupported::Expectation.into());
        }
        let body = !matches!(self.framing, Framing::None | Framing::Length(0));
        self.expects_continue &= http11 && body;
        Ok(())
    }

    /// The head for the caller; `bytes` are what was parsed.
    pub(super) fn view<'a>(&self, bytes: &'a [u8]) -> Option<Head<'a>> {
        let line = self.line?;
        Some(Head {
            method: ascii(bytes.get(line.method.0..line.method.1)?),
            target: ascii(bytes.get(line.target.0..line.target.1)?),
            form: line.form,
            version: line.version,
            headers: Headers { lines: bytes.get(line.end..self.at - 2)? },
            framing: self.framing,
            persistence: self.persistence(),
            expects_continue: self.expects_continue,
        })
    }
}

/// What can be refused before a line is there: those who speak another protocol may never send a LF.
fn first_byte(bytes: &[u8]) -> Result<(), Malformed> {
    match bytes.first() {
        Some(0x16) => Err(Malformed::TlsHello),
        Some(&byte) if !syntax::is_token(byte) && !matches!(byte, b'\r' | b'\n') => {
            Err(Malformed::Method)
        }
        _ => Ok(()),
    }
}

/// One header line: its name, its value without blanks around, and its length with the line end.
#[inline]
fn field(line: &[u8]) -> Result<(&[u8], &[u8], usize), Stop> {
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
    match &rest[len..] {
        [b'\r', b'\n', ..] => Ok((name, syntax::trim(&rest[..len]), colon + 1 + len + 2)),
        [] | [b'\r'] => Err(Stop::Short),
        [b'\r', ..] => Err(Malformed::BareCr.into()),
        [b'\n', ..] => Err(Malformed::BareLf.into()),
        _ => Err(Malformed::HeaderValue.into()),
    }
}

/// The form of a target, if it has one that goes with the method.
fn form(method: &[u8], target: &[u8]) -> Result<Form, Malformed> {
    match (method, target) {
        (b"CONNECT", _) => {
            let port = target.iter().rposition(|&byte| byte == b':').filter(|&colon| colon > 0);
            let port = port.is_some_and(|colon| syntax::decimal(&target[colon + 1..]).is_some());
            (port && syntax::is_host(target)).then_some(Form::Authority)
        }
        (_, [b'/', ..]) => Some(Form::Origin),
        (b"OPTIONS", b"*") => Some(Form::Asterisk),
        _ => absolute(target).then_some(Form::Absolute),
    }
    .ok_or(Malformed::Target)
}

/// `scheme "://" authority`, then anything.
fn absolute(target: &[u8]) -> bool {
    let letters = |byte: &u8| byte.is_ascii_alphanumeric() || b"+-.".contains(byte);
    let Some(colon) = target.iter().position(|byte| !letters(byte)) else { return false };
    let Some(rest) = target[colon..].strip_prefix(b"://") else { return false };
    let end = rest.iter().position(|byte| b"/?".contains(byte)).unwrap_or(rest.len());
    target[0].is_ascii_alphabetic() && end > 0 && syntax::is_host(&rest[..end])
}
