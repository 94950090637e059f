//! From HTTP to a WebSocket.

use std::rc::Rc;

use bytes::{Bytes, BytesMut};
use grenache_transports::http::Head;
use grenache_transports::ws::{Deflate, handshake::Offer};

use crate::publish::{Form, PROTOCOL};
use crate::server::Server;
use crate::server::reply::Answer;
use crate::server::request::{Origin, Peer, Visitor};

/// A WebSocket that was granted.
pub(in crate::server) struct Upgrade {
    /// The answer, after which it is one.
    pub(in crate::server) answer: BytesMut,
    /// Who has asked for it, with the header lines, which go for all its requests.
    pub(in crate::server) origin: Origin,
    pub(super) deflate: Option<Deflate>,
    /// It listens to what is published.
    pub(in crate::server) subscribes: Option<Form>,
}

impl Server {
    /// Whether a client may ask anything; the answer if not.
    pub(in crate::server) fn admit(&self, head: &Head<'_>, peer: &Peer) -> Result<(), Answer> {
        let visitor = Visitor { peer, target: head.target, headers: head.headers };
        match self.admits(&visitor) {
            true => Ok(()),
            false => Err(Answer::text(401, "this client is not let in")),
        }
    }

    /// Grants a WebSocket, if it is properly asked for.
    pub(in crate::server) fn upgrade(
        &self,
        head: &Head<'_>,
        peer: &Rc<Peer>,
    ) -> Result<Upgrade, Answer> {
        self.admit(head, peer)?;
        let offer = Offer::read(head).map_err(|refusal| {
            self.counters.malformed.add(1);
            Answer::text(refusal.status(), refusal.text())
        })?;
        let topical = || offer.protocols().any(|protocol| protocol == PROTOCOL.as_bytes());
        let subscribes = match &self.audience {
            Some(_) if topical() => Some(Form::Topical),
            Some(_) if !self.services.has_handlers() => Some(Form::Raw),
            _ => None,
        };
        if subscribes.is_some() && self.audience.as_ref().is_some_and(|audience| audience.is_full())
        {
            self.counters.refused.add(1);
            return Err(Answer::text(503, "too many subscribers"));
        }
        let protocol = (subscribes == Some(Form::Topical)).then_some(PROTOCOL);
        // What is published is encoded once for all, who may have agreed upon different things.
        let deflate = match subscribes {
            None if self.config.deflate => offer.deflate(),
            _ => None,
        };
        let mut answer = BytesMut::new();
        offer.accept(&mut answer, protocol, deflate);
        let lines = Bytes::copy_from_slice(head.headers.as_bytes());
        let origin = Origin { peer: peer.clone(), lines };
        Ok(Upgrade { answer, origin, deflate, subscribes })
    }
}
