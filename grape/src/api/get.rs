//! `/get`: which item a client asks for, and how it is shown.

use std::io::{self, Write};

use bytes::Bytes;
use grenache_dht::bencode::{self, Reader};
use grenache_dht::{Get, Item};
use serde_json::Value;
use serde_json::value::RawValue;

use super::javascript::{self, Encoding, number_text, text_to_buffer, truthy};
use super::{Answer, hex, no_property};
use crate::message::Call;

pub(super) fn read(data: Option<&RawValue>) -> Result<Call, Answer> {
    let data = data.ok_or_else(|| no_property("undefined", "salt"))?;
    let generic = || Answer::error("ERR_GRAPE_GENERIC");
    let type_error = |message| Answer::text(500, message);
    let (target, salt): (Vec<u8>, _) = match javascript::read(data).map_err(|_| generic())? {
        Value::Null => return Err(no_property("null", "salt")),
        text @ Value::String(_) => {
            (text_to_buffer(&text, Encoding::Hex).map_err(type_error)?, None)
        }
        Value::Object(options) => {
            let salt = match options.get("salt").filter(|salt| truthy(salt)) {
                Some(salt) => Some(text_to_buffer(salt, Encoding::Utf8).map_err(type_error)?),
                None => None,
            };
            let hash = options.get("hash").and_then(Value::as_str).ok_or_else(generic)?;
            (Encoding::Hex.bytes(hash), salt)
        }
        _ => return Err(generic()),
    };
    if target.is_empty() {
        // What Node dies of.
        return Err(Answer::error("ERR_GRAPE_HASH_FORMAT"));
    }
    // Node asks the network for a target of any length; only one of 20 bytes can name an item.
    let target = <[u8; 20]>::try_from(target).map_err(|_| Answer::text(200, ""))?;
    Ok(Call::Get(Get { target, salt: Bytes::from(salt.unwrap_or_default()) }))
}

/// The item as Node's JSON shows it. An item of this grape's own has no token, and its fields are in
/// the order in which it was put together; one from the network is in the order of the wire.
pub(super) fn write(item: &Item, out: &mut Vec<u8>) -> io::Result<()> {
    let text = |bytes: &[u8]| Value::from(String::from_utf8_lossy(bytes)).to_string();
    let v = Value::from(shown(&item.v)).to_string();
    let id = hex(item.id.as_bytes());
    write!(out, "{{\"id\":\"{id}\"")?;
    if item.own {
        write!(out, ",\"token\":null,\"v\":{v}")?;
        hex_field("sig", item.sig.as_deref(), out)?;
        hex_field("k", item.k.as_ref().map(|k| &k[..]), out)?;
        seq_field(item.seq, out)?;
    } else {
        hex_field("k", item.k.as_ref().map(|k| &k[..]), out)?;
        seq_field(item.seq, out)?;
        hex_field("sig", item.sig.as_deref(), out)?;
        hex_field("token", item.token.as_deref(), out)?;
        write!(out, ",\"v\":{v}")?;
    }
    if let Some(salt) = &item.salt {
        write!(out, ",\"salt\":{}", text(salt))?;
    }
    out.write_all(b"}")
}

fn hex_field(name: &str, bytes: Option<&[u8]>, out: &mut Vec<u8>) -> io::Result<()> {
    bytes.map_or(Ok(()), |bytes| write!(out, ",\"{name}\":\"{}\"", hex(bytes)))
}

fn seq_field(seq: Option<i64>, out: &mut Vec<u8>) -> io::Result<()> {
    seq.map_or(Ok(()), |seq| write!(out, ",\"seq\":{}", number_text(seq as f64)))
}

/// A bencoded value as JavaScript's `toString` shows it once it is decoded: text as it is, lists as
/// their elements between commas, dictionaries as objects are shown.
fn shown(v: &[u8]) -> String {
    let mut text = String::new();
    // What is stored was checked when it came in.
    let _ = show(&mut Reader::new(v), &mut text);
    text
}

fn show(reader: &mut Reader<'_>, text: &mut String) -> Result<(), bencode::Error> {
    match reader.peek()? {
        b'i' => text.push_str(&number_text(reader.integer()? as f64)),
        b'd' => {
            reader.skip()?;
            text.push_str("[object Object]");
        }
        b'l' => {
            reader.list()?;
            let mut first = true;
            while !reader.end()? {
                if !std::mem::take(&mut first) {
                    text.push(',');
                }
                show(reader, text)?;
            }
        }
        _ => text.push_str(&String::from_utf8_lossy(reader.bytes()?)),
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::shown;

    #[test]
    fn values_are_shown_as_javascript_shows_them() {
        for (bencoded, text) in [
            (&b"5:hello"[..], "hello"),
            (b"i-7e", "-7"),
            (b"li1el1:a0:ed1:ki1eee", "1,a,,[object Object]"),
            (b"le", ""),
            (b"2:\xff!", "\u{fffd}!"),
        ] {
            assert_eq!(shown(bencoded), text);
        }
    }
}
