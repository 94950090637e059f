//! How connections end (RFC 6455 section 7).

use super::Error;

/// The codes that are sent here, or asked for by their meaning (section 7.4.1 and the registry of section 11.7).
pub mod code {
    /// All is said.
    pub const NORMAL: u16 = 1000;
    /// The server goes down, or the client leaves.
    pub const GOING_AWAY: u16 = 1001;
    /// What was sent is not the protocol.
    pub const PROTOCOL: u16 = 1002;
    /// A kind of message that is not taken.
    pub const UNSUPPORTED: u16 = 1003;
    /// A text is not UTF-8.
    pub const INVALID: u16 = 1007;
    /// A rule of the other side is broken.
    pub const POLICY: u16 = 1008;
    /// A message is too large.
    pub const TOO_BIG: u16 = 1009;
    /// The server cannot go on.
    pub const INTERNAL: u16 = 1011;
    /// There is too much to do; later it may be different.
    pub const TRY_LATER: u16 = 1013;
}

/// What a close frame says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Close<'a> {
    /// Why: see [`code`].
    pub code: u16,
    /// For people; at most 123 bytes.
    pub reason: &'a str,
}

impl<'a> Close<'a> {
    /// Reads the payload of a close frame; without one it says nothing.
    pub(super) fn read(payload: &'a [u8]) -> Result<Option<Close<'a>>, Error> {
        let Some((code, reason)) = payload.split_first_chunk() else {
            return if payload.is_empty() { Ok(None) } else { Err(Error::CloseCode) };
        };
        let code = u16::from_be_bytes(*code);
        if !may_be_sent(code) {
            return Err(Error::CloseCode);
        }
        let reason = core::str::from_utf8(reason).map_err(|_| Error::Utf8)?;
        Ok(Some(Close { code, reason }))
    }
}

/// Whether a code may stand in a frame: those that are defined or registered, and those free to use. 1005, 1006 and 1015 are
/// what a program calls endings that came without one.
const fn may_be_sent(code: u16) -> bool {
    matches!(code, 1000..=1003 | 1007..=1014 | 3000..=4999)
}
