//! The sockets of one core: what tasks have asked for and what the driver has reported.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::Duration;

use slab::Slab;

use super::stream::{Fin, Stream};
use crate::buffer::RecvBuf;
use crate::config::Limits;
use crate::driver::{Driver, Flow, Key};
use crate::send_queue::{SendQueue, Spare};
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
    outbox: VecDeque<(SocketAddr, Vec<u8>)>,
    /// Queued or in the driver's hands.
    outgoing: usize,
    dirty: bool,
}

enum Socket {
    Listener(Listener),
    Stream(Box<Stream>),
    Datagrams(Datagrams),
}

struct Entry {
    generation: u32,
    /// The task's side is gone; for a listener or datagram socket also the driver was told.
    closing: bool,
    socket: Socket,
}

pub(crate) struct Sockets {
    slab: Slab<Entry>,
    generation: u32,
    limits: Limits,
    now: Duration,
    /// Sockets with something for the driver.
    dirty: VecDeque<Key>,
    /// Dropped streams that still send, by deadline.
    lingering: VecDeque<(Duration, Key)>,
    /// The core ends: what has nothing to send any more does not wait for its peer.
    leaving: bool,
    closing: usize,
    resting: Vec<(Duration, Key)>,
    pub(crate) spare: Spare,
    pub(crate) stats: Stats,
}

/// What drivers call.
impl Sockets {
    /// A listener has a new connection. The driver learns its key, or `None` if the listener is gone.
    pub(crate) fn accepted(&mut self, listener: Key, peer: SocketAddr) -> (Option<Key>, Flow) {
        let Some(entry) = self.entry(listener) else { return (None, Flow::Pause) };
        if entry.closing || !matches!(entry.socket, Socket::Listener(_)) {
            return (None, Flow::Pause);
        }
        let key = self.insert(Socket::Stream(Box::new(Stream::new(true))));
        self.stats.accepted += 1;
        let limit = self.limits.accept_queue;
        let Some(listener) = self.listener(listener) else { return (None, Flow::Pause) };
        listener.queue.push_back((key, peer));
        listener.waiters.wake();
        listener.paused = listener.queue.len() >= limit;
        (Some(key), if listener.paused { Flow::Pause } else { Flow::More })
    }

    /// Accepting failed; the driver accepts no more until it is resumed.
    pub(crate) fn accept_failed(&mut self, listener: Key, errno: i32) {
        self.stats.accept_errors += 1;
        let error = std::io::Error::from_raw_os_error(errno);
        tracing::warn!("accepting rests for {:?}: {error}", self.limits.accept_backoff);
        let until = self.now + self.limits.accept_backoff;
        self.resting.push((until, listener));
    }

    /// A connection that was asked for is there, or failed.
    pub(crate) fn connected(&mut self, key: Key, result: Result<(), i32>) {
        let Some(stream) = self.stream(key) else { return };
        match result {
            Ok(()) => stream.open = true,
            Err(errno) => stream.fail(errno),
        }
        stream.connect_waiters.wake();
        if result.is_ok() {
            self.stats.connected += 1;
        }
        self.mark(key);
    }

    /// Bytes arrived. On [`Flow::Pause`] the driver stops until it is resumed.
    pub(crate) fn received(&mut self, key: Key, data: RecvBuf) -> Flow {
        let high_water = self.limits.recv_high_water;
        let Some(stream) = self.stream(key) else { return Flow::Pause };
        if stream.dropped {
            // Read and thrown away, so that closing does not answer with a reset.
            return Flow::More;
        }
        stream.inbox_bytes += data.len();
        stream.inbox.push_back(data);
        stream.recv_waiters.wake();
        if stream.inbox_bytes < high_water || stream.paused {
            return if stream.paused { Flow::Pause } else { Flow::More };
        }
        stream.paused = true;
        self.stats.recv_pauses += 1;
        Flow::Pause
    }

    /// The peer has ended its side, or the connection broke.
    pub(crate) fn ended(&mut self, key: Key, result: Result<(), i32>) {
        let Some(stream) = self.stream(key) else { return };
        match result {
            Ok(()) => stream.end(),
            Err(errno) => stream.fail(errno),
        }
        self.mark(key);
    }

    /// What the driver is to send.
    pub(crate) fn outgoing(&mut self, key: Key) -> Option<&mut SendQueue> {
        self.stream(key).map(|stream| &mut stream.out)
    }

    /// A send is over, with this many bytes of the queue's front; after an error, which the driver
    /// reports with `ended` before, possibly none.
    pub(crate) fn sent(&mut self, key: Key, count: usize) {
        let Some(Entry { socket: Socket::Stream(stream), .. }) = entry(&mut self.slab, key) else {
            return;
        };
        stream.sending = false;
        stream.out.sent(count, &mut self.spare);
        if stream.error.is_some() {
            stream.out.clear();
        }
        stream.wake_drained();
        if !stream.out.is_empty() || stream.dropped || stream.fin != Fin::No {
            self.mark(key);
        }
    }

    /// A datagram arrived.
    pub(crate) fn datagram(&mut self, key: Key, from: SocketAddr, data: RecvBuf) {
        self.stats.datagrams_received += 1;
        let limit = self.limits.udp_recv_queue;
        let Some(socket) = self.datagrams(key) else { return };
        if socket.inbox.len() >= limit {
            self.stats.datagrams_dropped += 1;
            return;
        }
        socket.inbox.push_back(Datagram { from, data });
        socket.waiters.wake();
    }

    /// The next datagram to send.
    pub(crate) fn next_datagram(&mut self, key: Key) -> Option<(SocketAddr, Vec<u8>)> {
        self.datagrams(key)?.outbox.pop_front()
    }

