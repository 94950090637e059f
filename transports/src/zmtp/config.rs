//! The limits of a connection.

/// Limits of one connection. What is over one is an [`Error`](super::Error), after which the connection is finished.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Config {
    /// Most bytes in one part of a message.
    pub max_frame: usize,
    /// Most parts in one message.
    pub max_parts: usize,
    /// Most bytes in one message: all its parts together.
    pub max_message: usize,
    /// Most bytes in one command, its name included: what the peer says of itself, and a subscription, in either form.
    pub max_command: usize,
    /// Most properties a peer says of itself.
    pub max_properties: usize,
    /// Most bytes of buffer that a connection keeps between two messages.
    pub keep_buffer: usize,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            max_frame: 64 * 1024 * 1024,
            max_parts: 1024,
            max_message: 64 * 1024 * 1024,
            max_command: 8192,
            max_properties: 32,
            keep_buffer: 4096,
        }
    }
}
