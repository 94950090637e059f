//! The subscribers of one core.

use std::cell::RefCell;
use std::pin::pin;
use std::rc::{Rc, Weak};
use std::sync::Arc;

use async_channel::Receiver;
use bytes::{Bytes, BytesMut};
use grenache_engine::{next_turn, now, spawn_local, timeout};
use slab::Slab;

use super::last_values::LastValues;
use super::publication::{Form, Publication};
use super::seat::{AHEAD, Seat};
use super::stats::Counters;
use super::{Config, Note, Publisher};
use crate::channel::Channel;
use crate::prefixes::Prefixes;
use crate::zeromq::Sealer;

/// Bytes of messages that are given to a subscriber before they leave, and other tasks of the core have their turn: without end
/// they would overflow queues that the system has room for. What is less than that goes to the kernel at once.
const AT_ONCE: usize = AHEAD / 2;

/// About what stands before a message.
const HEADER: usize = 16;

/// Messages that are given to subscribers likewise, each counted once for every subscriber.
const COPIES_AT_ONCE: usize = 64 * 1024;

/// The subscribers of one core. What is published is sent to them from a task of its own.
pub(crate) struct Audience {
    pub(super) config: Rc<Config>,
    pub(super) counters: Arc<Counters>,
    seats: RefCell<Slab<Weak<Seat>>>,
    /// What they want.
    wanted: RefCell<Prefixes<Weak<Seat>>>,
    last: RefCell<LastValues>,
    /// What the only subscriber there is gets is written here: it needs no memory of its own.
    scratch: RefCell<BytesMut>,
}

impl Audience {
    /// Opens this core to a publisher's messages, until this is dropped. Needs to run on a core.
    pub(crate) fn open(publisher: &Publisher) -> Rc<Audience> {
        let (notes, counters, last) = publisher.join();
        let config = Rc::new(publisher.config().clone());
        let (seats, wanted, scratch) = Default::default();
        let last = RefCell::new(last);
        let audience = Rc::new(Audience { config, counters, seats, wanted, last, scratch });
        spawn_local(listen(Rc::downgrade(&audience), notes));
        audience
    }

    /// Whether one more would be too many.
    pub(crate) fn is_full(&self) -> bool {
        self.seats.borrow().len() >= self.config.max_subscribers
    }

    /// Takes a subscriber in that gets messages in this form, encrypted by `sealer` if there is one.
    pub(crate) fn seat(
        self: &Rc<Self>,
        channel: Channel,
        form: Form,
        sealer: Option<Sealer>,
    ) -> Rc<Seat> {
        let seat = Rc::new(Seat::new(self, channel, form, sealer));
        seat.key.set(self.seats.borrow_mut().insert(Rc::downgrade(&seat)));
        self.counters.subscribers.add(1);
        if form == Form::Raw {
            // It wants everything.
            self.want(&seat, b"");
            self.missed(form, |_| true).iter().for_each(|last| seat.offer(last));
        }
        seat
    }

    /// A subscriber wants what begins with this.
    pub(super) fn want(&self, seat: &Rc<Seat>, prefix: &[u8]) {
        let (prefix, number) = (Bytes::copy_from_slice(prefix), seat.key.get() as u64);
        self.wanted.borrow_mut().insert(&prefix, number, Rc::downgrade(seat));
    }

    /// It no longer does.
    pub(super) fn unwant(&self, key: usize, prefix: &[u8]) {
        self.wanted.borrow_mut().remove(prefix, key as u64);
    }

    pub(super) fn leave(&self, key: usize) {
        if self.seats.borrow_mut().try_remove(key).is_some() {
            self.counters.subscribers.sub(1);
        }
    }

    /// What is kept for a subscriber that comes late.
    pub(super) fn missed(
        &self,
        form: Form,
        wants: impl Fn(&[u8]) -> bool,
    ) -> Vec<Arc<Publication>> {
        let last = self.last.borrow();
        last.iter().filter(|one| wants(one.subject(form))).cloned().collect()
    }

    fn publish(&self, publication: &Arc<Publication>) {
        self.counters.published.add(1);
        self.last.borrow_mut().keep(publication);
        let number = self.counters.published.get();
        let topic = publication.subject(Form::Topical);
        let subject = publication.subject(Form::ZeroMq);
        let alike = topic == subject;
        self.offer(publication, topic, number, |form| alike || form != Form::ZeroMq);
        if !alike {
            self.offer(publication, subject, number, |form| form == Form::ZeroMq);
        }
    }

    /// Gives a publication to those who want what begins like `subject`, once.
    fn offer(
        &self,
        publication: &Publication,
        subject: &[u8],
        number: u64,
        takes: impl Fn(Form) -> bool,
    ) {
        let alone = self.seats.borrow().len() == 1;
        // No seat is given up meanwhile: nothing here runs what others have written.
        for seat in self.wanted.borrow().matching(subject).filter_map(Weak::upgrade) {
            if takes(seat.form)
                && seat.offered.replace(number) != number
                && !(alone && seat.send_at_once(publication, &mut self.scratch.borrow_mut()))
            {
                seat.offer(publication);
            }
        }
    }

    /// Waits until nothing waits for those who are here now.
    async fn flush(self: Rc<Self>) {
        let seats: Vec<Weak<Seat>> =
            self.seats.borrow().iter().map(|(_, seat)| seat.clone()).collect();
        let deadline = now().saturating_add(self.config.flush);
        for seat in seats {
            while let Some(channel) = flushing(&seat) {
                let left = deadline.saturating_sub(now());
                if left.is_zero() {
                    break;
                }
                if channel.queued() == 0 {
                    // What waited behind it is given to the connection by its own task.
                    next_turn().await;
                } else if !matches!(timeout(left, pin!(channel.drained(1))).await, Ok(Ok(()))) {
                    // Whoever's connection has broken gets no more.
                    break;
                }
            }
        }
    }
}

fn flushing(seat: &Weak<Seat>) -> Option<Channel> {
    let seat = seat.upgrade()?;
    (!seat.is_flushed()).then(|| seat.channel().clone())
}

async fn listen(audience: Weak<Audience>, notes: Receiver<Note>) {
    let (mut at_once, mut copies) = (0, 0);
    loop {
        // Whoever is behind does not wait.
        let note = match notes.try_recv() {
            Ok(note) => note,
            Err(_) => match notes.recv().await {
                Ok(note) => note,
                Err(_) => return,
            },
        };
        let Some(audience) = audience.upgrade() else { return };
        copies += audience.seats.borrow().len();
        match note {
            Note::Publication(publication) => {
                at_once += publication.len() + HEADER;
                audience.publish(&publication);
            }
            Note::Flush(done) => {
                spawn_local(async move {
                    audience.flush().await;
                    let _ = done.send(()).await;
                });
            }
        }
        if at_once >= AT_ONCE || copies >= COPIES_AT_ONCE {
            (at_once, copies) = (0, 0);
            next_turn().await;
        }
    }
}
