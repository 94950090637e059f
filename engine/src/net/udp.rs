//! UDP as tasks see it.

use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::task::{Context, Poll};

pub use super::table::Datagram;
use crate::driver::{Bound, Key, Protocol};
use crate::executor::{self, Executor};

/// A datagram socket of this core. Clones are the same socket.
#[derive(Clone)]
pub struct UdpSocket {
    handle: Rc<Handle>,
}

struct Handle {
    executor: Rc<Executor>,
    key: Key,
    address: SocketAddr,
}

impl UdpSocket {
    /// Binds a socket for this core alone. Port 0 takes a free one.
    ///
    /// # Errors
    /// What the system says, such as an address in use.
    ///
    /// # Panics
    /// Outside of a core.
    pub fn bind(address: SocketAddr) -> io::Result<Self> {
        let executor = executor::current();
        let bound = executor.with_io(|driver, _| driver.bind(Protocol::Udp, address))?;
        Self::open(&executor, bound)
    }

    pub(crate) fn open(executor: &Rc<Executor>, bound: Bound) -> io::Result<Self> {
        let address = bound.address;
        let key = executor.with_io(|driver, sockets| {
            let key = sockets.add_datagrams();
            driver.open_datagrams(key, bound).inspect_err(|_| sockets.remove(key))?;
            io::Result::Ok(key)
        })?;
        Ok(Self { handle: Rc::new(Handle { executor: executor.clone(), key, address }) })
    }

    /// The address it is bound to.
    pub fn local_addr(&self) -> SocketAddr {
        self.handle.address
    }

    /// Waits for a datagram. Dropping the future loses none.
    ///
    /// # Errors
    /// None today: errors of single datagrams are counted, see [`Stats`](crate::Stats).
    pub async fn recv(&self) -> io::Result<Datagram> {
        poll_fn(|context| self.poll_recv(context)).await
    }

    /// As [`recv`](Self::recv), for futures made by hand.
    pub fn poll_recv(&self, context: &mut Context<'_>) -> Poll<io::Result<Datagram>> {
        let mut sockets = self.handle.executor.sockets();
        let Some(socket) = sockets.datagrams(self.handle.key) else {
            return Poll::Ready(Err(io::ErrorKind::NotConnected.into()));
        };
        match socket.inbox.pop_front() {
            Some(datagram) => Poll::Ready(Ok(datagram)),
            None => {
                socket.waiters.add(context.waker());
                Poll::Pending
            }
        }
    }

    /// A datagram that has arrived already.
    pub fn try_recv(&self) -> Option<Datagram> {
        self.handle.executor.sockets().datagrams(self.handle.key)?.inbox.pop_front()
    }

    /// Queues a datagram; it leaves at the end of the turn. False if the queue is full
    /// (`Limits::udp_send_queue`): the datagram is dropped and counted.
    pub fn send_to(&self, bytes: &[u8], to: SocketAddr) -> bool {
        self.handle.executor.sockets().queue_datagram(self.handle.key, to, bytes)
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.executor.with_io(|driver, sockets| sockets.drop_socket(self.key, driver));
    }
}
