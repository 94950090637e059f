//! Boxes: what encrypts and authenticates.

use dryoc::classic::crypto_box::{
    crypto_box_beforenm, crypto_box_detached_afternm_inplace,
    crypto_box_open_detached_afternm_inplace,
};
use dryoc::types::{ByteArray, StackByteArray};

use super::{PublicKey, SecretKey};
use crate::zmtp::Insecure;

/// Bytes by which a box is longer than what is in it: they stand in front.
pub(super) const TAG: usize = 16;

pub(super) type Nonce = [u8; 24];

/// A nonce that is counted: 16 bytes that say what it is for, and a number.
pub(super) fn short(purpose: &[u8; 16], number: u64) -> Nonce {
    let mut nonce = [0; 24];
    nonce[..16].copy_from_slice(purpose);
    nonce[16..].copy_from_slice(&number.to_be_bytes());
    nonce
}

/// A nonce that is drawn: 8 bytes that say what it is for, and 16 that nobody can foresee.
pub(super) fn long(purpose: &[u8; 8], random: &[u8; 16]) -> Nonce {
    let mut nonce = [0; 24];
    nonce[..8].copy_from_slice(purpose);
    nonce[8..].copy_from_slice(random);
    nonce
}

/// The key of boxes between two. It is wiped from memory when it is no longer needed.
#[derive(Debug)]
pub(super) struct Shared(StackByteArray<32>);

impl Shared {
    /// The key for boxes from the owner of `secret` to that of `public`, and back.
    pub(super) fn agree(public: &PublicKey, secret: &SecretKey) -> Result<Self, Insecure> {
        match crypto_box_beforenm(&public.0, secret.bytes()) {
            Ok(key) => Ok(Self(key.into())),
            Err(_) => Err(Insecure::Key),
        }
    }

    /// A key for boxes of one's own.
    pub(super) fn own(key: &[u8; 32]) -> Self {
        Self(key.into())
    }

    /// Makes a box of `bytes`, whose first [`TAG`] become its tag.
    pub(super) fn seal(&self, nonce: &Nonce, bytes: &mut [u8]) {
        if let Some((tag, text)) = bytes.split_first_chunk_mut() {
            crypto_box_detached_afternm_inplace(text, tag, nonce, self.0.as_array());
        }
    }

    /// Opens a box where it lies, if nobody has touched it.
    pub(super) fn open<'b>(&self, nonce: &Nonce, sealed: &'b mut [u8]) -> Option<&'b mut [u8]> {
        let (tag, text) = sealed.split_first_chunk_mut()?;
        self.open_apart(nonce, tag, text).then_some(text)
    }

    /// Opens a box whose tag lies elsewhere. Whether nobody has touched it.
    #[must_use]
    pub(super) fn open_apart(&self, nonce: &Nonce, tag: &[u8; TAG], text: &mut [u8]) -> bool {
        crypto_box_open_detached_afternm_inplace(text, tag, nonce, self.0.as_array()).is_ok()
    }
}

/// The number of the last box that came: the next has a greater one.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Received {
    /// The least that is acceptable; none after the greatest of all.
    least: Option<u64>,
    any: bool,
}

impl Received {
    /// Takes the number of a box that has come.
    pub(super) fn take(&mut self, number: &[u8; 8]) -> Result<u64, Insecure> {
        let number = u64::from_be_bytes(*number);
        if self.any && self.least.is_none_or(|least| number < least) {
            return Err(Insecure::Nonce);
        }
        *self = Self { least: number.checked_add(1), any: true };
        Ok(number)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_only_grow() {
        let mut received = Received::default();
        for (number, fine) in
            [(0u64, true), (0, false), (1, true), (7, true), (2, false), (u64::MAX, true)]
        {
            assert_eq!(received.take(&number.to_be_bytes()).is_ok(), fine, "{number}");
        }
        for number in [0, u64::MAX] {
            assert_eq!(received.take(&number.to_be_bytes()), Err(Insecure::Nonce));
        }
    }

    #[test]
    fn a_box_opens_for_the_other_alone() {
        use super::super::KeyPair;
        let keys = |byte| KeyPair::from(SecretKey::new([byte; 32]));
        let (one, two, three) = (keys(1), keys(2), keys(3));
        let nonce = short(b"0123456789abcdef", 1);
        let mut sealed = [&[0; TAG][..], b"hello"].concat();
        Shared::agree(&two.public, &one.secret).unwrap().seal(&nonce, &mut sealed);
        let open = |public: &PublicKey, secret: &SecretKey, nonce: &Nonce, sealed: &[u8]| {
            let mut sealed = sealed.to_vec();
            Shared::agree(public, secret)
                .unwrap()
                .open(nonce, &mut sealed)
                .map(|text| text.to_vec())
        };
        assert_eq!(open(&one.public, &two.secret, &nonce, &sealed), Some(b"hello".to_vec()));
        assert_eq!(open(&one.public, &three.secret, &nonce, &sealed), None);
        assert_eq!(open(&one.public, &two.secret, &short(b"0123456789abcdef", 2), &sealed), None);
        for at in 0..sealed.len() {
            let mut touched = sealed.clone();
            touched[at] ^= 1;
            assert_eq!(open(&one.public, &two.secret, &nonce, &touched), None, "{at}");
        }
        assert_eq!(open(&one.public, &two.secret, &nonce, &sealed[..15]), None);
        // Points of small order give everybody the same key.
        assert!(Shared::agree(&PublicKey([0; 32]), &one.secret).is_err());
    }
}
