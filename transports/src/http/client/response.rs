//! An answer as the caller sees it, borrowed from where it was received.

use core::ops::Deref;

use crate::http::{Headers, Version};

/// The status line and the header fields.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Head<'a> {
    /// The status code, 200 to 999: informational answers are skipped.
    pub status: u16,
    /// The reason phrase as sent, for people. May be empty, or not be text.
    pub reason: &'a [u8],
    /// The version.
    pub version: Version,
    /// The header fields in the order sent.
    pub headers: Headers<'a>,
    /// The connection takes another request after this answer.
    pub keep_alive: bool,
}

/// An answer with its body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Response<'a> {
    /// Everything before the body.
    pub head: Head<'a>,
    /// The body, its chunks decoded.
    pub body: &'a [u8],
    /// The answer did not lie whole in one receive buffer: [`Connection::take_body`](super::Connection::take_body) gives its
    /// body away.
    pub assembled: bool,
}

impl<'a> Deref for Response<'a> {
    type Target = Head<'a>;

    fn deref(&self) -> &Head<'a> {
        &self.head
    }
}
