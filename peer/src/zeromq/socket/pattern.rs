//! What the types of sockets do with their peers and messages.

use std::rc::Rc;

use super::Settings;
use super::balance::Balance;
use super::inbox::Inbox;
use super::peer::Peer;
use super::publish::Publish;
use super::reply::Reply;
use super::request::Request;
use super::router::Router;
use super::stats::Counters;
use super::subscribe::Subscribe;
use crate::error::Error;
use crate::zeromq::{Incoming, Message, SocketType};

/// A socket's own part. What it is given of the socket besides are its settings, its counters and what has come.
pub(super) enum Pattern {
    Req(Request),
    Rep(Reply),
    Dealer(Balance),
    Router(Router),
    Pub(Publish),
    Xpub(Publish),
    Sub(Subscribe),
    Xsub(Subscribe),
}

impl Pattern {
    /// Needs to run on a core.
    pub(super) fn new(socket: SocketType) -> Pattern {
        match socket {
            SocketType::Req => Pattern::Req(Request::default()),
            SocketType::Rep => Pattern::Rep(Reply::default()),
            SocketType::Dealer => Pattern::Dealer(Balance::default()),
            SocketType::Router => Pattern::Router(Router::new()),
            SocketType::Pub => Pattern::Pub(Publish::new(false)),
            SocketType::Xpub => Pattern::Xpub(Publish::new(true)),
            SocketType::Sub => Pattern::Sub(Subscribe::default()),
            SocketType::Xsub => Pattern::Xsub(Subscribe::default()),
        }
    }

    /// A peer has come. The error says why it is not let in.
    pub(super) fn join(
        &mut self,
        peer: &Rc<Peer>,
        settings: &Settings,
    ) -> Result<(), &'static str> {
        match self {
            Pattern::Req(request) => request.join(peer),
            Pattern::Dealer(balance) => balance.join(peer),
            Pattern::Router(router) => return router.join(peer, settings),
            Pattern::Sub(subscribe) | Pattern::Xsub(subscribe) => subscribe.join(peer),
            Pattern::Rep(_) | Pattern::Pub(_) | Pattern::Xpub(_) => {}
        }
        Ok(())
    }

    /// A peer has gone.
    pub(super) fn leave(&mut self, peer: &Rc<Peer>, inbox: &Inbox, counters: &Counters) {
        match self {
            Pattern::Req(request) => request.leave(peer, inbox),
            Pattern::Dealer(balance) => {
                balance.leave(peer);
                return balance.keep(peer.unsent());
            }
            Pattern::Router(router) => router.leave(peer),
            Pattern::Pub(publish) | Pattern::Xpub(publish) => publish.leave(peer, inbox, counters),
            Pattern::Sub(subscribe) | Pattern::Xsub(subscribe) => subscribe.leave(peer),
            Pattern::Rep(_) => {}
        }
        let unsent = peer.unsent().len() as u64;
        counters.update(|stats| stats.dropped += unsent);
    }

    /// What is to be taken of what has come.
    pub(super) fn receive(
        &mut self,
        from: &Rc<Peer>,
        incoming: Incoming,
        settings: &Settings,
        counters: &Counters,
    ) -> Option<Message> {
        let message = match (self, incoming) {
            (Pattern::Pub(publish) | Pattern::Xpub(publish), incoming) => {
                Some(publish.receive(from, incoming, settings, counters)?)
            }
            (Pattern::Req(request), Incoming::Message(message)) => request.receive(from, message),
            (Pattern::Router(_), Incoming::Message(message)) => {
                Some(message.with_head(from.head.borrow().clone()))
            }
            (_, Incoming::Message(message)) => Some(message),
            // They come to publishers only.
            (_, Incoming::Subscribe(_) | Incoming::Cancel(_)) => return None,
        };
        counters.update(|stats| match message {
            Some(_) => stats.received += 1,
            None => stats.malformed += 1,
        });
        message
    }

    /// Sends a message, unless there is no room where it would have to wait: then nothing comes of it.
    pub(super) fn send(
        &mut self,
        message: &Message,
        settings: &Settings,
        counters: &Counters,
    ) -> Option<Result<(), Error>> {
        match self {
            Pattern::Req(request) => {
                let sent = request.send(message)?;
                counters.update(|stats| stats.sent += u64::from(sent.is_ok()));
                return Some(sent);
            }
            Pattern::Dealer(balance) => {
                balance.send(message)?;
                counters.update(|stats| stats.sent += 1);
            }
            Pattern::Rep(reply) => return Some(reply.send(message, counters)),
            Pattern::Router(router) => return Some(router.send(message, settings, counters)),
            Pattern::Pub(publish) | Pattern::Xpub(publish) => publish.send(message, counters),
            Pattern::Xsub(subscribe) => subscribe.send(message, counters),
            Pattern::Sub(_) => {
                return Some(Err(Error::Config("a SUB receives, it does not send".into())));
            }
        }
        Some(Ok(()))
    }

    /// The next message for the user, if one has come.
    pub(super) fn read(
        &mut self,
        inbox: &Inbox,
        counters: &Counters,
    ) -> Option<Result<Message, Error>> {
        match self {
            Pattern::Req(request) => request.read(inbox),
            Pattern::Rep(reply) => reply.read(inbox, counters),
            Pattern::Pub(_) => Some(Err(Error::Config("a PUB sends, it does not receive".into()))),
            _ => Some(Ok(inbox.pop()?.1)),
        }
    }

    /// What a SUB or XSUB wants; nothing to others.
    pub(super) fn subscriptions(&mut self) -> Option<&mut Subscribe> {
        match self {
            Pattern::Sub(subscribe) | Pattern::Xsub(subscribe) => Some(subscribe),
            _ => None,
        }
    }

    /// A peer has room again.
    pub(super) fn has_room(&mut self) {
        if let Pattern::Dealer(balance) = self {
            balance.has_room();
        }
    }

    /// Whether nothing waits that has no peer.
    pub(super) fn is_empty(&self) -> bool {
        match self {
            Pattern::Dealer(balance) => balance.is_empty(),
            _ => true,
        }
    }
}
