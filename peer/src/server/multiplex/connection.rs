//! One connection: reads messages, begins what they ask for, writes answers as they come.

use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use grenache_engine::{Sleep, now, sleep_until};
use grenache_transports::http::Headers;
use grenache_transports::ws::code;
use grenache_transports::{Due, Heartbeat};

use super::calls::Calls;
use super::wire::{Event, Leave, Ready, Wire};
use crate::channel::{Channel, Received};
use crate::json::Json;
use crate::outbox::Outbox;
use crate::publish::{Form, Seat};
use crate::server::Server;
use crate::server::dispatch::{NOT_FOUND, PARSE};
use crate::server::held::Held;
use crate::server::owed::{self, Flight, drop_quietly, poll_work};
use crate::server::patience::{Patience, Wait};
use crate::server::reply::Reply;
use crate::server::request::{Origin, Peer, Request, Visitor};
use crate::server::services::Found;
use crate::zeromq::Sealer;

/// What a client is told who asks for a stream.
const STREAM: &str = "ERR_STREAM_HTTP: this service is streamed, which takes HTTP";

/// A connection of a server that speaks `W`.
pub(in crate::server) struct Connection<W: Wire> {
    server: Rc<Server>,
    channel: Channel,
    origin: Origin,
    wire: W,
    /// Received, and not looked at because the client does not take its answers.
    rest: Option<Received>,
    /// Bytes of the message that is coming.
    held: Held,
    calls: Calls<W::Back>,
    outbox: Outbox,
    /// It listens to what is published.
    seat: Option<Rc<Seat>>,
    heartbeat: Heartbeat,
    /// When the next ping has to come at the latest, whatever the other side says.
    promised: Duration,
    timer: Option<Sleep>,
    patience: Patience,
    /// Our last word is written; what is queued has to leave.
    leaving: bool,
    /// It is over, in good order or because of the client.
    over: bool,
}

enum Read {
    /// The client has sent no more.
    Waiting,
    /// There is no room for more.
    Full,
    /// The client has gone.
    Gone,
}

/// Whether it goes on.
enum Next {
    GoOn,
    Over,
}

impl<W: Wire> Connection<W> {
    /// `received` is what has come of it so far.
    pub(in crate::server) fn new(
        server: Rc<Server>,
        channel: Channel,
        origin: Origin,
        wire: W,
        received: Option<Received>,
    ) -> Connection<W> {
        let config = &server.config;
        Connection {
            wire,
            origin,
            rest: received,
            held: Held::none(server.counters.clone()),
            calls: Calls::new(server.counters.clone()),
            outbox: Outbox::new(channel.clone(), config.write_high_water),
            seat: None,
            heartbeat: Heartbeat::new(config.ping_interval, config.ping_timeout, now()),
            promised: Duration::MAX,
            timer: None,
            patience: Patience::default(),
            leaving: false,
            over: false,
            channel,
            server,
        }
    }

    /// It listens to what is published.
    pub(in crate::server) fn subscribe(&mut self, form: Form, sealer: Option<Sealer>) {
        let audience = self.server.audience.as_ref();
        self.seat = audience.map(|audience| audience.seat(self.channel.clone(), form, sealer));
    }

    pub(in crate::server) fn poll(&mut self, context: &mut Context<'_>) -> Poll<()> {
        if self.server.is_aborting() {
            return Poll::Ready(());
        }
        self.calls.wake_by(context);
        loop {
            // Idle connections keep no buffer: one serves all connections of a core.
            std::mem::swap(&mut self.outbox.small, &mut self.server.scratch.borrow_mut());
            let next = self.turn(context);
            self.outbox.flush();
            std::mem::swap(&mut self.outbox.small, &mut self.server.scratch.borrow_mut());
            match next {
                Next::GoOn if self.watch(context) => {}
                Next::GoOn if self.over => return Poll::Ready(()),
                Next::GoOn => return Poll::Pending,
                Next::Over => {
                    self.over = true;
                    return Poll::Ready(());
                }
            }
        }
    }

    /// Does all that can be done now.
    fn turn(&mut self, context: &mut Context<'_>) -> Next {
        loop {
            let read = self.read(context);
            if matches!(read, Read::Gone) {
                return Next::Over;
            }
            self.answer();
            self.outbox.flush();
            if self.outbox.has_moved() {
                self.progress();
            }
            if let Some(seat) = &self.seat {
                seat.hold(self.outbox.has_large());
                let overflown = seat.poll(&mut self.outbox, context);
                if seat.has_moved() {
                    self.progress();
                }
                if overflown {
                    self.leave(Leave::new(code::POLICY, "messages are not read fast enough"));
                }
            }
            if matches!(read, Read::Full) && self.can_read() {
                continue;
            }
            if self.leaving && !self.outbox.has_large() {
                self.outbox.flush();
                self.channel.shutdown();
                return match self.outbox.poll_empty(context) {
                    Poll::Ready(_) => Next::Over,
                    Poll::Pending => Next::GoOn,
                };
            }
            if !self.outbox.is_full() {
                return Next::GoOn;
            }
            match self.outbox.poll_room(context) {
                Poll::Ready(Ok(())) => self.progress(),
                Poll::Ready(Err(_)) => return Next::Over,
                Poll::Pending => return Next::GoOn,
            }
        }
    }

