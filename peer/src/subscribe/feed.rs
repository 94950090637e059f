//! What has come from publishers and waits to be taken.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeSet, VecDeque};
use std::net::SocketAddr;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use super::{Config, Message};
use crate::error::Error;

/// Counters of a subscription.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Stats {
    /// Publishers connected now, which have taken note of the topics.
    pub connected: usize,
    /// Connections that were made.
    pub connections: u64,
    /// Messages received.
    pub received: u64,
    /// Messages of ZeroMQ that have more than two parts, so that nobody knows what they are. They are left out.
    pub malformed: u64,
}

/// Messages on their way from connections to whoever takes them.
pub(super) struct Feed {
    max_waiting: usize,
    max_waiting_bytes: usize,
    waiting: RefCell<VecDeque<Message>>,
    bytes: Cell<usize>,
    topics: RefCell<BTreeSet<String>>,
    /// How often the topics have changed.
    version: Cell<u64>,
    stats: Cell<Stats>,
    last_error: RefCell<Option<Error>>,
    /// A publisher was found after that.
    recovered: Cell<bool>,
    reader: RefCell<Option<Waker>>,
    /// Connections, which wait for room, or for topics to change.
    connections: RefCell<Vec<Waker>>,
}

impl Feed {
    /// Without a topic it is for all.
    pub(super) fn new(mut topics: Vec<String>, config: &Config) -> Rc<Feed> {
        if topics.is_empty() {
            topics.push(String::new());
        }
        Rc::new(Feed {
            max_waiting: config.max_waiting.max(1),
            max_waiting_bytes: config.max_waiting_bytes.max(1),
            waiting: RefCell::default(),
            bytes: Cell::new(0),
            topics: RefCell::new(topics.into_iter().collect()),
            version: Cell::new(1),
            stats: Cell::default(),
            last_error: RefCell::default(),
            recovered: Cell::new(true),
            reader: RefCell::default(),
            connections: RefCell::default(),
        })
    }

    pub(super) fn poll_next(&self, context: &mut Context<'_>) -> Poll<Message> {
        let Some(message) = self.waiting.borrow_mut().pop_front() else {
            *self.reader.borrow_mut() = Some(context.waker().clone());
            return Poll::Pending;
        };
        let full = self.is_full_with(1);
        self.bytes.set(self.bytes.get() - message.data.len());
        if full && !self.is_full_with(0) {
            self.wake_connections();
        }
        Poll::Ready(message)
    }

    pub(super) fn wait_connected(&self, context: &Context<'_>) {
        *self.reader.borrow_mut() = Some(context.waker().clone());
    }

    fn is_full_with(&self, taken: usize) -> bool {
        let count = self.waiting.borrow().len() + taken;
        count >= self.max_waiting || self.bytes.get() >= self.max_waiting_bytes
    }

    /// Adds a message.
    pub(super) fn push(&self, message: Message) {
        self.bytes.set(self.bytes.get() + message.data.len());
        self.waiting.borrow_mut().push_back(message);
        self.update(|stats| stats.received += 1);
        self.wake_reader();
    }

    /// Something has come that is no message of a publisher's.
    pub(super) fn malformed(&self, from: SocketAddr) {
        if self.stats.get().malformed == 0 {
            tracing::warn!("{from} publishes messages of more than two parts: they are left out");
        }
        self.update(|stats| stats.malformed += 1);
    }

    /// Ready when a connection may read on; it is woken as well when the topics change.
    pub(super) fn poll_room(&self, context: &Context<'_>) -> Poll<()> {
        let mut connections = self.connections.borrow_mut();
        if !connections.iter().any(|waker| waker.will_wake(context.waker())) {
            connections.push(context.waker().clone());
        }
        if self.is_full_with(0) { Poll::Pending } else { Poll::Ready(()) }
    }

    /// The version of the topics: see [`topics`](Self::topics).
    pub(super) fn version(&self) -> u64 {
        self.version.get()
    }

    pub(super) fn topics(&self) -> BTreeSet<String> {
        self.topics.borrow().clone()
    }

    /// Changes the topics; `change` says whether it has.
    pub(super) fn change(&self, change: impl FnOnce(&mut BTreeSet<String>) -> bool) {
        if change(&mut self.topics.borrow_mut()) {
            self.version.set(self.version.get() + 1);
            self.wake_connections();
        }
    }

    pub(super) fn stats(&self) -> Stats {
        self.stats.get()
    }

    pub(super) fn update(&self, update: impl FnOnce(&mut Stats)) {
        let mut stats = self.stats.get();
        update(&mut stats);
        self.stats.set(stats);
    }

    pub(super) fn wake_reader(&self) {
        if let Some(reader) = self.reader.take() {
            reader.wake();
        }
    }

    pub(super) fn last_error(&self) -> Option<Error> {
        self.last_error.borrow().clone()
    }

    /// A publisher was lost, or could not be found or connected to. Whoever reads the log is told of each kind of trouble once.
    pub(super) fn failed(&self, error: Error) {
        let told = self.last_error.replace(Some(error.clone()));
        let again = !self.recovered.replace(false);
        if again && told.is_some_and(|told| told.code() == error.code()) {
            tracing::debug!("no publisher: {error}");
        } else {
            tracing::warn!("no publisher: {error}; trying again");
        }
    }

    /// There is a publisher.
    pub(super) fn found(&self) {
        self.recovered.set(true);
        self.update(|stats| stats.connected += 1);
        self.wake_reader();
    }

    fn wake_connections(&self) {
        self.connections.take().into_iter().for_each(Waker::wake);
    }
}
