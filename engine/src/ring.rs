//! A single-producer, single-consumer ring whose messages become visible when they are published.

// Both ends share slots without a lock; that one side owns a slot at a time is a protocol the
// compiler cannot see.
#![allow(unsafe_code)]

use std::cell::UnsafeCell;
use std::mem::MaybeUninit;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// How far the two sides are. Counts wrap around; their differences are what matters:
/// `taken <= published <= written <= taken + capacity`.
#[derive(Default)]
pub(crate) struct Counters {
    written: AtomicUsize,
    published: AtomicUsize,
    taken: AtomicUsize,
}

impl Counters {
    pub(crate) fn written(&self) -> usize {
        self.written.load(Ordering::Acquire)
    }

    /// Shows the consumer the messages up to the count `upto`, as far as they are written. What is
    /// visible stays visible. For one thread at a time.
    pub(crate) fn publish(&self, upto: usize) {
        let published = self.published.load(Ordering::Relaxed);
        let room = self.written().wrapping_sub(published);
        let more = upto.wrapping_sub(published);
        if more <= room {
            self.published.store(upto, Ordering::Release);
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.published.load(Ordering::Acquire) == self.taken.load(Ordering::Relaxed)
    }
}

type Slot<M> = UnsafeCell<MaybeUninit<M>>;

struct Slots<M> {
    slots: Box<[Slot<M>]>,
    counters: Arc<Counters>,
}

// SAFETY: a slot is touched by the producer from the time it is taken until it is published, and
// by the consumer from then until it is taken; both edges are release/acquire pairs in `Counters`.
unsafe impl<M: Send> Sync for Slots<M> {}

// SAFETY: it owns messages only.
unsafe impl<M: Send> Send for Slots<M> {}

impl<M> Slots<M> {
    fn slot(&self, count: usize) -> &Slot<M> {
        &self.slots[count & (self.slots.len() - 1)]
    }
}

impl<M> Drop for Slots<M> {
    fn drop(&mut self) {
        let written = self.counters.written();
        let mut taken = self.counters.taken.load(Ordering::Acquire);
        while taken != written {
            // SAFETY: written and not taken, and both ends are gone.
            unsafe { (*self.slot(taken).get()).assume_init_drop() };
            taken = taken.wrapping_add(1);
        }
    }
}

/// The end that writes. There is one per ring.
pub(crate) struct Producer<M> {
    slots: Arc<Slots<M>>,
}

/// The end that takes. There is one per ring.
pub(crate) struct Consumer<M> {
    slots: Arc<Slots<M>>,
}

/// A ring with room for `capacity` messages, rounded up to a power of two.
pub(crate) fn new<M>(capacity: usize) -> (Producer<M>, Consumer<M>, Arc<Counters>) {
    let capacity = capacity.max(1).next_power_of_two();
    let counters = Arc::new(Counters::default());
    let slots = (0..capacity).map(|_| UnsafeCell::new(MaybeUninit::uninit())).collect();
    let slots = Arc::new(Slots { slots, counters: counters.clone() });
    (Producer { slots: slots.clone() }, Consumer { slots }, counters)
}

impl<M> Producer<M> {
    /// Writes the next message or gives it back if the ring is full.
    pub(crate) fn push(&mut self, message: M) -> Result<(), M> {
        let counters = &*self.slots.counters;
        let written = counters.written.load(Ordering::Relaxed);
        if written.wrapping_sub(counters.taken.load(Ordering::Acquire)) >= self.slots.slots.len() {
            return Err(message);
        }
        // SAFETY: the consumer has taken what was here, as its count says, and does not look
        // before this message is published; there is no other producer.
        unsafe { (*self.slots.slot(written).get()).write(message) };
        counters.written.store(written.wrapping_add(1), Ordering::Release);
        Ok(())
    }
}

impl<M> Consumer<M> {
    /// Takes the next published message.
    pub(crate) fn pop(&mut self) -> Option<M> {
        let counters = &*self.slots.counters;
        if counters.is_empty() {
            return None;
        }
        let taken = counters.taken.load(Ordering::Relaxed);
        // SAFETY: the message was written before it was published, and the count that goes up
        // below sees to it that it is read once; there is no other consumer.
        let message = unsafe { (*self.slots.slot(taken).get()).assume_init_read() };
        counters.taken.store(taken.wrapping_add(1), Ordering::Release);
        Some(message)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_seen_once_published_and_not_before() {
        let (mut producer, mut consumer, counters) = new(4);
        for number in 0..4 {
            producer.push(number).unwrap();
        }
        assert_eq!(producer.push(4), Err(4));
        assert_eq!(consumer.pop(), None);
        counters.publish(2);
        assert_eq!((consumer.pop(), consumer.pop(), consumer.pop()), (Some(0), Some(1), None));
        // Late and wild counts do no harm.
        counters.publish(1);
        counters.publish(usize::MAX);
        counters.publish(100);
        assert_eq!(consumer.pop(), None);
        producer.push(4).unwrap();
        counters.publish(counters.written());
        assert_eq!((consumer.pop(), consumer.pop(), consumer.pop()), (Some(2), Some(3), Some(4)));
    }

    #[test]
    fn two_threads_see_all_messages_in_order() {
        let (mut producer, mut consumer, counters) = new(8);
        let sender = std::thread::spawn(move || {
            for number in 0..100_000u32 {
                while producer.push(Box::new(number)).is_err() {
                    std::thread::yield_now();
                }
                counters.publish(counters.written());
            }
        });
        for number in 0..100_000 {
            let message = loop {
                match consumer.pop() {
                    Some(message) => break message,
                    None => std::thread::yield_now(),
                }
            };
            assert_eq!(*message, number);
        }
        sender.join().unwrap();
        assert!(consumer.pop().is_none());
    }
}
