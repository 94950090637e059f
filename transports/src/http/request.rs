//! A request as the caller sees it, borrowed from where it was received.

use core::{fmt, ops::Deref};

use super::syntax;

/// A version of HTTP that we speak.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Version {
    /// HTTP/1.0
    Http10,
    /// HTTP/1.1, and any later 1.x, which is to be treated as 1.1 (RFC 9110 section 2.5).
    Http11,
}

/// The form of a request target (RFC 9112 section 3.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// `/path?query`
    Origin,
    /// `scheme://authority/path?query`
    Absolute,
    /// `host:port`, for CONNECT only. Refuse such a request: a 2xx would make the connection a tunnel.
    Authority,
    /// `*`, for OPTIONS only.
    Asterisk,
}

/// How a body is delimited (RFC 9112 section 6.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Framing {
    /// No body.
    None,
    /// So many bytes.
    Length(u64),
    /// Chunks.
    Chunked,
}

/// What becomes of the connection after this request, and how the answer has to say so (RFC 9112 section 9.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Persistence {
    /// It stays, and need not be told so: HTTP/1.1.
    KeepAlive,
    /// It stays if the answer says `connection: keep-alive`: HTTP/1.0.
    KeepAliveStated,
    /// It closes after the answer, which says `connection: close`.
    Close,
}

impl Persistence {
    /// Whether the connection takes another request.
    pub const fn is_alive(self) -> bool {
        !matches!(self, Self::Close)
    }
}

/// The request line and the header fields.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Head<'a> {
    /// The method as sent; methods are case-sensitive.
    pub method: &'a str,
    /// The target as sent: visible ASCII, not decoded.
    pub target: &'a str,
    /// The form of `target`.
    pub form: Form,
    /// The version.
    pub version: Version,
    /// The header fields in the order sent.
    pub headers: Headers<'a>,
    /// How the body is delimited.
    pub framing: Framing,
    /// What becomes of the connection afterwards.
    pub persistence: Persistence,
    /// The client waits for `100 Continue` before it sends the body.
    pub expects_continue: bool,
}

impl Head<'_> {
    /// Whether the answer must not have a body.
    pub fn is_head(&self) -> bool {
        self.method == "HEAD"
    }
}

/// A request with its body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Request<'a> {
    /// Everything before the body.
    pub head: Head<'a>,
    /// The body, its chunks decoded.
    pub body: &'a [u8],
    /// The request did not lie whole in one receive buffer:
    /// [`Connection::take_body`](super::Connection::take_body) gives its body away.
    pub assembled: bool,
}

impl<'a> Deref for Request<'a> {
    type Target = Head<'a>;

    fn deref(&self) -> &Head<'a> {
        &self.head
    }
}

/// Header fields: lines that were checked when they came in and are taken apart when somebody asks.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Headers<'a> {
    pub(super) lines: &'a [u8],
}

impl<'a> Headers<'a> {
    /// The lines as they came, to be kept for later.
    pub fn as_bytes(&self) -> &'a [u8] {
        self.lines
    }

    /// Lines that [`as_bytes`](Self::as_bytes) gave. Others are not checked: the fields are nonsense then.
    pub fn from_bytes(lines: &'a [u8]) -> Self {
        Self { lines }
    }

    /// The fields in the order sent.
    pub fn iter(&self) -> Fields<'a> {
        Fields { lines: self.lines }
    }

    /// The value of the first field of this name, in any case of letters.
    pub fn get(&self, name: &str) -> Option<&'a [u8]> {
        self.get_all(name).next()
    }

    /// The values of all fields of this name.
    pub fn get_all(&self, name: &str) -> impl Iterator<Item = &'a [u8]> {
        self.iter().filter(move |(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }
}

impl<'a> IntoIterator for Headers<'a> {
    type Item = (&'a str, &'a [u8]);
    type IntoIter = Fields<'a>;

    fn into_iter(self) -> Fields<'a> {
        self.iter()
    }
}

impl fmt::Debug for Headers<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.iter().map(|(n, v)| (n, String::from_utf8_lossy(v)))).finish()
    }
}

/// Iterates over [`Headers`]: names as sent, values without blanks around them.
#[derive(Debug, Clone)]
pub struct Fields<'a> {
    lines: &'a [u8],
}

impl<'a> Iterator for Fields<'a> {
    type Item = (&'a str, &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        let colon = syntax::token_len(self.lines);
        let (name, rest) = self.lines.split_at_checked(colon)?;
        let rest = rest.get(1..)?;
        let (value, rest) = rest.split_at(syntax::value_len(rest));
        self.lines = rest.get(2..)?;
        Some((ascii(name), syntax::trim(value)))
    }
}

/// Text of bytes that the parser let pass as ASCII.
pub(super) fn ascii(bytes: &[u8]) -> &str {
    core::str::from_utf8(bytes).unwrap_or_default()
}
