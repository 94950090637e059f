//! Answers to our queries, and their absence.

use crate::contact::{COMPACT_PEER, Contact, contacts_from_compact, peer_from_compact};
use crate::dht::Dht;
use crate::event::{Event, Op};
use crate::id::NodeId;
use crate::items::Item;
use crate::krpc::Fields;
use crate::lookup::{Goal, Traversal, Waiter};
use crate::signature;
use crate::store::Store;
use crate::table::Dropped;
use crate::transaction::{Mismatch, Purpose, Transaction};
use bytes::Bytes;
use core::net::SocketAddrV4;
use core::time::Duration;
use rand::seq::index;

impl Dht {
    /// The query that a datagram answers; those that answer none are counted.
    fn close(&mut self, from: SocketAddrV4, transaction: &[u8]) -> Option<Transaction> {
        match self.transactions.close(transaction, from) {
            Ok(closed) => return Some(closed),
            Err(Mismatch::Unexpected) => self.stats.unexpected += 1,
            Err(Mismatch::WrongAddress) => self.stats.wrong_address += 1,
        }
        self.notice(Event::Warning);
        None
    }

    pub(crate) fn take_response(
        &mut self,
        now: Duration,
        from: SocketAddrV4,
        transaction: &[u8],
        fields: &Fields<'_>,
    ) {
        let Some(closed) = self.close(from, transaction) else { return };
        if fields.node_id().is_some_and(|id| closed.id.is_some_and(|expected| expected != id)) {
            // Another node has this address now, and takes the old one's place in the table.
            self.stats.wrong_id += 1;
        }
        let Some(id) = fields.node_id().filter(|&id| id != self.config.id) else {
            self.stats.bad_senders += 1;
            if fields.node_id() == Some(self.config.id) {
                self.bootstrap.is_self(from);
            }
            return self.take_silence(now, &closed);
        };
        self.take_note(now, Some(id), from, true);
        let contact = Contact { id, addr: from };
        match closed.purpose {
            Purpose::Ping => self.take_pong(contact),
            Purpose::Traverse(number) => self.take_step(now, number, contact, fields),
            Purpose::Store(number, _) => self.take_stored(now, number, Ok(())),
        }
        self.serve_line(now);
    }

    pub(crate) fn take_error(
        &mut self,
        now: Duration,
        from: SocketAddrV4,
        transaction: &[u8],
        code: i64,
        text: &[u8],
    ) {
        let Some(closed) = self.close(from, transaction) else { return };
        let refusal = u16::try_from(code).ok().filter(|code| (300..400).contains(code));
        let refusal = refusal.map(|code| {
            let text = &text[..text.len().min(256)];
            (code, String::from_utf8_lossy(text).into_owned())
        });
        self.take_failure(now, &closed, refusal);
    }

    /// Nobody answered a query, or somebody who is no node.
    pub(crate) fn take_silence(&mut self, now: Duration, silent: &Transaction) {
        if let Some(id) = &silent.id
            && !self.may_be_fragmented(silent.purpose)
        {
            let dropped = self.table.failed(now, id, silent.to);
            self.take_dropped(dropped);
        }
        self.take_failure(now, silent, None);
    }

    fn may_be_fragmented(&self, purpose: Purpose) -> bool {
        let length = match purpose {
            Purpose::Ping => 0,
            Purpose::Traverse(number) => {
                self.traversals.get(&number).map_or(0, |traversal| traversal.key.as_bytes().len())
            }
            Purpose::Store(number, _) => self.stores.get(&number).map_or(0, Store::length),
        };
        length > self.config.max_unfragmented
    }

    fn take_failure(
        &mut self,
        now: Duration,
        failed: &Transaction,
        refusal: Option<(u16, String)>,
    ) {
        match failed.purpose {
            Purpose::Ping => self.end_eviction(failed.to),
            Purpose::Traverse(number) => {
                if let Some(traversal) = self.traversals.get_mut(&number) {
                    traversal.failed(failed.to);
                    self.advance(now, number);
                }
            }
            Purpose::Store(number, _) => self.take_stored(now, number, Err(refusal)),
        }
        self.serve_line(now);
    }

    /// Takes note of a node that sent something.
    pub(crate) fn take_note(
        &mut self,
        now: Duration,
        id: Option<NodeId>,
        addr: SocketAddrV4,
        verified: bool,
    ) {
        let Some(id) = id.filter(|&id| id != self.config.id) else {
            self.stats.bad_senders += 1;
            return;
        };
        let contact = Contact { id, addr };
        let observed = self.table.observe(now, contact, verified);
        if let Some(replaced) = observed.replaced {
            self.notice(Event::ContactGone(replaced));
        }
        if observed.new {
            self.notice(Event::Node);
            self.notice(Event::Contact(contact));
        }
        if let Some(stale) = observed.ping.filter(|_| self.evicting.is_none())
            && self.transactions.len() < self.config.max_queries
        {
            self.evicting = Some(stale);
            self.ask(now, stale.addr, Some(stale.id), Purpose::Ping, true);
        }
    }

    pub(crate) fn take_dropped(&mut self, dropped: Dropped) {
        if let Some(gone) = dropped.gone {
            self.notice(Event::ContactGone(gone));
        }
        if let Some(contact) = dropped.promoted {
            self.notice(Event::Node);
            self.notice(Event::Contact(contact));
        }
    }

