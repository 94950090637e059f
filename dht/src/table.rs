use crate::bucket::{Bucket, Entry};
use crate::config::Config;
use crate::contact::{Contact, is_reachable};
use crate::id::NodeId;
use crate::key::Distance;
use crate::seeded::Seeded;
use core::net::SocketAddrV4;
use core::num::NonZeroUsize;
use core::time::Duration;
use lru::LruCache;

/// What became of a contact that was heard of.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Observed {
    /// It is new in the table.
    pub(crate) new: bool,
    /// It took the place of this node, which had its address before.
    pub(crate) replaced: Option<NodeId>,
    /// Its bucket is full: this one was silent for longest and should be pinged.
    pub(crate) ping: Option<Contact>,
}

/// What became of a contact that left a query unanswered.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Dropped {
    pub(crate) gone: Option<NodeId>,
    /// The spare contact that took its place.
    pub(crate) promoted: Option<Contact>,
}

/// The routing table (BEP5): buckets by how many leading bits an id has in common with ours, the last
/// one holding all that are closer. Only that last one splits when it is full.
pub(crate) struct Table {
    own: NodeId,
    k: usize,
    eviction_age: Duration,
    max_failures: u8,
    silence_memory: Duration,
    buckets: Vec<Bucket>,
    /// Addresses of nodes dropped for silence, and until when not to ask them on hearsay.
    silent: LruCache<SocketAddrV4, Duration, Seeded>,
    scratch: Vec<(Distance, Contact)>,
}

impl Table {
    pub(crate) fn new(config: &Config, seed: Seeded) -> Self {
        let silent = NonZeroUsize::new(config.max_silent).unwrap_or(NonZeroUsize::MIN);
        Self {
            own: config.id,
            k: config.k.max(1),
            eviction_age: config.eviction_age,
            max_failures: config.max_failures,
            silence_memory: config.silence_memory,
            buckets: vec![Bucket::default()],
            silent: LruCache::with_hasher(silent, seed),
            scratch: Vec::new(),
        }
    }

    pub(crate) fn entries(&self) -> impl Iterator<Item = &Entry> {
        self.buckets.iter().flat_map(|bucket| bucket.entries())
    }

    pub(crate) fn len(&self) -> usize {
        self.buckets.iter().map(|bucket| bucket.entries().len()).sum()
    }

    fn bucket(&mut self, id: &NodeId) -> &mut Bucket {
        let index = self.own.shared_bits(id.as_bytes()).min(self.buckets.len() - 1);
        &mut self.buckets[index]
    }

    /// Takes note of a contact that was heard of: by its query, or `verified` by its answer to a query
    /// of ours. The sender of a query may lie about its address, so only an answer moves a known node to
    /// another address or takes an address over.
    pub(crate) fn observe(&mut self, now: Duration, contact: Contact, verified: bool) -> Observed {
        if contact.id == self.own || !is_reachable(contact.addr) {
            return Observed::default();
        }
        if !self.silent.is_empty() {
            self.silent.pop(&contact.addr);
        }
        if let Some(entry) = self.bucket(&contact.id).get_mut(&contact.id) {
            if entry.contact.addr == contact.addr || verified {
                *entry = Entry { contact, seen: now, failures: 0 };
            }
            return Observed::default();
        }
        let mut observed = Observed::default();
        let same = self.entries().find(|entry| entry.contact.addr == contact.addr);
        if let Some(other) = same.map(|entry| entry.contact.id) {
            if !verified {
                return observed;
            }
            self.bucket(&other).remove(&other);
            observed.replaced = Some(other);
        }
        observed.new = self.insert(now, contact);
        if !observed.new {
            let (k, age) = (self.k, self.eviction_age);
            let bucket = self.bucket(&contact.id);
            bucket.spare(contact, k);
            observed.ping =
                bucket.stalest().filter(|e| e.seen + age <= now).map(|entry| entry.contact);
        }
        observed
    }

    /// Takes a contact over from another core, which may have it from a query only; nothing happens if
    /// its id or address is known or there is no room.
    pub(crate) fn learn(&mut self, now: Duration, contact: Contact) {
        self.observe(now, contact, false);
    }

    fn insert(&mut self, now: Duration, contact: Contact) -> bool {
        let k = self.k;
        loop {
            let shared = self.own.shared_bits(contact.id.as_bytes());
            let last = self.buckets.len() - 1;
            if self.buckets[shared.min(last)].insert(now, contact, k) {
                return true;
            }
            if shared < last || last + 1 >= NodeId::LEN * 8 {
                return false;
            }
            let own = self.own;
            let near = self.buckets[last].split_off(|id| own.shared_bits(id.as_bytes()) > last);
            self.buckets.push(near);
        }
    }

    /// Removes a node; a spare one takes its place.
    pub(crate) fn remove(&mut self, now: Duration, id: &NodeId) -> Dropped {
        let bucket = self.bucket(id);
        let Some(gone) = bucket.remove(id) else { return Dropped::default() };
        let promoted = bucket.take_spare();
        if let Some(contact) = promoted {
            self.insert(now, contact);
        }
        Dropped { gone: Some(gone.id), promoted }
    }

    /// Takes note of a query that `id` at `addr` left unanswered. It is dropped after some in a row, or
    /// at once if another waits for its place.
    pub(crate) fn failed(&mut self, now: Duration, id: &NodeId, addr: SocketAddrV4) -> Dropped {
        let max = self.max_failures;
        let bucket = self.bucket(id);
        let wanted = bucket.has_spare();
        let Some(entry) = bucket.get_mut(id).filter(|entry| entry.contact.addr == addr) else {
            return Dropped::default();
        };
        entry.failures = entry.failures.saturating_add(1);
        if entry.failures < max && !wanted {
            return Dropped::default();
        }
        self.silent.put(addr, now + self.silence_memory);
        self.remove(now, id)
    }

    /// Whether the node at `addr` was dropped for silence not long ago.
    pub(crate) fn is_silent(&self, now: Duration, addr: SocketAddrV4) -> bool {
        !self.silent.is_empty() && self.silent.peek(&addr).is_some_and(|&until| now < until)
    }

    /// Writes the up to `n` contacts closest to `key` into `found`, the closest first; with
    /// `only_good`, none that left its last query unanswered.
    pub(crate) fn closest(
        &mut self,
        key: &[u8],
        n: usize,
        only_good: bool,
        found: &mut Vec<Contact>,
    ) {
        found.clear();
        let last = self.buckets.len() - 1;
        let near = self.own.shared_bits(key).min(last);
        let scratch = &mut self.scratch;
        let mut gather = |buckets: &[Bucket]| {
            scratch.clear();
            scratch.extend(
                buckets
                    .iter()
                    .flat_map(|bucket| bucket.entries())
                    .filter(|entry| entry.failures == 0 || !only_good)
                    .map(|entry| (Distance::between(key, &entry.contact.id), entry.contact)),
            );
            scratch.sort_unstable_by_key(|&(distance, _)| distance);
            let room = n - found.len();
            found.extend(scratch.iter().take(room).map(|&(_, contact)| contact));
            found.len() < n
        };
        // Ids in bucket `near` share more bits with the key than those in all later buckets, which in
        // turn are closer than those in each bucket before.
        let _ = gather(&self.buckets[near..=near])
            && gather(&self.buckets[near + 1..])
            && (0..near).rev().all(|i| gather(&self.buckets[i..=i]));
    }
}
