//! Parts of messages as a process of another language is told them, and tells them.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

/// A part that was received: its bytes, or what it is known by if it is large.
#[derive(Clone)]
pub(crate) enum Part {
    Bytes(Vec<u8>),
    Large { size: usize, sha256: [u8; 32] },
}

impl Part {
    #[track_caller]
    pub(crate) fn read(part: &Value) -> Part {
        match part["base64"].as_str() {
            Some(text) => Part::Bytes(STANDARD.decode(text).expect("base64")),
            None => {
                let digits = part["sha256"].as_str().expect("a hash");
                let byte = |at: usize| {
                    u8::from_str_radix(&digits[2 * at..2 * at + 2], 16).expect("a digit")
                };
                let size = part["size"].as_u64().expect("a size") as usize;
                Part::Large { size, sha256: std::array::from_fn(byte) }
            }
        }
    }

    /// Its bytes.
    ///
    /// # Panics
    /// It is large.
    #[track_caller]
    pub(crate) fn bytes(&self) -> &[u8] {
        match self {
            Part::Bytes(bytes) => bytes,
            Part::Large { size, .. } => panic!("of a part of {size} bytes, only the hash is here"),
        }
    }
}

impl fmt::Debug for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Part::Bytes(bytes) => write!(f, "b\"{}\"", bytes.escape_ascii()),
            Part::Large { size, sha256 } => write!(f, "{size} bytes ({:02x}..)", sha256[0]),
        }
    }
}

impl<T: AsRef<[u8]>> PartialEq<T> for Part {
    fn eq(&self, other: &T) -> bool {
        let other = other.as_ref();
        match self {
            Part::Bytes(bytes) => bytes == other,
            Part::Large { size, sha256 } => {
                *size == other.len() && Sha256::digest(other).as_slice() == sha256
            }
        }
    }
}

/// A message of so many parts of so many bytes each, which both sides make of the seed.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Generated {
    pub(crate) parts: usize,
    pub(crate) size: usize,
    pub(crate) seed: u64,
}

impl Generated {
    /// What is in it: of each part 251 hashes, over and over, so that no power of two is a period.
    pub(crate) fn make(self) -> Vec<Vec<u8>> {
        let part = |part| {
            let hashes = self.size.div_ceil(32).min(251);
            let hash = |n| Sha256::digest(format!("{}/{part}/{n}", self.seed));
            let block: Vec<u8> = (0..hashes).flat_map(hash).collect();
            let mut bytes = block.repeat(self.size.div_ceil(block.len().max(1)));
            bytes.truncate(self.size);
            bytes
        };
        (0..self.parts).map(part).collect()
    }

    /// What the other side makes it of.
    pub(crate) fn told(self) -> Vec<Value> {
        let part = |part| json!({"size": self.size, "seed": format!("{}/{part}", self.seed)});
        (0..self.parts).map(part).collect()
    }
}

/// A part for the other side to send.
pub(crate) fn told(part: impl AsRef<[u8]>) -> Value {
    json!({"base64": STANDARD.encode(part)})
}
