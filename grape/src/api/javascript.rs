//! What JavaScript and Node's `Buffer` make of JSON values, as far as a grape's answers show it.

use serde_json::Value;
use serde_json::value::RawValue;

/// Reads a JSON value as JavaScript would: what only serde_json objects to is an unpaired surrogate,
/// which becomes U+FFFD (as it does in JavaScript once it is written as UTF-8).
pub(super) fn read(raw: &RawValue) -> Result<Value, serde_json::Error> {
    serde_json::from_str(raw.get()).or_else(|error| match without_unpaired_surrogates(raw.get()) {
        Some(text) => serde_json::from_str(&text),
        None => Err(error),
    })
}

/// Replaces the escapes of unpaired surrogates; `None` when there are none.
fn without_unpaired_surrogates(json: &str) -> Option<String> {
    let unit = |at: usize| -> Option<u16> {
        let escape = json.get(at..at + 6)?.strip_prefix("\\u")?;
        u16::from_str_radix(escape, 16).ok()
    };
    let mut fixed = String::with_capacity(json.len());
    let mut replaced = false;
    let mut at = 0;
    while let Some(next) = json[at..].find('\\').map(|found| at + found) {
        fixed.push_str(&json[at..next]);
        let width = match (unit(next), unit(next + 6)) {
            (Some(0xd800..=0xdbff), Some(0xdc00..=0xdfff)) => 12,
            (Some(0xd800..=0xdfff), _) => {
                fixed.push_str("\\ufffd");
                replaced = true;
                at = next + 6;
                continue;
            }
            (Some(_), _) => 6,
            (None, _) => 2,
        };
        fixed.push_str(json.get(next..next + width)?);
        at = next + width;
    }
    fixed.push_str(&json[at..]);
    replaced.then_some(fixed)
}

/// `Boolean(value)`.
pub(super) fn truthy(value: &Value) -> bool {
    match value {
        Value::Null => false,
        Value::Bool(bool) => *bool,
        Value::Number(number) => number.as_f64() != Some(0.0),
        Value::String(text) => !text.is_empty(),
        Value::Array(_) | Value::Object(_) => true,
    }
}

/// `Buffer.from(value, encoding)`, or the message of the TypeError it throws.
pub(super) fn buffer_from(value: &Value, encoding: Encoding) -> Result<Vec<u8>, String> {
    let array = |items: &[Value]| items.iter().map(to_byte).collect();
    match value {
        Value::String(text) => Ok(encoding.bytes(text)),
        Value::Array(items) => Ok(array(items)),
        Value::Object(object) => match (object.get("type"), object.get("data")) {
            (Some(Value::String(kind)), Some(Value::Array(items))) if kind == "Buffer" => {
                Ok(array(items))
            }
            _ => match object.get("length").map(|length| length.as_f64().unwrap_or(0.0)) {
                Some(length) if length <= MAX_ARRAY_LIKE => {
                    let mut bytes = vec![0; length.max(0.0) as usize];
                    // By the names that are there: a length costs nothing to claim.
                    for (name, value) in object {
                        let index = name.parse().ok().filter(|at: &usize| at.to_string() == *name);
                        if let Some(byte) = index.and_then(|at| bytes.get_mut(at)) {
                            *byte = to_byte(value);
                        }
                    }
                    Ok(bytes)
                }
                _ => Err(type_error(value)),
            },
        },
        _ => Err(type_error(value)),
    }
}

/// Longest buffer made of an object that only claims a length. No name or item is that long.
const MAX_ARRAY_LIKE: f64 = 65536.0;

/// Node's grape: `Buffer.from(JSON.parse(value))`, and where that throws, `Buffer.from(value, encoding)`.
pub(super) fn text_to_buffer(value: &Value, encoding: Encoding) -> Result<Vec<u8>, String> {
    // JSON.parse takes its argument's text; of the values here only a string's or a list's can be JSON
    // that makes a buffer, and a list's text ("1,2") is JSON only for a single number, which does not.
    let parsed = value.as_str().and_then(|text| serde_json::from_str(text).ok());
    match parsed.map(|parsed: Value| buffer_from(&parsed, Encoding::Utf8)) {
        Some(Ok(bytes)) => Ok(bytes),
        _ => buffer_from(value, encoding),
    }
}

/// How the text of a string becomes bytes.
#[derive(Debug, Clone, Copy)]
pub(super) enum Encoding {
    Utf8,
    /// Pairs of hex digits, up to the first pair that is none.
    Hex,
}

impl Encoding {
    pub(super) fn bytes(self, text: &str) -> Vec<u8> {
        match self {
            Encoding::Utf8 => text.as_bytes().to_vec(),
            Encoding::Hex => text
                .as_bytes()
                .chunks_exact(2)
                .map_while(|pair| Some(hex_digit(pair[0])? << 4 | hex_digit(pair[1])?))
                .collect(),
        }
    }
}

fn hex_digit(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).map(|value| value as u8)
}

