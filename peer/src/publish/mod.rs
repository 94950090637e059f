//! Publishing to whoever listens: over WebSocket as Node's `PeerPub` does, and over ZeroMQ.
//!
//! A [`Publisher`] is made first, and given to the services of a worker by
//! [`Services::publish`](crate::server::Services::publish); then any thread publishes. A subscriber of Node's, or any WebSocket
//! client, gets every message raw, without an envelope.
//!
//! What goes beyond Node is agreed upon when a subscriber connects: it names the WebSocket protocol `grenache.topics`, and then
//! says which topics it wants: a text message `+PREFIX` adds all topics that begin with PREFIX, `-PREFIX` takes one back. It gets
//! nothing before the first. What it is sent begins with the topic and a byte 0, then comes the message as it was published.
//!
//! A SUB of ZeroMQ subscribes to prefixes anyway. It gets two parts, topic and message; of a message whose topic is empty one, the
//! message, with whose beginning its prefixes are compared then.
//!
//! ```no_run
//! use grenache_peer::publish::{Config, Publisher};
//! use grenache_peer::{Worker, worker};
//!
//! # fn main() -> Result<(), grenache_peer::Error> {
//! let publisher = Publisher::new(Config::default());
//! let attached = publisher.clone();
//! let grapes = vec!["http://127.0.0.1:30001".into()];
//! let worker = Worker::start(worker::Config { grapes, ..Default::default() }, move |_, services| {
//!     services.publish("ticker", &attached);
//! })?;
//! publisher.publish("trades.BTCUSD", r#"{"price": 97000}"#)?;
//! # Ok(())
//! # }
//! ```

mod audience;
mod config;
mod last_values;
mod publication;
mod seat;
mod stats;
mod topics;

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use async_channel::{Receiver, Sender, TrySendError};

pub use config::{Config, Overflow};
pub use publication::Data;
pub use stats::Stats;
pub use topics::MAX_TOPIC;

pub(crate) use audience::Audience;
pub(crate) use publication::Form;
pub(crate) use seat::Seat;
pub(crate) use topics::{
    Change, END as TOPIC_END, PROTOCOL, add as add_topic, remove as remove_topic,
};

use crate::error::Error;
use last_values::LastValues;
use publication::Publication;
use stats::Counters;

/// Publishes messages to all subscribers of the workers it was given to. Clones are the same publisher, and any thread may use
/// them.
///
/// A message is encoded once, whoever it goes to. Every core of a worker sends it to its own subscribers; each subscriber has a
/// queue with a high-water mark ([`Config::high_water`]), beyond which [`Config::overflow`] says what becomes of its messages. So
/// a slow one holds up nobody.
#[derive(Clone)]
pub struct Publisher {
    shared: Arc<Shared>,
}

struct Shared {
    config: Config,
    /// For cores that join later; locked before `cores`.
    last: Mutex<LastValues>,
    cores: RwLock<Cores>,
}

#[derive(Default)]
struct Cores {
    /// Of each core that has subscribers.
    open: Vec<Core>,
    /// What those have counted that have ended.
    ended: Stats,
}

struct Core {
    notes: Sender<Note>,
    counters: Arc<Counters>,
}

/// What a core is told.
pub(crate) enum Note {
    Publication(Arc<Publication>),
    /// Tell when all that was published before has left, or been dropped.
    Flush(Sender<()>),
}

impl Publisher {
    /// A publisher that nobody listens to yet.
    pub fn new(config: Config) -> Publisher {
        let last = Mutex::new(LastValues::new(config.last_values, config.last_values_bytes));
        Publisher { shared: Arc::new(Shared { config, last, cores: RwLock::default() }) }
    }

    /// Publishes a message under a topic, which may be empty. Subscribers of Node's get it whatever the topic. Returns at
    /// once, before it is sent.
    ///
    /// ```
    /// # use grenache_peer::publish::Publisher;
    /// let publisher = Publisher::new(Default::default());
    /// publisher.publish("", "a text")?;
    /// publisher.publish("raw", vec![0xff, 0x00])?;
    /// # Ok::<(), grenache_peer::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Busy`] if [`Config::max_queued`] messages wait for a core already: nobody gets this one.
    /// [`Error::Config`] if the topic is longer than [`MAX_TOPIC`] bytes or has a byte 0.
    pub fn publish(&self, topic: &str, data: impl Into<Data>) -> Result<(), Error> {
        let publication = Publication::new(topic, data.into())?;
        // Whoever joins meanwhile gets it either way, and once.
        let mut last = self.last();
        let cores = self.shared.cores.read().unwrap_or_else(PoisonError::into_inner);
        if cores.open.iter().any(|core| core.notes.is_full() && !core.notes.is_closed()) {
            return Err(Error::Busy("messages are published faster than they are sent"));
        }
        if let Some(last) = &mut last {
            last.keep(&publication);
        }
        for core in &cores.open {
            match core.notes.try_send(Note::Publication(publication.clone())) {
                Ok(()) | Err(TrySendError::Closed(_)) => {}
                // Another thread was faster; the subscribers of one core miss it, which is counted.
                Err(TrySendError::Full(_)) => core.counters.missed(),
            }
        }
        Ok(())
    }

