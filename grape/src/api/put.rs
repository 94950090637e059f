//! `/put`: what a client may store, checked in Node's order.

use bytes::Bytes;
use grenache_dht::{Mutable, Put};
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use super::javascript::{self, Encoding, length, number_text, text_to_buffer, truthy};
use super::{Answer, no_property};
use crate::message::Call;

pub(super) fn read(data: Option<&RawValue>) -> Result<Call, Answer> {
    let data = data.ok_or_else(|| no_property("undefined", "k"))?;
    // What serde_json cannot read here is nested deeper, or larger, than any item may be.
    let data = javascript::read(data).map_err(|_| Answer::error("ERR_GRAPE_GENERIC"))?;
    let mut options = match data {
        Value::Null => return Err(no_property("null", "k")),
        Value::String(text) => Map::from_iter([("v".to_string(), Value::String(text))]),
        Value::Object(options) => options,
        _ => Map::new(),
    };
    let value = options.remove("v");
    let mutable = options.get("k").is_some_and(truthy);
    let buffer = |name: &str, encoding| match options.get(name).filter(|value| truthy(value)) {
        Some(value) if mutable => {
            text_to_buffer(value, encoding).map(Some).map_err(|message| Answer::text(500, message))
        }
        _ => Ok(None),
    };
    let key = buffer("k", Encoding::Hex)?;
    let signature = buffer("sig", Encoding::Hex)?;
    let salt = buffer("salt", Encoding::Utf8)?;

    let error = |message| Err(Answer::error(message));
    let value = match value {
        None => return error("opts.v not given"),
        Some(Value::Null) => return error("Cannot read properties of null (reading 'length')"),
        Some(value) => value,
    };
    if length(&value).is_some_and(|length| length >= 1000.0) {
        return error("v must be less than 1000 bytes in put()");
    }
    let v = Bytes::from(bencode(&value));
    let Some(key) = key else {
        return Ok(Call::Put(Put { v, mutable: None }));
    };
    let cas = match options.get("cas") {
        None => None,
        Some(Value::Number(cas)) => Some(integer(cas.as_f64().unwrap_or(0.0))),
        Some(_) => return error("opts.cas must be an integer if provided"),
    };
    let Ok(k) = <[u8; 32]>::try_from(key) else {
        return error("opts.k ed25519 public key must be 32 bytes");
    };
    let Some(signature) = signature else {
        return error("opts.sign function or options.sig signature is required for mutable put");
    };
    if salt.as_ref().is_some_and(|salt| salt.len() > 64) {
        return error("opts.salt is > 64 bytes long");
    }
    let seq = match options.get("seq") {
        None => return error("opts.seq not provided for a mutable update"),
        Some(Value::Number(seq)) => integer(seq.as_f64().unwrap_or(0.0)),
        Some(_) => return error("opts.seq not an integer"),
    };
    let (sig, salt) = (signature.into(), salt.unwrap_or_default().into());
    Ok(Call::Put(Put { v, mutable: Some(Mutable { k, sig, seq, salt, cas }) }))
}

/// A JSON value as Node's bencode library writes it: numbers and booleans as integers, null left out.
fn bencode(value: &Value) -> Vec<u8> {
    let mut out = Vec::new();
    encode(value, &mut out);
    out
}

fn encode(value: &Value, out: &mut Vec<u8>) {
    let string = |text: &str, out: &mut Vec<u8>| {
        out.extend_from_slice(format!("{}:{text}", text.len()).as_bytes());
    };
    match value {
        Value::Null => {}
        Value::Bool(bool) => out.extend_from_slice(if *bool { b"i1e" } else { b"i0e" }),
        Value::Number(number) => {
            let integer = lossy_integer(number.as_f64().unwrap_or(0.0));
            out.extend_from_slice(format!("i{}e", number_text(integer)).as_bytes());
        }
        Value::String(text) => string(text, out),
        Value::Array(items) => {
            out.push(b'l');
            items.iter().for_each(|item| encode(item, out));
            out.push(b'e');
        }
        Value::Object(object) => {
            let mut names: Vec<&String> = object.keys().collect();
            // JavaScript sorts by UTF-16 units.
            names.sort_by(|a, b| a.encode_utf16().cmp(b.encode_utf16()));
            out.push(b'd');
            for name in names.into_iter().filter(|name| !object[*name].is_null()) {
                string(name, out);
                encode(&object[name], out);
            }
            out.push(b'e');
        }
    }
}

/// The integer that Node's bencode library writes for a number: it goes through two 32-bit halves.
fn lossy_integer(number: f64) -> f64 {
    const LOW: f64 = 2147483648.0;
    let int32 = |number: f64| f64::from((number.trunc() % 4294967296.0) as i64 as i32);
    int32(number / LOW) * LOW + int32(number % LOW)
}

fn integer(number: f64) -> i64 {
    // Two 32-bit halves stay within 2^62; what is signed and sent is the text JavaScript prints.
    number_text(lossy_integer(number)).parse().unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn values_are_written_as_nodes_library_writes_them() {
        for (value, bytes) in [
            (json!("grüße"), "7:grüße"),
            (json!(5), "i5e"),
            (json!(-1.9), "i-1e"),
            (json!(true), "i1e"),
            (json!(9007199254740991i64), "i9007199254740991e"),
            (json!(4611686018427387904i64), "i-4611686018427388000e"),
            (json!([1, null, ["a"]]), "li1el1:aee"),
            (json!({"b": null, "c": {}, "a": "x"}), "d1:a1:x1:cdee"),
        ] {
            assert_eq!(String::from_utf8(bencode(&value)).unwrap(), bytes);
        }
    }
}
