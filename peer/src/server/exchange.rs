//! What a connection receives, and what it owes for it.

use std::collections::VecDeque;
use std::rc::Rc;
use std::task::{Context, Waker};

use bytes::{Bytes, BytesMut};
use grenache_transports::http::{Error, Event, Head, Persistence, Request};
use grenache_transports::ws::handshake;

use super::Server;
use super::dispatch::{Arrival, BUSY, Marks};
use super::flow::Stream;
use super::held::Held;
use super::owed::{Owed, What, drop_quietly};
use super::reply::Answer;
use super::request::{Message, Origin, Peer};
use crate::error::Failure;
use crate::json::Json;

/// The requests of a connection.
pub(super) struct Exchange {
    pub(super) server: Rc<Server>,
    pub(super) peer: Rc<Peer>,
    pub(super) owed: VecDeque<Owed>,
    incoming: Incoming,
    /// Bytes of the request that is coming.
    held: Held,
    /// No further request is taken.
    pub(super) last: bool,
}

/// The body that is coming in pieces.
enum Incoming {
    None,
    /// Of a request that is answered when it is complete.
    Whole(Box<Collected>),
    Stream {
        stream: Rc<Stream>,
        discarded: u64,
    },
    /// Of a request that is answered already.
    Unwanted {
        discarded: u64,
    },
}

struct Collected {
    marks: Marks,
    /// The header lines, then the body.
    bytes: BytesMut,
    lines: usize,
    persistence: Persistence,
}

impl Exchange {
    pub(super) fn new(server: Rc<Server>, peer: Rc<Peer>) -> Exchange {
        let (owed, incoming) = (VecDeque::new(), Incoming::None);
        let held = Held::none(server.counters.clone());
        Exchange { server, peer, owed, incoming, held, last: false }
    }

    /// Takes what has come. True if a request is complete by it.
    pub(super) fn receive(&mut self, event: Event<'_>, waker: &Waker) -> bool {
        match event {
            Event::Request(request) => self.request(&request, waker),
            Event::Continue => self.owed.push_back(Owed::plain(What::Continue)),
            Event::TooLarge(head) => {
                self.server.counters.malformed.add(1);
                self.owed.push_back(Owed::to(&head, What::Answer(Answer::too_large())));
            }
            Event::Head(head) => {
                self.head(&head, waker);
                return false;
            }
            Event::Data(data) => {
                self.data(data);
                return false;
            }
            Event::End => self.end(waker),
        }
        true
    }

    /// What has come is not HTTP.
    pub(super) fn refuse(&mut self, error: Error) {
        self.server.counters.malformed.add(1);
        // A stream that is cut short by this is not a whole one.
        if let Incoming::Stream { stream, .. } =
            std::mem::replace(&mut self.incoming, Incoming::None)
        {
            let failure = Failure::Broken(error.text().into());
            stream.fail_input(crate::Error::Request { to: self.peer.addr, failure });
        }
        self.owed.push_back(Owed::plain(What::Refusal(error)));
        self.last = true;
    }

    /// Counts what is kept of the request that is coming, `buffered` bytes of it elsewhere. False if it was too much: then
    /// it is refused.
    pub(super) fn hold(&mut self, buffered: usize) -> bool {
        let collected = match &self.incoming {
            Incoming::Whole(body) => body.bytes.len(),
            _ => 0,
        };
        if self.held.resize(buffered + collected, self.server.config.max_held) || self.last {
            return true;
        }
        self.incoming = Incoming::None;
        self.held = Held::none(self.server.counters.clone());
        self.owed.push_back(Owed::plain(What::Answer(Answer::error(503, &Json::null(), BUSY))));
        self.last = true;
        false
    }

    fn request(&mut self, request: &Request<'_>, waker: &Waker) {
        self.held.resize(0, 0);
        if self.server.config.websocket && handshake::is_asked(&request.head) {
            let what = self.upgrade(&request.head);
            return self.owed.push_back(Owed::to(&request.head, what));
        }
        let what = match self.check(&request.head) {
            Err(answer) => What::Answer(answer),
            Ok(marks) => {
                let Message { lines, body } = Message::new(request.headers, request.body);
                let origin = Origin { peer: self.peer.clone(), lines };
                self.server.dispatch(Arrival { origin, marks, waker }, body)
            }
        };
        self.owed.push_back(Owed::to(&request.head, what));
    }

    /// No HTTP follows what asks for a WebSocket.
    fn upgrade(&mut self, head: &Head<'_>) -> What {
        self.last = true;
        match self.server.upgrade(head, &self.peer) {
            Ok(upgrade) => What::Upgrade(Box::new(upgrade)),
            Err(answer) => What::Answer(answer),
        }
    }

    /// What can be said without the body.
    fn check(&self, head: &Head<'_>) -> Result<Marks, Answer> {
        self.server.admit(head, &self.peer)?;
        if !self.server.config.http {
            return Err(Answer::text(426, "only WebSocket: upgrade"));
        }
        if head.method != "POST" {
            return Err(Answer::text(405, "only POST"));
        }
        Marks::read(head.headers)
    }