    /// A node answered a query of a traversal.
    fn take_step(&mut self, now: Duration, number: u64, contact: Contact, fields: &Fields<'_>) {
        let Some(traversal) = self.traversals.get_mut(&number) else { return };
        let token = fields.token.filter(|token| token.len() <= self.config.max_token);
        traversal.answered(contact, token);
        let nodes = contacts_from_compact(fields.nodes.unwrap_or_default());
        for node in nodes.take(self.config.max_candidates) {
            if node.id != self.config.id && !self.table.is_silent(now, node.addr) {
                traversal.add(node);
            }
        }
        match traversal.goal {
            Goal::Nodes => {}
            Goal::Peers => {
                let room = self.config.max_gathered_peers.saturating_sub(traversal.peers.len());
                traversal.peers.extend(fields.peers().take(room));
            }
            Goal::Value => {
                let salt = traversal.waiters.first().and_then(|waiter| match waiter {
                    Waiter::Get { salt, .. } => Some(salt),
                    _ => None,
                });
                if let (Some(salt), Some(v)) = (salt, fields.v.filter(|&v| v != b"i0e")) {
                    match valid_item(traversal.key.as_bytes(), contact.id, salt, v, fields) {
                        Some(item) => {
                            let newer =
                                traversal.item.as_ref().is_none_or(|old| item.seq > old.seq);
                            if item.k.is_none() {
                                traversal.finish();
                            }
                            if newer {
                                traversal.item = Some(item);
                            }
                        }
                        None => self.stats.bad_signatures += 1,
                    }
                }
            }
        }
        self.advance(now, number);
    }

    /// A traversal is at its end: everyone who waited for it goes on.
    pub(crate) fn finish(&mut self, now: Duration, number: u64, mut traversal: Traversal) {
        if traversal.goal == Goal::Peers
            && let Some((newest, running)) = self.newest.get_mut(&traversal.key)
        {
            *running -= 1;
            if *running == 0 {
                self.newest.remove(&traversal.key);
            } else if *newest == number {
                // An older one goes on, but nobody may join it any more.
                *newest = 0;
            }
        }
        let waiters = core::mem::take(&mut traversal.waiters);
        let stores = waiters.iter().any(|waiter| matches!(waiter, Waiter::Store(_)));
        let mut targets = None;
        if stores || self.token_cache.contains(&traversal.key) {
            let found = traversal.targets();
            self.token_cache.put(now, traversal.key.clone(), found.clone());
            targets = Some(found);
        }
        if traversal.goal == Goal::Peers {
            let max = self.config.max_lookup_peers;
            let (rng, peers) = (&mut self.rng, &mut traversal.peers);
            self.peers.get(now, traversal.key.as_bytes(), max, rng, peers);
        }
        for waiter in waiters {
            match waiter {
                Waiter::Lookup(op) => self.end_lookup(op, &mut traversal),
                Waiter::Get { op, .. } => {
                    let (found, spare) = (traversal.item.take(), traversal.spare.take());
                    let result = match (found, spare) {
                        (Some(found), Some(spare)) if spare.seq > found.seq => Some(spare),
                        (found, spare) => found.or(spare),
                    };
                    self.end(Event::Got { op, result });
                }
                Waiter::Store(job) => {
                    let targets = targets.clone().unwrap_or_default();
                    self.store(now, traversal.key.clone(), job, targets, false);
                }
                Waiter::Bootstrap => self.bootstrap_done(now),
            }
        }
    }

    fn end_lookup(&mut self, op: Op, traversal: &mut Traversal) {
        let peers = &mut traversal.peers;
        if peers.len() > 1 {
            peers.sort_unstable();
            peers.dedup();
        }
        let usable = |peer: [u8; COMPACT_PEER]| {
            let peer = peer_from_compact(peer);
            (peer.port() != 0).then_some(peer)
        };
        let max = self.config.max_lookup_peers;
        let peers = if peers.len() <= max {
            peers.iter().filter_map(|&peer| usable(peer)).collect()
        } else {
            let chosen = index::sample(&mut self.rng, peers.len(), max);
            chosen.iter().filter_map(|at| usable(peers[at])).collect()
        };
        self.end(Event::LookupDone { op, peers, nodes: traversal.answered });
    }
}

/// The item in an answer, if it is what `key` stands for.
fn valid_item(key: &[u8], id: NodeId, salt: &Bytes, v: &[u8], fields: &Fields<'_>) -> Option<Item> {
    let mut item = Item {
        id,
        own: false,
        token: fields.token.map(Bytes::copy_from_slice),
        v: Bytes::copy_from_slice(v),
        k: None,
        sig: None,
        seq: fields.seq,
        salt: (!salt.is_empty()).then(|| salt.clone()),
    };
    if fields.k.is_none() && fields.sig.is_none() {
        return (signature::immutable_target(v) == *key).then_some(item);
    }
    let k: &[u8; 32] = fields.k?.try_into().ok()?;
    let (sig, seq) = (fields.sig?, fields.seq.unwrap_or(0));
    if signature::mutable_target(k, salt) != *key || !signature::verify(k, sig, seq, salt, v) {
        return None;
    }
    item.k = Some(*k);
    item.sig = Some(Bytes::copy_from_slice(sig));
    item.seq = Some(seq);
    Some(item)
}
