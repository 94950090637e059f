//! The bytes of grape/tests/node/pattern.js: those of xorshift32 from a seed.

use sha2::{Digest, Sha256};

/// So many bytes of a seed.
pub(crate) fn bytes(seed: u32, length: usize) -> Vec<u8> {
    let mut out = Vec::with_capacity(length + 4);
    let mut x = seed;
    while out.len() < length {
        x ^= x << 13;
        x ^= x >> 17;
        x ^= x << 5;
        out.extend_from_slice(&x.to_le_bytes());
    }
    out.truncate(length);
    out
}

/// SHA-256 in hex.
pub(crate) fn digest(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

/// Lower-case hex.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn is_the_one_of_the_scripts() {
    let expected = "7ec48b57b1a9711adb09659a1294f83317ab8b031f2c8676a5c9ff1c2a46d57d";
    assert_eq!(digest(&bytes(1, 10_000_000)), expected);
}
