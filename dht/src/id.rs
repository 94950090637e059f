use core::fmt;

/// The name of a node in the DHT: 20 bytes, chosen at random by each node (BEP5).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeId([u8; NodeId::LEN]);

impl NodeId {
    /// Bytes in an id.
    pub const LEN: usize = 20;

    /// The id with these bytes.
    pub const fn new(bytes: [u8; Self::LEN]) -> Self {
        Self(bytes)
    }

    /// The id in `bytes`, if there are exactly 20 of them.
    pub fn from_slice(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(Self)
    }

    /// The bytes of the id.
    pub const fn as_bytes(&self) -> &[u8; Self::LEN] {
        &self.0
    }

    /// How many leading bits `other` (an id or a key of any length) has in common with this id.
    pub fn shared_bits(&self, other: &[u8]) -> usize {
        for (i, (a, b)) in self.0.iter().zip(other).enumerate() {
            let differing = a ^ b;
            if differing != 0 {
                return i * 8 + differing.leading_zeros() as usize;
            }
        }
        self.0.len().min(other.len()) * 8
    }
}

impl From<[u8; NodeId::LEN]> for NodeId {
    fn from(bytes: [u8; Self::LEN]) -> Self {
        Self(bytes)
    }
}

impl fmt::Display for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
