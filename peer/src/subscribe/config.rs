//! Settings of a subscriber.

use std::time::Duration;

use crate::backoff::Backoff;
use crate::websocket;

/// Settings of a [`Subscriber`](super::Subscriber).
#[derive(Debug, Clone)]
pub struct Config {
    /// Messages that wait to be taken, before nothing more is read from the publisher. 1024.
    pub max_waiting: usize,
    /// Bytes of messages that wait, likewise. 1 MiB.
    pub max_waiting_bytes: usize,
    /// Pauses before a publisher is connected to again.
    pub retry: Backoff,
    /// How often the publishers are looked up, when all of them are listened to. 10 s.
    pub lookup_interval: Duration,
    /// Connections to publishers.
    pub websocket: websocket::Config,
}

impl Default for Config {
    fn default() -> Config {
        Config {
            max_waiting: 1024,
            max_waiting_bytes: 1024 * 1024,
            retry: Backoff::from_millis(50, 5000),
            lookup_interval: Duration::from_secs(10),
            websocket: websocket::Config::default(),
        }
    }
}
