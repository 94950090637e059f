//! The reader of bencode: it never reads past its input, and what it takes it takes again.
#![no_main]

use grenache_dht::bencode::{self, Reader};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    let mut reader = Reader::new(input);
    let Ok(raw) = reader.raw() else { return };
    assert!(input.starts_with(raw));
    let mut again = Reader::new(raw);
    assert_eq!(again.skip().and_then(|()| again.finish()), Ok(()));
    // Cut anywhere, a whole value is not whole.
    if raw.len() <= 256 {
        for cut in 0..raw.len() {
            assert_eq!(Reader::new(&raw[..cut]).skip(), Err(bencode::Error::Truncated));
        }
    }
    if let Ok(number) = Reader::new(raw).integer() {
        let mut out = Vec::new();
        bencode::write_integer(&mut out, number);
        assert_eq!(out, raw);
    }
    if let Ok(bytes) = Reader::new(raw).bytes() {
        let mut out = Vec::new();
        bencode::write_bytes(&mut out, bytes);
        assert_eq!(out, raw);
    }
});
