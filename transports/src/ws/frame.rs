//! Frames (RFC 6455 section 5): what stands before a payload, and writing whole frames.

use bytes::{BufMut, BytesMut};

use super::mask::{self, Mask};
use super::{Close, Error, Role};

/// Most bytes before a payload.
pub const MAX_HEADER: usize = 14;

/// Most bytes in the payload of a control frame (section 5.5).
pub const MAX_CONTROL: usize = 125;

/// What a message is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// UTF-8.
    Text,
    /// Any bytes.
    Binary,
}

/// What a frame is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Opcode {
    Continuation,
    Message(Kind),
    Close,
    Ping,
    Pong,
}

impl Opcode {
    const fn read(bits: u8) -> Option<Opcode> {
        Some(match bits {
            0x0 => Opcode::Continuation,
            0x1 => Opcode::Message(Kind::Text),
            0x2 => Opcode::Message(Kind::Binary),
            0x8 => Opcode::Close,
            0x9 => Opcode::Ping,
            0xa => Opcode::Pong,
            _ => return None,
        })
    }

    const fn bits(self) -> u8 {
        match self {
            Opcode::Continuation => 0x0,
            Opcode::Message(Kind::Text) => 0x1,
            Opcode::Message(Kind::Binary) => 0x2,
            Opcode::Close => 0x8,
            Opcode::Ping => 0x9,
            Opcode::Pong => 0xa,
        }
    }

    pub(super) const fn is_control(self) -> bool {
        matches!(self, Opcode::Close | Opcode::Ping | Opcode::Pong)
    }
}

const FIN: u8 = 0x80;
const COMPRESSED: u8 = 0x40;
const RESERVED: u8 = 0x30;
const MASKED: u8 = 0x80;

/// What stands before a payload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) fin: bool,
    /// The first reserved bit: the message is compressed (RFC 7692 section 6).
    pub(super) compressed: bool,
    pub(super) opcode: Opcode,
    pub(super) mask: Option<Mask>,
    pub(super) length: u64,
}

impl Header {
    /// Reads a header from the front of `bytes`, and gives its own length with it; nothing while bytes are missing. What is
    /// wrong is said as soon as it is there.
    // As a call, what it gives would go through memory, and that costs as much as reading it.
    #[inline(always)]
    pub(super) fn read(bytes: &[u8], role: Role) -> Result<Option<(Header, usize)>, Error> {
        let Some(&first) = bytes.first() else { return Ok(None) };
        if first & RESERVED != 0 {
            return Err(Error::ReservedBits);
        }
        let opcode = Opcode::read(first & 0x0f).ok_or(Error::Opcode)?;
        let (fin, compressed) = (first & FIN != 0, first & COMPRESSED != 0);
        let Some(&second) = bytes.get(1) else { return Ok(None) };
        match (role, second & MASKED != 0) {
            (Role::Server, false) => return Err(Error::Unmasked),
            (Role::Client, true) => return Err(Error::Masked),
            _ => {}
        }
        let short = second & !MASKED;
        if opcode.is_control() && (!fin || usize::from(short) > MAX_CONTROL) {
            return Err(Error::Control);
        }
        let rest = &bytes[2..];
        let (length, taken) = match short {
            126 => match rest.first_chunk() {
                Some(length) => (u64::from(u16::from_be_bytes(*length)), 2),
                None => return Ok(None),
            },
            127 => match rest.first_chunk() {
                Some(length) => (u64::from_be_bytes(*length), 8),
                None => return Ok(None),
            },
            short => (u64::from(short), 0),
        };
        let least = match taken {
            0 => 0,
            2 => 126,
            _ => 1 << 16,
        };
        if length < least || length > i64::MAX as u64 {
            return Err(Error::Length);
        }
        let mut taken = 2 + taken;
        let mask = if second & MASKED == 0 {
            None
        } else {
            let Some(mask) = bytes[taken..].first_chunk() else { return Ok(None) };
            taken += 4;
            Some(*mask)
        };
        Ok(Some((Header { fin, compressed, opcode, mask, length }, taken)))
    }

    #[inline]
    pub(super) fn write(&self, out: &mut BytesMut) {
        let first = self.opcode.bits()
            | if self.fin { FIN } else { 0 }
            | if self.compressed { COMPRESSED } else { 0 };
        let masked = if self.mask.is_some() { MASKED } else { 0 };
        match self.length {
            length @ 0..=125 => out.put_slice(&[first, masked | length as u8]),
            length @ 126..=0xffff => {
                let [a, b] = (length as u16).to_be_bytes();
                out.put_slice(&[first, masked | 126, a, b]);
            }
            length => {
                out.put_slice(&[first, masked | 127]);
                out.put_u64(length);
            }
        }
        if let Some(mask) = self.mask {
            out.put_slice(&mask);
        }
    }
}

/// Appends a frame.
#[inline]
pub(super) fn write(
    out: &mut BytesMut,
    opcode: Opcode,
    compressed: bool,
    mask: Option<Mask>,
    payload: &[u8],
) {
    out.reserve(MAX_HEADER + payload.len());
    let length = payload.len() as u64;
    Header { fin: true, compressed, opcode, mask, length }.write(out);
    let start = out.len();
    out.put_slice(payload);
    if let Some(mask) = mask {
        mask::apply(&mut out[start..], mask, 0);
    }
}

/// Appends a whole message in one frame. A client gives a mask, a server none. Text has to be UTF-8.
#[inline]
pub fn write_message(out: &mut BytesMut, kind: Kind, mask: Option<Mask>, data: &[u8]) {
    write(out, Opcode::Message(kind), false, mask, data);
}

/// Appends the header of a server's message of `length` bytes, which follow from elsewhere.
pub fn write_message_header(out: &mut BytesMut, kind: Kind, length: usize) {
    let (opcode, length) = (Opcode::Message(kind), length as u64);
    Header { fin: true, compressed: false, opcode, mask: None, length }.write(out);
}

/// Appends a ping; of the payload the first 125 bytes are sent.
pub fn write_ping(out: &mut BytesMut, mask: Option<Mask>, payload: &[u8]) {
    write(out, Opcode::Ping, false, mask, &payload[..payload.len().min(MAX_CONTROL)]);
}

/// Appends the answer to a ping, with the ping's payload.
pub fn write_pong(out: &mut BytesMut, mask: Option<Mask>, payload: &[u8]) {
    write(out, Opcode::Pong, false, mask, &payload[..payload.len().min(MAX_CONTROL)]);
}

/// Appends a close frame; a longer reason is cut to the 123 bytes there are.
pub fn write_close(out: &mut BytesMut, mask: Option<Mask>, close: Option<Close<'_>>) {
    let mut payload = BytesMut::new();
    if let Some(Close { code, reason }) = close {
        payload.put_u16(code);
        payload.put_slice(&reason.as_bytes()[..reason.floor_char_boundary(MAX_CONTROL - 2)]);
    }
    write(out, Opcode::Close, false, mask, &payload);
}
