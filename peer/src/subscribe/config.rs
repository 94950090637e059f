//! Settings of a subscriber.

use std::time::Duration;

use crate::backoff::Backoff;
use crate::client::Transport;
use crate::error::Error;
use crate::{websocket, zeromq};

/// Settings of a [`Subscriber`](super::Subscriber).
#[derive(Debug, Clone)]
pub struct Config {
    /// What publishers are listened to over. A publisher of ours takes both on the same port; HTTP has nothing to listen to.
    /// WebSocket.
    pub transport: Transport,
    /// Messages that wait to be taken, before nothing more is read from the publisher. 1024.
    pub max_waiting: usize,
    /// Bytes of messages that wait, likewise. 1 MiB.
    pub max_waiting_bytes: usize,
    /// Pauses before a publisher is connected to again.
    pub retry: Backoff,
    /// How often the publishers are looked up, when all of them are listened to. 10 s.
    pub lookup_interval: Duration,
    /// WebSocket connections to publishers.
    pub websocket: websocket::Config,
    /// ZeroMQ connections to publishers.
    pub zeromq: zeromq::Config,
}

impl Config {
    /// Whether it can be.
    pub(crate) fn check(&self) -> Result<(), Error> {
        match self.transport {
            Transport::WebSocket | Transport::ZeroMq => Ok(()),
            Transport::Http => {
                let why = "publishers are listened to over WebSocket or ZeroMQ, not over HTTP";
                Err(Error::Config(why.into()))
            }
        }
    }
}

impl Default for Config {
    fn default() -> Config {
        Config {
            transport: Transport::WebSocket,
            max_waiting: 1024,
            max_waiting_bytes: 1024 * 1024,
            retry: Backoff::from_millis(50, 5000),
            lookup_interval: Duration::from_secs(10),
            websocket: websocket::Config::default(),
            zeromq: zeromq::Config::default(),
        }
    }
}
