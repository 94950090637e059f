//! NULL (RFC 37, "The NULL Security Mechanism"): READY both ways.

use bytes::BytesMut;

use super::Progress;
use crate::zmtp::command::Command;
use crate::zmtp::frame::{self, COMMAND};
use crate::zmtp::{Error, Malformed, Metadata};

/// Who has made a connection. NULL has no server, but somebody has to speak first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// The side that listens. It says READY once the other's READY fits, so that it can say ERROR instead.
    Bind,
    /// The side that has made the connection. It says READY at once; peers of 3.0 do so on both sides, which is the same to us.
    Connect,
}

pub(super) struct Null {
    side: Side,
}

impl Null {
    pub(super) const fn new(side: Side) -> Self {
        Self { side }
    }

    pub(super) fn begin(&self, ours: &Metadata, output: &mut BytesMut) {
        if self.side == Side::Connect {
            ready(ours, output);
        }
    }

    pub(super) fn receive(
        &self,
        command: &Command<'_>,
        peer: &mut Vec<u8>,
    ) -> Result<Progress, Error> {
        if command.name != b"READY" {
            return Err(Malformed::UnexpectedCommand.into());
        }
        peer.extend_from_slice(command.data);
        Ok(Progress::Met)
    }

    pub(super) fn finish(&self, ours: &Metadata, output: &mut BytesMut) {
        if self.side == Side::Bind {
            ready(ours, output);
        }
    }
}

/// Writes READY in clear.
pub(super) fn ready(ours: &Metadata, output: &mut BytesMut) {
    frame::put(output, COMMAND, &[b"\x05READY", ours.encoded()]);
}
