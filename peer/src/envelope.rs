//! Requests and replies as they stand on the wire: `[rid, key, payload]` and `[rid, error, result]`. For those who speak it
//! without [`Client`](crate::Client) or [`server`](crate::server).
//!
//! What is inside stays a slice of the body that it came in.

use std::borrow::Cow;
use std::cell::RefCell;
use std::fmt;

use bytes::{BufMut, Bytes, BytesMut};
use grenache_engine::fill_random;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use serde::de::{Deserialize, Deserializer, IgnoredAny, SeqAccess, Visitor};
use serde_json::value::RawValue;

use crate::json::Json;

/// A body that is no envelope.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Malformed;

/// A request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request<'a> {
    /// Its id, mostly a text; goes back as it came.
    pub rid: Json,
    /// The service.
    pub key: Cow<'a, str>,
    /// What is asked.
    pub payload: Json,
}

/// A reply.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    /// The id of the request.
    pub rid: Json,
    /// The result, or the text of the handler's error.
    pub outcome: Result<Json, String>,
    /// It says of itself that the request has not been begun: see [`encode_busy`].
    pub busy: bool,
}

/// Ids of requests: UUIDs of version 4, from a generator that is seeded by the engine.
#[derive(Debug)]
pub struct Rids(RefCell<StdRng>);

/// The id of a request.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Rid(pub [u8; Rid::LEN]);

impl Rids {
    /// A generator of its own.
    ///
    /// # Panics
    /// Outside of a core.
    #[expect(clippy::new_without_default, reason = "it works only on a core")]
    pub fn new() -> Rids {
        let mut seed = [0; 32];
        fill_random(&mut seed);
        Rids(RefCell::new(StdRng::from_seed(seed)))
    }

    /// The next id.
    pub fn draw(&self) -> Rid {
        let mut random = [0; 16];
        self.0.borrow_mut().fill_bytes(&mut random);
        let mut text = [0; Rid::LEN];
        uuid::Builder::from_random_bytes(random).into_uuid().hyphenated().encode_lower(&mut text);
        Rid(text)
    }
}

impl Rid {
    const LEN: usize = 36;

    /// As text: 36 characters.
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or_default()
    }

    /// As it stands in a request.
    pub fn to_json(&self) -> Json {
        Json::trusted(format!("\"{}\"", self.as_str()).into())
    }

    /// Whether a reply bears this id.
    pub fn is(&self, json: &Json) -> bool {
        matches!(&json.as_bytes()[..], [b'"', text @ .., b'"'] if text == self.0)
    }
}

impl fmt::Debug for Rid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The body of a request.
pub fn encode_request(rid: &Rid, key: &str, payload: &Json) -> Bytes {
    let payload = payload.as_bytes();
    let mut out = BytesMut::with_capacity(Rid::LEN + key.len() + payload.len() + 16);
    out.put_slice(b"[\"");
    out.put_slice(&rid.0);
    out.put_slice(b"\",");
    put_text(&mut out, key);
    out.put_u8(b',');
    out.put_slice(payload);
    out.put_u8(b']');
    out.freeze()
}

/// The header `_gr` of a streamed request: id and service.
pub(crate) fn encode_stream_header(rid: &Json, key: &str) -> String {
    let mut out = BytesMut::new();
    out.put_u8(b'[');
    out.put_slice(rid.as_bytes());
    out.put_u8(b',');
    put_text(&mut out, key);
    out.put_u8(b']');
    in_ascii(&String::from_utf8_lossy(&out))
}

/// The same JSON without anything but printable ASCII, as headers must be: blanks between values become spaces, other characters
/// escapes.
pub(crate) fn in_ascii(json: &str) -> String {
    let mut out = String::with_capacity(json.len());
    for part in json.chars() {
        match part {
            '\t' | '\n' | '\r' => out.push(' '),
            ' '..='~' => out.push(part),
            _ => {
                for unit in part.encode_utf16(&mut [0; 2]) {
                    out.push_str(&format!("\\u{unit:04x}"));
                }
            }
        }
    }
    out
}

