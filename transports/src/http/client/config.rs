//! The limits of a client's connection.

use crate::http::chunked::Extras;

/// Limits of one connection. What is over one is an [`Error`](super::Error), after which the connection is finished.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Config {
    /// Longest head in bytes, from the first byte of the status line to the empty line that ends it.
    pub max_head: usize,
    /// Most header fields in a head.
    pub max_headers: usize,
    /// Longest body in bytes, after chunks are decoded, of an answer that is handed out whole. Streamed ones are not bounded.
    pub max_body: u64,
    /// Most bytes of chunk extensions in one body.
    pub max_chunk_extensions: usize,
    /// Most bytes in the trailer section of a chunked body.
    pub max_trailers: usize,
    /// Most informational answers (1xx) that are skipped before the answer to one request.
    pub max_informational: usize,
    /// Most requests that wait for their answers at once.
    pub max_outstanding: usize,
    /// Most bytes of buffer that a connection keeps between two answers.
    pub keep_buffer: usize,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            max_head: 16 * 1024,
            max_headers: 100,
            max_body: 64 * 1024 * 1024,
            max_chunk_extensions: 4096,
            max_trailers: 8192,
            max_informational: 8,
            max_outstanding: 64,
            keep_buffer: 4096,
        }
    }
}

impl Config {
    pub(super) const fn extras(&self) -> Extras {
        Extras { max_extensions: self.max_chunk_extensions, max_trailers: self.max_trailers }
    }
}
