//! One subscriber.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::future::Future;
use std::pin::pin;
use std::rc::{Rc, Weak};
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use bytes::{Bytes, BytesMut};

use super::audience::Audience;
use super::publication::{Form, Publication};
use super::stats::Counters;
use super::topics::{Refused, Topics};
use super::{Config, Overflow};
use crate::channel::Channel;
use crate::outbox::Outbox;
use crate::zeromq::Sealer;

/// Bytes that go into a connection's own queue, where they cannot be dropped any more. Enough to keep it sending. A longer frame
/// goes there piece by piece.
pub(super) const AHEAD: usize = 64 * 1024;

/// From this length on, a frame is shared with the connection instead of copied.
const HAND_OVER: usize = 16 * 1024;

/// What a message that waits counts for besides its bytes.
const PLACE: usize = 64;

/// A subscriber's place in the audience, and what waits for it. Dropping it gives the place up.
pub(crate) struct Seat {
    channel: Channel,
    pub(super) form: Form,
    /// The number of the publication that it was offered last.
    pub(super) offered: Cell<u64>,
    /// Encrypts what is sent, at the moment it is.
    sealer: Option<Sealer>,
    config: Rc<Config>,
    counters: Arc<Counters>,
    /// It gets messages.
    listens: Cell<bool>,
    /// Which topics it wants; none if it takes all.
    topics: Option<RefCell<Topics>>,
    backlog: RefCell<VecDeque<Bytes>>,
    backlog_bytes: Cell<usize>,
    /// The connection is in the middle of a message of its own.
    held: Cell<bool>,
    overflown: Cell<bool>,
    /// Some of what waited has left since somebody asked.
    moved: Cell<bool>,
    connection: RefCell<Waker>,
    audience: Weak<Audience>,
    pub(super) key: Cell<usize>,
}

impl Seat {
    pub(super) fn new(
        audience: &Rc<Audience>,
        channel: Channel,
        form: Form,
        sealer: Option<Sealer>,
    ) -> Seat {
        let topical = form != Form::Raw;
        let (config, counters) = (audience.config.clone(), audience.counters.clone());
        let seat = Seat {
            listens: Cell::new(false),
            channel,
            form,
            offered: Cell::new(0),
            sealer,
            config,
            counters,
            topics: topical.then(RefCell::default),
            backlog: RefCell::default(),
            backlog_bytes: Cell::new(0),
            held: Cell::new(false),
            overflown: Cell::new(false),
            moved: Cell::new(false),
            connection: RefCell::new(Waker::noop().clone()),
            audience: Rc::downgrade(audience),
            key: Cell::new(usize::MAX),
        };
        seat.listen(!topical);
        seat
    }

    /// It wants topics that begin with `prefix`.
    pub(crate) fn subscribe(self: &Rc<Self>, prefix: &[u8]) -> Result<(), Refused> {
        let Some(topics) = &self.topics else { return Err(Refused) };
        let is_new = |subject: &[u8]| subject.starts_with(prefix) && !topics.borrow().want(subject);
        let Some(audience) = self.audience.upgrade() else { return Ok(()) };
        let missed = audience.missed(self.form, is_new);
        if topics.borrow_mut().add(prefix, self.config.max_topics)? {
            audience.want(self, prefix);
        }
        self.listen(true);
        missed.iter().for_each(|publication| self.offer(publication));
        Ok(())
    }

    /// It no longer wants what it has asked for by `prefix`.
    pub(crate) fn cancel(&self, prefix: &[u8]) {
        if let Some(topics) = &self.topics {
            if topics.borrow_mut().remove(prefix)
                && let Some(audience) = self.audience.upgrade()
            {
                audience.unwant(self.key.get(), prefix);
            }
            self.listen(!topics.borrow().is_empty());
        }
    }

    /// Whether it gets anything.
    fn listen(&self, listens: bool) {
        match (self.listens.replace(listens), listens) {
            (false, true) => self.counters.listening.add(1),
            (true, false) => self.counters.listening.sub(1),
            _ => {}
        }
    }

    /// Sends a small message that it wants, and that nobody else gets, if there is room. Whether it has.
    pub(super) fn send_at_once(&self, publication: &Publication, scratch: &mut BytesMut) -> bool {
        let fits = publication.len() < HAND_OVER && self.has_room(publication.len());
        if !fits || self.backlog_bytes.get() > 0 || self.overflown.get() || self.sealer.is_some() {
            return false;
        }
        scratch.clear();
        publication.encode(self.form, scratch);
        self.counters.sent.add(1);
        self.channel.write(scratch);
        true
    }

