//! Who gets the next message: peers in turn (DEALER, REQ).

use std::collections::VecDeque;
use std::rc::Rc;

use super::peer::Peer;
use crate::zeromq::Message;

/// Peers that messages are shared out to.
#[derive(Default)]
pub(super) struct Balance {
    peers: VecDeque<Rc<Peer>>,
    /// What has waited for peers that have gone. It leaves before anything else.
    unsent: VecDeque<Message>,
}

impl Balance {
    pub(super) fn join(&mut self, peer: &Rc<Peer>) {
        self.peers.push_back(peer.clone());
        self.send_unsent();
    }

    pub(super) fn leave(&mut self, peer: &Peer) {
        self.peers.retain(|other| other.number != peer.number);
    }

    /// Takes what a peer that has gone was to be sent.
    pub(super) fn keep(&mut self, unsent: VecDeque<Message>) {
        self.unsent.extend(unsent);
        self.send_unsent();
    }

    /// A peer has room again.
    pub(super) fn has_room(&mut self) {
        self.send_unsent();
    }

    pub(super) fn is_empty(&self) -> bool {
        self.unsent.is_empty()
    }

    /// Gives a message to the next peer that has room, if there is one.
    pub(super) fn send(&mut self, message: &Message) -> Option<Rc<Peer>> {
        if self.send_unsent() { self.offer(message) } else { None }
    }

    /// Whether there is nothing that has to leave before others.
    fn send_unsent(&mut self) -> bool {
        while let Some(message) = self.unsent.pop_front() {
            if self.offer(&message).is_none() {
                self.unsent.push_front(message);
                return false;
            }
        }
        true
    }

    fn offer(&mut self, message: &Message) -> Option<Rc<Peer>> {
        let taken = self.peers.iter().position(|peer| peer.offer(message))?;
        // Whoever had no room keeps its turn behind those that have.
        self.peers.rotate_left(taken + 1);
        self.peers.back().cloned()
    }
}
