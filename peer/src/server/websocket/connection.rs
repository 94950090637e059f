//! One WebSocket: reads messages, begins what they ask for, writes answers as they come.

use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use bytes::{Bytes, BytesMut};
use grenache_engine::{Sleep, now, sleep_until};
use grenache_transports::ws::{self, Close, Deflater, Event, Kind, Role, code, frame};
use grenache_transports::{Due, Heartbeat};

use super::calls::Calls;
use super::upgrade::{Topical, Upgrade};
use crate::channel::{Channel, Received};
use crate::envelope;
use crate::json::Json;
use crate::outbox::Outbox;
use crate::publish::Seat;
use crate::server::Server;
use crate::server::dispatch::{NOT_FOUND, PARSE};
use crate::server::held::Held;
use crate::server::owed::{self, Flight, drop_quietly, poll_work};
use crate::server::patience::{Patience, Wait};
use crate::server::reply::{self, HAND_OVER, Reply};
use crate::server::request::{Origin, Request};
use crate::server::services::Found;
use crate::websocket::Arena;

/// What a client is told who asks for a stream.
const STREAM: &str = "ERR_STREAM_HTTP: this service is streamed, which takes HTTP";

/// A WebSocket of a server.
pub(in crate::server) struct Connection {
    server: Rc<Server>,
    channel: Channel,
    origin: Origin,
    decoder: ws::Connection,
    deflater: Option<Deflater>,
    /// Received, and not looked at because the client does not take its answers.
    rest: Option<Received>,
    arena: Arena,
    /// Bytes of the message that is coming.
    held: Held,
    calls: Calls,
    outbox: Outbox,
    /// It listens to what is published.
    seat: Option<Rc<Seat>>,
    /// The ping that is to be answered.
    pinged: Option<Bytes>,
    heartbeat: Heartbeat,
    timer: Option<Sleep>,
    patience: Patience,
    /// Our close frame is written; what is queued has to leave.
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

impl Connection {
    /// `received` is what came after the request for it.
    pub(in crate::server) fn new(
        server: Rc<Server>,
        channel: Channel,
        upgrade: Upgrade,
        received: Option<Received>,
    ) -> Connection {
        let config = &server.config;
        let max_message = usize::try_from(config.max_body).unwrap_or(usize::MAX);
        let limits =
            ws::Config { max_frame: config.max_body, max_message, ..ws::Config::default() };
        let mut decoder = ws::Connection::new(Role::Server, limits);
        if let Some(agreed) = upgrade.deflate {
            decoder.inflate(agreed);
        }
        let audience = server.audience.as_ref().zip(upgrade.subscribes);
        Connection {
            decoder,
            deflater: upgrade.deflate.map(|agreed| Deflater::new(Role::Server, agreed)),
            origin: upgrade.origin,
            rest: received,
            arena: Arena::default(),
            held: Held::none(server.counters.clone()),
            calls: Calls::new(server.counters.clone()),
            outbox: Outbox::new(channel.clone(), config.write_high_water),
            seat: audience
                .map(|(audience, Topical(topical))| audience.seat(channel.clone(), topical)),
            pinged: None,
            heartbeat: Heartbeat::new(config.ping_interval, config.ping_timeout, now()),
            timer: None,
            patience: Patience::default(),
            leaving: false,
            over: false,
            channel,
            server,
        }
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
                    self.leave(code::POLICY, "messages are not read fast enough");
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
                match self.decoder.receive(&mut input) {
                    Ok(None) => break,
                    Ok(Some(Event::Message(message))) => {
                        let message = match message.assembled {
                            true => self.decoder.take_message(),
                            false => self.arena.keep(message.data),
                        };
                        self.patience.renew();
                        self.message(message, context);
                    }
                    // If several wait, the last one's answer will do (RFC 6455 section 5.5.3).
                    Ok(Some(Event::Ping(payload))) => {
                        self.pinged = Some(Bytes::copy_from_slice(payload));
                    }
                    Ok(Some(Event::Pong(_))) => {}
                    Ok(Some(Event::Close(close))) => {
                        let (code, reason) =
                            close.map_or((code::NORMAL, ""), |close| (close.code, close.reason));
                        let reason = reason.to_owned();
                        self.leave(code, &reason);
                    }
                    Err(error) => {
                        self.server.counters.malformed.add(1);
                        let peer = self.origin.peer.addr;
                        tracing::debug!(%peer, %error, "bad frame");
                        self.leave(error.close_code(), error.text());
                    }
                }
            }
            let left = input.len();
            if left > 0 {
                received.advance(received.len() - left);
                self.rest = Some(received);
            }
            if !self.held.resize(self.decoder.buffered(), self.server.config.max_held) {
                self.leave(code::TRY_LATER, "too much is held in memory");
            }
        }
        Read::Full
    }

    /// A message has come.
    fn message(&mut self, message: Bytes, context: &mut Context<'_>) {
        // From here on it is counted as a request in hand.
        self.held.resize(0, 0);
        if let Some(seat) = &self.seat {
            // Others say nothing that matters; Node's publisher does not listen either.
            if seat.is_topical() && seat.change(&message).is_err() {
                self.server.counters.malformed.add(1);
                self.leave(code::POLICY, "neither +PREFIX nor -PREFIX, or too many of them");
            }
            return;
        }
        let Ok(request) = envelope::decode_request(&message) else {
            self.server.counters.malformed.add(1);
            return self.write(&Json::null(), &Err(PARSE.to_owned()));
        };
        let rid = request.rid;
        let (server, payload) = (self.server.clone(), request.payload);
        let (service, handler) = match server.services.find(&request.key, false) {
            Some(Found::Handler(service, handler)) => (service, handler),
            Some(Found::Stream(..)) => return self.write(&rid, &Err(STREAM.to_owned())),
            None => return self.write(&rid, &Err(NOT_FOUND.to_owned())),
        };
        let Some(flight) = self.flight(message.len()) else { return self.write_busy(&rid) };
        let origin = self.origin.clone();
        let request = Request { service, rid: rid.clone(), payload, origin };
        let mut work = owed::begin(&server.counters, || handler(request));
        match poll_work(&mut work, &server.counters, context) {
            Poll::Pending => self.calls.run(rid, work, flight),
            Poll::Ready(outcome) => {
                drop_quietly(work);
                self.write(&rid, &outcome);
            }
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

    /// Writes what has become known, and the answer to a ping.
    fn answer(&mut self) {
        while !self.outbox.is_full() && !self.leaving {
            let Some((rid, outcome)) = self.calls.done() else { break };
            self.write(&rid, &outcome);
        }
        if !self.outbox.is_full()
            && !self.leaving
            && let Some(payload) = self.pinged.take()
        {
            frame::write_pong(&mut self.outbox.small, None, &payload);
        }
    }

    fn write(&mut self, rid: &Json, outcome: &Result<Reply, String>) {
        if let (None, Ok(Reply(result))) = (&self.deflater, outcome) {
            // `[rid,null,result]`
            let length = rid.as_bytes().len() + result.as_bytes().len() + 8;
            if length < HAND_OVER {
                let small = &mut self.outbox.small;
                frame::write_message_header(small, Kind::Text, length);
                return envelope::encode_reply(small, rid, Ok(result));
            }
        }
        self.write_message(reply::envelope(rid, outcome));
    }

    fn write_busy(&mut self, rid: &Json) {
        let mut body = BytesMut::new();
        envelope::encode_busy(&mut body, rid);
        self.write_message(body.freeze());
    }

    fn write_message(&mut self, body: Bytes) {
        if let Some(deflater) = &mut self.deflater {
            let mut frame = BytesMut::new();
            deflater.write_message(&mut frame, Kind::Text, None, &body);
            return self.outbox.push(frame.freeze());
        }
        frame::write_message_header(&mut self.outbox.small, Kind::Text, body.len());
        self.outbox.push(body);
    }

    /// Says why it ends, once. Nothing is read any more.
    fn leave(&mut self, code: u16, reason: &str) {
        if !std::mem::replace(&mut self.leaving, true) {
            let mut frame = BytesMut::new();
            frame::write_close(&mut frame, None, Some(Close { code, reason }));
            // After a large message that is on its way.
            self.outbox.push(frame.freeze());
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
            self.leave(code::GOING_AWAY, "the server goes down");
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
        self.decoder.is_within().then_some(Wait::Request)
    }

    /// The client does not take what there is for it.
    fn is_behind(&self) -> bool {
        self.outbox.is_full() || self.seat.as_ref().is_some_and(|seat| seat.is_behind())
    }

    /// The time is up. True if something is to be done about it.
    fn expire(&mut self, wait: Wait) -> bool {
        match wait {
            Wait::Request => {
                self.server.counters.malformed.add(1);
                self.leave(code::POLICY, "message not complete in time");
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
        match self.heartbeat.due(now) {
            Due::Ping => {
                frame::write_ping(&mut self.outbox.small, None, b"");
                self.outbox.flush();
            }
            Due::Dead => {
                tracing::debug!(peer = %self.origin.peer.addr, "does not answer a ping");
                self.channel.abort();
                self.over = true;
                return false;
            }
            Due::Nothing => {}
        }
        let mut next = self.heartbeat.next();
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

impl Drop for Connection {
    fn drop(&mut self) {
        if !self.over {
            self.channel.abort();
        }
    }
}
