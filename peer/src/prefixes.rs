//! Who has subscribed to what, by the beginnings of topics.

use std::collections::BTreeMap;
use std::ops::Bound::{self, Excluded, Included, Unbounded};

use bytes::Bytes;

/// Prefixes, and those who want what begins with them, each by its number.
pub(crate) struct Prefixes<T> {
    /// Those who want everything, the empty prefix. Apart, because comparing with nothing is slow: glibc's `memcmp` then has the
    /// processor look at an address that is none, which takes it some hundred cycles to overlook.
    everything: BTreeMap<u64, T>,
    sorted: BTreeMap<Bytes, BTreeMap<u64, T>>,
}

impl<T> Default for Prefixes<T> {
    fn default() -> Self {
        Prefixes { everything: BTreeMap::new(), sorted: BTreeMap::new() }
    }
}

impl<T> Prefixes<T> {
    /// Whether nobody has wanted it before.
    pub(crate) fn insert(&mut self, prefix: &Bytes, number: u64, who: T) -> bool {
        let wanted = match prefix.is_empty() {
            true => &mut self.everything,
            false => self.sorted.entry(prefix.clone()).or_default(),
        };
        let first = wanted.is_empty();
        wanted.insert(number, who);
        first
    }

    /// Whether nobody wants it any more.
    pub(crate) fn remove(&mut self, prefix: &[u8], number: u64) -> bool {
        if prefix.is_empty() {
            return self.everything.remove(&number).is_some() && self.everything.is_empty();
        }
        let Some(wanted) = self.sorted.get_mut(prefix) else { return false };
        wanted.remove(&number);
        let last = wanted.is_empty();
        if last {
            self.sorted.remove(prefix);
        }
        last
    }

    /// Those who want `topic`, once for each prefix of it that they have named.
    ///
    /// Of the prefixes in order, the last that is not after the topic is one of its prefixes, or else has a beginning in common
    /// with it that all prefixes of the topic before it are beginnings of. So one look into the set finds the next or makes the
    /// topic shorter, and how many other prefixes there are does not matter.
    pub(crate) fn matching<'a>(&'a self, topic: &'a [u8]) -> impl Iterator<Item = &'a T> {
        let mut end = Included(topic);
        let longer = std::iter::from_fn(move || {
            loop {
                if matches!(end, Included([]) | Excluded([])) {
                    return None;
                }
                let before = self.sorted.range::<[u8], (Bound<&[u8]>, _)>((Unbounded, end));
                let (prefix, wanted) = before.into_iter().next_back()?;
                if topic.starts_with(prefix) {
                    end = Excluded(&topic[..prefix.len()]);
                    return Some(wanted.values());
                }
                let common = prefix.iter().zip(topic).take_while(|(a, b)| a == b).count();
                end = Included(&topic[..common]);
            }
        });
        self.everything.values().chain(longer.flatten())
    }
}

#[cfg(test)]
mod tests {
    use rand::rngs::StdRng;
    use rand::{RngExt, SeedableRng};

    use super::*;

    #[test]
    fn finds_what_looking_at_all_of_them_finds() {
        let mut random = StdRng::seed_from_u64(1);
        let mut word = |most: usize| -> Bytes {
            let length = random.random_range(0..=most);
            (0..length).map(|_| b"ab\xff\0"[random.random_range(0..4)]).collect()
        };
        for round in 0..200 {
            let mut prefixes = Prefixes::default();
            let mut all: Vec<(Bytes, u64)> = vec![];
            for number in 0..round % 40 {
                let prefix = word(6);
                let new = all.iter().all(|(other, _)| *other != prefix);
                assert_eq!(prefixes.insert(&prefix, number, number), new);
                all.push((prefix, number));
            }
            for _ in 0..round % 7 {
                if let Some((prefix, number)) = all.pop() {
                    let last = all.iter().all(|(other, _)| *other != prefix);
                    assert_eq!(prefixes.remove(&prefix, number), last);
                    assert!(!prefixes.remove(&prefix, 1000));
                }
            }
            for _ in 0..20 {
                let topic = word(8);
                let mut found: Vec<u64> = prefixes.matching(&topic).copied().collect();
                found.sort_unstable();
                let wanted = all.iter().filter(|(prefix, _)| topic.starts_with(prefix));
                assert!(found.iter().eq(wanted.map(|(_, number)| number)), "{topic:?} {all:?}");
            }
        }
    }
}
