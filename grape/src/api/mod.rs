//! The HTTP API, without HTTP: a path and a body in, a call or an answer out; a reply in, an answer out.
//!
//! Answers are what Node's grape 1.0.0 answers, byte for byte, also where that is the message of a
//! JavaScript error. Where Node would die, there is a clear error instead.

mod envelope;
mod get;
mod javascript;
mod put;

use std::borrow::Cow;
use std::net::{Ipv4Addr, SocketAddrV4};

use bytes::Bytes;
use serde_json::Value;
use serde_json::value::RawValue;

use crate::message::{Call, Reply};
use envelope::Envelope;
use javascript::{Encoding, buffer_from, number_text};

/// What a client is told: a status and a body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// HTTP status code.
    pub status: u16,
    /// The body, which is JSON, plain text, or empty.
    pub body: Cow<'static, [u8]>,
}

/// What the API knows of the grape it belongs to and of the connection a call came by.
#[derive(Debug, Clone, Copy)]
pub struct Context {
    /// The DHT's port, which port 0 stands for.
    pub dht_port: u16,
    /// Node's `-b`, under which announced peers are kept here too.
    pub host: Option<Ipv4Addr>,
    /// The address by which the client reached this grape.
    pub local: Ipv4Addr,
}

/// The body of answers to what is not JSON.
const PAYLOAD_INVALID: &str = "ERR_GRAPE_PAYLOAD_INVALID";
/// The body of answers to a body over the limit.
const PAYLOAD_SIZE: &str = "ERR_GRAPE_PAYLOAD_SIZE";

impl Answer {
    /// A plain text.
    pub fn text(status: u16, text: impl Into<Cow<'static, str>>) -> Answer {
        let body = match text.into() {
            Cow::Borrowed(text) => Cow::Borrowed(text.as_bytes()),
            Cow::Owned(text) => Cow::Owned(text.into_bytes()),
        };
        Answer { status, body }
    }

    /// An error as Node's API tells it: a JSON string with status 200.
    fn error(message: &str) -> Answer {
        Answer { status: 200, body: Cow::Owned(Value::from(message).to_string().into_bytes()) }
    }

    /// The body was longer than the limit.
    pub fn payload_too_large() -> Answer {
        Answer::text(413, PAYLOAD_SIZE)
    }
}

/// Reads a request: the target as it stands in the request line, and the body.
pub fn read(target: &[u8], body: &[u8], context: Context) -> Result<Call, Answer> {
    // Checking is several times faster than mending, and nearly all there is to do.
    let body = match std::str::from_utf8(body) {
        Ok(body) => Cow::Borrowed(body),
        Err(_) => String::from_utf8_lossy(body),
    };
    let envelope: Envelope<'_> =
        serde_json::from_str(&body).map_err(|_| Answer::text(500, PAYLOAD_INVALID))?;
    let data = match envelope {
        Envelope::Data(data) => Some(data),
        Envelope::Undefined => None,
        Envelope::Null => return Err(Answer::text(500, PAYLOAD_INVALID)),
    };
    match name(target) {
        Some(Name::Lookup) => lookup(data),
        Some(Name::Announce) => announce(data, context),
        Some(Name::Put) => put::read(data),
        Some(Name::Get) => get::read(data),
        None => Err(Answer::error("ERR_REQ_NOTFOUND")),
    }
}

/// Writes what came of a call.
pub fn write(reply: &Reply, out: &mut Vec<u8>) -> u16 {
    use std::io::Write;
    // Writing to a Vec does not fail.
    let _ = match reply {
        Reply::Peers(peers) => {
            write_peers(peers, out);
            Ok(())
        }
        Reply::Announced(Ok(count)) => write!(out, "{count}"),
        Reply::Stored(Ok(target)) => write!(out, "\"{}\"", hex(target)),
        Reply::Announced(Err(error)) | Reply::Stored(Err(error)) => {
            let _ = write!(out, "{}", Value::from(error.to_string()));
            if let grenache_dht::Error::Refused { code, .. } = error {
                // Node's grape makes the code of a KRPC error its own status.
                return *code;
            }
            Ok(())
        }
        Reply::Found(Some(item)) => get::write(item, out),
        Reply::Found(None) => Ok(()),
        Reply::Busy => {
            let _ = out.write_all(b"\"ERR_GRAPE_BUSY\"");
            return 503;
        }
    };
    200
}

/// A JSON list of `"ip:port"`. By hand: `{peer}` takes as long as the rest of a lookup's JSON together.
fn write_peers(peers: &[SocketAddrV4], out: &mut Vec<u8>) {
    let mut open = b'[';
    for peer in peers {
        out.extend_from_slice(&[open, b'"']);
        let mut end = b'.';
        for (at, byte) in peer.ip().octets().into_iter().enumerate() {
            if at == 3 {
                end = b':';
            }
            write_decimal(u16::from(byte), out);
            out.push(end);
        }
        write_decimal(peer.port(), out);
        out.push(b'"');
        open = b',';
    }
    if peers.is_empty() {
        out.push(open);
    }
    out.push(b']');
}

