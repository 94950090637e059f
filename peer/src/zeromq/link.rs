//! A connection after its handshake: messages in, messages out.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use grenache_engine::{Sleep, now, sleep_until};
use grenache_transports::zmtp::{Connection, Event, Peer, Version};
use grenache_transports::{Due, Heartbeat};

use super::message::Message;
use super::{Config, Met};
use crate::arena::Arena;
use crate::channel::{Channel, Received};
use crate::error::{Error, Failure};
use crate::outbox::Outbox;

/// From this length on, bytes are handed over instead of copied.
const HAND_OVER: usize = 16 * 1024;

/// From this length on, a message that was put together is taken as it is. The memory that a shorter one was put together in is
/// used again.
const LARGE: usize = 2 * 1024;

/// Bytes of answers to PINGs that the other side may leave lying before it is not read from any more.
const MAX_OWED: usize = 4096;

/// A connection after its handshake. It does not run by itself: whoever has it polls it.
///
/// What is sent is encrypted when it is handed over and leaves in that order, however large it is; what is larger than there is
/// room for leaves in pieces, with nothing in between.
pub(crate) struct Link {
    channel: Channel,
    connection: Connection,
    received: Option<Received>,
    arena: Arena,
    /// What was written and not handed over yet; empty but within a method.
    out: BytesMut,
    outbox: Outbox,
    /// Bytes of answers handed over since there was room last.
    owed: usize,
    heartbeat: Heartbeat,
    /// A PING after so much silence; [`Duration::MAX`]: never.
    interval: Duration,
    /// What our PINGs say.
    ttl: Duration,
    /// When something has to leave because a PING has promised it.
    promised: Duration,
    timer: Option<Sleep>,
    ended: Option<Error>,
}

/// What the other side says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Incoming {
    /// A message.
    Message(Message),
    /// It wants messages that begin with this.
    Subscribe(Bytes),
    /// It does not want them any more.
    Cancel(Bytes),
}

impl Link {
    pub(crate) fn new(met: Met, config: &Config) -> Link {
        let Met { channel, connection, received } = met;
        // Who speaks 3.0 does not know PINGs, but may be known to send some.
        let knows_pings = connection.peer().is_some_and(|peer| peer.version == Version::V3_1);
        let interval = if knows_pings { config.ping_interval } else { Duration::MAX };
        let ttl = interval.saturating_add(config.ping_timeout);
        Link {
            outbox: Outbox::new(channel.clone(), config.send_high_water),
            channel,
            connection,
            received,
            arena: Arena::default(),
            out: BytesMut::new(),
            owed: 0,
            heartbeat: Heartbeat::new(interval, config.ping_timeout, now()),
            interval,
            ttl,
            promised: Duration::MAX,
            timer: None,
            ended: None,
        }
    }

    /// The address of the other side.
    pub(crate) fn peer_addr(&self) -> SocketAddr {
        self.channel.peer_addr()
    }

    /// Bytes in the connection that have not left.
    #[cfg(test)]
    pub(crate) fn queued(&self) -> usize {
        self.channel.queued()
    }

