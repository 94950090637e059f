//! One connection with requests under way in any number.

use std::cell::{Cell, RefCell};
use std::future::{Future, poll_fn};
use std::io;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use grenache_engine::{Sleep, now, sleep_until};
use grenache_transports::ws::{self, Close, Deflater, Event, Kind, code, frame};
use grenache_transports::{Due, Heartbeat};

use super::Config;
use super::arena::Arena;
use super::backlog::Backlog;
use super::connect::Upgraded;
use super::masks::Masks;
use super::pending::{Pending, Slot, Unanswered};
use crate::channel::{Channel, Received};
use crate::envelope::{self, Reply, Rid};
use crate::error::Failure;
use crate::http::Failed;

/// A request up to this many bytes is written at once.
const SMALL: usize = 16 * 1024;

/// A connection to a worker. Requests are written by those who make them; [`Reader`], a task, gives them their answers.
pub(super) struct Connection {
    channel: Channel,
    masks: Rc<Masks>,
    deflater: RefCell<Option<Deflater>>,
    pending: Pending,
    backlog: RefCell<Backlog>,
    high_water: usize,
    scratch: RefCell<BytesMut>,
    /// Bytes given to the channel, as they are counted there.
    given: Cell<u64>,
    /// Why it takes no more requests.
    ended: RefCell<Option<Failed>>,
    /// A request was answered on it.
    used: Cell<bool>,
    /// When something was asked last.
    asked: Cell<Duration>,
    /// It closes once nothing is under way.
    draining: Cell<bool>,
    /// What is queued must not leave any more.
    torn: Cell<bool>,
    reader: RefCell<Waker>,
}

impl Connection {
    /// A connection after its handshake, and what reads from it.
    pub(super) fn new(
        upgraded: Upgraded,
        masks: Rc<Masks>,
        config: &Config,
    ) -> (Rc<Connection>, Reader) {
        let Upgraded { channel, decoder, deflater, received, .. } = upgraded;
        let connection = Rc::new(Connection {
            channel,
            masks,
            deflater: RefCell::new(deflater),
            pending: Pending::default(),
            backlog: RefCell::default(),
            high_water: config.send_high_water.max(1),
            scratch: RefCell::default(),
            given: Cell::new(0),
            ended: RefCell::default(),
            used: Cell::new(false),
            asked: Cell::new(now()),
            draining: Cell::new(false),
            torn: Cell::new(false),
            reader: RefCell::new(Waker::noop().clone()),
        });
        let reader = Reader {
            connection: connection.clone(),
            decoder,
            received,
            arena: Arena::default(),
            heartbeat: Heartbeat::new(config.ping_interval, config.ping_timeout, now()),
            idle_timeout: config.idle_timeout,
            max_message: config.max_message,
            taken: 0,
            timer: None,
        };
        (connection, reader)
    }

    /// Whether it takes requests.
    pub(super) fn is_open(&self) -> bool {
        self.ended.borrow().is_none()
    }

    /// Whether a request was answered on it.
    pub(super) fn is_used(&self) -> bool {
        self.used.get()
    }

    /// Requests under way.
    pub(super) fn load(&self) -> usize {
        self.pending.len()
    }

    #[cfg(test)]
    pub(super) fn queued(&self) -> usize {
        self.channel.queued() + self.backlog.borrow().len()
    }

    /// Sends a request, or has it wait until there is room.
    pub(super) fn ask(self: &Rc<Self>, rid: Rid, body: &Bytes) -> Asked {
        self.asked.set(now());
        let slot = self.pending.add(rid);
        let mut backlog = self.backlog.borrow_mut();
        if body.len() <= SMALL && backlog.is_empty() && self.channel.queued() < self.high_water {
            slot.begin(self.given.get());
            self.write(|out| self.encode(out, body));
        } else {
            backlog.push(rid, body.clone());
            self.reader.borrow().wake_by_ref();
        }
        Asked { connection: self.clone(), rid, slot }
    }

    fn encode(&self, out: &mut BytesMut, body: &[u8]) {
        let mask = Some(self.masks.draw());
        match &mut *self.deflater.borrow_mut() {
            Some(deflater) => deflater.write_message(out, Kind::Text, mask, body),
            None => frame::write_message(out, Kind::Text, mask, body),
        }
    }

    /// Gives the channel what `write` writes.
    fn write(&self, write: impl FnOnce(&mut BytesMut)) {
        let mut out = self.scratch.borrow_mut();
        out.clear();
        write(&mut out);
        self.counted(|channel| channel.write(&out));
    }