fn write_decimal(number: u16, out: &mut Vec<u8>) {
    let (mut digits, mut at, mut rest) = ([0; 5], 5, number);
    loop {
        at -= 1;
        digits[at] = b'0' + (rest % 10) as u8;
        rest /= 10;
        if rest == 0 {
            break;
        }
    }
    out.extend_from_slice(&digits[at..]);
}

enum Name {
    Lookup,
    Announce,
    Put,
    Get,
}

/// Node turns the path into the name of a method in camel case: of dashes, underscores and the like
/// around a name nothing is left, and the case of its first letter does not matter.
fn name(target: &[u8]) -> Option<Name> {
    let around = |byte: &u8| matches!(byte, b'-' | b'_');
    let name = target.get(1..)?;
    let start = name.iter().position(|byte| !around(byte))?;
    let end = name.iter().rposition(|byte| !around(byte))? + 1;
    let name = &name[start..end];
    let (first, rest) = name.split_first()?;
    match (first.to_ascii_lowercase(), rest) {
        (b'l', b"ookup") => Some(Name::Lookup),
        (b'a', b"nnounce") => Some(Name::Announce),
        (b'p', b"ut") => Some(Name::Put),
        (b'g', b"et") => Some(Name::Get),
        _ => None,
    }
}

fn lookup(data: Option<&RawValue>) -> Result<Call, Answer> {
    let key = match data.map(RawValue::get) {
        // The common case: a string without escapes is its own bytes.
        Some(text) if text.starts_with('"') && !text.contains('\\') => {
            Bytes::copy_from_slice(&text.as_bytes()[1..text.len() - 1])
        }
        Some(_) => match data.map(javascript::read) {
            Some(Ok(Value::String(name))) => name.into(),
            _ => Bytes::new(),
        },
        None => Bytes::new(),
    };
    if key.is_empty() {
        return Err(Answer::error("ERR_GRAPE_LOOKUP"));
    }
    Ok(Call::Lookup { key })
}

fn announce(data: Option<&RawValue>, context: Context) -> Result<Call, Answer> {
    let items: Vec<&RawValue> = data
        .filter(|data| data.get().starts_with('['))
        .and_then(|data| serde_json::from_str(data.get()).ok())
        .ok_or_else(|| Answer::error("ERR_GRAPE_ANNOUNCE"))?;
    let port = items
        .get(1)
        .filter(|port| {
            port.get().starts_with(['-', '0', '1', '2', '3', '4', '5', '6', '7', '8', '9'])
        })
        .and_then(|port| port.get().parse::<f64>().ok())
        .filter(|port| port.is_finite() && port.trunc() == *port)
        .ok_or_else(|| Answer::error("ERR_GRAPE_SERVICE_PORT"))?;
    let key = match items[0].get() {
        text if text.starts_with('"') && !text.contains('\\') => {
            Bytes::copy_from_slice(&text.as_bytes()[1..text.len() - 1])
        }
        _ => {
            let name = javascript::read(items[0]).unwrap_or(Value::Null);
            buffer_from(&name, Encoding::Utf8).map_err(|message| Answer::text(500, message))?.into()
        }
    };
    if !(0.0..=65535.0).contains(&port) {
        return Err(out_of_range(port, context));
    }
    let port = if port == 0.0 { context.dht_port } else { port as u16 };
    Ok(Call::Announce { key, port, local: context.host.unwrap_or(context.local) })
}

/// A grape that keeps peers itself refuses the port when it writes it down; the others leave it to
/// the network, where no node takes it.
fn out_of_range(port: f64, context: Context) -> Answer {
    if context.host.is_none() {
        return Answer::error("All queries failed");
    }
    let mut received = number_text(port);
    if port.abs() > 2f64.powi(32) && !received.contains('e') {
        let start = usize::from(received.starts_with('-'));
        let mut at = received.len();
        while at > start + 3 {
            at -= 3;
            received.insert(at, '_');
        }
    }
    Answer::text(
        500,
        format!(
            "The value of \"value\" is out of range. It must be >= 0 and <= 65535. Received {received}"
        ),
    )
}

fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digit = |nibble: u8| char::from(DIGITS[usize::from(nibble)]);
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
}

/// The message of the TypeError for `data.k` and the like when there is no data.
fn no_property(data: &str, property: &str) -> Answer {
    Answer::text(500, format!("Cannot read properties of {data} (reading '{property}')"))
}

#[cfg(test)]
mod tests;