/// Appends the body of a reply.
pub fn encode_reply(out: &mut BytesMut, rid: &Json, outcome: Result<&Json, &str>) {
    let (result, error) = match outcome {
        Ok(result) => (&result.as_bytes()[..], None),
        Err(error) => (&b"null"[..], Some(error)),
    };
    out.reserve(rid.as_bytes().len() + result.len() + error.map_or(0, str::len) + 16);
    out.put_u8(b'[');
    out.put_slice(rid.as_bytes());
    out.put_u8(b',');
    match error {
        None => out.put_slice(b"null"),
        // An empty text would be no error to a client in JavaScript.
        Some("") => out.put_slice(b"\"ERR_REMOTE\""),
        Some(error) => put_text(out, error),
    }
    out.put_u8(b',');
    out.put_slice(result);
    out.put_u8(b']');
}

/// Appends the body of the reply to a request that has not been begun because there is too much to do. Where no status goes with
/// a reply, as in HTTP, its fourth value tells it from what a handler may say.
pub fn encode_busy(out: &mut BytesMut, rid: &Json) {
    out.put_u8(b'[');
    out.put_slice(rid.as_bytes());
    out.put_slice(b",\"ERR_BUSY\",null,503]");
}

/// Takes a request apart. Like Node, it takes a missing payload for `null` and overlooks what follows the payload.
pub fn decode_request(body: &Bytes) -> Result<Request<'_>, Malformed> {
    let [rid, key, payload, _] = decode(body)?;
    Ok(Request {
        rid: rid.map_or_else(Json::null, |rid| slice(body, rid)),
        key: text(key.ok_or(Malformed)?).ok_or(Malformed)?,
        payload: payload.map_or_else(Json::null, |payload| slice(body, payload)),
    })
}

/// Takes a reply apart. As in Node, an error is what JavaScript takes for true.
///
/// # Errors
/// It is no array of at least one value.
pub fn decode_reply(body: &Bytes) -> Result<Reply, Malformed> {
    let [rid, error, result, status] = decode(body)?;
    let rid = slice(body, rid.ok_or(Malformed)?);
    let error = error.filter(|error| !matches!(error.get(), "null" | "false" | "0" | "\"\""));
    let outcome = match error {
        Some(error) => Err(text(error).unwrap_or(Cow::Borrowed(error.get())).into_owned()),
        None => Ok(result.map_or_else(Json::null, |result| slice(body, result))),
    };
    let status = status.map(RawValue::get);
    let busy = status == Some("503") && outcome.as_ref().is_err_and(|error| error == "ERR_BUSY");
    Ok(Reply { rid, outcome, busy })
}

/// Reads a body as a worker and as a client do, and checks what comes out: for the fuzz target.
#[doc(hidden)]
pub fn probe(body: &[u8]) {
    let body = Bytes::copy_from_slice(body);
    if let Ok(request) = decode_request(&body) {
        let rid = Rid([b'0'; Rid::LEN]);
        let again = encode_request(&rid, &request.key, &request.payload);
        let Ok(back) = decode_request(&again) else { panic!("{again:?} is no request") };
        assert!(rid.is(&back.rid) && back.key == request.key && back.payload == request.payload);
        let header = encode_stream_header(&request.rid, &request.key);
        assert!(header.bytes().all(|byte| (b' '..0x7f).contains(&byte)), "{header:?}");
        assert!(decode_request(&header.into()).is_ok_and(|back| back.key == request.key));
    }
    if let Ok(reply) = decode_reply(&body) {
        let mut again = BytesMut::new();
        match reply.busy {
            true => encode_busy(&mut again, &reply.rid),
            false => {
                let outcome = reply.outcome.as_ref().map_err(String::as_str);
                encode_reply(&mut again, &reply.rid, outcome);
            }
        }
        assert_eq!(decode_reply(&again.freeze()), Ok(reply));
    }
}

