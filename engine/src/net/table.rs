//! The sockets of one core: what tasks have asked for and what the driver has reported.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::Duration;

use slab::Slab;

use super::stream::{Fin, Stream};
use crate::buffer::RecvBuf;
use crate::config::Limits;
use crate::driver::{Driver, Key};
use crate::send_queue::Spare;
use crate::stats::Stats;
use crate::waiters::Waiters;

/// A datagram received.
#[derive(Debug)]
pub struct Datagram {
    /// Who sent it, as far as that can be believed.
    pub from: SocketAddr,
    /// What it says.
    pub data: RecvBuf,
}

pub(crate) struct Listener {
    pub(crate) queue: VecDeque<(Key, SocketAddr)>,
    pub(crate) waiters: Waiters,
    pub(crate) paused: bool,
}

pub(crate) struct Datagrams {
    pub(crate) inbox: VecDeque<Datagram>,
    pub(crate) waiters: Waiters,
    pub(super) outbox: VecDeque<(SocketAddr, Vec<u8>)>,
    /// Queued or in the driver's hands.
    pub(super) outgoing: usize,
    dirty: bool,
}

pub(super) enum Socket {
    Listener(Listener),
    Stream(Box<Stream>),
    Datagrams(Datagrams),
}

pub(super) struct Entry {
    generation: u32,
    /// The task's side is gone; for a listener or datagram socket also the driver was told.
    pub(super) closing: bool,
    pub(super) socket: Socket,
}

pub(crate) struct Sockets {
    pub(super) slab: Slab<Entry>,
    generation: u32,
    pub(super) limits: Limits,
    pub(super) now: Duration,
    /// Sockets with something for the driver.
    dirty: VecDeque<Key>,
    /// Dropped streams that still send, by deadline.
    pub(super) lingering: VecDeque<(Duration, Key)>,
    /// The core ends: what has nothing to send any more does not wait for its peer.
    leaving: bool,
    pub(super) closing: usize,
    pub(super) resting: Vec<(Duration, Key)>,
    pub(crate) spare: Spare,
    pub(crate) stats: Stats,
}

impl Sockets {
    pub(crate) fn new(limits: Limits, now: Duration) -> Self {
        Self {
            slab: Slab::new(),
            generation: 0,
            limits,
            now,
            dirty: VecDeque::new(),
            lingering: VecDeque::new(),
            leaving: false,
            closing: 0,
            resting: Vec::new(),
            spare: Spare::default(),
            stats: Stats::default(),
        }
    }

    /// Acts on time passed.
    pub(crate) fn advance(&mut self, now: Duration, driver: &mut dyn Driver) {
        self.now = now;
        // Who has closed in time, as nearly all do, is not kept until then.
        while let Some(&(until, key)) = self.lingering.front()
            && (until <= now || self.entry(key).is_none())
        {
            self.lingering.pop_front();
            if self.entry(key).is_some() {
                self.stats.linger_expired += 1;
                self.release(key, true, driver);
            }
        }
        while let Some(&(until, key)) = self.resting.first()
            && until <= now
        {
            self.resting.remove(0);
            if self.listener(key).is_some_and(|listener| !listener.paused) {
                driver.resume(key, self);
            }
        }
    }

    pub(crate) fn next_deadline(&self) -> Option<Duration> {
        let lingering = self.lingering.front().map(|(until, _)| *until);
        let resting = self.resting.first().map(|(until, _)| *until);
        [lingering, resting].into_iter().flatten().min()
    }

    /// Hands everything that tasks have written to the driver.
    pub(crate) fn flush(&mut self, driver: &mut dyn Driver) {
        while let Some(key) = self.dirty.pop_front() {
            match self.entry(key) {
                Some(Entry { socket: Socket::Stream(stream), .. }) => {
                    stream.dirty = false;
                    self.flush_stream(key, driver);
                }
                Some(Entry { socket: Socket::Datagrams(socket), .. }) => {
                    socket.dirty = false;
                    driver.send_datagrams(key, self);
                }
                _ => {}
            }
        }
    }

