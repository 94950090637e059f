//! The peers of a socket, and what they share.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;

use grenache_transports::zmtp::Metadata;

use super::Settings;
use super::inbox::Inbox;
use super::pattern::Pattern;
use super::peer::Peer;
use super::stats::Counters;
use crate::backoff::Random;
use crate::error::Error;
use crate::flight::Waiters;
use crate::zeromq::{Incoming, Link, Met};

/// All that a socket has, but for the tasks of its connections.
pub(super) struct Peers {
    pub(super) settings: Settings,
    pub(super) metadata: Metadata,
    pub(super) pattern: RefCell<Pattern>,
    pub(super) inbox: Inbox,
    pub(super) counters: Counters,
    /// Who waits for room.
    pub(super) senders: Waiters,
    pub(super) random: Random,
    pub(super) last_error: RefCell<Option<Error>>,
    peers: RefCell<BTreeMap<u64, Rc<Peer>>>,
    /// Connections in their handshake, that others have made.
    pub(super) shaking: Cell<usize>,
    number: Cell<u64>,
}

impl Peers {
    /// Needs to run on a core.
    pub(super) fn new(metadata: Metadata, settings: Settings) -> Peers {
        Peers {
            settings,
            pattern: RefCell::new(Pattern::new(metadata.socket())),
            metadata,
            inbox: Inbox::default(),
            counters: Counters::default(),
            senders: Waiters::default(),
            random: Random::new(),
            last_error: RefCell::default(),
            peers: RefCell::default(),
            shaking: Cell::new(0),
            number: Cell::new(0),
        }
    }

    /// Whether one more would be too many.
    pub(super) fn is_full(&self) -> bool {
        let present = self.peers.borrow().len() + self.shaking.get() + self.inbox.left();
        present >= self.settings.max_peers.max(1)
    }

    /// Lets a peer in.
    pub(super) fn join(self: &Rc<Self>, met: Met) -> Result<Place, Error> {
        self.number.set(self.number.get() + 1);
        let link = Link::new(met, &self.settings.connection);
        let peer = Peer::new(self.number.get(), link, &self.settings);
        if let Err(why) = self.pattern.borrow_mut().join(&peer, &self.settings) {
            return Err(Error::Busy(why));
        }
        self.peers.borrow_mut().insert(peer.number, peer.clone());
        self.counters.update(|stats| {
            stats.peers += 1;
            stats.connections += 1;
        });
        self.counters.changed.wake();
        self.senders.wake();
        Ok(Place { peers: self.clone(), peer })
    }

    /// One was not let in.
    pub(super) fn refuse(&self, why: Error) {
        self.counters.update(|stats| stats.refused += 1);
        self.failed(why);
        self.counters.changed.wake();
    }

    /// A connection has broken, or could not be made.
    pub(super) fn failed(&self, why: Error) {
        tracing::debug!("{}: {why}", self.metadata.socket());
        *self.last_error.borrow_mut() = Some(why);
    }

    /// A peer says something.
    pub(super) fn receive(&self, from: &Rc<Peer>, incoming: Incoming) {
        let mut pattern = self.pattern.borrow_mut();
        let message = pattern.receive(from, incoming, &self.settings, &self.counters);
        drop(pattern);
        if let Some(message) = message {
            self.inbox.push(from, message);
        }
    }

    /// A peer has room again.
    pub(super) fn has_room(&self) {
        self.pattern.borrow_mut().has_room();
        self.senders.wake();
    }

    /// All of them, as they are now.
    pub(super) fn all(&self) -> Vec<Rc<Peer>> {
        self.peers.borrow().values().cloned().collect()
    }
}

/// A peer's place among them, which it leaves when this is dropped.
pub(super) struct Place {
    peers: Rc<Peers>,
    pub(super) peer: Rc<Peer>,
}

impl Drop for Place {
    fn drop(&mut self) {
        let Place { peers, peer } = self;
        peer.leave();
        peers.peers.borrow_mut().remove(&peer.number);
        peers.inbox.leave(peer);
        peers.pattern.borrow_mut().leave(peer, &peers.inbox, &peers.counters);
        peers.counters.update(|stats| stats.peers -= 1);
        peers.counters.changed.wake();
    }
}
