//! Where items are found and what is signed (BEP44): pure functions, of use to whoever puts or gets items.

use crate::bencode::{write_bytes, write_integer};
use ed25519_dalek::{Signature, Verifier, VerifyingKey};
use sha1::{Digest, Sha1};

/// Where an immutable item is found: the SHA-1 of its value, which is bencoded.
pub fn immutable_target(v: &[u8]) -> [u8; 20] {
    Sha1::digest(v).into()
}

/// Where a mutable item is found: the SHA-1 of public key and salt, which may be empty.
pub fn mutable_target(k: &[u8], salt: &[u8]) -> [u8; 20] {
    Sha1::new().chain_update(k).chain_update(salt).finalize().into()
}

/// Whether `sig` signs this version of a mutable item; `v` is bencoded. The check is the plain one of RFC 8032
/// without cofactor, which accepts what every bittorrent client signs; the strict one would also refuse
/// odd public keys, and with them items that other nodes store and give out.
pub fn verify(k: &[u8; 32], sig: &[u8], seq: i64, salt: &[u8], v: &[u8]) -> bool {
    let Ok(key) = VerifyingKey::from_bytes(k) else { return false };
    let Ok(sig) = Signature::from_slice(sig) else { return false };
    key.verify(&signed_text(seq, salt, v), &sig).is_ok()
}

/// The text that is signed: salt, if there is one, seq and v as they stand in a dictionary; `v` is bencoded.
pub fn signed_text(seq: i64, salt: &[u8], v: &[u8]) -> Vec<u8> {
    let mut text = Vec::with_capacity(v.len() + salt.len() + 48);
    if !salt.is_empty() {
        text.extend_from_slice(b"4:salt");
        write_bytes(&mut text, salt);
    }
    text.extend_from_slice(b"3:seq");
    write_integer(&mut text, seq);
    text.extend_from_slice(b"1:v");
    text.extend_from_slice(v);
    text
}