    /// Lets `act` queue bytes, TLS's own among them, and counts them.
    fn counted<T>(&self, act: impl FnOnce(&Channel) -> T) -> T {
        let before = self.channel.queued();
        let result = act(&self.channel);
        let more = self.channel.queued().saturating_sub(before);
        self.given.set(self.given.get() + more as u64);
        result
    }

    /// Bytes that the kernel has taken.
    fn taken(&self) -> u64 {
        self.given.get().saturating_sub(self.channel.queued() as u64)
    }

    /// Closes it once nothing is under way.
    pub(super) fn drain(&self) {
        self.draining.set(true);
        self.reader.borrow().wake_by_ref();
    }

    /// Lets go what waits, as far as there is room.
    fn pump(&self, context: &mut Context<'_>) -> io::Result<()> {
        let mut backlog = self.backlog.borrow_mut();
        while !backlog.is_empty() {
            match pin!(self.channel.drained(self.high_water)).poll(context) {
                Poll::Ready(room) => room?,
                Poll::Pending => break,
            }
            let next = backlog.next(|rid, body| {
                self.pending.begin(rid, self.given.get());
                let mut out = BytesMut::new();
                self.encode(&mut out, body);
                out.freeze()
            });
            let Some(piece) = next else { break };
            self.counted(|channel| match piece.len() {
                ..=SMALL => channel.write(&piece),
                _ => channel.send(piece),
            });
        }
        Ok(())
    }

    /// Says that it is over, and why, and takes no more requests. Those under way get no answer.
    pub(super) fn close(&self, code: u16, failed: Failed) {
        if self.end(failed) && !self.torn.get() {
            let close = Close { code, reason: "" };
            self.write(|out| frame::write_close(out, Some(self.masks.draw()), Some(close)));
            self.reader.borrow().wake_by_ref();
        }
    }

    /// Takes no more requests. Those under way get no answer. False if it had ended before.
    fn end(&self, failed: Failed) -> bool {
        let first = self.is_open();
        self.ended.borrow_mut().get_or_insert_with(|| failed.clone());
        let mut backlog = self.backlog.borrow_mut();
        // In the middle of a frame there is no place for another, and what was said not to have left has to stay.
        let unsent = self.pending.fail(&failed, self.taken());
        self.torn.set(self.torn.get() || unsent || backlog.is_within());
        backlog.clear();
        first
    }

    /// Writes a control frame. If there are many that the other side does not take, it needs no more of them.
    fn write_control(&self, write: impl FnOnce(&mut BytesMut, Option<ws::Mask>)) {
        let mask = Some(self.masks.draw());
        let mut backlog = self.backlog.borrow_mut();
        if !backlog.is_within() {
            if self.channel.queued() < self.high_water {
                self.write(|out| write(out, mask));
            }
        } else if backlog.control().len() < SMALL {
            write(backlog.control(), mask);
        }
    }
}

/// A request under way. Dropping it gives it up.
pub(super) struct Asked {
    connection: Rc<Connection>,
    rid: Rid,
    slot: Rc<Slot>,
}

impl Asked {
    /// Ready when there is an answer, or none will come.
    pub(super) fn poll(&self, context: &mut Context<'_>) -> Poll<Result<Reply, Unanswered>> {
        self.slot.poll(context)
    }

    /// Whether it leaves, or has left. If not, it will not once this is dropped.
    pub(super) fn has_begun(&self) -> bool {
        !self.slot.is_waiting()
    }
}

impl Drop for Asked {
    fn drop(&mut self) {
        let Asked { connection, rid, slot } = self;
        if !slot.is_done() {
            connection.pending.remove(rid);
            if slot.is_waiting() {
                connection.backlog.borrow_mut().remove(rid);
            }
        }
        if connection.draining.get() && connection.load() == 0 {
            connection.reader.borrow().wake_by_ref();
        }
    }
}

/// Reads the answers of a connection.
pub(super) struct Reader {
    connection: Rc<Connection>,
    decoder: ws::Connection,
    received: Option<Received>,
    arena: Arena,
    heartbeat: Heartbeat,
    idle_timeout: Duration,
    max_message: usize,
    /// Bytes that the kernel had taken when that was a sign of life.
    taken: u64,
    timer: Option<Sleep>,
}

impl Reader {
    /// Reads until the connection is over.
    pub(super) async fn run(mut self) {
        poll_fn(|context| self.poll(context)).await;
    }

