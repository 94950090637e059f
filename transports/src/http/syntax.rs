//! Character classes of RFC 9110 section 5.6 and RFC 3986, and scans over them.

const fn class(members: &[u8]) -> [bool; 256] {
    let mut table = [false; 256];
    let mut byte = 0;
    while byte < 128 {
        table[byte] = (byte as u8).is_ascii_alphanumeric();
        byte += 1;
    }
    let mut i = 0;
    while i < members.len() {
        table[members[i] as usize] = true;
        i += 1;
    }
    table
}

/// `tchar`
const TOKEN: [bool; 256] = class(b"!#$%&'*+-.^_`|~");
/// What a registered name or an address has: `unreserved`, `pct-encoded`, `sub-delims`.
const REG_NAME: [bool; 256] = class(b"-._~%!$&'()*+,;=");

#[inline]
pub(super) const fn is_token(byte: u8) -> bool {
    TOKEN[byte as usize]
}

/// Bytes that a request target may have: visible ASCII. Which of them mean something is for whoever routes by it.
#[inline]
pub(super) const fn is_target(byte: u8) -> bool {
    matches!(byte, 0x21..=0x7e)
}

/// Bytes that a field value may have: visible ASCII, blanks, and the opaque upper half.
#[inline]
pub(super) const fn is_value(byte: u8) -> bool {
    byte == b'\t' || (byte >= 0x20 && byte != 0x7f)
}

/// Length of the token at the beginning of `bytes`. Names are too short for eight bytes at a time to gain anything.
#[inline]
pub(super) fn token_len(bytes: &[u8]) -> usize {
    bytes.iter().position(|&byte| !is_token(byte)).unwrap_or(bytes.len())
}

/// Length of the beginning of `bytes` that may stand in a field value, eight bytes at a time.
#[inline]
pub(super) fn value_len(bytes: &[u8]) -> usize {
    const ONES: u64 = 0x0101_0101_0101_0101;
    const HIGH: u64 = 0x8080_8080_8080_8080;
    let mut at = 0;
    while let Some(chunk) = bytes[at..].first_chunk::<8>() {
        let word = u64::from_le_bytes(*chunk);
        let control = word.wrapping_sub(ONES * 0x20) & !word;
        let delete = word ^ (ONES * 0x7f);
        let delete = delete.wrapping_sub(ONES) & !delete;
        // Borrows run towards higher bytes only, so the lowest mark of either mask is exact.
        let marks = (control | delete) & HIGH;
        if marks == 0 {
            at += 8;
            continue;
        }
        at += marks.trailing_zeros() as usize / 8;
        if bytes[at] != b'\t' {
            return at;
        }
        at += 1;
    }
    while at < bytes.len() && is_value(bytes[at]) {
        at += 1;
    }
    at
}

/// `bytes` without the blanks at both ends.
#[inline]
pub(super) fn trim(mut bytes: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] = bytes {
        bytes = rest;
    }
    while let [rest @ .., b' ' | b'\t'] = bytes {
        bytes = rest;
    }
    bytes
}

/// A decimal number and nothing else; `None` also when it does not fit.
pub(super) fn decimal(bytes: &[u8]) -> Option<u64> {
    if bytes.is_empty() {
        return None;
    }
    bytes.iter().try_fold(0u64, |value, byte| match byte {
        b'0'..=b'9' => value.checked_mul(10)?.checked_add(u64::from(byte - b'0')),
        _ => None,
    })
}

/// `uri-host [ ":" port ]` (RFC 9110 section 7.2), also empty: what Host may say.
pub(super) fn is_host(bytes: &[u8]) -> bool {
    let rest = if let [b'[', rest @ ..] = bytes {
        let Some(end) = rest.iter().position(|&byte| byte == b']') else { return false };
        let (address, rest) = rest.split_at(end);
        if !address.iter().all(|&byte| byte == b':' || REG_NAME[byte as usize]) || end == 0 {
            return false;
        }
        &rest[1..]
    } else {
        let end = bytes.iter().position(|&b| !REG_NAME[b as usize]).unwrap_or(bytes.len());
        &bytes[end..]
    };
    match rest {
        [] => true,
        [b':', port @ ..] => port.len() <= 5 && port.iter().all(u8::is_ascii_digit),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fast_scan_agrees_with_the_definition_for_every_byte_at_every_place() {
        for byte in 0..=255u8 {
            for place in 0..20 {
                for filler in [b'a', b'\t', 0xff, 0x80, 0x20, 0x7e] {
                    let mut bytes = [filler; 20];
                    bytes[place] = byte;
                    let slow = bytes.iter().position(|&b| !is_value(b)).unwrap_or(20);
                    assert_eq!(value_len(&bytes), slow, "{byte:#x} at {place}");
                }
            }
        }
    }

    #[test]
    fn decimals_are_digits_that_fit() {
        assert_eq!(decimal(b"0"), Some(0));
        assert_eq!(decimal(b"00042"), Some(42));
        assert_eq!(decimal(b"18446744073709551615"), Some(u64::MAX));
        for bad in ["", "18446744073709551616", "+1", "-1", "1 ", " 1", "1,1", "0x1", "1.0", "١"] {
            assert_eq!(decimal(bad.as_bytes()), None, "{bad}");
        }
    }

    #[test]
    fn hosts() {
        for good in
            ["", "a", "example.com", "127.0.0.1:30001", "[::1]:8", "[::1]", "a:", "x_y", "a%20b"]
        {
            assert!(is_host(good.as_bytes()), "{good}");
        }
        for bad in [
            "a b", "a/b", "u@h", "a:b", "a:123456", "[::1", "[]", "[::1]x", "[a b]", "a?b", "a#b",
            "a:1:2", "http://a", "a\\b", "\u{e9}",
        ] {
            assert!(!is_host(bad.as_bytes()), "{bad}");
        }
    }
}
