//! The last message of each topic, for those who come late.

use std::sync::Arc;

use lru::LruCache;

use super::publication::Publication;

/// The last message of each topic. The topic that was published least recently makes room.
#[derive(Clone)]
pub(crate) struct LastValues {
    values: LruCache<String, Arc<Publication>>,
    max_topics: usize,
    max_bytes: usize,
    bytes: usize,
}

impl LastValues {
    pub(super) fn new(max_topics: usize, max_bytes: usize) -> LastValues {
        LastValues { values: LruCache::unbounded(), max_topics, max_bytes, bytes: 0 }
    }

    /// Keeps a message in the place of its topic's last.
    pub(super) fn keep(&mut self, publication: &Arc<Publication>) {
        if self.max_topics == 0 {
            return;
        }
        self.bytes += publication.len();
        // A topic that is there already needs no new text.
        let last = match self.values.get_mut(publication.topic()) {
            Some(last) => Some(std::mem::replace(last, publication.clone())),
            None => self.values.put(publication.topic().into(), publication.clone()),
        };
        self.bytes -= last.map_or(0, |last| last.len());
        while self.values.len() > self.max_topics || self.bytes > self.max_bytes {
            let Some((_, oldest)) = self.values.pop_lru() else { break };
            self.bytes -= oldest.len();
        }
    }

    /// What is kept, the least recently published first.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Arc<Publication>> {
        self.values.iter().rev().map(|(_, publication)| publication)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept(values: &LastValues) -> Vec<(&str, usize)> {
        values.iter().map(|one| (one.topic(), one.len())).collect()
    }

    #[test]
    fn the_last_of_each_topic_within_the_limits() {
        let publication = |topic, length| Publication::new(topic, vec![0; length].into()).unwrap();
        let mut values = LastValues::new(2, 100);
        for (topic, length) in [("a", 10), ("b", 20), ("a", 30)] {
            values.keep(&publication(topic, length));
        }
        assert_eq!(kept(&values), [("b", 21), ("a", 31)]);
        values.keep(&publication("c", 40));
        assert_eq!(kept(&values), [("a", 31), ("c", 41)]);
        values.keep(&publication("c", 70));
        assert_eq!((kept(&values), values.bytes), (vec![("c", 71)], 71));
        values.keep(&publication("d", 200));
        assert_eq!((kept(&values), values.bytes), (vec![], 0));
        let mut none = LastValues::new(0, 100);
        none.keep(&publication("a", 1));
        assert_eq!(kept(&none), []);
    }
}
