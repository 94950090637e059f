//! What comes out of a connection, and what it waits for.

use core::time::Duration;

use super::frame::Parts;
use super::mechanism::Credentials;
use super::metadata::Peer;
use super::subscription::Change;

/// What comes out of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event<'a> {
    /// The other side wants to be let in: [`accept`](super::Connection::accept) or [`refuse`](super::Connection::refuse). Nothing more comes
    /// until then.
    Credentials(Credentials<'a>),
    /// The handshake is complete: both sides may send. Comes once, before any message.
    Ready(Peer<'a>),
    /// A whole message.
    Message(Message<'a>),
    /// The other side wants messages that begin with this; to a PUB or XPUB. Doing so twice is as once: libzmq says it
    /// each time, and cancels once.
    Subscribe(&'a [u8]),
    /// The other side no longer wants what it has subscribed to with the same bytes.
    Cancel(&'a [u8]),
    /// A sign of life, which was answered; and for how long the other side wants to be waited for, zero if it does not say. See
    /// [`Heartbeat::told`](crate::Heartbeat::told).
    Ping(Duration),
    /// The other side refuses this one for a reason meant for logs, and will do so again: send what was written, close, and do
    /// not try again with the same credentials. libzmq's reason for bad ones is `400`. The connection is finished.
    Refused(&'a [u8]),
}

/// A whole message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Message<'a> {
    /// Its frames, in clear: they can go on to another peer as they are, if messages to that are not encrypted.
    pub frames: &'a [u8],
    /// How many parts it has: at least one.
    pub count: usize,
    /// It was put together, or decrypted: [`take_message`](super::Connection::take_message) gives it without a copy.
    pub assembled: bool,
}

impl<'a> Message<'a> {
    /// Its parts.
    #[inline]
    pub const fn parts(&self) -> Parts<'a> {
        Parts::new(self.frames)
    }
}

/// What a connection waits for; deadlines go by it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// The other side's greeting.
    Greeting,
    /// The rest of its handshake.
    Handshake,
    /// Our own verdict on its credentials, or the call of [`receive`](super::Connection::receive) that tells of its end.
    Verdict,
    /// Messages.
    Ready,
    /// Nothing: close. What comes is thrown away.
    Finished,
}

impl<'a> From<Change<'a>> for Event<'a> {
    fn from(change: Change<'a>) -> Self {
        match change {
            Change::Subscribe(prefix) => Event::Subscribe(prefix),
            Change::Cancel(prefix) => Event::Cancel(prefix),
        }
    }
}
