//! Requests and answers as they stand in a message.

use std::borrow::Cow;

use bytes::{Bytes, BytesMut};
use grenache_transports::zmtp::Parts;

use crate::envelope::{self, Malformed};
use crate::json::Json;
use crate::server::dispatch::BUSY;
use crate::server::reply::Reply;

/// What an error begins with for those who take every other text for a result.
const ERROR: &str = "ERR_";

/// How the answer to a request finds its way back.
pub(in crate::server) struct Back {
    /// The parts that go before the answer, as REQ and those who pass messages on need them back; their frames. Mostly empty.
    pub(super) envelope: Bytes,
    pub(super) form: Form,
}

/// How the request stood in its message, and the answer is to stand.
pub(super) enum Form {
    /// One part, `[rid,key,payload]`; the answer is `[rid,error,result]`.
    Array,
    /// Three parts `rid`, `key`, `payload`; the answer is two parts, this id and the result.
    Frames(Bytes),
    /// Any other number of parts.
    Neither,
}

/// Where the parts of a request are.
pub(super) struct Layout {
    /// How many parts the envelope has: all up to the first empty one, if that is not the last.
    pub(super) envelope: usize,
    /// How many there are after it.
    pub(super) rest: usize,
}

impl Layout {
    pub(super) fn of(parts: Parts<'_>, count: usize) -> Layout {
        // The usual requests have none.
        let empty = match count {
            1 => None,
            _ => parts.take(count - 1).position(<[u8]>::is_empty),
        };
        let envelope = empty.map_or(0, |at| at + 1);
        Layout { envelope, rest: count - envelope }
    }
}

/// Reads a request of three parts. Key and payload are texts; the payload is a string to the handler.
pub(super) fn decode_frames(message: &Bytes) -> Result<envelope::Request<'_>, Malformed> {
    let mut parts = Parts::new(message);
    let (Some(rid), Some(key), Some(payload)) = (parts.next(), parts.next(), parts.next()) else {
        return Err(Malformed);
    };
    let text = |part| std::str::from_utf8(part).map_err(|_| Malformed);
    let json = |text: &str| Json::of(text).map_err(|_| Malformed);
    Ok(envelope::Request {
        // It goes back as it came; the handler sees what can be read of it.
        rid: json(&String::from_utf8_lossy(rid))?,
        key: Cow::Borrowed(text(key)?),
        payload: json(text(payload)?)?,
    })
}

/// The result part of an answer of two parts.
pub(super) fn encode_result(outcome: &Result<Reply, String>) -> Bytes {
    match outcome {
        Ok(Reply { result, .. }) => match result.to::<String>() {
            Ok(text) => text.into(),
            Err(_) => result.as_bytes().clone(),
        },
        Err(text) if text.starts_with(ERROR) => Bytes::copy_from_slice(text.as_bytes()),
        Err(text) if text.is_empty() => Bytes::from_static(b"ERR_REMOTE"),
        Err(text) => format!("ERR_REMOTE: {text}").into(),
    }
}

/// That a request has not been begun: as an array, or as a result part.
pub(super) fn encode_busy(form: &Form, rid: &Json) -> Bytes {
    match form {
        Form::Frames(_) => Bytes::from_static(BUSY.as_bytes()),
        Form::Array | Form::Neither => {
            let mut body = BytesMut::new();
            envelope::encode_busy(&mut body, rid);
            body.freeze()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use grenache_transports::zmtp::frame::write_message;

    fn layout(parts: &[&[u8]]) -> (usize, usize) {
        let mut frames = BytesMut::new();
        write_message(&mut frames, parts);
        let Layout { envelope, rest } = Layout::of(Parts::new(&frames), parts.len());
        (envelope, rest)
    }

    #[test]
    fn an_envelope_ends_with_an_empty_part() {
        assert_eq!(layout(&[b"[]"]), (0, 1));
        assert_eq!(layout(&[b""]), (0, 1));
        assert_eq!(layout(&[b"", b"[]"]), (1, 1));
        assert_eq!(layout(&[b"rid", b"key", b"payload"]), (0, 3));
        assert_eq!(layout(&[b"rid", b"key", b""]), (0, 3));
        assert_eq!(layout(&[b"", b"rid", b"key", b""]), (1, 3));
        assert_eq!(layout(&[b"from", b"", b"rid", b"key", b"payload"]), (2, 3));
        assert_eq!(layout(&[b"a", b"b"]), (0, 2));
    }

    #[test]
    fn texts_both_ways() {
        let mut frames = BytesMut::new();
        write_message(&mut frames, &[b"r\xff", b"key", b"say \"hi\""]);
        let message = frames.freeze();
        let request = decode_frames(&message).unwrap();
        assert_eq!((request.key.as_ref(), request.payload.as_str()), ("key", r#""say \"hi\"""#));
        assert_eq!(request.rid.as_str(), "\"r\u{fffd}\"");
        for bad in [&[&b"r"[..], b"\xff", b"p"][..], &[b"r", b"k", b"\xff"], &[b"r", b"k"]] {
            let mut frames = BytesMut::new();
            write_message(&mut frames, bad);
            assert_eq!(decode_frames(&frames.freeze()), Err(Malformed));
        }
        let result = |json: &'static str| encode_result(&Ok(Json::from_text(json).unwrap().into()));
        assert_eq!(result(r#""wor\u006cd""#), "world");
        assert_eq!(result(r#"{"a": 1.0}"#), r#"{"a": 1.0}"#);
        assert_eq!(result("null"), "null");
        let error = |text: &str| encode_result(&Err(text.into()));
        assert_eq!(error("ERR_X: no"), "ERR_X: no");
        assert_eq!(error("no"), "ERR_REMOTE: no");
        assert_eq!(error(""), "ERR_REMOTE");
    }
}
