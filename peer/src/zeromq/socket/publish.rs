//! PUB and XPUB: send to those who have subscribed (RFC 29).

use std::rc::Rc;

use bytes::{Bytes, BytesMut};

use super::Settings;
use super::inbox::Inbox;
use super::peer::Peer;
use super::stats::Counters;
use crate::error::Error;
use crate::prefixes::Prefixes;
use crate::zeromq::{Incoming, Message};

/// A publisher's side of things.
pub(super) struct Publish {
    prefixes: Prefixes<Rc<Peer>>,
    /// Messages that were published.
    published: u64,
    /// An XPUB's user sees what is subscribed to.
    shown: bool,
}

impl Publish {
    pub(super) fn new(shown: bool) -> Publish {
        Publish { prefixes: Prefixes::default(), published: 0, shown }
    }

    pub(super) fn receive(
        &mut self,
        from: &Rc<Peer>,
        incoming: Incoming,
        settings: &Settings,
        counters: &Counters,
    ) -> Option<Message> {
        match incoming {
            // Nobody reads it at a PUB, to which none comes.
            Incoming::Message(message) => Some(message),
            Incoming::Subscribe(prefix) => {
                let mut subscriptions = from.subscriptions.borrow_mut();
                if subscriptions.contains(&prefix) {
                    return None;
                }
                let bytes = from.subscribed.get() + prefix.len();
                if subscriptions.len() >= settings.max_subscriptions
                    || bytes > settings.max_subscription_bytes
                {
                    from.end(Error::Busy("a peer has subscribed to more than it may"));
                    return None;
                }
                from.subscribed.set(bytes);
                subscriptions.insert(prefix.clone());
                counters.update(|stats| stats.subscriptions += 1);
                counters.changed.wake();
                let first = self.prefixes.insert(&prefix, from.number, from.clone());
                (first && self.shown).then(|| subscription(true, &prefix))
            }
            Incoming::Cancel(prefix) => {
                if !from.subscriptions.borrow_mut().remove(&prefix) {
                    return None;
                }
                from.subscribed.set(from.subscribed.get() - prefix.len());
                counters.update(|stats| stats.subscriptions -= 1);
                counters.changed.wake();
                let last = self.prefixes.remove(&prefix, from.number);
                (last && self.shown).then(|| subscription(false, &prefix))
            }
        }
    }

    pub(super) fn leave(&mut self, peer: &Rc<Peer>, inbox: &Inbox, counters: &Counters) {
        let subscriptions = peer.subscriptions.take();
        counters.update(|stats| stats.subscriptions -= subscriptions.len());
        for prefix in subscriptions {
            if self.prefixes.remove(&prefix, peer.number) && self.shown {
                inbox.push(peer, subscription(false, &prefix));
            }
        }
    }

    pub(super) fn send(&mut self, message: &Message, counters: &Counters) {
        self.published += 1;
        let (mut sent, mut dropped) = (0, 0);
        for peer in self.prefixes.matching(message.first()) {
            if peer.given.replace(self.published) != self.published {
                match peer.offer(message) {
                    true => sent += 1,
                    false => dropped += 1,
                }
            }
        }
        counters.update(|stats| {
            stats.sent += sent;
            stats.dropped += dropped;
        });
    }
}

/// What an XPUB hands out, and an XSUB is given.
fn subscription(wanted: bool, prefix: &Bytes) -> Message {
    let mut part = BytesMut::with_capacity(1 + prefix.len());
    part.extend_from_slice(&[u8::from(wanted)]);
    part.extend_from_slice(prefix);
    Message::from(&part[..])
}