    /// A body is going to come in pieces.
    fn head(&mut self, head: &Head<'_>, waker: &Waker) {
        let refusal = match self.check(head) {
            Err(answer) => What::Answer(answer),
            Ok(marks) => {
                let lines = Bytes::copy_from_slice(head.headers.as_bytes());
                let origin = Origin { peer: self.peer.clone(), lines };
                match self.server.dispatch_stream(Arrival { origin, marks, waker }) {
                    Ok((what, Some(stream))) => {
                        self.invite(head);
                        self.owed.push_back(Owed::to(head, what));
                        self.incoming = Incoming::Stream { stream, discarded: 0 };
                        return;
                    }
                    Ok((what, None)) => what,
                    Err(Arrival { origin, marks, .. }) => {
                        self.invite(head);
                        let bytes = BytesMut::from(&origin.lines[..]);
                        let (lines, persistence) = (bytes.len(), head.persistence);
                        let collected = Collected { marks, bytes, lines, persistence };
                        self.incoming = Incoming::Whole(Box::new(collected));
                        return;
                    }
                }
            }
        };
        self.owed.push_back(Owed::to(head, refusal));
        if head.expects_continue {
            // It may send the body or not: only closing is clear.
            self.last = true;
        }
        self.incoming = Incoming::Unwanted { discarded: 0 };
    }

    fn invite(&mut self, head: &Head<'_>) {
        if head.expects_continue {
            self.owed.push_back(Owed::plain(What::Continue));
        }
    }

    fn data(&mut self, data: &[u8]) {
        let config = &self.server.config;
        let discarded = match &mut self.incoming {
            Incoming::None => return,
            Incoming::Whole(body) => {
                let length = body.bytes.len() - body.lines + data.len();
                if length as u64 <= config.max_body {
                    return body.bytes.extend_from_slice(data);
                }
                let what = What::Answer(Answer::too_large());
                let persistence = body.persistence;
                self.server.counters.malformed.add(1);
                self.owed.push_back(Owed { persistence, ..Owed::plain(what) });
                self.incoming = Incoming::Unwanted { discarded: data.len() as u64 };
                return;
            }
            Incoming::Stream { stream, .. } if stream.is_wanted() => {
                return stream.receive(Bytes::copy_from_slice(data));
            }
            Incoming::Stream { discarded, .. } | Incoming::Unwanted { discarded } => discarded,
        };
        *discarded += data.len() as u64;
        if *discarded > config.max_discard {
            self.last = true;
            self.incoming = Incoming::None;
        }
    }

    fn end(&mut self, waker: &Waker) {
        match std::mem::replace(&mut self.incoming, Incoming::None) {
            Incoming::None | Incoming::Unwanted { .. } => {}
            Incoming::Stream { stream, .. } => stream.receive_end(),
            Incoming::Whole(collected) => {
                self.held.resize(0, 0);
                let Collected { marks, bytes, lines, persistence } = *collected;
                let mut body = bytes.freeze();
                let origin = Origin { peer: self.peer.clone(), lines: body.split_to(lines) };
                let what = self.server.dispatch(Arrival { origin, marks, waker }, body);
                self.owed.push_back(Owed { persistence, ..Owed::plain(what) });
            }
        }
    }

    /// Lets all handlers go on.
    pub(super) fn poll(&mut self, context: &mut Context<'_>) {
        self.owed.iter_mut().for_each(|owed| owed.poll(context));
    }

    /// Whether more may be read.
    pub(super) fn has_room(&self) -> bool {
        match &self.incoming {
            Incoming::None => self.owed.len() < self.server.config.max_pipelined.max(1),
            // A request that is being answered already may need the rest of its body for that.
            Incoming::Stream { stream, .. } => !stream.is_full(),
            Incoming::Whole(_) | Incoming::Unwanted { .. } => true,
        }
    }

    /// Nothing is owed, and no request is on its way in pieces.
    pub(super) fn is_idle(&self) -> bool {
        self.owed.is_empty() && matches!(self.incoming, Incoming::None)
    }

    /// The pieces of a body come as its handler wants them, or as they come.
    pub(super) fn is_streaming(&self) -> bool {
        matches!(self.incoming, Incoming::Stream { .. } | Incoming::Unwanted { .. })
    }

    /// Whether whoever takes the pieces waits for the next.
    pub(super) fn is_starving(&self) -> bool {
        match &self.incoming {
            Incoming::Stream { stream, .. } => !stream.is_wanted() || stream.is_starving(),
            _ => true,
        }
    }

    /// Nothing has come for too long; the handler is told.
    pub(super) fn starve(&mut self, limit: std::time::Duration) {
        if let Incoming::Stream { stream, .. } = &self.incoming {
            let to = Some(self.peer.addr);
            stream.fail_input(crate::Error::Timeout { limit, to, may_have_run: true });
        }
    }

    /// The client is gone: handlers of streams are told, then all that still run are dropped, with what is owed after them.
    pub(super) fn hang_up(&mut self, context: &mut Context<'_>) {
        let keep = self.owed.iter().position(Owed::is_running).unwrap_or(self.owed.len());
        for mut owed in self.owed.split_off(keep) {
            if let What::Stream { stream, .. } = &owed.what {
                stream.hang_up();
                owed.poll(context);
            }
            if owed.is_running() {
                self.server.counters.cancelled.add(1);
            }
            drop_quietly(owed);
        }
    }
}
