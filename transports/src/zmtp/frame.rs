//! Frames (RFC 37, "Framing"): what stands before a body, writing messages, and the parts of a message.

use bytes::{BufMut, BytesMut};

use super::{Error, Malformed};

/// Most bytes before a body.
pub const MAX_HEADER: usize = 9;

pub(super) const MORE: u8 = 0x01;
const LONG: u8 = 0x02;
pub(super) const COMMAND: u8 = 0x04;

/// What stands before a body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) more: bool,
    pub(super) command: bool,
    /// Bytes in the body.
    pub(super) length: u64,
}

impl Header {
    /// Reads a header from the front of `bytes`, and gives its own length with it; nothing while bytes are missing. Bad flags
    /// are told before the length is there.
    #[inline]
    pub(super) fn read(bytes: &[u8]) -> Result<Option<(Self, usize)>, Error> {
        let Some((&flags, rest)) = bytes.split_first() else { return Ok(None) };
        // Any other bit is reserved, and a command is one frame.
        if flags & !(MORE | LONG) != 0 && flags & !LONG != COMMAND {
            return Err(Malformed::Flags.into());
        }
        let (length, len) = if flags & LONG == 0 {
            let Some(length) = rest.first() else { return Ok(None) };
            (u64::from(*length), 2)
        } else {
            let Some(length) = rest.first_chunk() else { return Ok(None) };
            (u64::from_be_bytes(*length), MAX_HEADER)
        };
        if length > i64::MAX as u64 {
            return Err(Malformed::Length.into());
        }
        Ok(Some((Self { more: flags & MORE != 0, command: flags & COMMAND != 0, length }, len)))
    }

    /// The body, from what follows the header, if all of it is there.
    #[inline]
    pub(super) fn body<'i>(&self, rest: &'i [u8]) -> Option<&'i [u8]> {
        usize::try_from(self.length).ok().and_then(|length| rest.get(..length))
    }
}

/// Bytes before a body of this length.
#[inline]
pub(super) const fn header_len(length: usize) -> usize {
    if length < 256 { 2 } else { MAX_HEADER }
}

/// Writes what stands before a body of this length, as short as it can be.
#[inline]
pub(super) fn put_header(mut output: impl BufMut, flags: u8, length: usize) {
    match u8::try_from(length) {
        Ok(short) => output.put_slice(&[flags, short]),
        Err(_) => {
            output.put_u8(flags | LONG);
            output.put_u64(length as u64);
        }
    }
}

/// Writes a frame whose body is these bytes, one after the other.
pub(super) fn put(output: &mut BytesMut, flags: u8, body: &[&[u8]]) {
    let length = body.iter().map(|bytes| bytes.len()).sum();
    output.reserve(header_len(length) + length);
    put_header(&mut *output, flags, length);
    body.iter().for_each(|bytes| output.put_slice(bytes));
}

/// Writes what stands before a part of a message; the bytes of the part, `length` of them, are to follow. So a large part need
/// not be copied. `more` parts of the same message follow after it, or none.
pub fn write_header(output: &mut BytesMut, more: bool, length: usize) {
    put_header(output, if more { MORE } else { 0 }, length);
}

/// Writes a message as it goes to every peer that messages are not encrypted for. Nothing if there are no parts.
pub fn write_message(output: &mut BytesMut, parts: &[&[u8]]) {
    let Some((last, before)) = parts.split_last() else { return };
    output.reserve(parts.iter().map(|part| header_len(part.len()) + part.len()).sum());
    for part in before {
        put_header(&mut *output, MORE, part.len());
        output.put_slice(part);
    }
    put_header(&mut *output, 0, last.len());
    output.put_slice(last);
}

/// The parts of a message, in the frames it came in.
#[derive(Debug, Clone, Copy)]
pub struct Parts<'a> {
    frames: &'a [u8],
}

impl<'a> Parts<'a> {
    /// The parts in `frames`: those of a [`Message`](super::Message), or what [`write_message`] has written. Of anything else,
    /// as many as can be read.
    pub const fn new(frames: &'a [u8]) -> Self {
        Self { frames }
    }

    /// The frames of the parts that are still to come.
    pub const fn rest(&self) -> &'a [u8] {
        self.frames
    }
}

impl<'a> Iterator for Parts<'a> {
    type Item = &'a [u8];

    #[inline]
    fn next(&mut self) -> Option<&'a [u8]> {
        let (header, len) = Header::read(self.frames).ok()??;
        let rest = &self.frames[len..];
        let part = header.body(rest)?;
        self.frames = &rest[part.len()..];
        Some(part)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_have_their_shortest_form_and_any_is_read() {
        for length in [0, 1, 255, 256, 65536] {
            let part = vec![7; length];
            let mut output = BytesMut::new();
            write_message(&mut output, &[&part, b"end"]);
            let header = if length < 256 { 2 } else { 9 };
            assert_eq!(output.len(), header + length + 2 + 3);
            assert_eq!(output[0], if length < 256 { 1 } else { 3 });
            let mut parts = Parts::new(&output);
            assert_eq!(parts.next(), Some(&part[..]));
            assert_eq!(parts.rest(), b"\x00\x03end");
            assert_eq!(parts.collect::<Vec<_>>(), [b"end"]);
        }
        let long = [2, 0, 0, 0, 0, 0, 0, 0, 1, b'x'];
        assert_eq!(Parts::new(&long).collect::<Vec<_>>(), [b"x"]);
    }

    #[test]
    fn flags() {
        for flags in 0..=255 {
            let known = matches!(flags, 0..=4 | 6);
            assert_eq!(Header::read(&[flags]).is_ok(), known, "{flags}");
        }
    }
}