fn decode(body: &[u8]) -> Result<[Option<&RawValue>; 4], Malformed> {
    // Checked once as a whole: from bytes, serde_json would check each part.
    let text = std::str::from_utf8(body).map_err(|_| Malformed)?;
    let Parts(parts) = serde_json::from_str(text).map_err(|_| Malformed)?;
    Ok(parts)
}

fn slice(body: &Bytes, part: &RawValue) -> Json {
    Json::trusted(body.slice_ref(part.get().as_bytes()))
}

/// The text of a JSON string; borrowed unless it has escapes.
fn text(json: &RawValue) -> Option<Cow<'_, str>> {
    let inside = json.get().strip_prefix('"')?.strip_suffix('"')?;
    if inside.contains('\\') {
        return serde_json::from_str(json.get()).ok().map(Cow::Owned);
    }
    Some(Cow::Borrowed(inside))
}

/// Appends a JSON string.
fn put_text(out: &mut BytesMut, text: &str) {
    if text.bytes().any(|byte| byte < b' ' || matches!(byte, b'"' | b'\\')) {
        // Writing to memory does not fail, and a text always has a form in JSON.
        let _ = serde_json::to_writer(out.writer(), text);
        return;
    }
    out.put_u8(b'"');
    out.put_slice(text.as_bytes());
    out.put_u8(b'"');
}

/// The first four values of an array.
struct Parts<'a>([Option<&'a RawValue>; 4]);

