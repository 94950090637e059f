//! Keys: 32 bytes, written by people as 40 characters of Z85 (RFC 32).

use core::fmt;
use core::str::FromStr;

use dryoc::classic::crypto_core::crypto_scalarmult_base;
use dryoc::types::{ByteArray, StackByteArray};

/// Bytes in a key.
pub(super) const LEN: usize = 32;

/// A key to be known to others.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct PublicKey(pub [u8; LEN]);

/// A key to be known to nobody else. It is wiped from memory when it is no longer needed.
#[derive(Clone, PartialEq, Eq)]
pub struct SecretKey(StackByteArray<LEN>);

/// A secret key and the public key that belongs to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyPair {
    /// What others know.
    pub public: PublicKey,
    /// What nobody else knows.
    pub secret: SecretKey,
}

/// A text that is not a key: 40 characters of Z85 are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BadKey;

impl SecretKey {
    /// The key of these bytes; 32 that nobody can foresee make a new one.
    pub fn new(bytes: [u8; LEN]) -> Self {
        Self(bytes.into())
    }

    /// The key in Z85, for the file it is kept in.
    pub fn to_z85(&self) -> String {
        z85::encode(self.bytes())
    }

    pub(super) fn bytes(&self) -> &[u8; LEN] {
        self.0.as_array()
    }
}

impl From<SecretKey> for KeyPair {
    fn from(secret: SecretKey) -> Self {
        let mut public = [0; LEN];
        crypto_scalarmult_base(&mut public, secret.bytes());
        Self { public: PublicKey(public), secret }
    }
}

fn read(text: &str) -> Result<[u8; LEN], BadKey> {
    z85::decode(text).ok().and_then(|bytes| bytes.try_into().ok()).ok_or(BadKey)
}

impl FromStr for PublicKey {
    type Err = BadKey;

    fn from_str(text: &str) -> Result<Self, BadKey> {
        read(text).map(Self)
    }
}

impl FromStr for SecretKey {
    type Err = BadKey;

    fn from_str(text: &str) -> Result<Self, BadKey> {
        read(text).map(Self::new)
    }
}

impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&z85::encode(self.0))
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Debug for SecretKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretKey(..)")
    }
}

impl fmt::Display for BadKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a CURVE key has 40 characters of Z85")
    }
}

impl core::error::Error for BadKey {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_40_characters_of_z85() {
        // RFC 32's test case, four times over.
        let bytes = [0x86, 0x4f, 0xd2, 0x6f, 0xb5, 0x59, 0xf7, 0x5b].repeat(4);
        let key = PublicKey(bytes.try_into().unwrap());
        assert_eq!(key.to_string(), "HelloWorld".repeat(4));
        assert_eq!("HelloWorld".repeat(4).parse(), Ok(key));
        for bad in ["", "HelloWorld", &"#".repeat(40), &"Hello World".repeat(4), &"\\".repeat(40)] {
            assert_eq!(bad.parse::<PublicKey>(), Err(BadKey), "{bad}");
            assert_eq!(bad.parse::<SecretKey>(), Err(BadKey), "{bad}");
        }
        // The padding some add to Z85 gives fewer bytes, not a key.
        assert_eq!(format!("{}#0000", "Hello".repeat(7)).parse::<PublicKey>(), Err(BadKey));
    }

    #[test]
    fn the_public_key_is_computed() {
        // The pair in libzmq's manual, zmq_curve(7).
        let secret: SecretKey = "JTKVSB%%)wK0E.X)V>+}o?pNmC{O&4W4b!Ni{Lh6".parse().unwrap();
        let keys = KeyPair::from(secret);
        assert_eq!(keys.public.to_string(), "rq:rM>}U?@Lns47E1%kR.o@n%FcmmsL/@{H8]yf7");
        assert!(!format!("{keys:?}").contains("JTKVSB"));
    }
}
