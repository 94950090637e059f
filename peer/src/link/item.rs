//! Items that grapes store for anyone: immutable ones, found under the hash of their value, and mutable ones, found under
//! the public key of whoever signs their versions (BEP44).

use std::fmt;
use std::str::FromStr;

use bytes::Bytes;
use grenache_dht::{bencode, signature};
use serde::Deserialize;
use serde_json::json;

use super::secret_key::SecretKey;
use crate::error::Error;
use crate::json::Json;

/// Longest value in bytes; nodes of the network refuse longer ones.
const MAX_VALUE: usize = 1000;

/// Longest salt in bytes.
const MAX_SALT: usize = 64;

/// Largest number that JavaScript writes exactly. What is signed is the number a grape writes.
const MAX_NUMBER: i64 = (1 << 53) - 1;

/// Where an item is found: 20 bytes, shown and read as 40 hex digits.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ItemKey(pub [u8; 20]);

impl fmt::Display for ItemKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&to_hex(&self.0))
    }
}

impl fmt::Debug for ItemKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&to_hex(&self.0))
    }
}

impl FromStr for ItemKey {
    type Err = Error;

    fn from_str(text: &str) -> Result<ItemKey, Error> {
        let key = from_hex(text).map(ItemKey);
        key.ok_or_else(|| Error::Item(format!("'{text}' is no key of an item: 40 hex digits")))
    }
}

/// An item to store with [`Link::put`](super::Link::put).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Put {
    value: String,
    signed: Option<Signed>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Signed {
    key: [u8; 32],
    signature: [u8; 64],
    seq: i64,
    salt: Vec<u8>,
    cas: Option<i64>,
}

impl Put {
    /// An item that never changes.
    ///
    /// # Errors
    /// [`Error::Item`] if the value is longer than 1000 bytes.
    pub fn immutable(value: impl Into<String>) -> Result<Put, Error> {
        let value = value.into();
        if value.len() > MAX_VALUE {
            let length = value.len();
            return Err(Error::Item(format!(
                "the value has {length} bytes, more than {MAX_VALUE}"
            )));
        }
        Ok(Put { value, signed: None })
    }

    /// Version `seq` of a mutable item, signed with `key`. One key may have several items, told apart by their salts; an empty
    /// salt is none.
    ///
    /// # Errors
    /// [`Error::Item`] if the value is longer than 1000 bytes, the salt longer than 64, or `seq` beyond 2^53.
    pub fn mutable(
        value: impl Into<String>,
        key: &SecretKey,
        seq: i64,
        salt: &[u8],
    ) -> Result<Put, Error> {
        let put = Put::immutable(value)?;
        let text = signature::signed_text(seq, salt, &bencoded(&put.value));
        put.with_signature(key.public(), key.sign(&text), seq, salt)
    }

    /// Version `seq` of a mutable item that was signed elsewhere.
    ///
    /// # Errors
    /// As [`mutable`](Self::mutable), and if the signature is wrong.
    pub fn signed(
        value: impl Into<String>,
        key: [u8; 32],
        signature: [u8; 64],
        seq: i64,
        salt: &[u8],
    ) -> Result<Put, Error> {
        let put = Put::immutable(value)?;
        if !signature::verify(&key, &signature, seq, salt, &bencoded(&put.value)) {
            return Err(Error::Item("the signature is wrong".into()));
        }
        put.with_signature(key, signature, seq, salt)
    }

    fn with_signature(
        mut self,
        key: [u8; 32],
        signature: [u8; 64],
        seq: i64,
        salt: &[u8],
    ) -> Result<Put, Error> {
        check_number("sequence number", seq)?;
        check_salt(salt)?;
        self.signed = Some(Signed { key, signature, seq, salt: salt.to_vec(), cas: None });
        Ok(self)
    }

    /// Stores it only where the version that is there has this sequence number (compare and swap).
    ///
    /// # Errors
    /// [`Error::Item`] if the item is immutable or the number beyond 2^53.
    pub fn cas(mut self, seq: i64) -> Result<Put, Error> {
        check_number("cas", seq)?;
        let signed = self.signed.as_mut();
        let signed =
            signed.ok_or_else(|| Error::Item("an immutable item has no versions".into()))?;
        signed.cas = Some(seq);
        Ok(self)
    }

    /// Where the item will be found.
    pub fn key(&self) -> ItemKey {
        ItemKey(match &self.signed {
            Some(signed) => signature::mutable_target(&signed.key, &signed.salt),
            None => signature::immutable_target(&bencoded(&self.value)),
        })
    }

    /// Whether doing it twice does no harm: the second put of a version is refused.
    pub(super) fn is_repeatable(&self) -> bool {
        self.signed.is_none()
    }

    pub(super) fn to_json(&self) -> String {
        let Some(signed) = &self.signed else { return json!({ "v": self.value }).to_string() };
        let mut data = json!({
            "v": self.value,
            "k": to_hex(&signed.key),
            "sig": to_hex(&signed.signature),
            "seq": signed.seq,
        });
        if !signed.salt.is_empty() {
            data["salt"] = salt_json(&signed.salt);
        }
        if let Some(cas) = signed.cas {
            data["cas"] = cas.into();
        }
        data.to_string()
    }
}

