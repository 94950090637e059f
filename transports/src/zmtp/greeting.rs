//! The greeting (RFC 37, "Version Negotiation"): 64 bytes that each side sends first, without waiting for the other's.

use bytes::{BufMut, BytesMut};

use super::{Error, Malformed, Unsupported};

/// Bytes in a greeting.
pub(super) const LEN: usize = 64;

/// Bytes of the signature; some peers send no more until they have seen ours.
const SIGNATURE: usize = 10;

/// Bytes of a mechanism's name, filled up with zeros.
const NAME: usize = 20;

/// A version of the protocol, as far as it makes a difference here. Later ones talk like 3.1 to us.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Version {
    /// RFC 23: subscriptions are messages, and there are no heartbeats.
    V3_0,
    /// RFC 37: subscriptions and heartbeats are commands.
    V3_1,
}

/// Whether a connection whose first byte is this speaks ZMTP: no HTTP request and no TLS record begins like it. ZMTP 1.0, which
/// we do not speak, may begin in any way.
pub const fn is_zmtp(first: u8) -> bool {
    first == 0xff
}

/// What a peer says first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Greeting {
    pub(super) version: Version,
    mechanism: [u8; NAME],
    pub(super) as_server: bool,
}

impl Greeting {
    /// Writes ours.
    pub(super) fn write(output: &mut BytesMut, mechanism: &str, as_server: bool) {
        output.reserve(LEN);
        output.put_slice(&[0xff, 0, 0, 0, 0, 0, 0, 0, 0, 0x7f, 3, 1]);
        output.put_slice(mechanism.as_bytes());
        output.put_bytes(0, NAME - mechanism.len());
        output.put_u8(as_server.into());
        output.put_bytes(0, 31);
    }

    /// Reads a greeting from what has come of it; nothing while bytes are missing. What is wrong is said as soon as it is
    /// there: peers of older versions never send 64 bytes.
    pub(super) fn read(bytes: &[u8]) -> Result<Option<Self>, Error> {
        if bytes.first().is_some_and(|first| *first != 0xff) {
            return Err(Malformed::Signature.into());
        }
        // The padding in between is not significant: libzmq has a length there, for ZMTP 1.0.
        match bytes.get(SIGNATURE - 1) {
            Some(0x7f) | None => {}
            Some(flags) if flags & 1 == 0 => return Err(Unsupported::Version1.into()),
            Some(_) => return Err(Malformed::Signature.into()),
        }
        if bytes.get(SIGNATURE).is_some_and(|major| *major < 3) {
            return Err(Unsupported::Version2.into());
        }
        let Some((_, rest)) = bytes.split_at_checked(SIGNATURE) else { return Ok(None) };
        let Some(([major, minor], rest)) = rest.split_first_chunk() else { return Ok(None) };
        let Some((&mechanism, rest)) = rest.split_first_chunk() else { return Ok(None) };
        // What fills the rest is left to later versions.
        let (Some(as_server), true) = (rest.first(), bytes.len() >= LEN) else { return Ok(None) };
        let version = if (*major, *minor) == (3, 0) { Version::V3_0 } else { Version::V3_1 };
        Ok(Some(Self { version, mechanism, as_server: *as_server == 1 }))
    }

    /// Whether the peer names this mechanism, and nothing else.
    pub(super) fn is(&self, mechanism: &str) -> bool {
        let (name, fill) = self.mechanism.split_at(mechanism.len());
        name == mechanism.as_bytes() && fill.iter().all(|byte| *byte == 0)
    }
}
