//! ROUTER: knows its peers by their identities (RFC 28).

use std::collections::HashMap;
use std::rc::Rc;

use bytes::{BufMut, Bytes, BytesMut};
use grenache_engine::fill_random;

use super::Settings;
use super::peer::Peer;
use super::stats::Counters;
use crate::error::Error;
use crate::zeromq::Message;
use crate::zeromq::message::frame_before;

/// A ROUTER's side of things.
pub(super) struct Router {
    peers: HashMap<Bytes, Rc<Peer>>,
    /// The number in the identity that was given last to a peer that has said none.
    drawn: u32,
}

impl Router {
    /// Needs to run on a core.
    pub(super) fn new() -> Router {
        // As libzmq does: a socket that comes after another does not give the same names to other peers.
        let mut drawn = [0; 4];
        fill_random(&mut drawn);
        Router { peers: HashMap::new(), drawn: u32::from_be_bytes(drawn) }
    }

    /// Lets a peer in under its identity, or a drawn one. The error says why not.
    pub(super) fn join(
        &mut self,
        peer: &Rc<Peer>,
        settings: &Settings,
    ) -> Result<(), &'static str> {
        let mut identity = peer.identity.clone();
        if identity.is_empty() {
            identity = self.draw();
        }
        if let Some(other) = self.peers.get(&identity) {
            if !settings.handover {
                return Err("another peer has this identity");
            }
            other.end(Error::Closed { to: other.addr });
        }
        *peer.head.borrow_mut() = frame_before(&identity);
        *peer.name.borrow_mut() = identity.clone();
        self.peers.insert(identity, peer.clone());
        Ok(())
    }

    /// Names that begin with a zero are for sockets to give.
    fn draw(&mut self) -> Bytes {
        loop {
            self.drawn = self.drawn.wrapping_add(1);
            let mut identity = BytesMut::with_capacity(5);
            identity.put_u8(0);
            identity.put_u32(self.drawn);
            if !self.peers.contains_key(&identity[..]) {
                return identity.freeze();
            }
        }
    }

    pub(super) fn leave(&mut self, peer: &Peer) {
        let name = peer.name.borrow();
        // Another may have taken its place.
        if self.peers.get(&*name).is_some_and(|other| other.number == peer.number) {
            self.peers.remove(&*name);
        }
    }

    /// Sends a message to the peer whose identity is its first part.
    pub(super) fn send(
        &mut self,
        message: &Message,
        settings: &Settings,
        counters: &Counters,
    ) -> Result<(), Error> {
        let (identity, Some(message)) = message.clone().split_first() else {
            let why = "a ROUTER's message is the identity of its peer, and one part at least";
            return Err(Error::Config(why.into()));
        };
        let peer = self.peers.get(&identity);
        if peer.is_some_and(|peer| peer.offer(&message)) {
            counters.update(|stats| stats.sent += 1);
            return Ok(());
        }
        if settings.mandatory {
            return Err(Error::Busy(match peer {
                Some(_) => "the peer of this identity has no room for more messages",
                None => "no peer of this identity is connected",
            }));
        }
        counters.update(|stats| stats.dropped += 1);
        Ok(())
    }
}
