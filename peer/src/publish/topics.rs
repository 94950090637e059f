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

/// Prefixes of topics.
#[derive(Debug, Default)]
pub(super) struct Topics {
    /// A prefix of another that is there as well makes no difference, until it is taken back.
    prefixes: BTreeSet<Box<[u8]>>,
}

/// A message that changes nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refused {
    /// It is neither `+PREFIX` nor `-PREFIX`.
    Malformed,
    /// Too many prefixes.
    TooMany,
}

impl Topics {
    /// Takes a subscriber's message; there may be `max` prefixes.
    pub(super) fn change(&mut self, message: &[u8], max: usize) -> Result<(), Refused> {
        match message {
            [ADD | REMOVE, prefix @ ..] if prefix.len() > MAX_TOPIC => Err(Refused::Malformed),
            [ADD, prefix @ ..] => {
                if self.prefixes.len() >= max && !self.prefixes.contains(prefix) {
                    return Err(Refused::TooMany);
                }
                self.prefixes.insert(prefix.into());
                Ok(())
            }
            [REMOVE, prefix @ ..] => {
                self.prefixes.remove(prefix);
                Ok(())
            }
            _ => Err(Refused::Malformed),
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.prefixes.is_empty()
    }

    pub(super) fn want(&self, topic: &str) -> bool {
        // A subscriber has few; one that has many pays for looking at each beginning of the topic instead.
        match self.prefixes.len() {
            0..=8 => self.prefixes.iter().any(|prefix| topic.as_bytes().starts_with(prefix)),
            _ => (0..=topic.len()).any(|len| self.prefixes.contains(&topic.as_bytes()[..len])),
        }
    }
}

/// The message by which a subscriber adds a prefix.
pub(crate) fn add(prefix: &str) -> String {
    format!("{}{prefix}", char::from(ADD))
}

/// The message by which a subscriber takes a prefix back.
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
                topics.change(format!("+other.{number}").as_bytes(), 100).unwrap();
            }
            assert!(!topics.want("") && !topics.want("trades.BTC"));
            topics.change(add("trades.").as_bytes(), 100).unwrap();
            topics.change(add("trades.BTC").as_bytes(), 100).unwrap();
            assert!(topics.want("trades.ETH") && topics.want("trades.BTCUSD"));
            assert!(!topics.want("trade") && !topics.want("xtrades."));
            topics.change(remove("trades.").as_bytes(), 100).unwrap();
            assert!(!topics.want("trades.ETH") && topics.want("trades.BTCUSD"));
            topics.change(add("").as_bytes(), 100).unwrap();
            assert!(topics.want("") && topics.want("anything"));
        }
    }

    #[test]
    fn what_a_subscriber_says_is_bounded() {
        let mut topics = Topics::default();
        for bad in [&b""[..], b"trades", b"*", &[b"+", &[b'x'; MAX_TOPIC + 1][..]].concat()] {
            assert_eq!(topics.change(bad, 2), Err(Refused::Malformed));
        }
        assert_eq!(topics.change(b"+a", 2), Ok(()));
        assert_eq!(topics.change(b"+b", 2), Ok(()));
        assert_eq!(topics.change(b"+a", 2), Ok(()));
        assert_eq!(topics.change(b"+c", 2), Err(Refused::TooMany));
        assert_eq!(topics.change(b"-a", 2), Ok(()));
        assert_eq!(topics.change(b"+c", 2), Ok(()));
    }
}
