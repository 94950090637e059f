//! What drivers report to the socket table, and what they take from it.

use std::net::SocketAddr;

use super::stream::Fin;
use super::stream::Stream;
use super::table::{Datagram, Entry, Socket, Sockets, entry};
use crate::buffer::RecvBuf;
use crate::driver::{Flow, Key};
use crate::send_queue::SendQueue;

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
        // Once paused it stays so until the queue is empty, however many come late.
        listener.paused |= listener.queue.len() >= limit;
        (Some(key), if listener.paused { Flow::Pause } else { Flow::More })
    }

    /// Accepting failed; the driver accepts no more until it is resumed.
    pub(crate) fn accept_failed(&mut self, listener: Key, errno: i32) {
        self.stats.accept_errors += 1;
        let error = std::io::Error::from_raw_os_error(errno);
        tracing::warn!("accepting rests for {:?}: {error}", self.limits.accept_backoff);
        let until = self.now.saturating_add(self.limits.accept_backoff);
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
        stream.inbox_bytes += data.footprint();
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
