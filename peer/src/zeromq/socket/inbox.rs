//! What has come and waits to be taken: from all peers in turn.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::Rc;

use super::peer::Peer;
use crate::flight::Waiters;
use crate::zeromq::Message;

/// Messages that have come. They wait with the peer they are from.
#[derive(Default)]
pub(super) struct Inbox {
    /// Peers of which something waits, each once.
    ready: RefCell<VecDeque<Rc<Peer>>>,
    /// Of them, those that have gone.
    left: Cell<usize>,
    pub(super) readers: Waiters,
}

impl Inbox {
    /// Adds a message of a peer, even if that has as many as it may.
    pub(super) fn push(&self, from: &Rc<Peer>, message: Message) {
        let mut received = from.received.borrow_mut();
        let was_empty = received.is_empty();
        received.push(message);
        if was_empty {
            if from.left.get() {
                self.left.set(self.left.get() + 1);
            }
            let mut ready = self.ready.borrow_mut();
            ready.push_back(from.clone());
            if ready.len() == 1 {
                self.readers.wake();
            }
        }
    }

    /// The next message, and who it is from: one of each peer in turn.
    pub(super) fn pop(&self) -> Option<(Rc<Peer>, Message)> {
        let from = self.ready.borrow_mut().pop_front()?;
        let mut received = from.received.borrow_mut();
        let message = received.pop()?;
        let (is_low, is_empty) = (received.is_low(), received.is_empty());
        drop(received);
        if is_low {
            from.resume();
        }
        if !is_empty {
            self.ready.borrow_mut().push_back(from.clone());
        } else if from.left.get() {
            self.left.set(self.left.get() - 1);
        }
        Some((from, message))
    }

    /// A peer has gone; what waits of it is still taken.
    pub(super) fn leave(&self, peer: &Peer) {
        peer.left.set(true);
        if !peer.received.borrow().is_empty() {
            self.left.set(self.left.get() + 1);
        }
    }

    /// Peers that have gone, and of which something waits.
    pub(super) fn left(&self) -> usize {
        self.left.get()
    }
}
