//! Writing chunked bodies (RFC 9112 section 7.1), of requests and of answers.

use bytes::{BufMut, BytesMut};

/// What ends a chunked body.
pub const LAST: &[u8] = b"0\r\n\r\n";

/// What ends the data of a chunk.
pub const END: &[u8] = b"\r\n";

/// Appends `data` as one chunk. No data is no chunk: it would end the body, which [`LAST`] does.
pub fn write(out: &mut BytesMut, data: &[u8]) {
    if !data.is_empty() {
        out.reserve(data.len() + 20);
        write_size(out, data.len());
        out.put_slice(data);
        out.put_slice(END);
    }
}

/// Appends the line before a chunk of `size` bytes, for who sends the data without copying them, then [`END`]. `size` is not 0.
pub fn write_size(out: &mut BytesMut, size: usize) {
    debug_assert_ne!(size, 0, "an empty chunk ends the body");
    let digits = (usize::BITS - size.leading_zeros()).div_ceil(4).max(1);
    for digit in (0..digits).rev() {
        out.put_u8(b"0123456789abcdef"[size >> (4 * digit) & 15]);
    }
    out.put_slice(b"\r\n");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chunks_as_they_go_out() {
        let mut out = BytesMut::new();
        write(&mut out, b"hello");
        write(&mut out, b"");
        write(&mut out, &[b'x'; 16]);
        out.put_slice(LAST);
        assert_eq!(&out[..], b"5\r\nhello\r\n10\r\nxxxxxxxxxxxxxxxx\r\n0\r\n\r\n");
        for size in [1, 15, 16, 255, 256, 0xabc_def0, usize::MAX] {
            out.clear();
            write_size(&mut out, size);
            assert_eq!(&out[..], format!("{size:x}\r\n").as_bytes());
        }
    }
}
