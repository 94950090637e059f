//! Settings of a publisher.

use std::time::Duration;

/// What becomes of a message for a subscriber whose queue is at its high-water mark.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Overflow {
    /// The oldest that waits is dropped for it: the subscriber gets what is newest, with gaps.
    #[default]
    DropOldest,
    /// It is dropped: the subscriber gets what came first, and a gap after it.
    DropNewest,
    /// The subscriber is disconnected with code 1008 and may come back: it has no gaps while it is connected.
    Disconnect,
}

/// Settings of a [`Publisher`](super::Publisher).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// Bytes that may wait for one subscriber, each message with 64 more for its place. Messages of one publication are shared
    /// by all subscribers, but each counts for every one of them. One may wait by itself whatever its length. 1 MiB.
    pub high_water: usize,
    /// What becomes of a message beyond it. [`Overflow::DropOldest`].
    pub overflow: Overflow,
    /// Messages that may wait for a core to send them, before [`publish`](super::Publisher::publish) refuses more. 4096.
    pub max_queued: usize,
    /// Most subscribers per core; further ones are refused with 503. 10000.
    pub max_subscribers: usize,
    /// Most prefixes of topics that one subscriber may have; one more disconnects it. 1024.
    pub max_topics: usize,
    /// Topics of which the last message is kept for those who come later: whoever subscribes gets at once what is kept of the
    /// topics it asks for. 0, the default: nothing is kept.
    pub last_values: usize,
    /// Most bytes of messages that are kept so; the topic that was published least recently makes room. 64 MiB.
    pub last_values_bytes: usize,
    /// How long [`flush`](super::Publisher::flush) waits for subscribers that read nothing. 5 s.
    pub flush: Duration,
}

impl Default for Config {
    fn default() -> Config {
        Config {
            high_water: 1024 * 1024,
            overflow: Overflow::default(),
            max_queued: 4096,
            max_subscribers: 10_000,
            max_topics: 1024,
            last_values: 0,
            last_values_bytes: 64 * 1024 * 1024,
            flush: Duration::from_secs(5),
        }
    }
}