/// An element of a byte array: `value & 255`.
fn to_byte(value: &Value) -> u8 {
    let number = match value {
        Value::Number(number) => number.as_f64().unwrap_or(0.0),
        Value::Bool(true) => 1.0,
        Value::String(text) => text.trim().parse().unwrap_or(0.0),
        _ => 0.0,
    };
    (number.trunc() % 256.0) as i64 as u8
}

fn type_error(value: &Value) -> String {
    const EXPECTED: &str = "The first argument must be of type string or an instance of Buffer, \
                            ArrayBuffer, or Array or an Array-like Object. Received ";
    let received = match value {
        Value::Null => "null".to_string(),
        Value::Bool(bool) => format!("type boolean ({bool})"),
        Value::Number(number) => {
            format!("type number ({})", number_text(number.as_f64().unwrap_or(f64::NAN)))
        }
        Value::String(_) | Value::Array(_) | Value::Object(_) => "an instance of Object".into(),
    };
    format!("{EXPECTED}{received}")
}

/// A number as JavaScript prints it.
pub(super) fn number_text(number: f64) -> String {
    if number == 0.0 {
        return "0".into();
    }
    if !number.is_finite() {
        return if number.is_nan() {
            "NaN"
        } else if number > 0.0 {
            "Infinity"
        } else {
            "-Infinity"
        }
        .into();
    }
    // Rust and JavaScript agree on the shortest digits, not on how they are laid out.
    let scientific = format!("{:e}", number.abs());
    let (digits, exponent) = scientific.split_once('e').expect("{:e} prints an exponent");
    let exponent: i32 = exponent.parse().expect("{:e} prints a whole exponent");
    let digits = digits.replace('.', "");
    let sign = if number < 0.0 { "-" } else { "" };
    let point = exponent + 1;
    let text = match usize::try_from(point) {
        Ok(point @ 1..=21) if digits.len() <= point => format!("{digits:0<point$}"),
        Ok(point @ 1..=21) => format!("{}.{}", &digits[..point], &digits[point..]),
        _ if (-5..=0).contains(&point) => {
            format!("0.{}{digits}", "0".repeat(point.unsigned_abs() as usize))
        }
        _ => {
            let (first, rest) = digits.split_at(1);
            let rest = if rest.is_empty() { String::new() } else { format!(".{rest}") };
            format!("{first}{rest}e{exponent:+}")
        }
    };
    format!("{sign}{text}")
}

/// Length of a string in UTF-16 units, of a list in elements; numbers and the like have none.
pub(super) fn length(value: &Value) -> Option<f64> {
    match value {
        Value::String(text) => Some(text.encode_utf16().count() as f64),
        Value::Array(items) => Some(items.len() as f64),
        Value::Object(object) => object.get("length").and_then(Value::as_f64),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn numbers_print_as_in_javascript() {
        for (number, text) in [
            (0.0, "0"),
            (-0.0, "0"),
            (1.5, "1.5"),
            (-70000.0, "-70000"),
            (4611686018427387904.0, "4611686018427388000"),
            (1e20, "100000000000000000000"),
            (1e21, "1e+21"),
            (1.25e21, "1.25e+21"),
            (0.000001, "0.000001"),
            (0.0000001, "1e-7"),
            (0.00012, "0.00012"),
            (123.456, "123.456"),
        ] {
            assert_eq!(number_text(number), text);
        }
    }

    #[test]
    fn buffers_are_made_as_node_makes_them() {
        let hex = |value: Value| text_to_buffer(&value, Encoding::Hex);
        assert_eq!(hex(json!("a0ffzz00")), Ok(vec![0xa0, 0xff]));
        assert_eq!(hex(json!("123")), Ok(vec![0x12]));
        assert_eq!(hex(json!("\"abc\"")), Ok(b"abc".to_vec()));
        assert_eq!(hex(json!("[1,256,-1,\"7\"]")), Ok(vec![1, 0, 255, 7]));
        assert_eq!(hex(json!({"type": "Buffer", "data": [1, 2]})), Ok(vec![1, 2]));
        let array_like = json!({"length": 4, "0": 1, "02": 9, "+2": 9, "2": "7", "3": -1, "4": 5});
        assert_eq!(hex(array_like), Ok(vec![1, 0, 7, 255]));
        assert_eq!(hex(json!({"length": -1, "0": 1})), Ok(vec![]));
        assert!(hex(json!(5)).unwrap_err().ends_with("Received type number (5)"));
        assert!(hex(json!({"a": 1})).unwrap_err().ends_with("Received an instance of Object"));
        assert_eq!(text_to_buffer(&json!("salt"), Encoding::Utf8), Ok(b"salt".to_vec()));
    }

    #[test]
    fn unpaired_surrogates_become_replacement_characters() {
        let read = |text: &str| read(serde_json::from_str::<&RawValue>(text).unwrap()).unwrap();
        assert_eq!(read(r#""a\ud800b""#), json!("a\u{fffd}b"));
        assert_eq!(read(r#""\udc00\ud83d\ude00\\ud800""#), json!("\u{fffd}😀\\ud800"));
    }
}
