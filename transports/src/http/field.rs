//! Header fields that go out.

use bytes::{BufMut, BytesMut};

use super::syntax;

/// A header field that may be written as it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Field<'a> {
    name: &'a str,
    value: &'a [u8],
}

/// A [`Field`] was asked for whose name is not a token, or whose value has control bytes: written out, it could end the head.
/// Or one that delimits the body, which the writers alone do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BadField;

impl core::fmt::Display for BadField {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("not a header field")
    }
}

impl core::error::Error for BadField {}

impl<'a> Field<'a> {
    /// Checks a field. What the writers write themselves is not to be repeated: Date and Connection in answers, Host in
    /// requests.
    ///
    /// # Errors
    /// Not a field, or Content-Length or Transfer-Encoding, a second of which would be taken for smuggling.
    pub fn new(name: &'a str, value: &'a [u8]) -> Result<Self, BadField> {
        let token = !name.is_empty() && syntax::token_len(name.as_bytes()) == name.len();
        let value_ok = syntax::value_len(value) == value.len();
        let delimits = name.eq_ignore_ascii_case("content-length")
            || name.eq_ignore_ascii_case("transfer-encoding");
        if token && value_ok && !delimits { Ok(Self { name, value }) } else { Err(BadField) }
    }

    /// Appends the field after a line without its end.
    pub(super) fn put(&self, out: &mut BytesMut) {
        out.put_slice(b"\r\n");
        out.put_slice(self.name.as_bytes());
        out.put_slice(b": ");
        out.put_slice(self.value);
    }
}

/// Appends a decimal number.
pub(super) fn put_decimal(out: &mut BytesMut, mut value: u64) {
    let mut digits = [0; 20];
    let mut at = digits.len();
    loop {
        at -= 1;
        digits[at] = b'0' + (value % 10) as u8;
        value /= 10;
        if value == 0 {
            break;
        }
    }
    out.put_slice(&digits[at..]);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_cannot_end_the_head_nor_delimit_the_body() {
        for (name, value) in [
            ("", "a"),
            ("a b", "c"),
            ("a:", "c"),
            ("a", "b\r\nc: d"),
            ("a", "\0"),
            ("a\r\n", ""),
            ("Content-Length", "1"),
            ("transfer-encoding", "chunked"),
        ] {
            assert_eq!(Field::new(name, value.as_bytes()), Err(BadField), "{name:?} {value:?}");
        }
        assert!(Field::new("a", "d\u{e9}j\u{e0}\t vu".as_bytes()).is_ok());
    }
}
