use core::hash::BuildHasher;
use siphasher::sip::SipHasher13;

/// Hashes for maps whose keys come from outside: SipHash-1-3 under a secret, so nobody can aim at a slot.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Seeded(u64, u64);

impl Seeded {
    pub(crate) fn new(first: u64, second: u64) -> Self {
        Self(first, second)
    }
}

impl BuildHasher for Seeded {
    type Hasher = SipHasher13;

    fn build_hasher(&self) -> SipHasher13 {
        SipHasher13::new_with_keys(self.0, self.1)
    }
}
