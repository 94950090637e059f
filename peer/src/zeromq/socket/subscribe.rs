//! SUB and XSUB: receive what they have subscribed to (RFC 29).

use std::collections::BTreeMap;
use std::rc::Rc;

use super::peer::Peer;
use super::stats::Counters;
use crate::zeromq::Message;

/// A subscriber's side of things.
#[derive(Default)]
pub(super) struct Subscribe {
    peers: Vec<Rc<Peer>>,
    /// What was subscribed to, and how often.
    prefixes: BTreeMap<Box<[u8]>, usize>,
}

impl Subscribe {
    /// Says to a new peer what was subscribed to.
    pub(super) fn join(&mut self, peer: &Rc<Peer>) {
        for prefix in self.prefixes.keys() {
            peer.subscribe(prefix, true);
        }
        self.peers.push(peer.clone());
    }

    pub(super) fn leave(&mut self, peer: &Peer) {
        self.peers.retain(|other| other.number != peer.number);
    }

    pub(super) fn subscribe(&mut self, prefix: &[u8]) {
        if let Some(count) = self.prefixes.get_mut(prefix) {
            *count += 1;
            return;
        }
        self.prefixes.insert(prefix.into(), 1);
        self.peers.iter().for_each(|peer| peer.subscribe(prefix, true));
    }

    pub(super) fn cancel(&mut self, prefix: &[u8]) {
        let Some(count) = self.prefixes.get_mut(prefix) else { return };
        *count -= 1;
        if *count == 0 {
            self.prefixes.remove(prefix);
            self.peers.iter().for_each(|peer| peer.subscribe(prefix, false));
        }
    }

    /// What an XSUB is given: a subscription, or a message for all publishers.
    pub(super) fn send(&mut self, message: &Message, counters: &Counters) {
        match message.first() {
            [1, prefix @ ..] if message.len() == 1 => self.subscribe(prefix),
            [0, prefix @ ..] if message.len() == 1 => self.cancel(prefix),
            _ => {
                for peer in &self.peers {
                    let sent = peer.offer(message);
                    counters.update(|stats| match sent {
                        true => stats.sent += 1,
                        false => stats.dropped += 1,
                    });
                }
            }
        }
    }
}
