//! One JSON value as it stands on the wire.

use std::cell::RefCell;
use std::fmt;

use bytes::Bytes;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;

use crate::error::Error;

/// Deepest nesting of arrays and objects that is taken apart into a type. Passing a value on knows no such limit.
const MAX_DEPTH: usize = 128;

/// Longest text whose parsing leaves its buffers to the next; they are some six times as long.
const KEEP: usize = 256 * 1024;

thread_local! {
    static BUFFERS: RefCell<simd_json::Buffers> = RefCell::default();
}

/// One JSON value: checked to be JSON, passed on byte for byte, taken apart only when a type is asked for.
///
/// Numbers keep every digit, strings their escapes. Clones share the bytes.
///
/// ```
/// use grenache_peer::Json;
///
/// let json = Json::from_text(r#"{"price": 90071992547409931, "pair": "BTCUSD"}"#)?;
/// assert_eq!(json.as_str(), r#"{"price": 90071992547409931, "pair": "BTCUSD"}"#);
/// #[derive(serde::Deserialize)]
/// struct Quote { price: u64 }
/// assert_eq!(json.to::<Quote>()?.price, 90071992547409931);
/// # Ok::<(), grenache_peer::Error>(())
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct Json(Bytes);

impl Json {
    /// `null`.
    pub const fn null() -> Json {
        Json(Bytes::from_static(b"null"))
    }

    /// Takes a text that is one JSON value. Blanks around it are dropped.
    ///
    /// # Errors
    /// [`Error::Json`] says where it is not JSON (RFC 8259) or not UTF-8.
    pub fn from_text(text: impl Into<Bytes>) -> Result<Json, Error> {
        let text = text.into();
        let raw: &RawValue =
            serde_json::from_slice(&text).map_err(|error| Error::Json(error.to_string()))?;
        Ok(Json(text.slice_ref(raw.get().as_bytes())))
    }

    /// Writes a value as JSON.
    ///
    /// # Errors
    /// [`Error::Json`] if the type has no form in JSON, such as a map whose keys are not texts or numbers.
    pub fn of<T: Serialize + ?Sized>(value: &T) -> Result<Json, Error> {
        let text = serde_json::to_vec(value).map_err(|error| Error::Json(error.to_string()))?;
        Ok(Json(text.into()))
    }

    /// Bytes that were checked before.
    pub(crate) fn trusted(bytes: Bytes) -> Json {
        Json(bytes)
    }

    /// Takes the value apart into a type.
    ///
    /// # Errors
    /// [`Error::Json`] if it is not of that type, has a number that no Rust integer or float holds, or is nested more than
    /// 128 deep.
    pub fn to<T: DeserializeOwned>(&self) -> Result<T, Error> {
        if !shallow(&self.0) {
            return Err(Error::Json(format!("nested more than {MAX_DEPTH} deep")));
        }
        // The parser unescapes in place.
        let mut text = self.0.to_vec();
        BUFFERS.with(|buffers| {
            let mut fresh = simd_json::Buffers::default();
            let mut kept = if text.len() > KEEP { None } else { buffers.try_borrow_mut().ok() };
            let buffers = kept.as_deref_mut().unwrap_or(&mut fresh);
            simd_json::serde::from_slice_with_buffers(&mut text, buffers)
                .map_err(|error| Error::Json(error.to_string()))
        })
    }

    /// The text of the value.
    pub fn as_str(&self) -> &str {
        // It was checked to be UTF-8; a second check here is cheaper than a proof.
        std::str::from_utf8(&self.0).unwrap_or_default()
    }

    /// The bytes of the value.
    pub fn as_bytes(&self) -> &Bytes {
        &self.0
    }

    /// Whether it is `null`.
    pub fn is_null(&self) -> bool {
        self.0 == b"null"[..]
    }
}

impl Default for Json {
    fn default() -> Json {
        Json::null()
    }
}

impl fmt::Display for Json {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for Json {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Whether a JSON text is nested at most [`MAX_DEPTH`] deep: whoever takes it apart recurses.
fn shallow(text: &[u8]) -> bool {
    let opening = |&&byte: &&u8| matches!(byte, b'[' | b'{');
    if text.len() <= MAX_DEPTH || text.iter().filter(opening).count() <= MAX_DEPTH {
        return true;
    }
    let (mut depth, mut at) = (0, 0);
    while let Some(&byte) = text.get(at) {
        at += 1;
        match byte {
            b'[' | b'{' => {
                depth += 1;
                if depth > MAX_DEPTH {
                    return false;
                }
            }
            b']' | b'}' => depth -= 1,
            b'"' => {
                while let Some(&byte) = text.get(at) {
                    at += if byte == b'\\' { 2 } else { 1 };
                    if byte == b'"' {
                        break;
                    }
                }
            }
            _ => {}
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_every_byte() {
        for text in [
            "null",
            "0",
            "\"\"",
            "1.0e400",
            "123456789012345678901234567890",
            "\"\\ud83d\\ude00 \u{10ffff} \\u0000\"",
            "{ \"a\" : [ 1 , 2 ] }",
        ] {
            assert_eq!(Json::from_text(text.to_string()).unwrap().as_str(), text);
        }
        assert_eq!(Json::from_text(" [1] \n").unwrap().as_str(), "[1]");
        let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
        assert_eq!(Json::from_text(deep.clone()).unwrap().as_str(), deep);
    }

    #[test]
    fn refuses_what_is_not_json() {
        for text in ["", " ", "nul", "[1,]", "{a:1}", "'a'", "1 2", "\"\u{1}\"", "[", "NaN"] {
            assert_eq!(Json::from_text(text).unwrap_err().code(), "ERR_JSON", "{text}");
        }
        assert!(Json::from_text(&b"\"\xff\""[..]).is_err());
    }

    #[test]
    fn nesting_is_limited_where_it_recurses() {
        let nested = |depth| {
            let text = format!("{}\"[[[{{\\\"\"{}", "[".repeat(depth), "]".repeat(depth));
            Json::from_text(text).unwrap().to::<serde_json::Value>()
        };
        assert!(nested(MAX_DEPTH).is_ok());
        assert_eq!(nested(MAX_DEPTH + 1).unwrap_err().code(), "ERR_JSON");
        let flat = Json::of(&vec![vec![0_u8]; 1000]).unwrap();
        assert_eq!(flat.to::<Vec<Vec<u8>>>().unwrap().len(), 1000);
    }

    #[test]
    fn a_large_text_leaves_nothing_behind() {
        let left = || BUFFERS.with_borrow(|buffers| buffers.structural_indexes().len());
        for (count, kept) in [(1000, true), (KEEP, false)] {
            let text = format!("[{}0]", "1,".repeat(count));
            assert_eq!(Json::from_text(text).unwrap().to::<Vec<u8>>().unwrap().len(), count + 1);
            assert_eq!(left() > count, kept);
        }
    }

    #[test]
    fn types() {
        assert_eq!(Json::of("a\n").unwrap().as_str(), "\"a\\n\"");
        assert_eq!(Json::of(&Some(1)).unwrap().to::<Option<u8>>().unwrap(), Some(1));
        assert_eq!(Json::from_text("\"1\"").unwrap().to::<u8>().unwrap_err().code(), "ERR_JSON");
        assert!(Json::null().is_null() && Json::null().to::<()>().is_ok());
    }
}