    /// As [`publish`](Self::publish), and waits while too many messages wait for a core.
    ///
    /// # Errors
    /// [`Error::Config`] for what is no topic.
    pub async fn publish_when_ready(
        &self,
        topic: &str,
        data: impl Into<Data>,
    ) -> Result<(), Error> {
        let publication = Publication::new(topic, data.into())?;
        for notes in self.tell(&publication) {
            // Closed is whoever has no subscribers any more.
            let _ = notes.send(Note::Publication(publication.clone())).await;
        }
        Ok(())
    }

    /// As [`publish_when_ready`](Self::publish_when_ready), blocking this thread, which must not be one of the engine's.
    ///
    /// # Errors
    /// [`Error::Config`] for what is no topic.
    pub fn publish_blocking(&self, topic: &str, data: impl Into<Data>) -> Result<(), Error> {
        let publication = Publication::new(topic, data.into())?;
        for notes in self.tell(&publication) {
            let _ = notes.send_blocking(Note::Publication(publication.clone()));
        }
        Ok(())
    }

    /// Waits until all that was published before has left for the subscribers, or was dropped for those that do not keep up.
    /// A subscriber that reads nothing holds this up for [`Config::flush`] at most.
    pub async fn flush(&self) {
        let (sender, done) = async_channel::bounded(1);
        for notes in self.notes() {
            let _ = notes.send(Note::Flush(sender.clone())).await;
        }
        drop(sender);
        while done.recv().await.is_ok() {}
    }

    /// As [`flush`](Self::flush), blocking this thread, which must not be one of the engine's.
    pub fn flush_blocking(&self) {
        let (sender, done) = async_channel::bounded(1);
        for notes in self.notes() {
            let _ = notes.send_blocking(Note::Flush(sender.clone()));
        }
        drop(sender);
        while done.recv_blocking().is_ok() {}
    }

    /// What has been counted, on all cores.
    pub fn stats(&self) -> Stats {
        let cores = self.shared.cores.read().unwrap_or_else(PoisonError::into_inner);
        cores.open.iter().map(|core| core.counters.read()).chain([cores.ended]).sum()
    }

    pub(crate) fn config(&self) -> &Config {
        &self.shared.config
    }

    /// Has a core told of what is published from now on, and gives the last values of before.
    pub(crate) fn join(&self) -> (Receiver<Note>, Arc<Counters>, LastValues) {
        let last = self.shared.last.lock().unwrap_or_else(PoisonError::into_inner);
        let (notes, told) = async_channel::bounded(self.shared.config.max_queued.max(1));
        let counters = Arc::<Counters>::default();
        let core = Core { notes, counters: counters.clone() };
        let mut cores = self.shared.cores.write().unwrap_or_else(PoisonError::into_inner);
        // Of a worker that has ended only the figures are left.
        let (open, ended) = cores.open.drain(..).partition(|core: &Core| !core.notes.is_closed());
        let ended: Vec<Core> = ended;
        cores.ended = ended.iter().map(|core| core.counters.read()).chain([cores.ended]).sum();
        cores.open = open;
        cores.open.push(core);
        (told, counters, last.clone())
    }

    /// What is kept, if anything is to be.
    fn last(&self) -> Option<MutexGuard<'_, LastValues>> {
        let kept = self.shared.config.last_values > 0;
        kept.then(|| self.shared.last.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Keeps a message for those who come late, tells the cores that have room of it, and gives the others, for which it waits.
    fn tell(&self, publication: &Arc<Publication>) -> Vec<Sender<Note>> {
        let mut last = self.last();
        if let Some(last) = &mut last {
            last.keep(publication);
        }
        let cores = self.shared.cores.read().unwrap_or_else(PoisonError::into_inner);
        let full = cores.open.iter().filter(|core| {
            let told = core.notes.try_send(Note::Publication(publication.clone()));
            matches!(told, Err(TrySendError::Full(_)))
        });
        full.map(|core| core.notes.clone()).collect()
    }

    /// The cores, so that nobody waits with the lock in hand.
    fn notes(&self) -> Vec<Sender<Note>> {
        let cores = self.shared.cores.read().unwrap_or_else(PoisonError::into_inner);
        cores.open.iter().map(|core| core.notes.clone()).collect()
    }
}

impl fmt::Debug for Publisher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Publisher").field("stats", &self.stats()).finish_non_exhaustive()
    }
}
