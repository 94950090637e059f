//! The limits of a connection.

use super::chunked::Extras;

/// How bodies are handed out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Bodies {
    /// Every request comes whole, as [`Event::Request`](super::Event::Request).
    #[default]
    Whole,
    /// Chunked bodies come in pieces as they arrive (`Head`, `Data`.., `End`) and are not bounded by
    /// [`Config::max_body`]; all others come whole.
    StreamChunked,
    /// Every body comes in pieces and none is bounded; a request without a body still comes whole.
    Stream,
}

/// Limits of one connection; the defaults are those of Node's grape where it has one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Config {
    /// Longest head in bytes, from the first byte of the request line to the empty line that ends it. Over: 431.
    pub max_head: usize,
    /// Most header fields in a head. Over: 431.
    pub max_headers: usize,
    /// Longest request target in bytes. Over: 414.
    pub max_target: usize,
    /// Most empty lines that are skipped before a request line (RFC 9112 section 2.2). Over: 400.
    pub max_blank_lines: usize,
    /// Longest body in bytes, after chunks are decoded. Over: 413.
    pub max_body: u64,
    /// Most bytes of chunk extensions in one body. Over: 413.
    pub max_chunk_extensions: usize,
    /// Most bytes in the trailer section of a chunked body. Over: 431.
    pub max_trailers: usize,
    /// Most bytes that are read and thrown away after a refusal, so that the client gets to read the answer: a refused body
    /// of a stated length up to this keeps the connection alive; otherwise the connection is to be closed once so much has
    /// been thrown away.
    pub max_discard: u64,
    /// Most bytes of buffer that a connection keeps between two requests.
    pub keep_buffer: usize,
    /// How bodies are handed out.
    pub bodies: Bodies,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            max_head: 16 * 1024,
            max_headers: 100,
            max_target: 16 * 1024,
            max_blank_lines: 4,
            max_body: 8192,
            max_chunk_extensions: 4096,
            max_trailers: 8192,
            max_discard: 256 * 1024,
            keep_buffer: 4096,
            bodies: Bodies::Whole,
        }
    }
}

impl Config {
    pub(super) const fn extras(&self) -> Extras {
        Extras { max_extensions: self.max_chunk_extensions, max_trailers: self.max_trailers }
    }
}
