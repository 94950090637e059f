//! Calls in progress on one core.

use std::collections::HashMap;
use std::collections::VecDeque;
use std::task::{Poll, Waker};

use grenache_dht::Op;

use crate::message::{Message, Reply};

/// Names a call that was begun on this core, until its reply is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Ticket(pub(crate) u32);

/// Who waits for an operation of this core's DHT.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Asker {
    /// A call begun on this core.
    Here(Ticket),
    /// A call begun on another core, by that core's ticket.
    Core(usize, Ticket),
}

enum Slot {
    Free {
        next: Option<u32>,
    },
    Waiting(Option<Waker>),
    Done(Reply),
    /// Nobody waits any more; the slot is free once its reply has come.
    Abandoned,
}

/// The calls begun on this core, the DHT operations it runs for any core, and the answers for
/// which another core's ring had no room yet.
pub(crate) struct Calls {
    slots: Vec<Slot>,
    free: Option<u32>,
    /// Tickets that have not been released.
    open: usize,
    limit: usize,
    running: HashMap<Op, Asker>,
    held: VecDeque<(usize, Message)>,
}

impl Calls {
    pub(crate) fn new(limit: usize) -> Calls {
        let (slots, running, held) = (Vec::new(), HashMap::new(), VecDeque::new());
        Calls { slots, free: None, open: 0, limit, running, held }
    }

    /// A ticket for a new call; `None` when the limit is reached.
    pub(crate) fn open(&mut self) -> Option<Ticket> {
        let index = match self.free {
            Some(index) => {
                let Slot::Free { next } = self.slots[index as usize] else { unreachable!() };
                self.free = next;
                index
            }
            None if self.slots.len() < self.limit => {
                self.slots.push(Slot::Waiting(None));
                (self.slots.len() - 1) as u32
            }
            None => return None,
        };
        self.slots[index as usize] = Slot::Waiting(None);
        self.open += 1;
        Some(Ticket(index))
    }

    /// The reply of a call has come.
    pub(crate) fn resolve(&mut self, ticket: Ticket, reply: Reply) {
        match std::mem::replace(&mut self.slots[ticket.0 as usize], Slot::Done(reply)) {
            Slot::Waiting(waker) => {
                if let Some(waker) = waker {
                    waker.wake();
                }
            }
            Slot::Abandoned => self.release(ticket),
            Slot::Free { .. } | Slot::Done(_) => unreachable!("two replies to one call"),
        }
    }

    /// Takes the reply, or leaves a waker for it.
    pub(crate) fn poll(&mut self, ticket: Ticket, waker: &Waker) -> Poll<Reply> {
        let slot = &mut self.slots[ticket.0 as usize];
        match slot {
            Slot::Waiting(waiting) => {
                match waiting {
                    Some(known) => known.clone_from(waker),
                    None => *waiting = Some(waker.clone()),
                }
                Poll::Pending
            }
            Slot::Done(_) => {
                let Slot::Done(reply) = std::mem::replace(slot, Slot::Abandoned) else {
                    unreachable!()
                };
                self.release(ticket);
                Poll::Ready(reply)
            }
            Slot::Free { .. } | Slot::Abandoned => unreachable!("polled after its reply"),
        }
    }

    /// Nobody waits for this call any more.
    pub(crate) fn abandon(&mut self, ticket: Ticket) {
        match self.slots[ticket.0 as usize] {
            Slot::Waiting(_) => self.slots[ticket.0 as usize] = Slot::Abandoned,
            _ => self.release(ticket),
        }
    }

    /// Takes a call back that never left.
    pub(crate) fn release(&mut self, ticket: Ticket) {
        self.slots[ticket.0 as usize] = Slot::Free { next: self.free };
        self.free = Some(ticket.0);
        self.open -= 1;
    }

    /// An operation of this core's DHT has begun.
    pub(crate) fn started(&mut self, op: Op, asker: Asker) {
        self.running.insert(op, asker);
    }

    /// An operation has ended: who asked for it.
    pub(crate) fn finished(&mut self, op: Op) -> Option<Asker> {
        self.running.remove(&op)
    }

    /// Keeps an answer for which the ring to its core had no room.
    pub(crate) fn hold(&mut self, core: usize, answer: Message) {
        self.held.push_back((core, answer));
    }

    /// Offers the answers kept back, in order, until one finds no room.
    pub(crate) fn offer(&mut self, mut send: impl FnMut(usize, Message) -> Result<(), Message>) {
        while let Some((core, answer)) = self.held.pop_front() {
            if let Err(answer) = send(core, answer) {
                self.held.push_front((core, answer));
                return;
            }
        }
    }

    /// Whether answers are kept back.
    pub(crate) fn holds_answers(&self) -> bool {
        !self.held.is_empty()
    }

    /// Whether no call is in progress: begun here and not redeemed, or run here for another core.
    pub(crate) fn is_empty(&self) -> bool {
        self.open == 0 && self.running.is_empty() && self.held.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tickets_are_reused_only_after_their_reply() {
        let mut calls = Calls::new(2);
        let (a, b) = (calls.open().unwrap(), calls.open().unwrap());
        assert_eq!(calls.open(), None);
        calls.abandon(a);
        assert_eq!(calls.open(), None, "an abandoned call still has its reply to come");
        calls.resolve(a, Reply::Busy);
        assert_eq!(calls.open(), Some(a));
        calls.resolve(b, Reply::Peers(Vec::new()));
        assert!(matches!(calls.poll(b, Waker::noop()), Poll::Ready(Reply::Peers(_))));
        assert_eq!(calls.open, 1);
        assert!(!calls.is_empty());
    }

    #[test]
    fn a_reply_that_nobody_took_frees_its_ticket() {
        let mut calls = Calls::new(1);
        let ticket = calls.open().unwrap();
        assert!(calls.poll(ticket, Waker::noop()).is_pending());
        calls.resolve(ticket, Reply::Busy);
        calls.abandon(ticket);
        assert!(calls.is_empty());
    }

    #[test]
    fn held_answers_leave_in_order() {
        let mut calls = Calls::new(1);
        for ticket in 0..3 {
            calls.hold(1, Message::Answer(ticket, Box::new(Reply::Busy)));
        }
        let mut sent = Vec::new();
        let mut room = 2;
        let mut send = |_, message| {
            if room == 0 {
                return Err(message);
            }
            room -= 1;
            let Message::Answer(ticket, _) = message else { unreachable!() };
            sent.push(ticket);
            Ok(())
        };
        calls.offer(&mut send);
        assert!(calls.holds_answers());
        calls.offer(|_, message| {
            assert!(matches!(message, Message::Answer(2, _)));
            Ok(())
        });
        assert!(!calls.holds_answers());
        assert_eq!(sent, [0, 1]);
    }
}
