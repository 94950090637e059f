use crate::id::NodeId;
use crate::seeded::Seeded;
use bytes::Bytes;
use core::num::NonZeroUsize;
use lru::LruCache;

/// An item as [`Dht::get`](crate::Dht::get) found it (BEP44).
///
/// Node prints the fields of one that another node sent in the order id, k, seq, sig, token, v, salt,
/// and those of one from its own store in the order id, token (`null`), v, sig, k, seq.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Item {
    /// The node that had it: another one, or this one.
    pub id: NodeId,
    /// Whether it comes from this node's own store.
    pub own: bool,
    /// The token that the other node gave with it.
    pub token: Option<Bytes>,
    /// The value, raw bencode.
    pub v: Bytes,
    /// The public key, if the item is mutable.
    pub k: Option<[u8; 32]>,
    /// The signature, if the item is mutable: 64 bytes.
    pub sig: Option<Bytes>,
    /// The sequence number, if the item is mutable.
    pub seq: Option<i64>,
    /// The salt that was asked for; none if the item comes from this node's own store.
    pub salt: Option<Bytes>,
}

/// An item in the store.
#[derive(Clone, Debug)]
pub(crate) struct Stored {
    pub(crate) v: Bytes,
    pub(crate) signed: Option<Signed>,
    /// It was put here, not by another node.
    pub(crate) mine: bool,
}

/// What makes an item mutable.
#[derive(Clone, Debug)]
pub(crate) struct Signed {
    pub(crate) k: [u8; 32],
    pub(crate) sig: Bytes,
    pub(crate) seq: i64,
}

/// Why BEP44 refuses a new version of a mutable item.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Conflict {
    Cas,
    Sequence,
}

impl Conflict {
    /// Code and text of the error, as Node sends them.
    pub(crate) fn error(self) -> (u16, &'static str) {
        match self {
            Self::Cas => (301, "CAS mismatch, re-read and try again"),
            Self::Sequence => (302, "sequence number less than current"),
        }
    }
}

/// The items stored here, by target. As in Node they do not age: the one that was read or written least
/// recently makes room when there are too many.
pub(crate) struct Items {
    items: LruCache<[u8; 20], Stored, Seeded>,
}

impl Items {
    pub(crate) fn new(max: usize, seed: Seeded) -> Self {
        let max = NonZeroUsize::new(max).unwrap_or(NonZeroUsize::MIN);
        // Grows with its content: `max` is no reason to allocate.
        let mut items = LruCache::unbounded_with_hasher(seed);
        items.resize(max);
        Self { items }
    }

    pub(crate) fn len(&self) -> usize {
        self.items.len()
    }

    pub(crate) fn get(&mut self, target: &[u8]) -> Option<&Stored> {
        let target: &[u8; 20] = target.try_into().ok()?;
        self.items.get(target)
    }

    /// Stores an item whose target and signature were checked.
    pub(crate) fn put(
        &mut self,
        target: [u8; 20],
        item: Stored,
        cas: Option<i64>,
    ) -> Result<(), Conflict> {
        let stored = self.items.peek(&target).and_then(|stored| stored.signed.as_ref());
        if let (Some(old), Some(new)) = (stored, &item.signed) {
            if cas.is_some_and(|cas| cas != old.seq) {
                return Err(Conflict::Cas);
            }
            if new.seq <= old.seq {
                return Err(Conflict::Sequence);
            }
        }
        self.items.put(target, item);
        Ok(())
    }
}
