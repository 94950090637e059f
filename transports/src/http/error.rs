//! What can be wrong with a message, by blame.

use core::fmt;

/// Why a connection cannot go on. It is finished: a server answers with [`status`](Self::status) and `connection: close`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Error {
    /// The bytes are not a message.
    Malformed(Malformed),
    /// A message like any other, but over a limit of the connection's configuration.
    OverLimit(Limit),
    /// Well-formed, but asks for what we do not do.
    Unsupported(Unsupported),
}

/// What is malformed. A server answers 400 to every kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Malformed {
    /// A TLS client hello came to the plain port.
    TlsHello,
    /// A TLS alert came where an answer was due: the peer takes TLS only.
    TlsAlert,
    /// An answer does not begin with a version, a status code and a reason.
    StatusLine,
    /// The method is not a token followed by one space.
    Method,
    /// The target has bytes that no target has, or no form that fits the method.
    Target,
    /// The request line does not end in a version.
    Version,
    /// A CR that no LF follows.
    BareCr,
    /// A LF that no CR precedes.
    BareLf,
    /// A header name is empty, not a token, or no colon follows it.
    HeaderName,
    /// Blanks between a header name and its colon.
    SpaceBeforeColon,
    /// A header line that begins with a blank: the obsolete folding.
    Folded,
    /// A control byte in a header value.
    HeaderValue,
    /// HTTP/1.1 without Host.
    HostMissing,
    /// More than one Host.
    HostRepeated,
    /// Host is not a host with an optional port.
    Host,
    /// Content-Length is not a decimal number that fits 64 bits.
    ContentLength,
    /// More than one Content-Length, equal or not.
    ContentLengthRepeated,
    /// Both Content-Length and Transfer-Encoding.
    LengthAndEncoding,
    /// Transfer-Encoding does not end in exactly one chunked.
    TransferEncoding,
    /// Transfer-Encoding in HTTP/1.0.
    EncodingInHttp10,
    /// A chunk size is not a hexadecimal number that fits 64 bits.
    ChunkSize,
    /// A control byte in a chunk extension.
    ChunkExtension,
    /// No CRLF where the data of a chunk ends.
    ChunkEnd,
    /// The trailer section is not header lines.
    Trailer,
}

/// Which limit of [`Config`](super::Config) or [`client::Config`](super::client::Config) a message is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Limit {
    /// `max_head`: 431.
    Head,
    /// `max_headers`: 431.
    Headers,
    /// `max_target`: 414.
    Target,
    /// `max_blank_lines`: 400.
    BlankLines,
    /// `max_body`: 413.
    Body,
    /// `max_chunk_extensions`: 413.
    ChunkExtensions,
    /// `max_trailers`: 431.
    Trailers,
}

/// What we do not do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unsupported {
    /// A version of HTTP other than 1.x, also the preface of HTTP/2: 505.
    Version,
    /// A transfer coding besides chunked: 501.
    TransferCoding,
    /// An expectation other than 100-continue: 417.
    Expectation,
}

impl Error {
    /// The status code to answer with.
    pub const fn status(self) -> u16 {
        match self {
            Self::Malformed(_) | Self::OverLimit(Limit::BlankLines) => 400,
            Self::OverLimit(Limit::Head | Limit::Headers | Limit::Trailers) => 431,
            Self::OverLimit(Limit::Target) => 414,
            Self::OverLimit(Limit::Body | Limit::ChunkExtensions) => 413,
            Self::Unsupported(Unsupported::Version) => 505,
            Self::Unsupported(Unsupported::TransferCoding) => 501,
            Self::Unsupported(Unsupported::Expectation) => 417,
        }
    }

    /// One short line for the client, without a line end.
    pub const fn text(self) -> &'static str {
        match self {
            Self::Malformed(kind) => match kind {
                Malformed::TlsHello => "TLS on a plain HTTP port",
                Malformed::TlsAlert => "TLS alert: the peer takes TLS only",
                Malformed::StatusLine => "bad status line",
                Malformed::Method => "bad method",
                Malformed::Target => "bad request target",
                Malformed::Version => "bad HTTP version",
                Malformed::BareCr => "CR without LF",
                Malformed::BareLf => "LF without CR",
                Malformed::HeaderName => "bad header name",
                Malformed::SpaceBeforeColon => "space between header name and colon",
                Malformed::Folded => "folded header line",
                Malformed::HeaderValue => "control character in a header value",
                Malformed::HostMissing => "no Host header",
                Malformed::HostRepeated => "more than one Host header",
                Malformed::Host => "bad Host header",
                Malformed::ContentLength => "bad Content-Length",
                Malformed::ContentLengthRepeated => "more than one Content-Length",
                Malformed::LengthAndEncoding => "both Content-Length and Transfer-Encoding",
                Malformed::TransferEncoding => "Transfer-Encoding does not end in chunked",
                Malformed::EncodingInHttp10 => "Transfer-Encoding in HTTP/1.0",
                Malformed::ChunkSize => "bad chunk size",
                Malformed::ChunkExtension => "bad chunk extension",
                Malformed::ChunkEnd => "chunk data does not end where its size says",
                Malformed::Trailer => "bad trailer section",
            },
            Self::OverLimit(limit) => match limit {
                Limit::Head => "head too large",
                Limit::Headers => "too many headers",
                Limit::Target => "request target too long",
                Limit::BlankLines => "too many empty lines before a request",
                Limit::Body => "body too large",
                Limit::ChunkExtensions => "chunk extensions too large",
                Limit::Trailers => "trailers too large",
            },
            Self::Unsupported(what) => match what {
                Unsupported::Version => "HTTP version not supported",
                Unsupported::TransferCoding => "transfer coding not supported",
                Unsupported::Expectation => "expectation not supported",
            },
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.text())
    }
}

impl core::error::Error for Error {}

impl From<Malformed> for Error {
    fn from(kind: Malformed) -> Self {
        Self::Malformed(kind)
    }
}

impl From<Limit> for Error {
    fn from(limit: Limit) -> Self {
        Self::OverLimit(limit)
    }
}

impl From<Unsupported> for Error {
    fn from(what: Unsupported) -> Self {
        Self::Unsupported(what)
    }
}
