//! What a socket counts.

use std::cell::Cell;

use crate::flight::Waiters;

/// Counters of a [`Socket`](super::Socket).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Stats {
    /// Peers that are connected now.
    pub peers: usize,
    /// Connections that were made, by either side, their handshakes done.
    pub connections: u64,
    /// Of them, those that this side has made anew.
    pub reconnects: u64,
    /// Peers that were not let in: by the handshake, because another has their identity, or because there are too many.
    pub refused: u64,
    /// Messages given to peers, or to what waits for them; one that goes to several counts for each.
    pub sent: u64,
    /// Messages that have come.
    pub received: u64,
    /// Messages that were not sent: their peer had no room, or was not there, or has gone before they left.
    pub dropped: u64,
    /// Messages that have come and mean nothing to this kind of socket: without an envelope, or an answer nobody has asked for.
    pub malformed: u64,
    /// What peers have subscribed to at this side: prefixes, those of every peer counted.
    pub subscriptions: usize,
}

/// Where it is counted.
#[derive(Default)]
pub(super) struct Counters {
    stats: Cell<Stats>,
    /// Who waits for peers to come or go, or for subscriptions.
    pub(super) changed: Waiters,
}

impl Counters {
    pub(super) fn get(&self) -> Stats {
        self.stats.get()
    }

    pub(super) fn update(&self, update: impl FnOnce(&mut Stats)) {
        let mut stats = self.stats.get();
        update(&mut stats);
        self.stats.set(stats);
    }
}