    /// What the other side has said of itself; nothing once the connection has ended.
    pub(crate) fn peer(&self) -> Option<Peer<'_>> {
        self.connection.peer()
    }

    /// Waits for what comes next; meanwhile lets go what is queued, and sees to it that the other side is there.
    pub(crate) fn poll_recv(&mut self, context: &mut Context<'_>) -> Poll<Result<Incoming, Error>> {
        loop {
            if let Some(error) = &self.ended {
                return Poll::Ready(Err(error.clone()));
            }
            if let Some(received) = self.received.take() {
                if let Some(incoming) = self.read(received) {
                    return Poll::Ready(Ok(incoming));
                }
                continue;
            }
            let room = self.poll_room(context);
            if self.owed > MAX_OWED && room.is_pending() {
                ready!(self.poll_alive(context));
            } else {
                match self.channel.poll_recv(context) {
                    Poll::Ready(Ok(Some(received))) => {
                        self.heartbeat.heard(now());
                        self.received = Some(received);
                        continue;
                    }
                    Poll::Ready(Ok(None)) => {
                        self.ended = Some(Error::Closed { to: self.peer_addr() });
                        continue;
                    }
                    Poll::Ready(Err(error)) => {
                        self.ended = Some(self.broken(&error.to_string()));
                        continue;
                    }
                    Poll::Pending => ready!(self.poll_alive(context)),
                }
            }
            self.ended = Some(self.broken("it does not answer a PING"));
            self.channel.abort();
        }
    }

    /// Instead of [`poll_recv`](Self::poll_recv) while nothing more is to be received: lets go what is queued, and gives the other
    /// side signs of life.
    pub(crate) fn poll_paused(&mut self, context: &mut Context<'_>) {
        let _ = self.poll_room(context);
        // Nothing can be heard of it, so nothing can be said about it.
        while self.poll_alive(context).is_ready() {
            self.heartbeat.heard(now());
        }
    }

    /// What is at the front of what was received, if it is for the caller. What is left is kept.
    fn read(&mut self, mut received: Received) -> Option<Incoming> {
        let mut input = &received[..];
        let event = self.connection.receive(&mut input, &mut self.out);
        let mut bad = None;
        let incoming = match event {
            Ok(None) => None,
            Ok(Some(Event::Message(message))) => Some(Incoming::Message(Message::from_frames(
                match message.assembled && message.frames.len() >= LARGE {
                    true => self.connection.take_message(),
                    false => self.arena.keep(message.frames),
                },
            ))),
            Ok(Some(Event::Subscribe(prefix))) => {
                Some(Incoming::Subscribe(Bytes::copy_from_slice(prefix)))
            }
            Ok(Some(Event::Cancel(prefix))) => {
                Some(Incoming::Cancel(Bytes::copy_from_slice(prefix)))
            }
            Ok(Some(Event::Ping(ttl))) => {
                self.heartbeat.told(ttl, now());
                None
            }
            Ok(Some(Event::Refused(reason))) => {
                let reason = String::from_utf8_lossy(reason);
                bad = Some(format!("refused: {}", reason.escape_debug()));
                None
            }
            // They come of a handshake only.
            Ok(Some(Event::Credentials(_) | Event::Ready(_))) => None,
            Err(error) => {
                bad = Some(error.to_string());
                None
            }
        };
        let left = input.len();
        if left > 0 {
            received.advance(received.len() - left);
            self.received = Some(received);
        }
        self.owed += self.out.len();
        self.hand_over();
        if let Some(why) = bad {
            self.ended = Some(self.broken(&why));
            self.channel.shutdown();
        }
        incoming
    }

    /// Ready if the other side is taken for dead. Sends PINGs that are due.
    fn poll_alive(&mut self, context: &mut Context<'_>) -> Poll<()> {
        loop {
            match self.heartbeat.due(now()) {
                // What is on its way may be a large message, whose pieces it takes.
                Due::Dead if self.outbox.has_moved() => self.heartbeat.heard(now()),
                Due::Dead => return Poll::Ready(()),
                Due::Ping => self.ping(),
                Due::Nothing if now() >= self.promised => self.ping(),
                Due::Nothing => {}
            }
            let next = self.heartbeat.next().min(self.promised);
            // A timer that comes too early is set again then; so most messages leave it as it is.
            if self.timer.as_ref().is_none_or(|timer| timer.deadline() > next) {
                self.timer = Some(sleep_until(next));
            }
            let timer = self.timer.get_or_insert_with(|| sleep_until(next));
            ready!(Pin::new(timer).poll(context));
            self.timer = None;
        }
    }

    /// Queues a message, however much is queued: see [`is_full`](Self::is_full).
    pub(crate) fn send(&mut self, message: &Message) {
        if self.connection.is_encrypted() {
            // It is not ready only once it has ended, which whoever receives is told.
            let _ = message.seal(&mut self.connection, &mut self.out);
            return self.say();
        }
        for frames in message.frames() {
            if frames.len() < HAND_OVER && !self.outbox.has_large() {
                self.outbox.small.extend_from_slice(frames);
            } else {
                self.outbox.push(frames.clone());
            }
        }
        self.say();
    }

    /// Asks for messages that begin with `prefix`.
    pub(crate) fn subscribe(&mut self, prefix: &[u8]) {
        let _ = self.connection.subscribe(prefix, &mut self.out);
        self.say();
    }

    /// Asks for them no more.
    pub(crate) fn cancel(&mut self, prefix: &[u8]) {
        let _ = self.connection.cancel(prefix, &mut self.out);
        self.say();
    }

    /// Sends a PING, but not to whoever speaks 3.0.
    pub(crate) fn ping(&mut self) {
        let ttl = self.ttl;
        if let Ok(true) = self.connection.ping(ttl, &mut self.out) {
            self.say();
            if !ttl.is_zero() {
                self.promised = now().saturating_add(self.interval);
            }
        }
    }

    /// Ready once a [`ping`](Self::ping) was answered, so that what was sent before it is known to the other side. Of one that
    /// speaks 3.0 and answers none: once all has left. Whoever waits for it has to [receive](Self::poll_recv).
    pub(crate) fn poll_known(&mut self, context: &mut Context<'_>) -> Poll<()> {
        match self.connection.peer().map(|peer| peer.version) {
            Some(Version::V3_1) if self.connection.pongs() > 0 => Poll::Ready(()),
            Some(Version::V3_0) => self.poll_empty(context).map(drop),
            _ => Poll::Pending,
        }
    }

    /// Whether nothing more should be sent now.
    pub(crate) fn is_full(&self) -> bool {
        self.outbox.is_full()
    }

    /// Lets go what is queued. Ready when there is room for more, or the connection has broken.
    pub(crate) fn poll_room(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        // One that has broken takes everything, and nothing comes of it.
        ready!(pin!(self.channel.drained(usize::MAX)).poll(context))?;
        loop {
            self.outbox.flush();
            if !self.outbox.is_full() {
                self.owed = 0;
                return Poll::Ready(Ok(()));
            }
            ready!(self.outbox.poll_room(context))?;
        }
    }

    /// Ready when all that was sent has left.
    pub(crate) fn poll_empty(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        loop {
            self.outbox.flush();
            if self.outbox.has_large() {
                ready!(self.outbox.poll_room(context))?;
            } else {
                return self.outbox.poll_empty(context);
            }
        }
    }

    /// Something of ours is to leave.
    fn say(&mut self) {
        self.promised = Duration::MAX;
        self.hand_over();
    }

    /// Gives the connection what was written.
    fn hand_over(&mut self) {
        if self.out.len() >= HAND_OVER || (self.outbox.has_large() && !self.out.is_empty()) {
            self.outbox.push(self.out.split().freeze());
        } else if !self.out.is_empty() {
            self.outbox.small.extend_from_slice(&self.out);
            self.out.clear();
        }
        self.outbox.flush();
    }

    fn broken(&self, why: &str) -> Error {
        Error::Request { to: self.peer_addr(), failure: Failure::Broken(why.into()) }
    }
}
