//! Which topics a subscriber wants.

use std::collections::BTreeSet;

/// The WebSocket protocol that a subscriber names if it wants topics.
pub(crate) const PROTOCOL: &str = "grenache.topics";

/// Longest topic, and longest prefix of topics, in bytes.
pub const MAX_TOPIC: usize = 255;

/// Between a topic and its message.
pub(crate) const END: u8 = 0;

const ADD: u8 = b'+';
const REMOVE: u8 = b'-';

/// What a subscriber's message over WebSocket does to the prefix that it has after its first byte.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Change {
    Add,
    Remove,
}

impl Change {
    /// Reads a message; none if it is no such one.
    pub(crate) fn read(message: &[u8]) -> Option<Change> {
        match message {
            [_, prefix @ ..] if prefix.len() > MAX_TOPIC => None,
            [ADD, ..] => Some(Change::Add),
            [REMOVE, ..] => Some(Change::Remove),
            _ => None,
        }
    }
}

/// A prefix that cannot be added: it is too long, or one too many.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Refused;

/// Prefixes of topics. A prefix that is added twice is there once, as for libzmq.
#[derive(Debug, Default)]
pub(super) struct Topics {
    /// A prefix of another that is there as well makes no difference, until it is taken back.
    prefixes: BTreeSet<Box<[u8]>>,
}

impl Topics {
    /// Adds a prefix; there may be `max` of them. Whether it was not there before.
    pub(super) fn add(&mut self, prefix: &[u8], max: usize) -> Result<bool, Refused> {
        let known = self.prefixes.contains(prefix);
        if prefix.len() > MAX_TOPIC || (!known && self.prefixes.len() >= max) {
            return Err(Refused);
        }
        if !known {
            self.prefixes.insert(prefix.into());
        }
        Ok(!known)
    }

    /// Takes a prefix back. Whether it was there.
    pub(super) fn remove(&mut self, prefix: &[u8]) -> bool {
        self.prefixes.remove(prefix)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &[u8]> {
        self.prefixes.iter().map(|prefix| &**prefix)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.prefixes.is_empty()
    }

    pub(super) fn want(&self, topic: &[u8]) -> bool {
        self.prefixes.iter().any(|prefix| topic.starts_with(prefix))
    }
}

/// The message by which a subscriber adds a prefix over WebSocket.
pub(crate) fn add(prefix: &str) -> String {
    format!("{}{prefix}", char::from(ADD))
}

/// The message by which a subscriber takes a prefix back over WebSocket.
pub(crate) fn remove(prefix: &str) -> String {
    format!("{}{prefix}", char::from(REMOVE))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_topic_is_wanted_by_its_beginning() {
        for many in [0, 20] {
            let mut topics = Topics::default();
            for number in 0..many {
                topics.add(format!("other.{number}").as_bytes(), 100).unwrap();
            }
            assert!(!topics.want(b"") && !topics.want(b"trades.BTC"));
            topics.add(b"trades.", 100).unwrap();
            topics.add(b"trades.BTC", 100).unwrap();
            topics.add(b"trades.", 100).unwrap();
            assert!(topics.want(b"trades.ETH") && topics.want(b"trades.BTCUSD"));
            assert!(!topics.want(b"trade") && !topics.want(b"xtrades."));
            topics.remove(b"trades.");
            assert!(!topics.want(b"trades.ETH") && topics.want(b"trades.BTCUSD"));
            topics.add(b"", 100).unwrap();
            assert!(topics.want(b"") && topics.want(b"anything"));
            assert!(topics.want(&[b'x'; 1000]));
        }
    }

    #[test]
    fn what_a_subscriber_says_over_websocket() {
        assert_eq!(Change::read(add("a").as_bytes()), Some(Change::Add));
        assert_eq!(Change::read(remove("").as_bytes()), Some(Change::Remove));
        for bad in [&b""[..], b"trades", b"*", &[b"+", &[b'x'; MAX_TOPIC + 1][..]].concat()] {
            assert_eq!(Change::read(bad), None);
        }
    }

    #[test]
    fn prefixes_are_bounded() {
        let mut topics = Topics::default();
        assert_eq!(topics.add(&[b'x'; MAX_TOPIC + 1], 2), Err(Refused));
        assert_eq!(topics.add(b"a", 2), Ok(true));
        assert_eq!(topics.add(b"b", 2), Ok(true));
        assert_eq!(topics.add(b"a", 2), Ok(false));
        assert_eq!(topics.add(b"c", 2), Err(Refused));
        topics.remove(b"a");
        assert_eq!(topics.add(b"c", 2), Ok(true));
    }
}
