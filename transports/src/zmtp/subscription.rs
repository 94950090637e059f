//! Subscriptions as they go over the wire (RFC 37 and RFC 23, "The Publish-Subscribe Pattern"): commands since 3.1, messages of
//! one part before. Both are read, whatever version the peer speaks, as libzmq does.

use super::Version;
use super::command::Command;
use super::frame::COMMAND;

/// What a subscriber wants changed, with the prefix it is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Change<'a> {
    Subscribe(&'a [u8]),
    Cancel(&'a [u8]),
}

impl<'a> Change<'a> {
    pub(super) fn from_command(command: &Command<'a>) -> Option<Self> {
        match command.name {
            b"SUBSCRIBE" => Some(Self::Subscribe(command.data)),
            b"CANCEL" => Some(Self::Cancel(command.data)),
            _ => None,
        }
    }

    /// What the only part of a message says.
    pub(super) fn from_part(part: &'a [u8]) -> Option<Self> {
        match part {
            [1, prefix @ ..] => Some(Self::Subscribe(prefix)),
            [0, prefix @ ..] => Some(Self::Cancel(prefix)),
            _ => None,
        }
    }

    /// The flags and the body of the frame that says it to a peer of this version.
    pub(super) fn frame(self, version: Version) -> (u8, [&'a [u8]; 2]) {
        match (self, version) {
            (Self::Subscribe(prefix), Version::V3_0) => (0, [b"\x01", prefix]),
            (Self::Cancel(prefix), Version::V3_0) => (0, [b"\x00", prefix]),
            (Self::Subscribe(prefix), Version::V3_1) => (COMMAND, [b"\x09SUBSCRIBE", prefix]),
            (Self::Cancel(prefix), Version::V3_1) => (COMMAND, [b"\x06CANCEL", prefix]),
        }
    }
}
