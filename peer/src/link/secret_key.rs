//! Keys that sign mutable items.

use std::fmt;

use ed25519_dalek::hazmat::{ExpandedSecretKey, raw_sign};
use ed25519_dalek::{SigningKey, VerifyingKey};
use sha2::{Digest, Sha512};

use crate::error::Error;

/// An ed25519 secret key.
pub struct SecretKey {
    expanded: ExpandedSecretKey,
    public: VerifyingKey,
}

impl SecretKey {
    /// The key that a seed makes (RFC 8032).
    pub fn from_seed(seed: &[u8; 32]) -> SecretKey {
        SecretKey::from_expanded(&SecretKey::expand(seed))
    }

    /// Takes a key in any of the three forms it is kept in: a seed of 32 bytes; seed and public key, 64 bytes; or the 64 bytes
    /// of SHA-512 that a seed expands to, as in the files of grenache-cli.
    ///
    /// # Errors
    /// [`Error::Item`] if it has another length.
    pub fn from_bytes(bytes: &[u8]) -> Result<SecretKey, Error> {
        if let Ok(seed) = <&[u8; 32]>::try_from(bytes) {
            return Ok(SecretKey::from_seed(seed));
        }
        let Ok(bytes) = <&[u8; 64]>::try_from(bytes) else {
            let length = bytes.len();
            return Err(Error::Item(format!("a secret key has 32 or 64 bytes, not {length}")));
        };
        // An expanded key whose second half happens to be the public key of its first does not occur.
        if let Ok(pair) = SigningKey::from_keypair_bytes(bytes) {
            return Ok(SecretKey::from_seed(pair.as_bytes()));
        }
        Ok(SecretKey::from_expanded(bytes))
    }

    /// The 64 bytes that a seed expands to, in which grenache-cli keeps its key.
    pub fn expand(seed: &[u8; 32]) -> [u8; 64] {
        let mut expanded: [u8; 64] = Sha512::digest(seed).into();
        expanded[0] &= 248;
        expanded[31] = expanded[31] & 63 | 64;
        expanded
    }

    fn from_expanded(bytes: &[u8; 64]) -> SecretKey {
        let expanded = ExpandedSecretKey::from_bytes(bytes);
        let public = VerifyingKey::from(&expanded);
        SecretKey { expanded, public }
    }

    /// The public key.
    pub fn public(&self) -> [u8; 32] {
        self.public.to_bytes()
    }

    pub(super) fn sign(&self, text: &[u8]) -> [u8; 64] {
        raw_sign::<Sha512>(&self.expanded, text, &self.public).to_bytes()
    }
}

impl fmt::Debug for SecretKey {
    /// Shows the public key.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SecretKey of {:02x?}", self.public())
    }
}

#[cfg(test)]
mod tests {
    use super::super::item::from_hex;
    use super::*;

    /// RFC 8032, section 7.1, test 2.
    const SEED: &str = "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb";
    const PUBLIC: &str = "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c";
    const SIGNATURE: &str = "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da\
                             085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00";

    #[test]
    fn all_forms_of_a_key_sign_alike() {
        let seed: [u8; 32] = from_hex(SEED).unwrap();
        let public: [u8; 32] = from_hex(PUBLIC).unwrap();
        let pair = [seed, public].concat();
        for bytes in [&seed[..], &pair, &SecretKey::expand(&seed)] {
            let key = SecretKey::from_bytes(bytes).unwrap();
            assert_eq!(key.public(), public);
            assert_eq!(Some(key.sign(&[0x72])), from_hex(SIGNATURE));
        }
        for length in [0, 31, 33, 63, 65] {
            assert_eq!(SecretKey::from_bytes(&vec![1; length]).unwrap_err().code(), "ERR_ITEM");
        }
    }
}
