//! What can be wrong with an answer.

use core::fmt;

use crate::http::{self, Limit, Malformed};

/// Why a connection cannot go on: close it. Requests that still wait get no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Error {
    /// The bytes are not an answer, or one over a limit, or one that we cannot read.
    Message(http::Error),
    /// More than `max_informational` informational answers before one that is final.
    Informational,
    /// The server switches to a protocol that nobody asked for (101).
    Upgrade,
    /// Bytes came while no request waited for an answer.
    Unasked,
    /// The connection ended before the first byte of an answer that was due.
    Unanswered,
    /// The connection ended in the middle of an answer.
    Cut,
}

impl Error {
    /// One short line, without a line end.
    pub const fn text(self) -> &'static str {
        match self {
            Self::Message(error) => error.text(),
            Self::Informational => "too many informational answers",
            Self::Upgrade => "switched to a protocol nobody asked for",
            Self::Unasked => "bytes that nobody asked for",
            Self::Unanswered => "connection closed before the answer",
            Self::Cut => "connection closed in the middle of an answer",
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.text())
    }
}

impl core::error::Error for Error {}

impl From<http::Error> for Error {
    fn from(error: http::Error) -> Self {
        Self::Message(error)
    }
}

impl From<Malformed> for Error {
    fn from(kind: Malformed) -> Self {
        Self::Message(kind.into())
    }
}

impl From<Limit> for Error {
    fn from(limit: Limit) -> Self {
        Self::Message(limit.into())
    }
}