/// An item as a grape gave it out, checked against the key that was asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Item {
    /// The value.
    pub value: String,
    /// The public key, if the item is mutable.
    pub key: Option<[u8; 32]>,
    /// The version, if the item is mutable.
    pub seq: Option<i64>,
    /// The signature, if the item is mutable.
    pub signature: Option<[u8; 64]>,
    /// The whole answer: also the id of the node that had the item, and its token.
    pub raw: Json,
}

/// What an answer to a get is made of. Grapes tell more; it stays in `raw`.
#[derive(Deserialize)]
struct Shown {
    v: String,
    k: Option<String>,
    sig: Option<String>,
    seq: Option<serde_json::Number>,
}

/// The request for an item.
pub(super) fn get_json(key: &ItemKey, salt: &[u8]) -> Result<String, Error> {
    check_salt(salt)?;
    let mut data = json!({ "hash": key.to_string() });
    if !salt.is_empty() {
        data["salt"] = salt_json(salt);
    }
    Ok(data.to_string())
}

/// Reads the answer to a get: `None` if it is no such answer, `Some(None)` if nobody has the item.
pub(super) fn read(body: &Bytes) -> Option<Option<Found>> {
    if body.is_empty() {
        return Some(None);
    }
    let raw = Json::from_text(body.clone()).ok()?;
    let shown = serde_json::from_slice(body).ok()?;
    Some(Some(Found { shown, raw }))
}

/// An item that was not checked yet.
pub(super) struct Found {
    shown: Shown,
    raw: Json,
}

impl Found {
    /// Checks hash and signature. The value is shown as text; it may be bencoded as text or as a number.
    pub(super) fn verified(self, key: &ItemKey, salt: &[u8]) -> Result<Item, Error> {
        let Found { shown: Shown { v, k, sig, seq }, raw } = self;
        let number = v.parse::<i64>().ok().filter(|number| number.to_string() == v);
        let as_number = number.map(|number| {
            let mut out = Vec::new();
            bencode::write_integer(&mut out, number);
            out
        });
        let mut encodings = [Some(bencoded(&v)), as_number].into_iter().flatten();
        let wrong = |what: &str| Err(Error::Item(format!("the item found under {key} {what}")));
        let Some(k) = k else {
            if !encodings.any(|v| signature::immutable_target(&v) == key.0) {
                return wrong("has another hash");
            }
            return Ok(Item { value: v, key: None, seq: None, signature: None, raw });
        };
        let (Some(k), Some(sig)) = (from_hex(&k), sig.as_deref().and_then(from_hex::<64>)) else {
            return wrong("has a key or signature of a wrong length");
        };
        let Some(seq) = seq.as_ref().and_then(integer) else {
            return wrong("has no sequence number");
        };
        if signature::mutable_target(&k, salt) != key.0 {
            return wrong("belongs to another key or salt");
        }
        if !encodings.any(|v| signature::verify(&k, &sig, seq, salt, &v)) {
            return wrong("has a wrong signature");
        }
        Ok(Item { value: v, key: Some(k), seq: Some(seq), signature: Some(sig), raw })
    }
}

/// An integer, also as JavaScript may write it: `1e21`.
fn integer(number: &serde_json::Number) -> Option<i64> {
    let from_float = || number.as_f64().filter(|float| float.trunc() == *float).map(|f| f as i64);
    number.as_i64().or_else(from_float)
}

fn bencoded(value: &str) -> Vec<u8> {
    let mut out = Vec::with_capacity(value.len() + 8);
    bencode::write_bytes(&mut out, value.as_bytes());
    out
}

fn check_salt(salt: &[u8]) -> Result<(), Error> {
    let length = salt.len();
    if length <= MAX_SALT {
        return Ok(());
    }
    Err(Error::Item(format!("the salt has {length} bytes, more than {MAX_SALT}")))
}

fn check_number(what: &str, number: i64) -> Result<(), Error> {
    if number.unsigned_abs() <= MAX_NUMBER as u64 {
        return Ok(());
    }
    Err(Error::Item(format!("the {what} {number} is beyond 2^53, where grapes round numbers")))
}

/// A salt as text, or where a grape would take the text for JSON, or it is none, as JavaScript writes a buffer.
fn salt_json(salt: &[u8]) -> serde_json::Value {
    match std::str::from_utf8(salt) {
        Ok(text) if serde_json::from_str::<serde::de::IgnoredAny>(text).is_err() => text.into(),
        _ => json!({ "type": "Buffer", "data": salt }),
    }
}

const DIGITS: &[u8; 16] = b"0123456789abcdef";

fn to_hex(bytes: &[u8]) -> String {
    let digit = |nibble: u8| char::from(DIGITS[usize::from(nibble)]);
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
}

/// Exactly `N` bytes in hex digits of either case.
pub(super) fn from_hex<const N: usize>(text: &str) -> Option<[u8; N]> {
    let digit = |digit: u8| char::from(digit).to_digit(16).map(|value| value as u8);
    let mut bytes = [0; N];
    if text.len() != 2 * N {
        return None;
    }
    for (byte, pair) in bytes.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
        *byte = digit(pair[0])? << 4 | digit(pair[1])?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests;
