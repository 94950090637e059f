use crate::contact::Contact;
use crate::key::Key;
use crate::seeded::Seeded;
use crate::token::EPOCH;
use core::num::NonZeroUsize;
use core::time::Duration;
use lru::LruCache;
use std::sync::Arc;

/// A node that a key can be stored on, and the token it wants to see.
#[derive(Clone, Debug)]
pub(crate) struct Target {
    pub(crate) contact: Contact,
    pub(crate) token: Box<[u8]>,
}

/// The nodes closest to keys that were stored from here, with tokens that are still good, so that
/// announcing again needs no traversal.
pub(crate) struct TokenCache {
    keys: LruCache<Key, (Duration, Arc<[Target]>), Seeded>,
}

impl TokenCache {
    pub(crate) fn new(max: usize, seed: Seeded) -> Self {
        let max = NonZeroUsize::new(max).unwrap_or(NonZeroUsize::MIN);
        let mut keys = LruCache::unbounded_with_hasher(seed);
        keys.resize(max);
        Self { keys }
    }

    pub(crate) fn contains(&self, key: &Key) -> bool {
        self.keys.contains(key)
    }

    /// The nodes for `key`, unless their tokens may have ended. A token lasts at least as long as the
    /// secret it was made with.
    pub(crate) fn get(&mut self, now: Duration, key: &Key) -> Option<Arc<[Target]>> {
        let (at, targets) = self.keys.get(key)?;
        if *at + EPOCH <= now {
            self.keys.pop(key);
            return None;
        }
        Some(Arc::clone(targets))
    }

    pub(crate) fn put(&mut self, now: Duration, key: Key, targets: Arc<[Target]>) {
        if targets.is_empty() {
            self.keys.pop(&key);
        } else {
            self.keys.put(key, (now, targets));
        }
    }

    pub(crate) fn remove(&mut self, key: &Key) {
        self.keys.pop(key);
    }
}
