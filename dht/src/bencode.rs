//! Bencoding (BEP3): a reader that borrows from the datagram, and a writer that appends to a buffer.
//!
//! The reader is strict about numbers (no leading zeros, no `-0`, 64 bits) and lenient about the order
//! of keys in a dictionary, as other implementations are.

/// Lists and dictionaries inside each other that are followed; deeper ones are refused.
pub const MAX_DEPTH: usize = 32;

/// Why bytes are not bencode that we take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Error {
    /// Malformed: not bencode.
    Malformed,
    /// Malformed: the bytes end inside a value.
    Truncated,
    /// Over a limit: nested deeper than [`MAX_DEPTH`].
    TooDeep,
    /// Over a limit: an integer that does not fit into 64 bits.
    Overflow,
}

/// Reads one value after the other from a slice.
#[derive(Clone, Debug)]
pub struct Reader<'a> {
    input: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    /// A reader at the start of `input`.
    pub fn new(input: &'a [u8]) -> Self {
        Self { input, at: 0 }
    }

    /// The next byte, without consuming it.
    pub fn peek(&self) -> Result<u8, Error> {
        self.input.get(self.at).copied().ok_or(Error::Truncated)
    }

    /// Ok if everything was read.
    pub fn finish(&self) -> Result<(), Error> {
        if self.at == self.input.len() { Ok(()) } else { Err(Error::Malformed) }
    }

    /// Enters a dictionary; read keys with [`bytes`](Self::bytes) until [`end`](Self::end).
    pub fn dict(&mut self) -> Result<(), Error> {
        self.expect(b'd')
    }

    /// Enters a list; read values until [`end`](Self::end).
    pub fn list(&mut self) -> Result<(), Error> {
        self.expect(b'l')
    }

    /// Whether the list or dictionary ends here; its end is consumed.
    pub fn end(&mut self) -> Result<bool, Error> {
        let ended = self.peek()? == b'e';
        self.at += usize::from(ended);
        Ok(ended)
    }

    /// A byte string.
    pub fn bytes(&mut self) -> Result<&'a [u8], Error> {
        let length = usize::try_from(self.digits(b':')?).map_err(|_| Error::Overflow)?;
        let rest = &self.input[self.at..];
        let bytes = rest.get(..length).ok_or(Error::Truncated)?;
        self.at += length;
        Ok(bytes)
    }

    /// An integer.
    pub fn integer(&mut self) -> Result<i64, Error> {
        self.expect(b'i')?;
        let negative = self.peek()? == b'-';
        self.at += usize::from(negative);
        let magnitude = self.digits(b'e')?;
        match (negative, magnitude) {
            (true, 0) => Err(Error::Malformed),
            (true, _) => 0i64.checked_sub_unsigned(magnitude).ok_or(Error::Overflow),
            (false, _) => i64::try_from(magnitude).map_err(|_| Error::Overflow),
        }
    }

    /// Any one value, as the bytes it is encoded in.
    pub fn raw(&mut self) -> Result<&'a [u8], Error> {
        let start = self.at;
        self.skip()?;
        Ok(&self.input[start..self.at])
    }

    /// Passes over any one value, checking it.
    pub fn skip(&mut self) -> Result<(), Error> {
        // One bit per open level: is it a dictionary whose next item is a key?
        let mut dicts = 0u64;
        let mut at_key = 0u64;
        let mut depth = 0usize;
        loop {
            let level = 1u64 << depth;
            let key = depth > 0 && dicts & level != 0 && at_key & level != 0;
            let byte = self.peek()?;
            match byte {
                b'0'..=b'9' => {
                    self.bytes()?;
                }
                // A dictionary may end only where a key could stand, a list anywhere.
                b'e' if depth > 0 && (key || dicts & level == 0) => {
                    self.at += 1;
                    depth -= 1;
                }
                _ if key => return Err(Error::Malformed),
                b'i' => {
                    self.integer()?;
                }
                b'd' | b'l' => {
                    if depth == MAX_DEPTH {
                        return Err(Error::TooDeep);
                    }
                    self.at += 1;
                    depth += 1;
                    let level = 1u64 << depth;
                    at_key |= level;
                    dicts = if byte == b'd' { dicts | level } else { dicts & !level };
                    continue;
                }
                _ => return Err(Error::Malformed),
            }
            if depth == 0 {
                return Ok(());
            }
            at_key ^= 1 << depth;
        }
    }

    fn expect(&mut self, byte: u8) -> Result<(), Error> {
        if self.peek()? != byte {
            return Err(Error::Malformed);
        }
        self.at += 1;
        Ok(())
    }

    /// Decimal digits up to and including `end`.
    fn digits(&mut self, end: u8) -> Result<u64, Error> {
        let start = self.at;
        let mut value = 0u64;
        loop {
            let byte = self.peek()?;
            self.at += 1;
            match byte {
                b'0'..=b'9' => {
                    if self.at - start == 2 && self.input[start] == b'0' {
                        return Err(Error::Malformed);
                    }
                    value = value
                        .checked_mul(10)
                        .and_then(|v| v.checked_add(u64::from(byte - b'0')))
                        .ok_or(Error::Overflow)?;
                }
                _ if byte == end && self.at - start > 1 => return Ok(value),
                _ => return Err(Error::Malformed),
            }
        }
    }
}

