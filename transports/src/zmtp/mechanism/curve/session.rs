//! CURVE after the handshake (RFC 26, "The MESSAGE Command"): every frame in a box.

use bytes::{BufMut, BytesMut};

use super::seal::{self, Received, Shared, TAG};
use crate::zmtp::frame::{self, COMMAND, MORE};
use crate::zmtp::{Error, Insecure, Malformed};

/// Seals what goes and opens what comes.
#[derive(Debug)]
pub(in crate::zmtp) struct Session {
    key: Shared,
    /// The number of the last box sent. 2^64 of them take longer than anything lasts.
    sent: u64,
    received: Received,
    ours: &'static [u8; 16],
    theirs: &'static [u8; 16],
}

const NAME: &[u8; 8] = b"\x07MESSAGE";
const CLIENT: &[u8; 16] = b"CurveZMQMESSAGEC";
const SERVER: &[u8; 16] = b"CurveZMQMESSAGES";

/// Bytes by which the body of a frame is longer once it is in a box: name, nonce, tag, flags.
pub(in crate::zmtp) const OVERHEAD: usize = NAME.len() + 8 + TAG + 1;

/// Flags inside of a box. RFC 26 knows the first alone; commands are marked by the other, as libzmq does.
const BOXED_MORE: u8 = 0x01;
const BOXED_COMMAND: u8 = 0x02;

/// What was in a box.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::zmtp) struct Opened {
    pub(in crate::zmtp) more: bool,
    pub(in crate::zmtp) command: bool,
    /// Where the body begins; the frame's header stands before it.
    pub(in crate::zmtp) body: usize,
}

impl Session {
    pub(super) const fn client(key: Shared, received: Received) -> Self {
        Self { key, sent: 2, received, ours: CLIENT, theirs: SERVER }
    }

    pub(super) const fn server(key: Shared, received: Received) -> Self {
        Self { key, sent: 1, received, ours: SERVER, theirs: CLIENT }
    }

    /// Writes a frame in a box. It is marked as part of a message, which RFC 26 would not have, because libzmq takes the mark
    /// of a command for what is inside.
    pub(in crate::zmtp) fn put(&mut self, output: &mut BytesMut, flags: u8, body: &[&[u8]]) {
        self.sent += 1;
        let length = OVERHEAD + body.iter().map(|bytes| bytes.len()).sum::<usize>();
        output.reserve(frame::header_len(length) + length);
        frame::put_header(&mut *output, 0, length);
        output.put_slice(NAME);
        output.put_u64(self.sent);
        let sealed = output.len();
        output.put_bytes(0, TAG);
        let more = if flags & MORE != 0 { BOXED_MORE } else { 0 };
        output.put_u8(more | if flags & COMMAND != 0 { BOXED_COMMAND } else { 0 });
        body.iter().for_each(|bytes| output.put_slice(bytes));
        self.key.seal(&seal::short(self.ours, self.sent), &mut output[sealed..]);
    }

    /// Opens the box in the body of a frame, and appends to `message` what was in it, as the frame it would have been.
    pub(in crate::zmtp) fn open(
        &mut self,
        body: &[u8],
        message: &mut Vec<u8>,
    ) -> Result<Opened, Error> {
        let Some(sealed) = body.strip_prefix(NAME) else {
            return Err(Malformed::UnexpectedCommand.into());
        };
        let (number, sealed) = sealed.split_first_chunk().ok_or(Malformed::Message)?;
        let (tag, text) = sealed.split_first_chunk::<TAG>().ok_or(Malformed::Message)?;
        let length = text.len().checked_sub(1).ok_or(Malformed::Message)?;
        let nonce = seal::short(self.theirs, self.received.take(number)?);
        // The flags come to lie where the header ends, which overwrites them; so the body is in its place at once.
        let start = message.len();
        let header = frame::header_len(length);
        message.extend_from_slice(&[0; frame::MAX_HEADER][..header - 1]);
        message.extend_from_slice(text);
        let text = &mut message[start + header - 1..];
        if !self.key.open_apart(&nonce, tag, text) {
            return Err(Insecure::Message.into());
        }
        let flags = text[0];
        if !matches!(flags, 0 | BOXED_MORE | BOXED_COMMAND) {
            return Err(Malformed::Flags.into());
        }
        let (more, command) = (flags == BOXED_MORE, flags == BOXED_COMMAND);
        let head = &mut message[start..start + header];
        frame::put_header(head, if more { MORE } else { 0 }, length);
        Ok(Opened { more, command, body: start + header })
    }
}
