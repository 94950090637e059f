//! TCP as tasks see it.

use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::task::{Context, Poll};

use bytes::Bytes;

use super::stream::Fin;
use crate::buffer::RecvBuf;
use crate::driver::{Key, Protocol};
use crate::executor::{self, Executor};

/// A listening socket of this core. Dropping it stops listening.
pub struct TcpListener {
    executor: Rc<Executor>,
    key: Key,
    address: SocketAddr,
}

impl TcpListener {
    /// Listens on an address for this core alone. Port 0 takes a free one.
    ///
    /// # Errors
    /// What the system says, such as an address in use.
    ///
    /// # Panics
    /// Outside of a core.
    pub fn bind(address: SocketAddr) -> io::Result<Self> {
        let executor = executor::current();
        let bound = executor.with_io(|driver, _| driver.bind(Protocol::Tcp, address))?;
        Self::open(&executor, bound)
    }

    pub(crate) fn open(executor: &Rc<Executor>, bound: crate::driver::Bound) -> io::Result<Self> {
        let address = bound.address;
        let key = executor.with_io(|driver, sockets| {
            let key = sockets.add_listener();
            driver.listen(key, bound).inspect_err(|_| sockets.remove(key))?;
            io::Result::Ok(key)
        })?;
        Ok(Self { executor: executor.clone(), key, address })
    }

    /// The address it is bound to.
    pub fn local_addr(&self) -> SocketAddr {
        self.address
    }

    /// Waits for the next connection. Dropping the future loses none.
    ///
    /// # Errors
    /// None today: errors of accepting are counted, and accepting goes on after a rest.
    pub async fn accept(&self) -> io::Result<(TcpStream, SocketAddr)> {
        poll_fn(|context| self.poll_accept(context)).await
    }

    fn poll_accept(&self, context: &mut Context<'_>) -> Poll<io::Result<(TcpStream, SocketAddr)>> {
        self.executor.with_io(|driver, sockets| {
            let Some(listener) = sockets.listener(self.key) else {
                return Poll::Ready(Err(io::ErrorKind::NotConnected.into()));
            };
            let Some((key, peer)) = listener.queue.pop_front() else {
                listener.waiters.add(context.waker());
                return Poll::Pending;
            };
            if listener.paused && listener.queue.is_empty() {
                listener.paused = false;
                driver.resume(self.key, sockets);
            }
            Poll::Ready(Ok((TcpStream::new(&self.executor, key, peer), peer)))
        })
    }
}

impl Drop for TcpListener {
    fn drop(&mut self) {
        self.executor.with_io(|driver, sockets| sockets.drop_socket(self.key, driver));
    }
}

/// A connection. Clones are the same connection; it closes when the last one is dropped.
///
/// What is written leaves at the end of the turn in one piece. A dropped connection still sends what
/// is queued and then waits for the peer's end, within `Limits::linger` and `Limits::linger_bytes`.
#[derive(Clone)]
pub struct TcpStream {
    handle: Rc<Handle>,
}

struct Handle {
    executor: Rc<Executor>,
    key: Key,
    peer: SocketAddr,
}

impl TcpStream {
    fn new(executor: &Rc<Executor>, key: Key, peer: SocketAddr) -> Self {
        Self { handle: Rc::new(Handle { executor: executor.clone(), key, peer }) }
    }

    /// Connects to a listener. Has no time limit but the system's: see [`timeout`](crate::timeout).
    ///
    /// # Errors
    /// What the system says, such as a refused connection.
    ///
    /// # Panics
    /// Outside of a core.
    pub async fn connect(to: SocketAddr) -> io::Result<Self> {
        let executor = executor::current();
        let key = executor.with_io(|driver, sockets| {
            let key = sockets.add_connecting();
            driver.connect(key, to).inspect_err(|_| sockets.remove(key))?;
            io::Result::Ok(key)
        })?;
        // From here on, dropping the future closes the socket.
        let stream = Self::new(&executor, key, to);
        poll_fn(|context| {
            let mut sockets = executor.sockets();
            let Some(state) = sockets.stream(key) else { return Poll::Ready(Err(gone())) };
            if let Some(errno) = state.error {
                return Poll::Ready(Err(io::Error::from_raw_os_error(errno)));
            }
            if state.open {
                return Poll::Ready(Ok(()));
            }
            state.connect_waiters.add(context.waker());
            Poll::Pending
        })
        .await?;
        Ok(stream)
    }

