//! Commands (RFC 37, "Commands"): a name, and what follows it.

use core::time::Duration;

use super::Malformed;

/// A command as it came, or is to go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Command<'a> {
    pub(super) name: &'a [u8],
    pub(super) data: &'a [u8],
}

impl<'a> Command<'a> {
    /// Reads the body of a command frame.
    pub(super) fn read(body: &'a [u8]) -> Result<Self, Malformed> {
        let (length, rest) = body.split_first().ok_or(Malformed::CommandName)?;
        let (name, data) = rest.split_at_checked((*length).into()).ok_or(Malformed::CommandName)?;
        match name.is_empty() || !name.iter().all(u8::is_ascii_alphabetic) {
            true => Err(Malformed::CommandName),
            false => Ok(Self { name, data }),
        }
    }
}

/// Most bytes of a PING's context, which its PONG repeats.
const MAX_CONTEXT: usize = 16;

/// Reads a PING: how long its sender is to be waited for, zero if it does not say, and what the PONG repeats.
pub(super) fn read_ping(data: &[u8]) -> Result<(Duration, &[u8]), Malformed> {
    let (ttl, context) = data.split_first_chunk().ok_or(Malformed::Ping)?;
    if context.len() > MAX_CONTEXT {
        return Err(Malformed::Ping);
    }
    Ok((Duration::from_millis(u64::from(u16::from_be_bytes(*ttl)) * 100), context))
}

/// A time to live in tenths of a second: zero, which says nothing, if it is zero or more than can be said, 6553.5 s. A shorter one
/// than was meant would have the other side give up too soon.
pub(super) fn ttl(ttl: Duration) -> [u8; 2] {
    u16::try_from(ttl.as_millis().div_ceil(100)).unwrap_or(0).to_be_bytes()
}

/// Reads the body of an ERROR: its reason. Nothing if it is another command.
pub(super) fn read_error(body: &[u8]) -> Result<Option<&[u8]>, Malformed> {
    // PLAIN servers of libzmq 4.3.5 misspell it.
    let data = body.strip_prefix(b"\x05ERROR").or_else(|| body.strip_prefix(b"^RROR"));
    let Some(data) = data else { return Ok(None) };
    let (length, reason) = data.split_first().ok_or(Malformed::Error)?;
    if reason.len() == usize::from(*length) { Ok(Some(reason)) } else { Err(Malformed::Error) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_to_live_is_told_in_full_or_not_at_all() {
        let told = |millis| u16::from_be_bytes(ttl(Duration::from_millis(millis)));
        assert_eq!([told(0), told(1), told(100), told(101)], [0, 1, 1, 2]);
        assert_eq!([told(6_553_500), told(6_553_501), told(u64::MAX)], [u16::MAX, 0, 0]);
    }
}
