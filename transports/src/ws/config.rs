//! The limits of a connection.

/// Which side of the connection this is: a client masks what it sends, a server does not (RFC 6455 section 5.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Whoever has taken the connection.
    Server,
    /// Whoever has made it.
    Client,
}

/// Limits of one connection. What is over one is an [`Error`](super::Error), after which the connection is finished.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Config {
    /// Most bytes of payload in one frame, as sent. Over: 1009. A control frame has at most 125 whatever this is.
    pub max_frame: u64,
    /// Most bytes in one message: all its frames together, decompressed. Over: 1009.
    pub max_message: usize,
    /// Most bytes of buffer that a connection keeps between two messages.
    pub keep_buffer: usize,
}

impl Default for Config {
    fn default() -> Self {
        Self { max_frame: 64 * 1024 * 1024, max_message: 64 * 1024 * 1024, keep_buffer: 4096 }
    }
}