/// Appends a byte string.
pub fn write_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    write_length(out, bytes.len());
    out.extend_from_slice(bytes);
}

/// Appends the length of a byte string, whose bytes are to follow.
pub(crate) fn write_length(out: &mut Vec<u8>, length: usize) {
    write_decimal(out, length as u64);
    out.push(b':');
}

/// Appends an integer.
pub fn write_integer(out: &mut Vec<u8>, value: i64) {
    out.push(b'i');
    if value < 0 {
        out.push(b'-');
    }
    write_decimal(out, value.unsigned_abs());
    out.push(b'e');
}

fn write_decimal(out: &mut Vec<u8>, mut value: u64) {
    let mut digits = [0u8; 20];
    let mut at = digits.len();
    loop {
        at -= 1;
        digits[at] = b'0' + (value % 10) as u8;
        value /= 10;
        if value == 0 {
            break;
        }
    }
    out.extend_from_slice(&digits[at..]);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn skip(input: &[u8]) -> Result<usize, Error> {
        let mut reader = Reader::new(input);
        reader.skip().map(|()| reader.at)
    }

    #[test]
    fn values_are_passed_over_whole() {
        for good in [
            &b"0:"[..],
            b"4:spam",
            b"i0e",
            b"i-42e",
            b"i9223372036854775807e",
            b"i-9223372036854775808e",
            b"le",
            b"de",
            b"d1:ad1:bl1:ci1eeee",
            b"l4:spaml1:a1:bedee",
            b"llleleleleee",
            b"d1:ai1e1:bi2e1:cdee",
        ] {
            assert_eq!(skip(good), Ok(good.len()), "{}", good.escape_ascii());
            for cut in 0..good.len() {
                assert_eq!(
                    skip(&good[..cut]),
                    Err(Error::Truncated),
                    "{cut} of {}",
                    good.escape_ascii()
                );
            }
        }
    }

    #[test]
    fn bad_input_is_named() {
        for bad in [
            &b"e"[..],
            b"i-0e",
            b"i01e",
            b"ie",
            b"i-e",
            b"i1.5e",
            b"i+1e",
            b"01:a",
            b"-1:a",
            b":",
            b"x",
            b"di1e1:ae",
            b"d1:ae",
            b"d1:ai1e1:be",
            b"dlei1ee",
            b"l1:ax",
        ] {
            assert_eq!(skip(bad), Err(Error::Malformed), "{}", bad.escape_ascii());
        }
        assert_eq!(skip(b"i9223372036854775808e"), Err(Error::Overflow));
        assert_eq!(skip(b"i-9223372036854775809e"), Err(Error::Overflow));
        assert_eq!(skip(b"99999999999999999999999:a"), Err(Error::Overflow));
        assert_eq!(skip(b"18446744073709551615:a"), Err(Error::Truncated));
        assert_eq!(skip(&[b'l'; 100]), Err(Error::TooDeep));
        let deepest = [[b'l'; MAX_DEPTH], [b'e'; MAX_DEPTH]].concat();
        assert_eq!(skip(&deepest), Ok(2 * MAX_DEPTH));
    }

    #[test]
    fn what_is_written_is_read() {
        let mut out = Vec::new();
        let numbers = [0, 1, -1, 9, 10, i64::MAX, i64::MIN];
        numbers.iter().for_each(|&n| write_integer(&mut out, n));
        write_bytes(&mut out, b"");
        write_bytes(&mut out, &[7; 1000]);
        let mut reader = Reader::new(&out);
        for n in numbers {
            assert_eq!(reader.integer(), Ok(n));
        }
        assert_eq!(reader.bytes(), Ok(&b""[..]));
        assert_eq!(reader.bytes(), Ok(&[7; 1000][..]));
        assert_eq!(reader.finish(), Ok(()));
    }
}
