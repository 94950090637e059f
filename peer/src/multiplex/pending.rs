//! Requests whose answers have not come.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use crate::envelope::{Reply, Rid};
use crate::http::Failed;
use crate::json::Json;

/// The requests under way on one connection, by their ids.
#[derive(Default)]
pub(super) struct Pending {
    slots: RefCell<HashMap<Rid, Rc<Slot>, BuildHasherDefault<Leading>>>,
}

/// Where the answer to one request is put.
#[derive(Default)]
pub(super) struct Slot {
    /// How many bytes were given to the connection before the request; none as long as it waits.
    start: Cell<Option<u64>>,
    /// An answer was given, or the reason why there is none.
    done: Cell<bool>,
    answer: Cell<Option<Result<Reply, Unanswered>>>,
    waker: Cell<Option<Waker>>,
}

/// Why there is no answer.
#[derive(Debug, Clone)]
pub(super) struct Unanswered {
    pub(super) failed: Failed,
    /// It is certain that the kernel has not taken a byte of the request.
    pub(super) unsent: bool,
}

impl Pending {
    /// Begins to wait for an answer.
    pub(super) fn add(&self, rid: Rid) -> Rc<Slot> {
        let slot = Rc::<Slot>::default();
        self.slots.borrow_mut().insert(rid, slot.clone());
        slot
    }

    /// The request leaves now, behind `start` bytes.
    pub(super) fn begin(&self, rid: &Rid, start: u64) {
        if let Some(slot) = self.slots.borrow().get(rid) {
            slot.begin(start);
        }
    }

    /// Nobody waits for this one any more.
    pub(super) fn remove(&self, rid: &Rid) {
        self.slots.borrow_mut().remove(rid);
    }

    pub(super) fn len(&self) -> usize {
        self.slots.borrow().len()
    }

    /// An answer has come.
    pub(super) fn answer(&self, reply: Reply) {
        if let Some(slot) = self.take(&reply.rid) {
            slot.give(Ok(reply));
        }
    }

    /// An answer has come that is none.
    pub(super) fn refuse(&self, rid: &Json, failed: Failed) {
        if let Some(slot) = self.take(rid) {
            slot.give(Err(Unanswered { failed, unsent: false }));
        }
    }

    fn take(&self, json: &Json) -> Option<Rc<Slot>> {
        let slot = rid(json).and_then(|rid| self.slots.borrow_mut().remove(&rid));
        if slot.is_none() {
            tracing::debug!(rid = %json, "nobody waits for this answer any more");
        }
        slot
    }

    /// No answer will come any more. Of what was given to the connection the kernel has taken `taken` bytes. True if requests
    /// that were given to it have not left.
    pub(super) fn fail(&self, failed: &Failed, taken: u64) -> bool {
        let mut given = false;
        for slot in self.slots.take().into_values() {
            let unsent = slot.is_unsent(taken);
            given |= unsent && !slot.is_waiting();
            slot.give(Err(Unanswered { failed: failed.clone(), unsent }));
        }
        given
    }
}

impl Slot {
    pub(super) fn begin(&self, start: u64) {
        self.start.set(Some(start));
    }

    pub(super) fn is_waiting(&self) -> bool {
        self.start.get().is_none()
    }

    pub(super) fn is_done(&self) -> bool {
        self.done.get()
    }

    fn give(&self, answer: Result<Reply, Unanswered>) {
        self.done.set(true);
        self.answer.set(Some(answer));
        if let Some(waker) = self.waker.take() {
            waker.wake();
        }
    }

    pub(super) fn poll(&self, context: &mut Context<'_>) -> Poll<Result<Reply, Unanswered>> {
        match self.answer.take() {
            Some(answer) => Poll::Ready(answer),
            None => {
                self.waker.set(Some(context.waker().clone()));
                Poll::Pending
            }
        }
    }

    /// Whether the kernel, which has taken `taken` bytes, has none of the request.
    fn is_unsent(&self, taken: u64) -> bool {
        self.start.get().is_none_or(|start| taken <= start)
    }
}

/// The id that an answer bears, if it may be one of ours.
fn rid(json: &Json) -> Option<Rid> {
    let text = json.as_bytes().strip_prefix(b"\"")?.strip_suffix(b"\"")?;
    text.try_into().ok().map(Rid)
}

/// Takes the beginning of an id for its hash: ids are our own, and random, so nobody outside can make them collide.
#[derive(Default)]
struct Leading(u64);

impl Hasher for Leading {
    fn write(&mut self, bytes: &[u8]) {
        // Its first 8 characters are 32 random bits, and its last ones as many again.
        let part = |at: usize| bytes.get(at..at + 8).and_then(|part| part.try_into().ok());
        let part = |at| u64::from_le_bytes(part(at).unwrap_or_default());
        self.0 ^= part(0).wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ part(28).rotate_left(32);
    }

    fn write_usize(&mut self, _length: usize) {}

    fn finish(&self) -> u64 {
        // The table takes its groups from the upper bits and its tags from the lower ones.
        self.0.wrapping_mul(0xd6e8_feb8_6659_fd93) ^ self.0 >> 32
    }
}