impl<'de> Deserialize<'de> for Parts<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct First;
        impl<'de> Visitor<'de> for First {
            type Value = Parts<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an array")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Parts<'de>, A::Error> {
                let mut parts = [None; 4];
                for part in &mut parts {
                    *part = seq.next_element()?;
                }
                while seq.next_element::<IgnoredAny>()?.is_some() {}
                Ok(Parts(parts))
            }
        }
        deserializer.deserialize_seq(First)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rid() -> Rid {
        Rid(*b"0b5c7ba4-4f1c-4c67-8d7a-9a3f1f0d2b11")
    }

    fn request(body: &'static str) -> Result<(String, String, String), Malformed> {
        let body = Bytes::from_static(body.as_bytes());
        decode_request(&body).map(|r| (r.rid.to_string(), r.key.to_string(), r.payload.to_string()))
    }

    fn reply(body: &'static str) -> Result<(String, Result<String, String>), Malformed> {
        decode_reply(&Bytes::from_static(body.as_bytes()))
            .map(|r| (r.rid.to_string(), r.outcome.map(|json| json.to_string())))
    }

    #[test]
    fn requests_there_and_back() {
        for key in ["rest:util:net", "a\"b\\c\n", "\u{20ac}\u{1f600}", ""] {
            let payload = Json::from_text("{\"a\": 1.50}").unwrap();
            let body = encode_request(&rid(), key, &payload);
            let back = decode_request(&body).unwrap();
            assert!(rid().is(&back.rid));
            assert_eq!((back.key.as_ref(), back.payload), (key, payload));
        }
        let plain = encode_request(&rid(), "k", &Json::null());
        assert_eq!(&plain[..], b"[\"0b5c7ba4-4f1c-4c67-8d7a-9a3f1f0d2b11\",\"k\",null]");
    }

    #[test]
    fn what_node_takes_for_a_request() {
        let of = |rid: &str, key: &str, payload: &str| {
            Ok((rid.to_string(), key.to_string(), payload.to_string()))
        };
        assert_eq!(request(r#"["r","k",{"a":[1, 2]}]"#), of("\"r\"", "k", r#"{"a":[1, 2]}"#));
        assert_eq!(request(r#" [ 1 , "k" ] "#), of("1", "k", "null"));
        assert_eq!(request(r#"[null,"\u0061",0,"more",{}]"#), of("null", "a", "0"));
        for bad in
            ["", "{}", "null", "[]", "[1]", "[1,2,3]", "[1,\"k\",", "[1,\"k\",3]x", "[1,\"k\",03]"]
        {
            assert_eq!(request(bad), Err(Malformed), "{bad}");
        }
    }

    #[test]
    fn replies() {
        let of = |rid: &str, outcome: Result<&str, &str>| {
            Ok((rid.to_string(), outcome.map(String::from).map_err(String::from)))
        };
        assert_eq!(reply(r#"["r",null,{"a":1}]"#), of("\"r\"", Ok(r#"{"a":1}"#)));
        assert_eq!(reply(r#"["r","ERR_A: \"b\"",null]"#), of("\"r\"", Err("ERR_A: \"b\"")));
        assert_eq!(reply(r#"["r","",5]"#), of("\"r\"", Ok("5")));
        assert_eq!(reply(r#"["r",{"code":1},5]"#), of("\"r\"", Err("{\"code\":1}")));
        assert_eq!(reply(r#"["r",null]"#), of("\"r\"", Ok("null")));
        for bad in ["", "[]", "\"r\"", "{\"a\":1}", "[\"r\",null,"] {
            assert_eq!(reply(bad), Err(Malformed), "{bad}");
        }
        let busy = |text| decode_reply(&Bytes::from_static(text)).map(|reply| reply.busy);
        let mut out = BytesMut::new();
        encode_busy(&mut out, &Json::null());
        assert_eq!(&out[..], br#"[null,"ERR_BUSY",null,503]"#);
        assert_eq!(busy(br#"[null,"ERR_BUSY",null,503]"#), Ok(true));
        assert_eq!(busy(br#"["r","ERR_BUSY",null]"#), Ok(false));
        assert_eq!(busy(br#"["r","ERR_OTHER",null,503]"#), Ok(false));
        assert_eq!(busy(br#"["r",null,"ERR_BUSY",503]"#), Ok(false));
        let written = |outcome: Result<&Json, &str>| {
            let mut out = BytesMut::new();
            encode_reply(&mut out, &Json::of("r").unwrap(), outcome);
            String::from_utf8(out.to_vec()).unwrap()
        };
        assert_eq!(written(Ok(&Json::of("hello").unwrap())), r#"["r",null,"hello"]"#);
        assert_eq!(written(Err("a\"b")), r#"["r","a\"b",null]"#);
        assert_eq!(written(Err("")), r#"["r","ERR_REMOTE",null]"#);
    }

    #[test]
    fn cut_or_damaged_anywhere() {
        let whole = encode_request(&rid(), "a\"\u{20ac}", &Json::of(&["\u{1f600}"]).unwrap());
        for cut in 0..whole.len() {
            assert_eq!(decode_request(&whole.slice(..cut)), Err(Malformed), "{cut}");
            for byte in [0, b'"', b'\\', b'[', b']', b',', 0x80, 0xff] {
                let mut damaged = whole.to_vec();
                damaged[cut] = byte;
                probe(&damaged);
            }
        }
    }

    #[test]
    fn a_stream_header_is_ascii() {
        for rid in [rid().to_json(), Json::from_text("[\n1, \"\u{e9}\"]").unwrap()] {
            let header = encode_stream_header(&rid, "\u{20ac}\u{1f600}\"\u{7f}");
            assert!(header.bytes().all(|byte| (b' '..0x7f).contains(&byte)), "{header:?}");
            let header = Bytes::from(header);
            let back = decode_request(&header).unwrap();
            assert_eq!(back.key, "\u{20ac}\u{1f600}\"\u{7f}");
            let value = |json: &Json| json.to::<serde_json::Value>().unwrap();
            assert_eq!(value(&back.rid), value(&rid));
        }
    }

    #[test]
    fn json_fits_into_a_header() {
        let json = "{\n\t\"a\": \"\u{20ac}\u{1f600}\u{7f}\\n\"}";
        let ascii = in_ascii(json);
        assert_eq!(ascii, "{  \"a\": \"\\u20ac\\ud83d\\ude00\\u007f\\n\"}");
        let value = |text: &str| serde_json::from_str::<serde_json::Value>(text).unwrap();
        assert_eq!(value(json), value(&ascii));
    }
}
