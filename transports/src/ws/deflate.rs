//! Compressed messages: permessage-deflate (RFC 7692).

use bytes::BytesMut;
use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress, Status};

use super::frame::{self, Kind, Opcode};
use super::{Error, Mask, Role};
use crate::http::Headers;

/// What every compressed message ends with, and leaves out (section 7.2.1).
const TAIL: [u8; 4] = [0x00, 0x00, 0xff, 0xff];

/// Most of a piece of input that room for four times as much is made for at once, and the least.
const STEP: usize = 4 * 1024;
const LEAST: usize = 64;

/// Most bytes of buffer that are kept between two messages that are sent.
const KEEP: usize = 64 * 1024;

/// A message that has nothing in it, compressed: an empty block without its tail.
const NOTHING: [u8; 1] = [0x00];

/// The smallest window that is used here; the format knows one of 8 bits as well.
const LEAST_BITS: u8 = 9;
const MOST_BITS: u8 = 15;

/// The name of the extension.
const NAME: &[u8] = b"permessage-deflate";

/// What both sides have agreed upon (section 7.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Deflate {
    /// The server forgets what it has sent after each message.
    pub server_no_context_takeover: bool,
    /// The client does.
    pub client_no_context_takeover: bool,
    /// The server looks back 2 to the power of so many bytes, 8 to 15. Without a word it is 15, but who asks for 15 has to be
    /// told (section 7.1.2.1).
    pub server_max_window_bits: Option<u8>,
    /// The client does.
    pub client_max_window_bits: Option<u8>,
}

/// A value of `Sec-WebSocket-Extensions` that was agreed upon, or is an offer, as it is written.
impl core::fmt::Display for Deflate {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("permessage-deflate")?;
        if self.server_no_context_takeover {
            f.write_str("; server_no_context_takeover")?;
        }
        if self.client_no_context_takeover {
            f.write_str("; client_no_context_takeover")?;
        }
        if let Some(bits) = self.server_max_window_bits {
            write!(f, "; server_max_window_bits={bits}")?;
        }
        if let Some(bits) = self.client_max_window_bits {
            write!(f, "; client_max_window_bits={bits}")?;
        }
        Ok(())
    }
}

/// What a client offers: both windows may be made smaller, which takes a word of its own.
pub(super) const OFFER: &[u8] = b"permessage-deflate; client_max_window_bits";

impl Deflate {
    /// The first offer of a client that can be met, as a server answers it.
    pub(super) fn accept(headers: Headers<'_>) -> Option<Deflate> {
        extensions(headers).find_map(|offer| Deflate::read(offer?, Role::Server))
    }

    /// What a server has made of our offer; nothing if it takes none.
    ///
    /// # Errors
    /// It answers with something that was not offered.
    pub(super) fn agreed(headers: Headers<'_>) -> Result<Option<Deflate>, ()> {
        let mut all = extensions(headers);
        let Some(answer) = all.next() else { return Ok(None) };
        let agreed = answer.and_then(|answer| Deflate::read(answer, Role::Client)).ok_or(())?;
        if all.next().is_some() { Err(()) } else { Ok(Some(agreed)) }
    }

    /// Reads the parameters of an offer, as the server that may take it, or those of an answer, as the client.
    fn read(parameters: &[u8], role: Role) -> Option<Deflate> {
        let mut deflate = Deflate::default();
        let mut seen: [bool; 4] = [false; 4];
        for parameter in parameters.split(|&byte| byte == b';').skip(1) {
            let mut halves = parameter.splitn(2, |&byte| byte == b'=').map(<[u8]>::trim_ascii);
            let (name, value) = (halves.next()?, halves.next());
            let number = match name {
                b"server_no_context_takeover" => 0,
                b"client_no_context_takeover" => 1,
                b"server_max_window_bits" => 2,
                b"client_max_window_bits" => 3,
                _ => return None,
            };
            if core::mem::replace(&mut seen[number], true) {
                return None;
            }
            match (number, value) {
                (0, None) => deflate.server_no_context_takeover = true,
                (1, None) => deflate.client_no_context_takeover = true,
                (2, Some(value)) => deflate.server_max_window_bits = Some(bits(value)?),
                (3, Some(value)) => deflate.client_max_window_bits = Some(bits(value)?),
                // The client can do with a smaller window, should we want it to.
                (3, None) if role == Role::Server => {}
                _ => return None,
            }
        }
        // Whoever compresses has to be able to keep to it. A window of 8 bits is what zlib cannot do; to read one, a larger
        // one serves.
        (deflate.window_bits(role) >= LEAST_BITS).then_some(deflate)
    }

    fn no_context_takeover(&self, sender: Role) -> bool {
        match sender {
            Role::Server => self.server_no_context_takeover,
            Role::Client => self.client_no_context_takeover,
        }
    }

    fn window_bits(&self, sender: Role) -> u8 {
        let bits = match sender {
            Role::Server => self.server_max_window_bits,
            Role::Client => self.client_max_window_bits,
        };
        bits.unwrap_or(MOST_BITS)
    }
}

