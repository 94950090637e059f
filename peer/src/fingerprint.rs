//! Fingerprints of certificates.

use std::fmt;
use std::str::FromStr;

use sha1::Sha1;
use sha2::{Digest, Sha256};

/// The digest of a certificate in DER, by which it is known: as Node's `fingerprint` (SHA-1) and
/// `fingerprint256` (SHA-256).
///
/// Prints as `AA:BB:..`. Reads that and, since tools differ, lower case and forms without colons.
/// Prefer SHA-256 in new lists: SHA-1 no longer withstands those who make two certificates that
/// share a fingerprint.
///
/// ```
/// use grenache_peer::Fingerprint;
///
/// let given: Fingerprint = "da39a3ee5e6b4b0d3255bfef95601890afd80709".parse().unwrap();
/// assert_eq!(given.to_string(), "DA:39:A3:EE:5E:6B:4B:0D:32:55:BF:EF:95:60:18:90:AF:D8:07:09");
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub enum Fingerprint {
    /// 20 bytes.
    Sha1([u8; 20]),
    /// 32 bytes.
    Sha256([u8; 32]),
}

impl Fingerprint {
    /// The SHA-1 fingerprint of a certificate in DER.
    pub fn sha1(der: &[u8]) -> Self {
        Self::Sha1(Sha1::digest(der).into())
    }

    /// The SHA-256 fingerprint of a certificate in DER.
    pub fn sha256(der: &[u8]) -> Self {
        Self::Sha256(Sha256::digest(der).into())
    }

    /// The digest.
    pub fn as_bytes(&self) -> &[u8] {
        match self {
            Self::Sha1(digest) => digest,
            Self::Sha256(digest) => digest,
        }
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, byte) in self.as_bytes().iter().enumerate() {
            let colon = if index == 0 { "" } else { ":" };
            write!(f, "{colon}{byte:02X}")?;
        }
        Ok(())
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Fingerprint {
    type Err = NotAFingerprint;

    fn from_str(text: &str) -> Result<Self, NotAFingerprint> {
        let mut digits = text.trim().bytes().filter(|byte| *byte != b':');
        let mut digest = [0; 32];
        let mut count = 0;
        while let Some(high) = digits.next() {
            let byte = hex(high).zip(digits.next().and_then(hex)).map(|(h, l)| h << 4 | l);
            *digest.get_mut(count).ok_or(NotAFingerprint)? = byte.ok_or(NotAFingerprint)?;
            count += 1;
        }
        match (count, digest.first_chunk()) {
            (20, Some(digest)) => Ok(Self::Sha1(*digest)),
            (32, _) => Ok(Self::Sha256(digest)),
            _ => Err(NotAFingerprint),
        }
    }
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).and_then(|value| value.try_into().ok())
}

/// A text that is no [`Fingerprint`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotAFingerprint;

impl fmt::Display for NotAFingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a fingerprint has 40 (SHA-1) or 64 (SHA-256) hexadecimal digits")
    }
}

impl std::error::Error for NotAFingerprint {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prints_and_reads_the_form_with_colons() {
        for fingerprint in [Fingerprint::sha1(b"a"), Fingerprint::sha256(b"a")] {
            let text = fingerprint.to_string();
            assert_eq!(text.parse(), Ok(fingerprint));
            assert_eq!(text.to_lowercase().parse(), Ok(fingerprint));
            assert_eq!(text.replace(':', "").parse(), Ok(fingerprint));
            assert_eq!(format!(" {text}\n").parse(), Ok(fingerprint));
        }
    }

    #[test]
    fn refuses_what_is_none() {
        let good = Fingerprint::sha256(b"a").to_string();
        let long = format!("{good}:00");
        let short = &good[3..];
        let odd = &good[1..];
        let huge = "AA:".repeat(1 << 16);
        for text in ["", ":", "AA", "zz", short, odd, &long, &huge, &good.replace('A', "G")] {
            assert_eq!(text.parse::<Fingerprint>(), Err(NotAFingerprint), "{text}");
        }
    }
}
