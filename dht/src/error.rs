use core::fmt;

/// Why a command failed. The texts are Node's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Error {
    /// Nobody else is known, and this grape has no room itself.
    NoNodes,
    /// Nodes are known, none of them stored it; or the signature of a mutable item is wrong, so that
    /// nobody would.
    AllQueriesFailed,
    /// Nobody stored it, and one said why with a code from 300 to 399 (BEP44: 301 CAS mismatch, 302
    /// sequence number less than current). Node's grape uses the code as HTTP status.
    Refused {
        /// The code of the error.
        code: u16,
        /// What the other node says; at most 256 bytes of it.
        text: String,
    },
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoNodes => f.write_str("No nodes to query"),
            Self::AllQueriesFailed => f.write_str("All queries failed"),
            Self::Refused { code, text } => write!(f, "{code} {text}"),
        }
    }
}

impl core::error::Error for Error {}

/// Why a command was not begun.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CommandError {
    /// Over a limit: [`Config::max_operations`](crate::Config::max_operations).
    Busy,
    /// Over a limit: [`Config::max_key`](crate::Config::max_key).
    KeyTooLong,
    /// Over a limit: [`Config::max_put`](crate::Config::max_put).
    ValueTooLong,
    /// Over a limit: [`Config::max_salt`](crate::Config::max_salt).
    SaltTooLong,
    /// Misuse: `v` is not one bencoded value.
    NotBencode,
}

impl fmt::Display for CommandError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Busy => "too many commands in flight",
            Self::KeyTooLong => "the key is too long",
            Self::ValueTooLong => "the value is too long",
            Self::SaltTooLong => "the salt is too long",
            Self::NotBencode => "the value is not bencode",
        })
    }
}

impl core::error::Error for CommandError {}