/// What is said of extensions: each that is this one with its parameters, `None` for others.
fn extensions(headers: Headers<'_>) -> impl Iterator<Item = Option<&[u8]>> {
    headers.get_all("sec-websocket-extensions").collect::<Vec<_>>().into_iter().flat_map(|value| {
        value.split(|&byte| byte == b',').map(|extension| {
            let name = extension.split(|&byte| byte == b';').next()?.trim_ascii();
            name.eq_ignore_ascii_case(NAME).then_some(extension)
        })
    })
}

fn bits(value: &[u8]) -> Option<u8> {
    // A value may be quoted (RFC 6455 section 9.1).
    let value = value.strip_prefix(b"\"").and_then(|v| v.strip_suffix(b"\"")).unwrap_or(value);
    match value {
        [digit @ b'8'..=b'9'] => Some(digit - b'0'),
        [b'1', digit @ b'0'..=b'5'] => Some(10 + digit - b'0'),
        _ => None,
    }
}

/// Decompresses what the other side sends.
#[derive(Debug)]
pub(super) struct Inflater {
    zlib: Decompress,
    forgets: bool,
    /// Nothing has come of a block, so there is none that lacks its tail: at the start of a message, and after a block that
    /// says it is the last.
    between: bool,
}

impl Inflater {
    pub(super) fn new(role: Role, agreed: Deflate) -> Inflater {
        let sender = match role {
            Role::Server => Role::Client,
            Role::Client => Role::Server,
        };
        let forgets = agreed.no_context_takeover(sender);
        // The largest window reads them all.
        Inflater { zlib: Decompress::new(false), forgets, between: true }
    }

    /// Decompresses a piece of a message onto `out`, which may have `limit` bytes. In case of an error `out` has all that comes
    /// before it.
    pub(super) fn push(
        &mut self,
        mut data: &[u8],
        out: &mut Vec<u8>,
        limit: usize,
    ) -> Result<(), Error> {
        let mut more = !data.is_empty();
        while more {
            if out.len() == out.capacity() {
                // One more than may be, to notice.
                let room = (limit - out.len()).saturating_add(1);
                out.reserve_exact(room.min(out.len().max(4 * data.len().clamp(LEAST, STEP))));
            }
            let (read, written) = (self.zlib.total_in(), out.len());
            let status = self.zlib.decompress_vec(data, out, FlushDecompress::Sync);
            if out.len() > limit {
                out.truncate(limit);
                return Err(Error::MessageTooLarge);
            }
            data = &data[(self.zlib.total_in() - read) as usize..];
            match status.map_err(|_| Error::Compression)? {
                // A block that says it is the last; others may follow all the same (section 7.2.3.4).
                Status::StreamEnd => {
                    self.zlib.reset(false);
                    self.between = true;
                }
                Status::Ok => self.between = false,
                Status::BufError if out.len() == written && !data.is_empty() => {
                    return Err(Error::Compression);
                }
                Status::BufError => {}
            }
            more = !data.is_empty() || out.len() == out.capacity();
        }
        Ok(())
    }

    /// The message is complete.
    pub(super) fn finish(&mut self, out: &mut Vec<u8>, limit: usize) -> Result<(), Error> {
        if !self.between {
            self.push(&TAIL, out, limit)?;
        }
        self.between = true;
        if self.forgets {
            self.zlib.reset(false);
        }
        Ok(())
    }
}

/// Compresses messages that are sent.
#[derive(Debug)]
pub struct Deflater {
    zlib: Compress,
    forgets: bool,
    compressed: Vec<u8>,
}

impl Deflater {
    /// For the side that is `role`.
    pub fn new(role: Role, agreed: Deflate) -> Deflater {
        let bits = agreed.window_bits(role).clamp(LEAST_BITS, MOST_BITS);
        Deflater {
            zlib: Compress::new_with_window_bits(Compression::fast(), false, bits),
            forgets: agreed.no_context_takeover(role),
            compressed: Vec::new(),
        }
    }

    /// Appends a whole message, compressed, in one frame; as [`frame::write_message`].
    pub fn write_message(
        &mut self,
        out: &mut BytesMut,
        kind: Kind,
        mask: Option<Mask>,
        data: &[u8],
    ) {
        let opcode = Opcode::Message(kind);
        if data.is_empty() {
            return frame::write(out, opcode, true, mask, &NOTHING);
        }
        let payload = self.compress(data);
        let compressed = payload.is_some();
        frame::write(out, opcode, compressed, mask, payload.unwrap_or(data));
        // Nor may it look back at what the other side has not seen.
        if self.forgets || !compressed {
            self.zlib.reset();
        }
        if self.compressed.capacity() > KEEP {
            self.compressed = Vec::new();
        }
    }

    fn compress(&mut self, mut data: &[u8]) -> Option<&[u8]> {
        self.compressed.clear();
        loop {
            self.compressed.reserve(LEAST + data.len() / 2);
            let before = self.zlib.total_in();
            let out = &mut self.compressed;
            let status = self.zlib.compress_vec(data, out, FlushCompress::Sync);
            if !matches!(status, Ok(Status::Ok | Status::BufError)) {
                return None;
            }
            data = &data[(self.zlib.total_in() - before) as usize..];
            if data.is_empty() && self.compressed.len() < self.compressed.capacity() {
                return self.compressed.strip_suffix(&TAIL);
            }
        }
    }
}
