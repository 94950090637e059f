//! Listening to publishers: ours with topics, Node's `PeerPub`, and PUB sockets of ZeroMQ.
//!
//! ```no_run
//! use grenache_peer::{Handle, Subscribe, handle};
//!
//! # fn main() -> Result<(), grenache_peer::Error> {
//! let handle = Handle::start(handle::Config::default())?;
//! let ticker = handle.subscribe(Subscribe::new("ticker").topic("trades.")).wait()?;
//! for message in ticker {
//!     println!("{:?}: {}", message.topic, message.text().unwrap_or("not a text"));
//! }
//! # Ok(())
//! # }
//! ```

mod config;
mod feed;
mod listener;
mod message;
#[cfg(test)]
mod tests;
mod websocket;
mod zeromq;

use std::fmt;
use std::future::poll_fn;
use std::rc::Rc;
use std::task::Poll;

use grenache_engine::{JoinHandle, spawn_local};

pub use config::Config;
pub use feed::Stats;
pub use message::Message;

use crate::error::Error;
use crate::link::Link;
use crate::publish::MAX_TOPIC;
use crate::tls::{ClientTls, Connector};
use feed::Feed;

/// What is listened to: plain data, made anywhere.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use = "nothing is listened to until a subscriber is asked to"]
pub struct Subscribe {
    service: String,
    topics: Vec<String>,
    all: bool,
}

impl Subscribe {
    /// All messages of one of the publishers that announce `service`; of another if that one is gone.
    pub fn new(service: impl Into<String>) -> Subscribe {
        Subscribe { service: service.into(), topics: Vec::new(), all: false }
    }

    /// Only messages whose topic begins with `prefix`; or with another one, if this is said several times. A publisher of Node's
    /// knows no topics and sends everything.
    pub fn topic(mut self, prefix: impl Into<String>) -> Subscribe {
        self.topics.push(prefix.into());
        self
    }

    /// The messages of all publishers that announce the service, as they come and go.
    pub fn all(mut self) -> Subscribe {
        self.all = true;
        self
    }

    /// The service that is listened to.
    pub fn service(&self) -> &str {
        &self.service
    }
}

/// Listens to publishers from one core. Clones are the same subscriber.
#[derive(Clone)]
pub struct Subscriber {
    shared: Rc<Shared>,
}

struct Shared {
    link: Link,
    config: Config,
    tls: Option<Connector>,
}

impl Subscriber {
    /// A subscriber that finds publishers through `link`. Needs to run on a core of the engine. With `tls`, all publishers are
    /// connected to over TLS.
    ///
    /// # Errors
    /// [`Error::Tls`] if the TLS settings cannot be used; [`Error::Config`] for [`Transport::Http`](crate::Transport::Http).
    pub fn new(link: Link, config: Config, tls: Option<&ClientTls>) -> Result<Subscriber, Error> {
        config.check()?;
        let tls = tls.map(Connector::new).transpose()?;
        Ok(Subscriber { shared: Rc::new(Shared { link, config, tls }) })
    }

    /// Begins to listen, and goes on until the subscription is dropped: a service that is not there yet is waited for, a
    /// connection that ends is made anew, with the same topics, at another publisher if there is one.
    ///
    /// # Errors
    /// [`Error::Config`] for a topic that is none.
    pub fn subscribe(&self, to: Subscribe) -> Result<Subscription, Error> {
        to.topics.iter().try_for_each(|topic| check(topic))?;
        let Subscribe { service, topics, all } = to;
        let feed = Feed::new(topics, &self.shared.config);
        let (shared, listens) = (self.shared.clone(), feed.clone());
        let task = spawn_local(async move {
            if all {
                listener::listen_to_all(shared, &service, listens).await;
            } else {
                listener::listen_to_one(shared, &service, listens).await;
            }
        });
        Ok(Subscription { feed, task })
    }
}

fn check(topic: &str) -> Result<(), Error> {
    if topic.len() > MAX_TOPIC || topic.as_bytes().contains(&0) {
        let why = format!("a topic has at most {MAX_TOPIC} bytes and no byte 0: '{topic}'");
        return Err(Error::Config(why));
    }
    Ok(())
}

/// Messages as they come. Dropping it ends it.
pub struct Subscription {
    feed: Rc<Feed>,
    task: JoinHandle<()>,
}

impl Subscription {
    /// The next message. Dropping the future loses nothing. Whoever is slow in taking them holds up the connection, so that the
    /// publisher's [`Overflow`](crate::publish::Overflow) decides what is lost.
    pub async fn next(&mut self) -> Message {
        poll_fn(|context| self.feed.poll_next(context)).await
    }

    /// Waits until a publisher is connected and has taken note of the topics: what it publishes from then on arrives.
    pub async fn connected(&self) {
        poll_fn(|context| match self.feed.stats().connected {
            0 => {
                self.feed.wait_connected(context);
                Poll::Pending
            }
            _ => Poll::Ready(()),
        })
        .await;
    }

    /// Adds a prefix of topics.
    ///
    /// # Errors
    /// [`Error::Config`] for one that is none.
    pub fn add(&self, prefix: &str) -> Result<(), Error> {
        check(prefix)?;
        self.feed.change(|topics| topics.insert(prefix.into()));
        Ok(())
    }

    /// Takes a prefix back. Once none is left, no message comes.
    pub fn remove(&self, prefix: &str) {
        self.feed.change(|topics| topics.remove(prefix));
    }

    /// What has been counted.
    pub fn stats(&self) -> Stats {
        self.feed.stats()
    }

    /// Why a publisher could not be connected to, or was lost, the last time that happened.
    pub fn last_error(&self) -> Option<Error> {
        self.feed.last_error()
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl fmt::Debug for Subscription {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Subscription").field("stats", &self.stats()).finish_non_exhaustive()
    }
}