    /// The client has taken something of what there is for it: it is alive, even if it says nothing meanwhile.
    fn progress(&mut self) {
        self.patience.renew();
        self.heartbeat.heard(now());
    }

    fn can_read(&self) -> bool {
        !self.leaving && !self.outbox.is_full()
    }

    /// Begins every request that has come, and answers those that are done at once.
    fn read(&mut self, context: &mut Context<'_>) -> Read {
        while self.can_read() {
            let mut received = match self.rest.take() {
                Some(rest) => rest,
                None => match self.channel.poll_recv(context) {
                    Poll::Pending => return Read::Waiting,
                    Poll::Ready(Ok(Some(received))) => {
                        self.heartbeat.heard(now());
                        self.patience.renew_by_bytes();
                        received
                    }
                    Poll::Ready(_) => return Read::Gone,
                },
            };
            let mut input = &mut received[..];
            while self.can_read() {
                match self.wire.receive(&mut input, &mut self.outbox.small) {
                    Ok(None) => break,
                    Ok(Some(event)) => self.take(event, context),
                    Err(leave) => {
                        self.server.counters.malformed.add(1);
                        let peer = self.origin.peer.addr;
                        tracing::debug!(%peer, reason = leave.reason, "cannot go on");
                        self.leave(leave);
                    }
                }
            }
            let left = input.len();
            if left > 0 {
                received.advance(received.len() - left);
                self.rest = Some(received);
            }
            if !self.held.resize(self.wire.buffered(), self.server.config.max_held) {
                self.leave(Leave::new(code::TRY_LATER, "too much is held in memory"));
            }
        }
        Read::Full
    }

    fn take(&mut self, event: Event<W::Back>, context: &mut Context<'_>) {
        match event {
            Event::Message(message, back) => {
                self.patience.renew();
                self.message(message, back, context);
            }
            Event::Ready(ready) => self.ready(ready),
            Event::Subscribe(prefix) => {
                self.patience.renew();
                // What is kept for it is sent at once, and may be encrypted by number: what was written before goes first.
                self.outbox.flush();
                if self.seat.as_ref().is_some_and(|seat| seat.subscribe(&prefix).is_err()) {
                    self.server.counters.malformed.add(1);
                    let why = "a topic that is too long, or too many of them";
                    self.leave(Leave::new(code::POLICY, why));
                }
            }
            Event::Cancel(prefix) => {
                self.patience.renew();
                if let Some(seat) = &self.seat {
                    seat.cancel(&prefix);
                }
            }
            Event::Told(ttl) => self.heartbeat.told(ttl, now()),
            Event::End(leave) => self.leave(leave),
        }
    }

    /// It is known who the other side is, and what for it has come.
    fn ready(&mut self, ready: Ready) {
        let Ready { key, user, subscribes } = ready;
        self.patience.renew();
        let Peer { addr, certificate, .. } = &*self.origin.peer;
        let peer = Rc::new(Peer { addr: *addr, certificate: certificate.clone(), key, user });
        self.origin = Origin { peer, lines: Bytes::new() };
        let visitor =
            Visitor { peer: &self.origin.peer, target: "", headers: Headers::from_bytes(&[]) };
        if !self.server.admits(&visitor) {
            return self.leave(Leave::new(code::POLICY, "this client is not let in"));
        }
        let Some((form, sealer)) = subscribes else { return };
        if self.server.audience.as_ref().is_none_or(|audience| audience.is_full()) {
            self.server.counters.refused.add(1);
            return self.leave(Leave::new(code::TRY_LATER, "too many subscribers"));
        }
        self.subscribe(form, sealer);
    }

    /// A request has come.
    fn message(&mut self, message: Bytes, back: W::Back, context: &mut Context<'_>) {
        // From here on it is counted as a request in hand.
        self.held.resize(0, 0);
        let out = &mut self.outbox;
        let Ok(request) = W::decode(&message, &back) else {
            self.server.counters.malformed.add(1);
            return self.wire.write_reply(out, &Json::null(), &back, &Err(PARSE.to_owned()));
        };
        let rid = request.rid;
        let (server, payload) = (self.server.clone(), request.payload);
        let refusal = match server.services.find(&request.key, false) {
            Some(Found::Handler(service, handler)) => {
                let Some(flight) = self.flight(message.len()) else {
                    return self.wire.write_busy(&mut self.outbox, &rid, &back);
                };
                let origin = self.origin.clone();
                let request = Request { service, rid: rid.clone(), payload, origin };
                let mut work = owed::begin(&server.counters, || handler(request));
                return match poll_work(&mut work, &server.counters, context) {
                    Poll::Pending => self.calls.run((rid, back), work, flight),
                    Poll::Ready(outcome) => {
                        drop_quietly(work);
                        self.write(&rid, &back, &outcome);
                    }
                };
            }
            Some(Found::Stream(..)) => STREAM,
            None => NOT_FOUND,
        };
        self.wire.write_reply(out, &rid, &back, &Err(refusal.to_owned()));
    }