    /// A datagram could not be sent now: it is the next one again.
    pub(crate) fn put_back_datagram(&mut self, key: Key, to: SocketAddr, data: Vec<u8>) {
        if let Some(socket) = self.datagrams(key) {
            socket.outbox.push_front((to, data));
        }
    }

    /// A datagram was sent or refused; its memory comes back.
    pub(crate) fn datagram_done(&mut self, key: Key, data: Vec<u8>, result: Result<(), i32>) {
        self.spare.give_back(data);
        match result {
            Ok(()) => self.stats.datagrams_sent += 1,
            Err(_) => self.stats.datagrams_failed += 1,
        }
        if let Some(socket) = self.datagrams(key) {
            socket.outgoing = socket.outgoing.saturating_sub(1);
        }
    }

    /// Nothing more will be reported for `key`; the driver forgets it.
    pub(crate) fn closed(&mut self, key: Key) {
        let Some(entry) = self.entry(key) else { return };
        let was_closing = std::mem::take(&mut entry.closing);
        if let Socket::Stream(stream) = &mut entry.socket
            && !stream.dropped
            && stream.error.is_some()
        {
            // A task still asks what became of it.
            stream.closed = true;
            stream.sending = false;
            stream.out.clear();
        } else {
            self.slab.remove(key.slot as usize);
        }
        self.closing -= usize::from(was_closing);
    }
}

/// What the executor calls.
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
        while let Some(&(until, key)) = self.lingering.front()
            && until <= now
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

/// What the sockets of tasks call.
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

    /// Queues bytes on a stream; false if that was more than a stream may queue.
    pub(crate) fn write(
        &mut self,
        key: Key,
        write: impl FnOnce(&mut SendQueue, &mut Spare),
    ) -> bool {
        let Some(Entry { socket: Socket::Stream(stream), .. }) = entry(&mut self.slab, key) else {
            return true;
        };
        if stream.error.is_some() || stream.fin != Fin::No {
            return true;
        }
        write(&mut stream.out, &mut self.spare);
        if stream.out.len() > self.limits.send_cap {
            self.stats.send_overflows += 1;
            return false;
        }
        self.mark(key);
        true
    }

    pub(crate) fn queue_datagram(&mut self, key: Key, to: SocketAddr, bytes: &[u8]) -> bool {
        let limit = self.limits.udp_send_queue;
        let Some(Entry { socket: Socket::Datagrams(socket), .. }) = entry(&mut self.slab, key)
        else {
            return false;
        };
        if socket.outgoing >= limit {
            self.stats.datagrams_refused += 1;
            return false;
        }
        let mut data = self.spare.take();
        data.extend_from_slice(bytes);
        socket.outbox.push_back((to, data));
        socket.outgoing += 1;
        self.mark(key);
        true
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

    /// The task's side of a stream is gone: what is queued still leaves, within limits.
    pub(crate) fn drop_stream(&mut self, key: Key, driver: &mut dyn Driver) {
        let (limit, until) = (self.limits.linger_bytes, self.now + self.limits.linger);
        let Some(stream) = self.stream(key) else { return };
        if stream.closed {
            self.slab.remove(key.slot as usize);
            return;
        }
        if std::mem::replace(&mut stream.dropped, true) || stream.released {
            return;
        }
        stream.inbox.clear();
        stream.inbox_bytes = 0;
        let queued = stream.out.len();
        let done = stream.error.is_some() || !stream.open || (stream.eof && queued == 0);
        if done || queued > limit {
            self.release(key, queued > limit, driver);
            return;
        }
        let paused = std::mem::take(&mut stream.paused);
        self.set_closing(key);
        self.lingering.push_back((until, key));
        if paused {
            driver.resume(key, self);
        }
        self.mark(key);
    }

    /// Resets a stream: it fails with `errno`, and what is queued is dropped.
    pub(crate) fn reset_stream(&mut self, key: Key, errno: i32, driver: &mut dyn Driver) {
        if let Some(stream) = self.stream(key)
            && !stream.released
        {
            stream.fail(errno);
            self.release(key, true, driver);
        }
    }

    /// The task's side of a listener or a datagram socket is gone.
    pub(crate) fn drop_socket(&mut self, key: Key, driver: &mut dyn Driver) {
        if let Some(listener) = self.listener(key) {
            for (stream, _) in std::mem::take(&mut listener.queue) {
                self.drop_stream(stream, driver);
            }
        }
        if self.datagrams(key).is_some() {
            // What was sent in this turn leaves.
            driver.send_datagrams(key, self);
        }
        self.set_closing(key);
        driver.close(key, false, self);
    }

    /// Has the driver close a stream, once.
    fn release(&mut self, key: Key, reset: bool, driver: &mut dyn Driver) {
        let Some(stream) = self.stream(key) else { return };
        if !std::mem::replace(&mut stream.released, true) {
            self.set_closing(key);
            driver.close(key, reset, self);
        }
    }

    fn set_closing(&mut self, key: Key) {
        if let Some(entry) = entry(&mut self.slab, key)
            && !std::mem::replace(&mut entry.closing, true)
        {
            self.closing += 1;
        }
    }

    fn insert(&mut self, socket: Socket) -> Key {
        self.generation = (self.generation + 1) & 0x00ff_ffff;
        let generation = self.generation;
        let slot = self.slab.insert(Entry { generation, closing: false, socket }) as u32;
        Key { slot, generation }
    }

    fn entry(&mut self, key: Key) -> Option<&mut Entry> {
        entry(&mut self.slab, key)
    }
}

fn entry(slab: &mut Slab<Entry>, key: Key) -> Option<&mut Entry> {
    slab.get_mut(key.slot as usize).filter(|entry| entry.generation == key.generation)
}
