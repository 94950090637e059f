//! Request line and header fields of a request (RFC 9112 sections 2, 3 and 5).

use super::{
    Config, Error, Form, Framing, Head, Headers, Limit, Malformed, Persistence, Unsupported,
    Version,
    body::Length,
    lines::{self, Lines, Options, Stop},
    request::ascii,
    syntax,
};

/// Parses one head, over as many calls as its bytes take to come.
#[derive(Debug, Clone, Copy)]
pub(super) struct Parser {
    lines: Lines,
    start: Start,
    fields: Fields,
    framing: Framing,
}

/// What comes before the header fields.
#[derive(Debug, Clone, Copy)]
struct Start {
    blank_lines: usize,
    line: Option<RequestLine>,
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

/// What the header fields so far mean to the connection.
#[derive(Debug, Clone, Copy)]
struct Fields {
    count: usize,
    host: bool,
    options: Options,
    expects_continue: bool,
    unknown_expectation: bool,
    length: Length,
}

impl Parser {
    pub(super) const fn new() -> Self {
        Self {
            lines: Lines::new(),
            start: Start { blank_lines: 0, line: None },
            fields: Fields {
                count: 0,
                host: false,
                options: Options::new(),
                expects_continue: false,
                unknown_expectation: false,
                length: Length::new(),
            },
            framing: Framing::None,
        }
    }

    /// Bytes of the head, with its last line.
    pub(super) const fn len(&self) -> usize {
        self.lines.len()
    }

    pub(super) const fn framing(&self) -> Framing {
        self.framing
    }

    pub(super) const fn expects_continue(&self) -> bool {
        self.fields.expects_continue
    }

    pub(super) const fn persistence(&self) -> Persistence {
        let options = self.fields.options;
        match self.start.line {
            _ if options.close => Persistence::Close,
            Some(RequestLine { version: Version::Http11, .. }) => Persistence::KeepAlive,
            Some(_) if options.keep_alive => Persistence::KeepAliveStated,
            _ => Persistence::Close,
        }
    }

    /// Reads on in `bytes`, which are everything since the head began. True when the head is complete.
    pub(super) fn parse(&mut self, bytes: &[u8], config: &Config) -> Result<bool, Error> {
        let Self { lines, start, fields, .. } = self;
        let complete = lines.read(bytes, config.max_head, |at, line| {
            if start.line.is_none() {
                first_byte(line).map_err(|kind| Stop::AtOnce(kind.into()))?;
            }
            if lines::is_empty(line)? {
                return start.empty_line(config).map(|last| (2, last));
            }
            match start.line {
                None => start.request_line(at, line, config).map(|len| (len, false)),
                Some(_) => fields.field(line, config).map(|len| (len, false)),
            }
        })?;
        if complete {
            self.complete()?;
        }
        Ok(complete)
    }

    /// What can only be judged when all headers are known.
    fn complete(&mut self) -> Result<(), Error> {
        let fields = &mut self.fields;
        let http11 = matches!(self.start.line, Some(RequestLine { version: Version::Http11, .. }));
        if http11 && !fields.host {
            return Err(Malformed::HostMissing.into());
        }
        self.framing = fields.length.framing(http11)?;
        // HTTP/1.0 knows no expectations and nobody waits there (RFC 9110 section 10.1.1).
        if http11 && fields.unknown_expectation {
            return Err(Unsupported::Expectation.into());
        }
        let body = !matches!(self.framing, Framing::None | Framing::Length(0));
        fields.expects_continue &= http11 && body;
        Ok(())
    }

    /// The head for the caller; `bytes` are what was parsed.
    pub(super) fn view<'a>(&self, bytes: &'a [u8]) -> Option<Head<'a>> {
        let line = self.start.line?;
        Some(Head {
            method: ascii(bytes.get(line.method.0..line.method.1)?),
            target: ascii(bytes.get(line.target.0..line.target.1)?),
            form: line.form,
            version: line.version,
            headers: Headers { lines: bytes.get(line.end..self.len() - 2)? },
            framing: self.framing,
            persistence: self.persistence(),
            expects_continue: self.fields.expects_continue,
        })
    }
}

impl Start {
    /// True if it ends the head; those before the request line are skipped, a few.
    fn empty_line(&mut self, config: &Config) -> Result<bool, Stop> {
        if self.line.is_some() {
            return Ok(true);
        }
        self.blank_lines += 1;
        if self.blank_lines > config.max_blank_lines {
            return Err(Limit::BlankLines.into());
        }
        Ok(false)
    }

    /// Gives the length of the line, which begins at `at` in the head.
    fn request_line(&mut self, at: usize, line: &[u8], config: &Config) -> Result<usize, Stop> {
        let method = syntax::token_len(line);
        match line.get(method) {
            Some(b' ') if method > 0 => {}
            Some(_) => return Err(Malformed::Method.into()),
            None => return Err(Stop::Short),
        }
        let start = method + 1;
        let rest = &line[start..];
        let len = rest.iter().position(|&byte| !syntax::is_target(byte)).ok_or(Stop::Short)?;
        if len > config.max_target {
            return Err(Limit::Target.into());
        }
        if len == 0 || rest[len] != b' ' {
            return Err(Malformed::Target.into());
        }
        let version = match rest[len + 1..].split_first_chunk() {
            Some((version, [b'\r', b'\n', ..])) => lines::version(version)?,
            _ => return Err(Malformed::Version.into()),
        };
        let form = form(&line[..method], &rest[..len])?;
        let target = (at + start, at + start + len);
        let len = start + len + 1 + b"HTTP/1.1\r\n".len();
        self.line =
            Some(RequestLine { method: (at, at + method), target, form, version, end: at + len });
        Ok(len)
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
        self.note(name, value)?;
        self.count += 1;
        Ok(len)
    }

    /// Notes what a header means to the connection; all others are the caller's.
    #[inline]
    fn note(&mut self, name: &[u8], value: &[u8]) -> Result<(), Malformed> {
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
            10 if name.eq_ignore_ascii_case(b"connection") => self.options.add(value),
            14 if name.eq_ignore_ascii_case(b"content-length") => self.length.stated(value)?,
            17 if name.eq_ignore_ascii_case(b"transfer-encoding") => self.length.encoded(value)?,
            _ => {}
        }
        Ok(())
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
