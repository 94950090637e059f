//! One peer: its connection, and what waits on both ways.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeSet, VecDeque};
use std::net::SocketAddr;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use bytes::Bytes;

use super::Settings;
use super::peers::Peers;
use super::queue::Queue;
use crate::error::Error;
use crate::zeromq::{Link, Message};

/// One connection of a socket. Messages are written to it by whoever sends, as long as there is room; its own task does the rest.
pub(super) struct Peer {
    /// No two peers of a socket ever have the same.
    pub(super) number: u64,
    /// The address of the other side.
    pub(super) addr: SocketAddr,
    /// The identity it has said; empty if none.
    pub(super) identity: Bytes,
    /// Its connection, until it has left.
    link: RefCell<Option<Link>>,
    /// Messages for it that its connection has no room for.
    waiting: RefCell<Queue>,
    /// Messages of it that were not taken yet.
    pub(super) received: RefCell<Queue>,
    /// It is no longer among the peers, though something may wait here.
    pub(super) left: Cell<bool>,
    /// Nothing is read from it, because too much was not taken.
    paused: Cell<bool>,
    /// Somebody was told that there is no room.
    refused: Cell<bool>,
    task: RefCell<Waker>,
    ended: RefCell<Option<Error>>,
    /// Under what name a ROUTER has it, and what its messages begin with there.
    pub(super) name: RefCell<Bytes>,
    pub(super) head: RefCell<Bytes>,
    /// What it has subscribed to, and how many bytes that is.
    pub(super) subscriptions: RefCell<BTreeSet<Bytes>>,
    pub(super) subscribed: Cell<usize>,
    /// The number of the publication that it was given last.
    pub(super) given: Cell<u64>,
}

impl Peer {
    pub(super) fn new(number: u64, link: Link, settings: &Settings) -> Rc<Peer> {
        let received = Queue::new(settings.receive_messages, settings.receive_bytes);
        let said = link.peer().map(|peer| Bytes::copy_from_slice(peer.identity));
        Rc::new(Peer {
            number,
            addr: link.peer_addr(),
            identity: said.unwrap_or_default(),
            link: RefCell::new(Some(link)),
            waiting: RefCell::new(Queue::new(settings.send_messages, settings.send_bytes)),
            received: RefCell::new(received),
            left: Cell::new(false),
            paused: Cell::new(false),
            refused: Cell::new(false),
            task: RefCell::new(Waker::noop().clone()),
            ended: RefCell::default(),
            name: RefCell::default(),
            head: RefCell::default(),
            subscriptions: RefCell::default(),
            subscribed: Cell::new(0),
            given: Cell::new(0),
        })
    }

    /// Sends a message, or keeps it for later. False if there is no room.
    pub(super) fn offer(&self, message: &Message) -> bool {
        let mut link = self.link.borrow_mut();
        let Some(link) = link.as_mut().filter(|_| !self.has_gone()) else { return false };
        let mut waiting = self.waiting.borrow_mut();
        if waiting.is_empty() && !link.is_full() {
            link.send(message);
            if link.is_full() {
                // From now on its task has to look after it.
                self.resume();
            }
            return true;
        }
        if !waiting.has_room(message) {
            self.refused.set(true);
            return false;
        }
        waiting.push(message.clone());
        true
    }

    /// Subscribes to messages that begin with `prefix`, or cancels that.
    pub(super) fn subscribe(&self, prefix: &[u8], wanted: bool) {
        if let Some(link) = &mut *self.link.borrow_mut() {
            match wanted {
                true => link.subscribe(prefix),
                false => link.cancel(prefix),
            }
        }
    }

    /// Has its task look after it.
    pub(super) fn resume(&self) {
        self.task.borrow().wake_by_ref();
    }

    /// Ends the connection.
    pub(super) fn end(&self, error: Error) {
        self.ended.borrow_mut().get_or_insert(error);
        self.resume();
    }

    pub(super) fn has_gone(&self) -> bool {
        self.ended.borrow().is_some()
    }

    /// Why it has gone.
    pub(super) fn why(&self) -> Error {
        self.ended.borrow().clone().unwrap_or(Error::Stopped)
    }

    /// Closes its connection.
    pub(super) fn leave(&self) {
        self.end(Error::Stopped);
        self.link.take();
    }

    /// What has waited for it and will not leave.
    pub(super) fn unsent(&self) -> VecDeque<Message> {
        self.waiting.borrow_mut().take()
    }

    /// Its task: ready when the connection has ended.
    pub(super) fn poll(self: &Rc<Self>, peers: &Peers, context: &mut Context<'_>) -> Poll<()> {
        if !self.task.borrow().will_wake(context.waker()) {
            *self.task.borrow_mut() = context.waker().clone();
        }
        loop {
            if self.has_gone() {
                return Poll::Ready(());
            }
            let received = self.received.borrow();
            // Reading on for each message that is taken would be a trip through here for each.
            self.paused.set(received.is_full() || (self.paused.get() && !received.is_low()));
            drop(received);
            let mut link = self.link.borrow_mut();
            let Some(open) = link.as_mut() else { return Poll::Ready(()) };
            let incoming = if self.paused.get() {
                open.poll_paused(context);
                Poll::Pending
            } else {
                open.poll_recv(context)
            };
            drop(link);
            match incoming {
                Poll::Ready(Ok(incoming)) => peers.receive(self, incoming),
                Poll::Ready(Err(error)) => self.end(error),
                Poll::Pending => break,
            }
        }
        // Only now: what goes into a connection that has broken is lost.
        if self.let_go(context) {
            peers.has_room();
        }
        Poll::Pending
    }

    /// Gives the connection what it has room for. True if somebody waits for the room this has made.
    fn let_go(&self, context: &mut Context<'_>) -> bool {
        let mut link = self.link.borrow_mut();
        let Some(link) = link.as_mut() else { return false };
        let mut waiting = self.waiting.borrow_mut();
        // That a connection has broken is told to whoever reads from it.
        while matches!(link.poll_room(context), Poll::Ready(Ok(()))) {
            let Some(message) = waiting.pop() else { break };
            link.send(&message);
        }
        self.refused.get() && waiting.is_low() && self.refused.take()
    }

    /// Ready when all has left, or never will.
    pub(super) fn poll_empty(&self, context: &mut Context<'_>) -> Poll<()> {
        self.let_go(context);
        match &mut *self.link.borrow_mut() {
            Some(link) if self.waiting.borrow().is_empty() => link.poll_empty(context).map(drop),
            // It was polled for room.
            Some(_) => Poll::Pending,
            None => Poll::Ready(()),
        }
    }
}