    fn flush_stream(&mut self, key: Key, driver: &mut dyn Driver) {
        let leaving = self.leaving;
        let Some(stream) = self.stream(key) else { return };
        if stream.released {
            return;
        }
        if stream.dropped && (stream.error.is_some() || !stream.open) {
            self.release(key, false, driver);
        } else if stream.sending || !stream.open || stream.error.is_some() {
            // Its completion will come back here, or there is nobody to send to.
        } else if !stream.out.is_empty() {
            stream.sending = true;
            driver.send(key, self);
        } else if stream.dropped && (stream.eof || leaving) {
            self.release(key, false, driver);
        } else if stream.fin == Fin::Wanted || (stream.dropped && stream.fin == Fin::No) {
            stream.fin = Fin::Sent;
            driver.finish(key, self);
        }
    }

    /// The core ends: dropped streams that have sent everything are closed now.
    pub(crate) fn leave(&mut self) {
        self.leaving = true;
        let lingering: Vec<Key> = self.lingering.iter().map(|(_, key)| *key).collect();
        lingering.into_iter().for_each(|key| self.mark(key));
    }

    /// Whether something waits for `flush`.
    pub(crate) fn is_dirty(&self) -> bool {
        !self.dirty.is_empty()
    }

    /// Whether dropped sockets are not closed yet.
    pub(crate) fn is_closing(&self) -> bool {
        self.closing > 0
    }
}

impl Sockets {
    pub(crate) fn limits(&self) -> &Limits {
        &self.limits
    }

    pub(crate) fn add_listener(&mut self) -> Key {
        self.insert(Socket::Listener(Listener {
            queue: VecDeque::new(),
            waiters: Waiters::default(),
            paused: false,
        }))
    }

    pub(crate) fn add_connecting(&mut self) -> Key {
        self.insert(Socket::Stream(Box::new(Stream::new(false))))
    }

    pub(crate) fn add_datagrams(&mut self) -> Key {
        self.insert(Socket::Datagrams(Datagrams {
            inbox: VecDeque::new(),
            waiters: Waiters::default(),
            outbox: VecDeque::new(),
            outgoing: 0,
            dirty: false,
        }))
    }

    /// Takes back a socket that the driver refused.
    pub(crate) fn remove(&mut self, key: Key) {
        if self.entry(key).is_some() {
            self.slab.remove(key.slot as usize);
        }
    }

    pub(crate) fn listener(&mut self, key: Key) -> Option<&mut Listener> {
        match self.entry(key) {
            Some(Entry { socket: Socket::Listener(listener), .. }) => Some(listener),
            _ => None,
        }
    }

    pub(crate) fn stream(&mut self, key: Key) -> Option<&mut Stream> {
        match self.entry(key) {
            Some(Entry { socket: Socket::Stream(stream), .. }) => Some(stream),
            _ => None,
        }
    }

    pub(crate) fn datagrams(&mut self, key: Key) -> Option<&mut Datagrams> {
        match self.entry(key) {
            Some(Entry { socket: Socket::Datagrams(datagrams), .. }) => Some(datagrams),
            _ => None,
        }
    }

    /// The driver will be asked about this socket at the end of the turn.
    pub(crate) fn mark(&mut self, key: Key) {
        let dirty = match entry(&mut self.slab, key) {
            Some(Entry { socket: Socket::Stream(stream), .. }) => &mut stream.dirty,
            Some(Entry { socket: Socket::Datagrams(socket), .. }) => &mut socket.dirty,
            _ => return,
        };
        if !std::mem::replace(dirty, true) {
            self.dirty.push_back(key);
        }
    }

    /// Has the driver close a stream, once.
    pub(super) fn release(&mut self, key: Key, reset: bool, driver: &mut dyn Driver) {
        let Some(stream) = self.stream(key) else { return };
        if !std::mem::replace(&mut stream.released, true) {
            self.set_closing(key);
            driver.close(key, reset, self);
        }
    }

    pub(super) fn set_closing(&mut self, key: Key) {
        if let Some(entry) = entry(&mut self.slab, key)
            && !std::mem::replace(&mut entry.closing, true)
        {
            self.closing += 1;
        }
    }

    pub(super) fn insert(&mut self, socket: Socket) -> Key {
        self.generation = (self.generation + 1) & 0x00ff_ffff;
        let generation = self.generation;
        let slot = self.slab.insert(Entry { generation, closing: false, socket }) as u32;
        Key { slot, generation }
    }

    pub(super) fn entry(&mut self, key: Key) -> Option<&mut Entry> {
        entry(&mut self.slab, key)
    }
}

pub(super) fn entry(slab: &mut Slab<Entry>, key: Key) -> Option<&mut Entry> {
    slab.get_mut(key.slot as usize).filter(|entry| entry.generation == key.generation)
}
