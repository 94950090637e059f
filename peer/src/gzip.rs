//! Compressed payloads, bounded.

use std::fmt;
use std::io::{ErrorKind, Read, Write};

use bytes::Bytes;
use flate2::Compression;
use flate2::bufread::GzDecoder;
use flate2::write::GzEncoder;

/// The smallest member there can be: head and trail of gzip around an empty block.
const SHORTEST: usize = 20;

/// Most members of a text: each costs a decoder, however little is in it.
const MEMBERS: usize = 64;

/// Why a compressed text was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unreadable {
    /// It is longer than the limit when decompressed.
    TooLarge,
    /// It is not gzip, or damaged.
    Malformed,
    /// Its end is missing.
    Truncated,
}

impl fmt::Display for Unreadable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::TooLarge => "longer than the limit when decompressed",
            Self::Malformed => "not gzip",
            Self::Truncated => "gzip without its end",
        })
    }
}

impl std::error::Error for Unreadable {}

/// Compresses at zlib's usual level, as Node does.
pub(crate) fn compress(plain: &[u8]) -> Bytes {
    let out = Vec::with_capacity(plain.len() / 4 + SHORTEST);
    let mut encoder = GzEncoder::new(out, Compression::default());
    let done = encoder.write_all(plain).and_then(|()| encoder.finish());
    done.expect("writing to memory does not fail").into()
}

/// How long a compressed text says it is when decompressed; 0 if it does not. Not to be believed.
pub(crate) fn claimed(packed: &[u8]) -> usize {
    packed.last_chunk().map_or(0, |size| u32::from_le_bytes(*size) as usize)
}

/// Decompresses one or more members in a row (64 are enough), to at most `limit` bytes; zeros may pad the end. No more
/// than the limit is ever inflated.
///
/// # Errors
/// What is wrong with it.
pub(crate) fn decompress(mut packed: &[u8], limit: usize) -> Result<Bytes, Unreadable> {
    let mut plain = Vec::new();
    for _ in 0..MEMBERS {
        let mut member = GzDecoder::new(packed);
        let room = limit - plain.len();
        match (&mut member).take(room as u64 + 1).read_to_end(&mut plain) {
            Ok(_) if plain.len() > limit => return Err(Unreadable::TooLarge),
            Ok(_) => packed = member.into_inner(),
            Err(error) if error.kind() == ErrorKind::UnexpectedEof => {
                return Err(Unreadable::Truncated);
            }
            Err(_) => return Err(Unreadable::Malformed),
        }
        if matches!(packed, [] | [0, ..]) {
            return Ok(plain.into());
        }
    }
    Err(Unreadable::Malformed)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &[u8] = br#"["6a1e3b1c","rpc_test",{"hello":"world","world":"hello"}]"#;

    #[test]
    fn what_is_compressed_comes_back() {
        for plain in [b"".as_slice(), b"a", TEXT, &TEXT.repeat(10_000)] {
            let packed = compress(plain);
            assert_eq!(decompress(&packed, plain.len()).as_deref(), Ok(plain));
        }
        assert!(compress(&TEXT.repeat(10_000)).len() < TEXT.len() * 100);
    }

    #[test]
    fn members_in_a_row_are_one_text() {
        let mut packed = compress(b"one ").to_vec();
        packed.extend_from_slice(&compress(b""));
        packed.extend_from_slice(&compress(b"two"));
        assert_eq!(decompress(&packed, 7).as_deref(), Ok(b"one two".as_slice()));
        assert_eq!(decompress(&packed, 6), Err(Unreadable::TooLarge));
        packed.extend_from_slice(&[0; 512]);
        assert_eq!(decompress(&packed, 7).as_deref(), Ok(b"one two".as_slice()));
        packed.truncate(packed.len() - 512);
        packed.extend_from_slice(b"else");
        assert!(decompress(&packed, 7).is_err());
    }

    #[test]
    fn a_bomb_is_refused_at_the_limit() {
        let bomb = compress(&vec![0; 64 << 20]);
        assert!(bomb.len() < 100_000);
        assert_eq!(decompress(&bomb, 1000), Err(Unreadable::TooLarge));
        assert_eq!(decompress(&bomb, (64 << 20) - 1), Err(Unreadable::TooLarge));
        assert_eq!(decompress(&bomb, 64 << 20).map(|plain| plain.len()), Ok(64 << 20));
    }

    #[test]
    fn every_cut_is_an_error() {
        let packed = compress(TEXT);
        for end in 0..packed.len() {
            assert!(decompress(&packed[..end], 1000).is_err(), "cut at {end}");
        }
        assert_eq!(decompress(&packed[..packed.len() - 1], 1000), Err(Unreadable::Truncated));
        assert_eq!(decompress(&packed[..20], 1000), Err(Unreadable::Truncated));
    }

    #[test]
    fn members_are_counted() {
        assert_eq!(decompress(&compress(b"").repeat(MEMBERS), 10).as_deref(), Ok(b"".as_slice()));
        let more = compress(b"").repeat(MEMBERS + 1);
        assert_eq!(decompress(&more, 10), Err(Unreadable::Malformed));
    }

    #[test]
    fn damage_is_an_error_or_harmless() {
        let packed = compress(TEXT);
        for place in 0..packed.len() {
            let mut damaged = packed.to_vec();
            damaged[place] ^= 0x55;
            // Some fields of the head mean nothing; the text itself is under a checksum.
            if let Ok(plain) = decompress(&damaged, 1000) {
                assert_eq!(plain, TEXT, "damaged at {place}");
            }
        }
        assert_eq!(decompress(TEXT, 1000), Err(Unreadable::Malformed));
    }
}