    fn poll(&mut self, context: &mut Context<'_>) -> Poll<()> {
        let connection = self.connection.clone();
        {
            let mut reader = connection.reader.borrow_mut();
            if !reader.will_wake(context.waker()) {
                *reader = context.waker().clone();
            }
        }
        loop {
            let room = connection.pump(context);
            if !connection.is_open() {
                match connection.torn.get() {
                    true => connection.channel.abort(),
                    // What is queued leaves, with the close frame at its end.
                    false => connection.channel.shutdown(),
                }
                return Poll::Ready(());
            }
            if let Err(error) = room {
                connection.end(Failed::broken(&error, true, connection.used.get()));
                continue;
            }
            let received = match self.received.take() {
                Some(received) => Poll::Ready(Ok(Some(received))),
                None => connection.counted(|channel| channel.poll_recv(context)),
            };
            match received {
                Poll::Ready(Ok(Some(received))) => {
                    self.heartbeat.heard(now());
                    self.read(received);
                }
                Poll::Ready(Ok(None)) => drop(connection.end(Failed::Closed)),
                Poll::Ready(Err(error)) => {
                    connection.end(Failed::broken(&error, true, connection.used.get()));
                }
                Poll::Pending if self.poll_time(context).is_pending() => return Poll::Pending,
                Poll::Pending => {}
            }
        }
    }

    /// Gives answers to those they are for.
    fn read(&mut self, mut received: Received) {
        let connection = &*self.connection;
        let mut input = &mut received[..];
        loop {
            match self.decoder.receive(&mut input) {
                Ok(None) => return,
                Ok(Some(Event::Message(message))) => {
                    let message = match message.assembled {
                        true => self.decoder.take_message(),
                        false => self.arena.keep(message.data),
                    };
                    match envelope::decode_reply(&message) {
                        Ok(reply) => {
                            connection.used.set(true);
                            connection.pending.answer(reply);
                        }
                        // Whose answer it was meant to be nobody can tell.
                        Err(envelope::Malformed) => {
                            tracing::debug!(peer = %connection.channel.peer_addr(), "no reply");
                        }
                    }
                }
                Ok(Some(Event::Ping(payload))) => {
                    connection.write_control(|out, mask| frame::write_pong(out, mask, payload));
                }
                Ok(Some(Event::Pong(_))) => {}
                Ok(Some(Event::Close(close))) => {
                    let failed = match close {
                        Some(Close { code, reason })
                            if !matches!(code, code::NORMAL | code::GOING_AWAY) =>
                        {
                            let why = format!("closed with {code} {reason}");
                            Failed::Failure(Failure::Broken(why.trim_end().into()))
                        }
                        _ => Failed::Closed,
                    };
                    let code = close.map_or(code::NORMAL, |close| close.code);
                    return connection.close(code, failed);
                }
                Err(error) => {
                    let failed = match error {
                        ws::Error::FrameTooLarge | ws::Error::MessageTooLarge => {
                            Failed::TooLarge { limit: self.max_message as u64 }
                        }
                        _ => Failed::Failure(Failure::Malformed(error.to_string())),
                    };
                    return connection.close(error.close_code(), failed);
                }
            }
        }
    }

    /// Pings a worker that says nothing, gives up one that does not answer, and closes what nobody uses. Ready if there is
    /// something to be done.
    fn poll_time(&mut self, context: &mut Context<'_>) -> Poll<()> {
        let connection = &*self.connection;
        loop {
            let now = now();
            // While requests wait for room a ping would wait with them; that they get through says as much.
            if !connection.backlog.borrow().is_empty() && connection.taken() > self.taken {
                self.taken = connection.taken();
                self.heartbeat.heard(now);
            }
            let idle = match connection.pending.len() {
                0 if connection.draining.get() => Duration::ZERO,
                0 => connection.asked.get().saturating_add(self.idle_timeout),
                _ => Duration::MAX,
            };
            if now >= idle {
                connection.close(code::NORMAL, Failed::Closed);
                return Poll::Ready(());
            }
            match self.heartbeat.due(now) {
                Due::Nothing => {}
                Due::Ping => {
                    connection.write_control(|out, mask| frame::write_ping(out, mask, b""));
                }
                Due::Dead => {
                    let why = Failure::Broken("it does not answer a ping".into());
                    connection.end(Failed::Failure(why));
                    connection.channel.abort();
                    return Poll::Ready(());
                }
            }
            let next = self.heartbeat.next().min(idle);
            // A timer that comes too early is set again then; so most answers leave it as it is.
            let set = |timer: &Sleep| timer.deadline() > now && timer.deadline() <= next;
            if self.timer.as_ref().is_some_and(set) {
                return Poll::Pending;
            }
            let timer = self.timer.insert(sleep_until(next));
            if Pin::new(timer).poll(context).is_pending() {
                return Poll::Pending;
            }
        }
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        self.connection.end(Failed::Stopped);
    }
}