    /// The peer's address.
    pub fn peer_addr(&self) -> SocketAddr {
        self.handle.peer
    }

    /// The address of this side.
    ///
    /// # Errors
    /// If the connection is gone.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.handle.executor.with_io(|driver, _| driver.local_address(self.handle.key))
    }

    /// Waits for bytes; `None` is the peer's end. Dropping the future loses nothing.
    ///
    /// # Errors
    /// The connection broke. What arrived before is handed out first.
    pub async fn recv(&self) -> io::Result<Option<RecvBuf>> {
        poll_fn(|context| self.poll_recv(context)).await
    }

    /// As [`recv`](Self::recv), for futures made by hand.
    pub fn poll_recv(&self, context: &mut Context<'_>) -> Poll<io::Result<Option<RecvBuf>>> {
        let key = self.handle.key;
        let mut sockets = self.handle.executor.sockets();
        let low_water = sockets.limits().recv_high_water / 2;
        let Some(stream) = sockets.stream(key) else { return Poll::Ready(Err(gone())) };
        let Some(data) = stream.inbox.pop_front() else {
            if let Some(errno) = stream.error {
                return Poll::Ready(Err(io::Error::from_raw_os_error(errno)));
            }
            if stream.eof {
                return Poll::Ready(Ok(None));
            }
            stream.recv_waiters.add(context.waker());
            return Poll::Pending;
        };
        stream.inbox_bytes -= data.footprint();
        if stream.paused && stream.inbox_bytes <= low_water {
            stream.paused = false;
            drop(sockets);
            self.handle.executor.with_io(|driver, sockets| driver.resume(key, sockets));
        }
        Poll::Ready(Ok(Some(data)))
    }

    /// Queues a copy of `bytes`. Written to a broken or shut down connection they vanish; more than
    /// `Limits::send_cap` in the queue resets the connection.
    pub fn write(&self, bytes: &[u8]) {
        self.queue(|sockets| sockets.write(self.handle.key, |out, spare| out.write(bytes, spare)));
    }

    /// Queues `data` without copying it; otherwise as [`write`](Self::write).
    pub fn send(&self, data: Bytes) {
        self.queue(|sockets| sockets.write(self.handle.key, |out, _| out.push(data)));
    }

    fn queue(&self, write: impl FnOnce(&mut crate::net::table::Sockets) -> bool) {
        if !write(&mut self.handle.executor.sockets()) {
            self.reset(libc::ENOBUFS);
        }
    }

    /// Bytes queued and not yet taken by the kernel.
    pub fn queued(&self) -> usize {
        let mut sockets = self.handle.executor.sockets();
        sockets.stream(self.handle.key).map_or(0, |stream| stream.out.len())
    }

    /// Waits until fewer than `below` bytes are queued.
    ///
    /// # Errors
    /// The connection broke.
    pub async fn drained(&self, below: usize) -> io::Result<()> {
        let below = below.max(1);
        poll_fn(|context| {
            let mut sockets = self.handle.executor.sockets();
            let Some(stream) = sockets.stream(self.handle.key) else {
                return Poll::Ready(Err(gone()));
            };
            if let Some(errno) = stream.error {
                return Poll::Ready(Err(io::Error::from_raw_os_error(errno)));
            }
            if stream.out.len() < below {
                return Poll::Ready(Ok(()));
            }
            stream.wait_drained(below, context.waker());
            Poll::Pending
        })
        .await
    }

    /// Ends this side once the queue is out (FIN). The peer may go on sending.
    pub fn shutdown(&self) {
        let mut sockets = self.handle.executor.sockets();
        if let Some(stream) = sockets.stream(self.handle.key)
            && stream.fin == Fin::No
        {
            stream.fin = Fin::Wanted;
            sockets.mark(self.handle.key);
        }
    }

    /// Breaks the connection off (RST), for all clones; what is queued does not leave.
    pub fn abort(&self) {
        self.reset(libc::ECONNABORTED);
    }

    fn reset(&self, errno: i32) {
        let key = self.handle.key;
        self.handle.executor.with_io(|driver, sockets| sockets.reset_stream(key, errno, driver));
    }
}

/// The slot was given up: the connection was closed by this side before.
fn gone() -> io::Error {
    io::Error::from_raw_os_error(libc::ECONNABORTED)
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.executor.with_io(|driver, sockets| sockets.drop_stream(self.key, driver));
    }
}
