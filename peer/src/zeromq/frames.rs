//! Calls as grenache-nodejs-zmq had them: three parts there, two back, all of them texts.

use std::borrow::Cow;

use bytes::Bytes;

use crate::envelope::{self, Malformed, Reply};
use crate::error::Failure;
use crate::http::Failed;
use crate::json::Json;
use crate::multiplex::Said;

/// What an error begins with. Any other text is a result.
const ERROR: &[u8] = b"ERR_";

/// Gives `send` the parts of the request that stands in `envelope`: id, service, and payload.
pub(super) fn with_request<T>(
    envelope: &Bytes,
    send: impl FnOnce(&[&[u8]]) -> T,
) -> Result<T, Malformed> {
    let request = envelope::decode_request(envelope)?;
    let rid = text(&request.rid);
    Ok(send(&[&rid, request.key.as_bytes(), &text(&request.payload)]))
}

/// What is said of a value: a text as it is, anything else as JSON. So is a text that UTF-8 cannot say, half of a surrogate pair.
fn text(json: &Json) -> Cow<'_, [u8]> {
    let bytes = json.as_bytes();
    let Some(inside) = bytes.strip_prefix(b"\"").and_then(|rest| rest.strip_suffix(b"\"")) else {
        return Cow::Borrowed(bytes);
    };
    if memchr::memchr(b'\\', inside).is_none() {
        return Cow::Borrowed(inside);
    }
    match serde_json::from_slice::<String>(bytes) {
        Ok(text) => Cow::Owned(text.into_bytes()),
        Err(_) => Cow::Borrowed(bytes),
    }
}

/// What an answer says.
pub(super) fn read_reply(rid: &[u8], result: &[u8]) -> Said {
    // Ids of ours are ASCII without escapes, so they are the same as JSON when they are the same as bytes.
    let Some(rid) = json(rid) else { return Said::Noise };
    let outcome = match result.starts_with(ERROR) {
        true => Err(String::from_utf8_lossy(result).into_owned()),
        false => match json(result) {
            Some(result) => Ok(result),
            None => {
                let why = Failure::Malformed("the result is no UTF-8 text".into());
                return Said::Unreadable(rid, Failed::Failure(why));
            }
        },
    };
    Said::Reply(Reply { rid, outcome, busy: false })
}

fn json(text: &[u8]) -> Option<Json> {
    std::str::from_utf8(text).ok().and_then(|text| Json::of(text).ok())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::envelope::Rid;

    const RID: &[u8; 36] = b"0b5c7ba4-4f1c-4c67-8d7a-9a3f1f0d2b11";

    #[test]
    fn requests() {
        for (payload, text) in [
            (r#""hello""#, &b"hello"[..]),
            (r#""say \"\u20ac\"\n""#, "say \"\u{20ac}\"\n".as_bytes()),
            (r#""""#, b""),
            (r#""\ud800""#, br#""\ud800""#),
            (r#"{"a": 1.50}"#, br#"{"a": 1.50}"#),
            ("null", b"null"),
        ] {
            let payload = Json::from_text(payload).unwrap();
            let envelope = envelope::encode_request(&Rid(*RID), "a \"key\"", &payload);
            let parts =
                |parts: &[&[u8]]| parts.iter().map(|part| part.to_vec()).collect::<Vec<_>>();
            let parts = with_request(&envelope, parts).unwrap();
            assert_eq!(parts, [&RID[..], b"a \"key\"", text]);
        }
    }

    #[test]
    fn replies() {
        let outcome = |result: &[u8]| match read_reply(RID, result) {
            Said::Reply(reply) => {
                assert!(Rid(*RID).is(&reply.rid) && !reply.busy);
                Some(reply.outcome.map(|json| json.to_string()))
            }
            Said::Unreadable(rid, failed) => {
                assert!(Rid(*RID).is(&rid) && failed.may_have_run());
                None
            }
            _ => panic!("{result:?}"),
        };
        assert_eq!(outcome(b"say \"hi\""), Some(Ok(r#""say \"hi\"""#.into())));
        assert_eq!(outcome(b"[1]"), Some(Ok("\"[1]\"".into())));
        assert_eq!(outcome(b""), Some(Ok("\"\"".into())));
        assert_eq!(outcome(b"ERR_BUSY"), Some(Err("ERR_BUSY".into())));
        assert_eq!(outcome(b"ERR_\xff"), Some(Err("ERR_\u{fffd}".into())));
        assert_eq!(outcome(b"ERR"), Some(Ok("\"ERR\"".into())));
        assert_eq!(outcome(b"\xff"), None);
        assert!(matches!(read_reply(b"\xff", b"x"), Said::Noise));
    }
}