    /// Writes what a handler gave.
    fn write(&mut self, rid: &Json, back: &W::Back, outcome: &Result<Reply, String>) {
        match outcome {
            Ok(Reply { busy: true, .. }) => self.wire.write_busy(&mut self.outbox, rid, back),
            outcome => self.wire.write_reply(&mut self.outbox, rid, back, outcome),
        }
    }

    /// A place among the requests in hand.
    fn flight(&self, bytes: usize) -> Option<Flight> {
        let server = &self.server;
        if server.grace_is_over() || self.calls.running() >= server.config.max_concurrent {
            server.counters.refused.add(1);
            return None;
        }
        Flight::take(&server.counters, &server.config, bytes)
    }

    /// Writes what has become known, and what the protocol owes.
    fn answer(&mut self) {
        while !self.outbox.is_full() && !self.leaving {
            let Some(((rid, back), outcome)) = self.calls.done() else { break };
            self.write(&rid, &back, &outcome);
        }
        if !self.outbox.is_full() && !self.leaving {
            self.wire.write_owed(&mut self.outbox.small);
        }
    }

    /// Says why it ends, once. Nothing is read any more.
    fn leave(&mut self, leave: Leave) {
        if !std::mem::replace(&mut self.leaving, true) {
            self.wire.write_end(&mut self.outbox, &leave);
            // Nobody waits for them any more.
            self.calls = Calls::new(self.server.counters.clone());
            self.seat = None;
        }
    }

    /// Sees to it that no wait lasts for ever. True if something is to be done.
    fn watch(&mut self, context: &mut Context<'_>) -> bool {
        if self.over {
            return false;
        }
        // Whoever asks in time is answered; then it ends, whatever else may come.
        if !self.leaving && self.server.grace_is_over() && self.calls.is_empty() {
            self.leave(Leave::new(code::GOING_AWAY, "the server goes down"));
            self.outbox.flush();
            return true;
        }
        if let Some(wait) = self.waits_for() {
            if self.patience.is_over(wait, &self.server.config, context) {
                return self.expire(wait);
            }
        } else {
            self.patience.renew();
        }
        !self.leaving && self.is_silent(context)
    }

    fn waits_for(&self) -> Option<Wait> {
        if self.leaving || self.is_behind() {
            return Some(Wait::Reader);
        }
        if !self.wire.is_ready() {
            return Some(Wait::Handshake);
        }
        self.wire.is_within().then_some(Wait::Request)
    }

    /// The client does not take what there is for it.
    fn is_behind(&self) -> bool {
        self.outbox.is_full() || self.seat.as_ref().is_some_and(|seat| seat.is_behind())
    }

    /// The time is up. True if something is to be done about it.
    fn expire(&mut self, wait: Wait) -> bool {
        match wait {
            Wait::Request | Wait::Handshake => {
                self.server.counters.malformed.add(1);
                self.leave(Leave::new(code::POLICY, "not complete in time"));
                self.outbox.flush();
                true
            }
            Wait::Reader | Wait::Idle | Wait::Draining | Wait::Piece => {
                self.channel.abort();
                self.over = true;
                false
            }
        }
    }

    /// Pings a client that says nothing, and gives up one that does not answer. True if something is to be done.
    fn is_silent(&mut self, context: &mut Context<'_>) -> bool {
        if self.is_behind() {
            // There is a limit for clients that do not read.
            return false;
        }
        let now = now();
        let due = match self.heartbeat.due(now) {
            Due::Nothing if now >= self.promised => Due::Ping,
            due => due,
        };
        match due {
            Due::Ping => {
                if self.wire.write_ping(&mut self.outbox.small) {
                    self.outbox.flush();
                    if W::PROMISES {
                        self.promised = now.saturating_add(self.server.config.ping_interval);
                    }
                } else {
                    // It cannot be asked; that it is silent says nothing.
                    self.heartbeat.heard(now);
                }
            }
            Due::Dead => {
                tracing::debug!(peer = %self.origin.peer.addr, "does not answer a ping");
                self.channel.abort();
                self.over = true;
                return false;
            }
            Due::Nothing => {}
        }
        let mut next = self.heartbeat.next().min(self.promised);
        if let Some(end) = self.server.grace_end().filter(|end| *end > now) {
            next = next.min(end);
        }
        // A timer that comes too early is set again then; so most messages leave it as it is.
        let set = |timer: &Sleep| timer.deadline() > now && timer.deadline() <= next;
        if !self.timer.as_ref().is_some_and(set) {
            let timer = self.timer.insert(sleep_until(next));
            let _not_yet = Pin::new(timer).poll(context);
        }
        false
    }
}

impl<W: Wire> Drop for Connection<W> {
    fn drop(&mut self) {
        if !self.over {
            self.channel.abort();
        }
    }
}
