//! What tasks ask of the socket table.

use std::net::SocketAddr;

use super::stream::Fin;
use super::table::{Entry, Socket, Sockets, entry};
use crate::driver::{Driver, Key};
use crate::send_queue::{SendQueue, Spare};

impl Sockets {
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

    /// The task's side of a stream is gone: what is queued still leaves, within limits.
    pub(crate) fn drop_stream(&mut self, key: Key, driver: &mut dyn Driver) {
        let limit = self.limits.linger_bytes;
        let until = self.now.saturating_add(self.limits.linger);
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
}
