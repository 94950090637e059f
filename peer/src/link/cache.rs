//! Answers to lookups, kept for a while.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::rc::Rc;
use std::time::Duration;

use lru::LruCache;

use super::Config;

/// The addresses of a service's workers.
pub type Addresses = Rc<[SocketAddr]>;

struct Entry {
    addresses: Addresses,
    since: Duration,
}

/// The services that were looked up last.
pub(super) struct Cache {
    entries: LruCache<Box<str>, Entry, std::hash::RandomState>,
    age: Duration,
    /// What needs no lookup.
    fixed: BTreeMap<Box<str>, Addresses>,
}

impl Cache {
    pub(super) fn new(config: &Config) -> Cache {
        // Grows with its content: the limit is no reason to allocate.
        let mut entries = LruCache::unbounded_with_hasher(std::hash::RandomState::new());
        entries.resize(NonZeroUsize::new(config.cache_entries).unwrap_or(NonZeroUsize::MIN));
        Cache { entries, age: config.cache_age, fixed: BTreeMap::new() }
    }

    /// From now on this is the answer, whatever the grapes say.
    pub(super) fn fix(&mut self, service: &str, addresses: Addresses) {
        self.fixed.insert(service.into(), addresses);
    }

    pub(super) fn fixed(&self, service: &str) -> Option<Addresses> {
        self.fixed.get(service).cloned()
    }

    pub(super) fn get(&mut self, service: &str, now: Duration) -> Option<Addresses> {
        self.younger(service, now, self.age)
    }

    /// The answer, if it is younger than `age` (and not too old anyway).
    pub(super) fn younger(
        &mut self,
        service: &str,
        now: Duration,
        age: Duration,
    ) -> Option<Addresses> {
        if let Some(fixed) = self.fixed(service) {
            return Some(fixed);
        }
        let entry = self.entries.get(service)?;
        if now - entry.since < self.age {
            return (now - entry.since < age).then(|| entry.addresses.clone());
        }
        self.entries.pop(service);
        None
    }

    /// Keeps an answer. An empty one is not worth keeping: the service may be up in a moment.
    pub(super) fn put(&mut self, service: &str, addresses: &Addresses, now: Duration) {
        if addresses.is_empty() || self.age.is_zero() {
            self.forget(service);
            return;
        }
        let entry = Entry { addresses: addresses.clone(), since: now };
        match self.entries.get_mut(service) {
            Some(old) => *old = entry,
            None => drop(self.entries.put(service.into(), entry)),
        }
    }

    pub(super) fn forget(&mut self, service: &str) {
        self.entries.pop(service);
    }

    pub(super) fn clear(&mut self) {
        self.entries.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_age_and_make_room() {
        let config = Config { cache_entries: 2, ..Config::default() };
        let mut cache = Cache::new(&config);
        let some: Addresses = ["127.0.0.1:1".parse().unwrap()].into();
        let at = Duration::from_secs;
        cache.put("a", &some, at(0));
        cache.put("b", &some, at(1));
        assert!(cache.get("a", at(9)).is_some());
        // "b" was used least recently.
        cache.put("c", &some, at(9));
        assert!(cache.get("b", at(9)).is_none());
        assert!(cache.younger("a", at(9), at(9)).is_none() && cache.get("a", at(9)).is_some());
        assert!(cache.get("a", at(10)).is_none() && cache.get("c", at(10)).is_some());
        // A newer answer takes the place of an older one; an empty one clears it.
        cache.put("c", &some, at(12));
        assert!(cache.get("c", at(20)).is_some());
        cache.put("c", &[].into(), at(20));
        assert!(cache.get("c", at(20)).is_none());
        // What is fixed neither ages nor is forgotten.
        cache.fix("c", some.clone());
        cache.forget("c");
        assert_eq!(cache.get("c", at(1000)), Some(some));
    }
}
