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
use grenache_transports::{Due, Heartbeat};

use super::backlog::Backlog;
use super::pending::{Pending, Slot, Unanswered};
use super::{Bounds, Dialled, Said, Wire};
use crate::channel::{Channel, Received};
use crate::envelope::{Reply, Rid};
use crate::error::Failure;
use crate::http::Failed;

/// A request up to this many bytes is written at once.
const SMALL: usize = 16 * 1024;

/// A connection to a worker. Requests are written by those who make them; [`Reader`], a task, gives them their answers.
pub(super) struct Connection<W: Wire> {
    channel: Channel,
    wire: W,
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

impl<W: Wire> Connection<W> {
    /// A connection after its handshake, and what reads from it.
    pub(super) fn new(dialled: Dialled<W>, bounds: &Bounds) -> (Rc<Connection<W>>, Reader<W>) {
        let Dialled { channel, wire, inbound, received, heartbeat, renewal } = dialled;
        let connection = Rc::new(Connection {
            channel,
            wire,
            pending: Pending::default(),
            backlog: RefCell::default(),
            high_water: bounds.send_high_water.max(1),
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
            inbound,
            received,
            answers: BytesMut::new(),
            heartbeat,
            renewal,
            pinged: None,
            idle_timeout: bounds.idle_timeout,
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
    pub(super) fn ask(self: &Rc<Self>, rid: Rid, body: &Bytes) -> Asked<W> {
        self.asked.set(now());
        let slot = self.pending.add(rid);
        let mut backlog = self.backlog.borrow_mut();
        if body.len() <= SMALL && backlog.is_empty() && self.channel.queued() < self.high_water {
            slot.begin(self.given.get());
            self.write(|out| self.wire.write_request(out, body));
        } else {
            backlog.push(rid, body.clone());
            self.reader.borrow().wake_by_ref();
        }
        Asked { connection: self.clone(), rid, slot }
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
                self.wire.split_request(body)
            });
            let Some(piece) = next else { break };
            self.counted(|channel| match piece.len() {
                ..=SMALL => channel.write(&piece),
                _ => channel.send(piece),
            });
        }
        Ok(())
    }

    /// Says that it is over, and takes no more requests. Those under way get no answer.
    fn close(&self, failed: Failed, last_words: impl FnOnce(&mut BytesMut)) {
        if self.end(failed) && !self.torn.get() {
            self.write(last_words);
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

    /// Writes control frames. If there are many that the other side does not take, it needs no more of them.
    fn control(&self, write: impl FnOnce(&mut BytesMut)) {
        let mut backlog = self.backlog.borrow_mut();
        if !backlog.holds_control() {
            if self.channel.queued() < self.high_water {
                self.write(write);
            }
        } else if backlog.control().len() < SMALL {
            write(backlog.control());
        }
    }
}

/// A request under way. Dropping it gives it up.
pub(super) struct Asked<W: Wire> {
    connection: Rc<Connection<W>>,
    rid: Rid,
    slot: Rc<Slot>,
}

impl<W: Wire> Asked<W> {
    /// Ready when there is an answer, or none will come.
    pub(super) fn poll(&self, context: &mut Context<'_>) -> Poll<Result<Reply, Unanswered>> {
        self.slot.poll(context)
    }

    /// Whether it leaves, or has left. If not, it will not once this is dropped.
    pub(super) fn has_begun(&self) -> bool {
        !self.slot.is_waiting()
    }
}

impl<W: Wire> Drop for Asked<W> {
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
pub(super) struct Reader<W: Wire> {
    connection: Rc<Connection<W>>,
    inbound: W::Inbound,
    received: Option<Received>,
    /// What the wire answers by itself.
    answers: BytesMut,
    heartbeat: Heartbeat,
    renewal: Duration,
    /// Since a ping was written: when something was last seen to leave, and how many bytes had been given to the channel then.
    pinged: Option<(Duration, u64)>,
    idle_timeout: Duration,
    /// Bytes that the kernel had taken when that was a sign of life.
    taken: u64,
    timer: Option<Sleep>,
}

impl<W: Wire> Reader<W> {
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
        let Reader { connection, inbound, answers, heartbeat, .. } = self;
        let mut input = &mut received[..];
        while let Some(said) = connection.wire.receive(inbound, &mut input, answers) {
            match said {
                Said::Reply(reply) => {
                    connection.used.set(true);
                    connection.pending.answer(reply);
                }
                Said::Unreadable(rid, failed) => connection.pending.refuse(&rid, failed),
                Said::Alive(ttl) => heartbeat.told(ttl, now()),
                Said::Noise => {
                    tracing::debug!(peer = %connection.channel.peer_addr(), "no reply");
                }
                Said::Over(failed) => {
                    return connection.close(failed, |out| out.extend_from_slice(answers));
                }
            }
            if !answers.is_empty() {
                connection.control(|out| out.extend_from_slice(answers));
                answers.clear();
            }
        }
    }

    /// When something has to leave, because a ping has promised so.
    fn promised(&self) -> Duration {
        self.pinged.map_or(Duration::MAX, |(since, _)| since.saturating_add(self.renewal))
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
                connection.close(Failed::Closed, |out| connection.wire.write_close(out));
                return Poll::Ready(());
            }
            let given = connection.given.get();
            self.pinged = self.pinged.map(|last| if last.1 == given { last } else { (now, given) });
            match self.heartbeat.due(now) {
                Due::Nothing if now < self.promised() => {}
                Due::Nothing | Due::Ping => {
                    connection.control(|out| connection.wire.write_ping(out));
                    self.pinged = Some((now, connection.given.get()));
                }
                Due::Dead => {
                    let why = Failure::Broken("it does not answer a ping".into());
                    connection.end(Failed::Failure(why));
                    connection.channel.abort();
                    return Poll::Ready(());
                }
            }
            let next = self.heartbeat.next().min(self.promised()).min(idle);
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

impl<W: Wire> Drop for Reader<W> {
    fn drop(&mut self) {
        self.connection.end(Failed::Stopped);
    }
}
