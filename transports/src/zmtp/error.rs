//! What can be wrong with what a peer sends, by blame, and with what is asked of us.

use core::fmt;

/// Why a connection cannot go on. It is finished: send what was written, and close.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Error {
    /// The bytes are not ZMTP.
    Malformed(Malformed),
    /// Like any other, but over a limit of the connection's [`Config`](super::Config).
    OverLimit(Limit),
    /// Well-formed, but nothing that goes together with this side.
    Unsupported(Unsupported),
    /// CURVE's cryptography does not hold: another key than was agreed, or somebody in between.
    Insecure(Insecure),
}

/// What is malformed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Malformed {
    /// The first ten bytes are not ZMTP's signature.
    Signature,
    /// Reserved bits are set, or a command or a box has the MORE bit.
    Flags,
    /// A length of more than 63 bits.
    Length,
    /// A message before the handshake is complete.
    EarlyMessage,
    /// A command without a name made of letters.
    CommandName,
    /// A command that is not due now.
    UnexpectedCommand,
    /// A HELLO without a user name and a password, or without a key and a box.
    Hello,
    /// A WELCOME of the wrong length.
    Welcome,
    /// An INITIATE that is too short.
    Initiate,
    /// A READY that is too short.
    Ready,
    /// An ERROR without a reason.
    Error,
    /// A PING without a time to live, or with more than 16 bytes of context.
    Ping,
    /// A MESSAGE that is too short.
    Message,
    /// The metadata is not a list of properties.
    Metadata,
    /// No Socket-Type, or more than one.
    SocketType,
    /// An Identity that is longer than 255 bytes, begins with a zero, or is repeated.
    Identity,
}

/// Which limit of [`Config`](super::Config) something is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Limit {
    /// `max_frame`.
    Frame,
    /// `max_parts`.
    Parts,
    /// `max_message`.
    Message,
    /// `max_command`.
    Command,
    /// `max_properties`.
    Properties,
}

/// What does not go together with this side.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unsupported {
    /// The peer speaks ZMTP 1.0 (libzmq 2).
    Version1,
    /// The peer speaks ZMTP 2.0 (libzmq 3).
    Version2,
    /// The peer asks for another security mechanism. One that it finds better or worse is no matter: the two must be the same.
    Mechanism,
    /// Both sides are the server of the security mechanism.
    BothServers,
    /// Nothing can come of these two socket types.
    SocketType,
}

/// What about CURVE does not hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Insecure {
    /// A public key with which every secret is the same.
    Key,
    /// HELLO's box does not open: the client was given another key for this server, or the server another secret key.
    Hello,
    /// WELCOME's box does not open: the server does not have the key the client was given for it.
    Welcome,
    /// The cookie is not the one this server has given.
    Cookie,
    /// INITIATE's box does not open.
    Initiate,
    /// The client does not have the secret of the key it claims.
    Vouch,
    /// READY's box does not open.
    Ready,
    /// A message's box does not open.
    Message,
    /// A nonce that is not greater than the one before: a box was sent twice.
    Nonce,
}

impl Error {
    /// One short line, without a line end.
    pub const fn text(self) -> &'static str {
        match self {
            Self::Malformed(kind) => match kind {
                Malformed::Signature => "not a ZMTP greeting",
                Malformed::Flags => "bad frame flags",
                Malformed::Length => "bad frame length",
                Malformed::EarlyMessage => "a message before the handshake is complete",
                Malformed::CommandName => "bad command name",
                Malformed::UnexpectedCommand => "a command that is not due",
                Malformed::Hello => "bad HELLO command",
                Malformed::Welcome => "bad WELCOME command",
                Malformed::Initiate => "bad INITIATE command",
                Malformed::Ready => "bad READY command",
                Malformed::Error => "bad ERROR command",
                Malformed::Ping => "bad PING command",
                Malformed::Message => "bad MESSAGE command",
                Malformed::Metadata => "bad metadata",
                Malformed::SocketType => "not exactly one socket type",
                Malformed::Identity => "bad identity",
            },
            Self::OverLimit(limit) => match limit {
                Limit::Frame => "frame too large",
                Limit::Parts => "too many parts in a message",
                Limit::Message => "message too large",
                Limit::Command => "command too large",
                Limit::Properties => "too many properties",
            },
            Self::Unsupported(what) => match what {
                Unsupported::Version1 => "the peer speaks ZMTP 1.0; 3.0 is needed (libzmq 4)",
                Unsupported::Version2 => "the peer speaks ZMTP 2.0; 3.0 is needed (libzmq 4)",
                Unsupported::Mechanism => "the peer asks for another security mechanism",
                Unsupported::BothServers => "both sides are servers of the security mechanism",
                Unsupported::SocketType => "the peer's socket type does not go with this one",
            },
            Self::Insecure(what) => match what {
                Insecure::Key => "a public key that is none",
                Insecure::Hello => "the client does not know this server's public key",
                Insecure::Welcome => "the server does not have the expected key",
                Insecure::Cookie => "not the cookie that was given",
                Insecure::Initiate => "INITIATE does not open",
                Insecure::Vouch => "the client does not have the secret of its key",
                Insecure::Ready => "READY does not open",
                Insecure::Message => "a message does not open",
                Insecure::Nonce => "a nonce was used again",
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

impl From<Insecure> for Error {
    fn from(what: Insecure) -> Self {
        Self::Insecure(what)
    }
}

/// What was asked for cannot be done. Nothing was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Misuse {
    /// The connection is not ready for messages, or no longer.
    NotReady,
    /// Nobody waits for a verdict.
    NothingAsked,
    /// An identity has at most 255 bytes, the first of which is not zero.
    Identity,
    /// A property's name is 1 to 255 letters, digits, `-`, `_`, `.` and `+`, its value less than 2 GiB.
    Property,
    /// A user name and a password have at most 255 bytes each.
    Login,
}

impl fmt::Display for Misuse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotReady => "the connection is not ready for messages",
            Self::NothingAsked => "nobody waits for a verdict",
            Self::Identity => "an identity has 1 to 255 bytes and does not begin with a zero",
            Self::Property => "a property needs a name of letters, digits, -, _, . and +",
            Self::Login => "a user name or a password has more than 255 bytes",
        })
    }
}

impl core::error::Error for Misuse {}