    /// Sends a message that it wants, or keeps it for later, or drops one.
    pub(super) fn offer(&self, publication: &Publication) {
        if self.overflown.get() {
            return;
        }
        let frame = publication.frame(self.form);
        let waiting = self.backlog_bytes.get();
        if waiting == 0 && self.has_room(frame.len()) {
            return self.send(frame);
        }
        // One may always wait by itself: it would never get through otherwise.
        if waiting == 0 || waiting + frame.len() + PLACE <= self.config.high_water {
            return self.keep(frame.clone());
        }
        match self.config.overflow {
            Overflow::DropNewest => self.counters.dropped.add(1),
            Overflow::Disconnect => {
                self.overflown.set(true);
                self.counters.disconnected.add(1);
                self.counters.dropped.add(1 + self.clear());
                self.connection.borrow().wake_by_ref();
            }
            Overflow::DropOldest => {
                while self.backlog_bytes.get() + frame.len() + PLACE > self.config.high_water {
                    if self.pop().is_none() {
                        break;
                    }
                    self.counters.dropped.add(1);
                }
                self.keep(frame.clone());
            }
        }
    }

    /// The connection is in the middle of a message of its own, or no longer: then what waits may leave.
    pub(crate) fn hold(&self, held: bool) {
        self.held.set(held);
    }

    /// Lets what waits leave, as far as there is room, and has the connection's task woken when there is more. True if the
    /// subscriber is to be disconnected because it does not keep up.
    pub(crate) fn poll(&self, outbox: &mut Outbox, context: &mut Context<'_>) -> bool {
        if !self.connection.borrow().will_wake(context.waker()) {
            *self.connection.borrow_mut() = context.waker().clone();
        }
        while self.backlog_bytes.get() > 0 {
            while self.has_room(0) {
                let Some(frame) = self.pop() else { break };
                self.moved.set(true);
                if frame.len() <= AHEAD {
                    self.send(&frame);
                } else {
                    self.counters.sent.add(1);
                    outbox.push(match &self.sealer {
                        Some(sealer) => sealer.seal(&frame).freeze(),
                        None => frame,
                    });
                    outbox.flush();
                    self.held.set(outbox.has_large());
                }
            }
            // Sending may have made room; a broken connection is noticed by whoever reads from it.
            if self.held.get()
                || self.backlog_bytes.get() == 0
                || !matches!(
                    pin!(self.channel.drained(AHEAD / 2)).poll(context),
                    Poll::Ready(Ok(()))
                )
            {
                break;
            }
        }
        self.overflown.get()
    }

    /// Whether all has left.
    pub(super) fn is_flushed(&self) -> bool {
        self.backlog_bytes.get() == 0 && !self.held.get() && self.channel.queued() == 0
    }

    pub(super) fn channel(&self) -> &Channel {
        &self.channel
    }

    /// Whether something waits for the subscriber to read.
    pub(crate) fn is_behind(&self) -> bool {
        self.backlog_bytes.get() > 0
    }

    /// Whether it has read something that had waited, since this was asked last.
    pub(crate) fn has_moved(&self) -> bool {
        self.moved.take()
    }

    fn has_room(&self, length: usize) -> bool {
        !self.held.get() && self.channel.queued() + length <= AHEAD
    }

    fn send(&self, frame: &Bytes) {
        self.counters.sent.add(1);
        let sealed = self.sealer.as_ref().map(|sealer| sealer.seal(frame).freeze());
        let frame = sealed.as_ref().unwrap_or(frame);
        if frame.len() < HAND_OVER {
            self.channel.write(frame);
        } else {
            self.channel.send(frame.clone());
        }
    }

    fn keep(&self, frame: Bytes) {
        if self.backlog_bytes.get() == 0 {
            // From now on the connection's task has to look after it.
            self.connection.borrow().wake_by_ref();
        }
        self.backlog_bytes.set(self.backlog_bytes.get() + frame.len() + PLACE);
        self.backlog.borrow_mut().push_back(frame);
    }

    fn pop(&self) -> Option<Bytes> {
        let frame = self.backlog.borrow_mut().pop_front()?;
        self.backlog_bytes.set(self.backlog_bytes.get() - frame.len() - PLACE);
        Some(frame)
    }

    /// Drops what waits, and says how much that was.
    fn clear(&self) -> u64 {
        let count = self.backlog.take().len() as u64;
        self.backlog_bytes.set(0);
        count
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.listen(false);
        self.counters.dropped.add(self.clear());
        if let Some(audience) = self.audience.upgrade() {
            let key = self.key.get();
            match &self.topics {
                None => audience.unwant(key, b""),
                Some(topics) => {
                    topics.borrow().iter().for_each(|prefix| audience.unwant(key, prefix));
                }
            }
            audience.leave(key);
        }
    }
}
