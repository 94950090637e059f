//! Whether a text is UTF-8, as its bytes arrive (RFC 6455 section 8.1).

/// Judges a text piece by piece, and says no at the first byte that cannot be.
#[derive(Debug, Clone, Copy)]
pub(super) struct Validator {
    /// The beginning of a character whose rest is to come.
    tail: [u8; 4],
    len: usize,
}

/// It is not UTF-8.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Invalid;

impl Validator {
    pub(super) const fn new() -> Self {
        Self { tail: [0; 4], len: 0 }
    }

    /// Takes the next piece.
    #[inline]
    pub(super) fn push(&mut self, mut piece: &[u8]) -> Result<(), Invalid> {
        while self.len > 0 {
            let Some((&byte, rest)) = piece.split_first() else { return Ok(()) };
            self.tail[self.len] = byte;
            self.len += 1;
            piece = rest;
            match core::str::from_utf8(&self.tail[..self.len]) {
                Ok(_) => self.len = 0,
                Err(error) if error.error_len().is_some() => return Err(Invalid),
                Err(_) => {}
            }
        }
        match core::str::from_utf8(piece) {
            Ok(_) => Ok(()),
            Err(error) if error.error_len().is_some() => Err(Invalid),
            Err(error) => {
                let tail = &piece[error.valid_up_to()..];
                self.tail[..tail.len()].copy_from_slice(tail);
                self.len = tail.len();
                Ok(())
            }
        }
    }

    /// The text is at its end; what comes next is another.
    pub(super) fn finish(&mut self) -> Result<(), Invalid> {
        let complete = self.len == 0;
        self.len = 0;
        if complete { Ok(()) } else { Err(Invalid) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judge<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> Result<(), Invalid> {
        let mut validator = Validator::new();
        pieces.into_iter().try_for_each(|piece| validator.push(piece))?;
        validator.finish()
    }

    #[test]
    fn cut_anywhere_it_says_what_the_whole_says() {
        let texts: [&[u8]; 12] = [
            b"",
            "a\u{e9}\u{20ac}\u{10ffff}z".as_bytes(),
            b"\xf4\x90\x80\x80",
            b"\xed\xa0\x80",
            b"\xc0\xaf",
            b"\xe0\x80\xaf",
            b"\xf8\x88\x80\x80\x80",
            b"ab\xff",
            b"\x80",
            b"\xe2\x82",
            b"\xf0\x9f\x98",
            b"\xe2\x82a",
        ];
        for text in texts {
            let whole = core::str::from_utf8(text).map(|_| ()).map_err(|_| Invalid);
            for cut in 0..=text.len() {
                for other in cut..=text.len() {
                    let pieces = [&text[..cut], &text[cut..other], &text[other..]];
                    assert_eq!(judge(pieces), whole, "{text:x?} {cut} {other}");
                }
            }
        }
    }

    #[test]
    fn what_cannot_become_utf8_fails_at_once() {
        for (text, good) in
            [(&b"\xf4\x90"[..], 1), (b"\xed\xa0", 1), (b"\xe0\x9f", 1), (b"a\xc1", 1)]
        {
            let mut validator = Validator::new();
            assert_eq!(validator.push(&text[..good]), Ok(()));
            assert_eq!(validator.push(&text[good..]), Err(Invalid), "{text:x?}");
        }
    }
}
