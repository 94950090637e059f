//! The epoll driver: for kernels and sandboxes that refuse io_uring.
//!
//! Descriptors are watched edge-triggered for both directions from the start, so a connection costs
//! one registration; readiness is remembered until a call says that it is used up. Events are taken
//! one at a time and all they allow is done at once.

use std::io::{self, ErrorKind, IoSlice, Read};
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use socket2::{Domain, SockRef, Socket, Type};

use super::clock::Clock;
use super::{Bound, Driver, Flow, Key, Protocol, Wait};
use crate::buffer::{Pool, RecvBuf};
use crate::config::{DriverKind, Limits};
use crate::mesh::Link;
use crate::net::bind;
use crate::net::table::Sockets;
use crate::sys::{Epoll, EventFd};

const BELL: u64 = u64::MAX;
const EVENTS: usize = 256;
/// Pieces of one send.
const PIECES: usize = 64;
/// Receives on one socket before the others have their turn.
const ROUND: usize = 128;
const WATCH: i32 = libc::EPOLLIN | libc::EPOLLOUT | libc::EPOLLRDHUP | libc::EPOLLET;

enum Io {
    Listener { socket: TcpListener, paused: bool },
    Stream(Stream),
    Datagrams { socket: UdpSocket, blocked: bool },
}

struct Stream {
    socket: TcpStream,
    connecting: bool,
    /// There may be bytes to read.
    readable: bool,
    paused: bool,
    ended: bool,
    /// A send waits for room in the kernel.
    blocked: bool,
}

pub(crate) struct EpollDriver {
    epoll: Epoll,
    bell: EventFd,
    clock: Clock,
    limits: Limits,
    /// By slot.
    ios: Vec<Option<(Key, Io)>>,
    /// Who had a full round or was paused: there may be more, of which no event will tell.
    again: Vec<Key>,
    stream_buffers: Rc<Pool>,
    datagram_buffers: Rc<Pool>,
}

fn token(key: Key) -> u64 {
    u64::from(key.generation) << 32 | u64::from(key.slot)
}

fn errno(error: &io::Error) -> i32 {
    error.raw_os_error().unwrap_or(libc::EIO)
}

impl EpollDriver {
    pub(crate) fn new(bell: EventFd, clock: Clock, limits: &Limits) -> io::Result<Self> {
        let epoll = Epoll::new(EVENTS)?;
        epoll.add(&bell, BELL, libc::EPOLLIN | libc::EPOLLET)?;
        let stream_buffers = Pool::new(limits.tcp_buffer_size.max(1), limits.tcp_buffers);
        // One byte more shows which datagrams are too large.
        let datagram_buffers =
            Pool::new(limits.udp_buffer_size.saturating_add(1), limits.udp_buffers);
        let (limits, ios, again) = (limits.clone(), Vec::new(), Vec::new());
        Ok(Self { epoll, bell, clock, limits, ios, again, stream_buffers, datagram_buffers })
    }

    fn insert(&mut self, key: Key, io: Io) -> io::Result<()> {
        let (socket, watch) = match &io {
            Io::Listener { socket, .. } => (SockRef::from(socket), libc::EPOLLIN | libc::EPOLLET),
            Io::Stream(stream) => (SockRef::from(&stream.socket), WATCH),
            Io::Datagrams { socket, .. } => (SockRef::from(socket), WATCH),
        };
        self.epoll.add(&*socket, token(key), watch)?;
        let slot = key.slot as usize;
        if slot >= self.ios.len() {
            self.ios.resize_with(slot + 1, || None);
        }
        self.ios[slot] = Some((key, io));
        Ok(())
    }

    fn io(&mut self, key: Key) -> Option<&mut Io> {
        let (owner, io) = self.ios.get_mut(key.slot as usize)?.as_mut()?;
        (*owner == key).then_some(io)
    }

    fn stream(&mut self, key: Key) -> Option<&mut Stream> {
        match self.io(key) {
            Some(Io::Stream(stream)) => Some(stream),
            _ => None,
        }
    }

    fn ready(&mut self, token: u64, flags: u32, sockets: &mut Sockets) {
        let key = Key { slot: token as u32, generation: (token >> 32) as u32 };
        let over = flags & (libc::EPOLLERR | libc::EPOLLHUP) as u32 != 0;
        let readable = over || flags & (libc::EPOLLIN | libc::EPOLLRDHUP) as u32 != 0;
        let writable = over || flags & libc::EPOLLOUT as u32 != 0;
        match self.io(key) {
            Some(Io::Listener { .. }) => self.accept(key, sockets),
            Some(Io::Stream(stream)) => {
                if stream.connecting && !(writable && self.connected(key, sockets)) {
                    return;
                }
                if readable {
                    self.receive(key, sockets);
                }
                if writable && self.stream(key).is_some_and(|stream| stream.blocked) {
                    self.send(key, sockets);
                }
            }
            Some(Io::Datagrams { blocked, .. }) => {
                let resend = writable && std::mem::take(blocked);
                if readable {
                    self.receive_datagrams(key, sockets);
                }
                if resend {
                    self.send_datagrams(key, sockets);
                }
            }
            None => {}
        }
    }

    fn accept(&mut self, key: Key, sockets: &mut Sockets) {
        loop {
            let Some(Io::Listener { socket, paused }) = self.io(key) else { return };
            if *paused {
                return;
            }
            match socket.accept() {
                Ok((socket, peer)) => {
                    let (stream, flow) = sockets.accepted(key, peer);
                    *paused = flow == Flow::Pause;
                    let Some(stream) = stream else { continue };
                    let opened = socket
                        .set_nonblocking(true)
                        .and_then(|()| self.insert(stream, Io::Stream(Stream::new(socket, false))));
                    if let Err(error) = opened {
                        sockets.ended(stream, Err(errno(&error)));
                    }
                }
                Err(error) => match error.kind() {
                    ErrorKind::WouldBlock => return,
                    // This one connection is gone already; the next may be well.
                    ErrorKind::ConnectionAborted | ErrorKind::Interrupted => {}
                    _ => {
                        *paused = true;
                        sockets.accept_failed(key, errno(&error));
                        return;
                    }
                },
            }
        }
    }

    /// A connection attempt is over; says whether it succeeded.
    fn connected(&mut self, key: Key, sockets: &mut Sockets) -> bool {
        let Some(stream) = self.stream(key) else { return false };
        stream.connecting = false;
        let result = match stream.socket.take_error() {
            Ok(None) => Ok(()),
            Ok(Some(error)) | Err(error) => Err(errno(&error)),
        };
        stream.ended = result.is_err();
        sockets.connected(key, result);
        result.is_ok()
    }

    fn receive(&mut self, key: Key, sockets: &mut Sockets) {
        let pool = self.stream_buffers.clone();
        let Some(stream) = self.stream(key) else { return };
        stream.readable = true;
        for _ in 0..ROUND {
            if !stream.readable || stream.paused || stream.ended {
                return;
            }
            let mut buffer = pool.take();
            match stream.socket.read(&mut buffer) {
                Ok(0) => {
                    stream.ended = true;
                    pool.give_back(buffer);
                    sockets.ended(key, Ok(()));
                }
                Ok(count) => {
                    let data = RecvBuf::in_pool(pool.clone(), buffer, count);
                    stream.paused = sockets.received(key, data) == Flow::Pause;
                }
                Err(error) => {
                    pool.give_back(buffer);
                    match error.kind() {
                        ErrorKind::WouldBlock => stream.readable = false,
                        ErrorKind::Interrupted => {}
                        _ => {
                            stream.ended = true;
                            sockets.ended(key, Err(errno(&error)));
                        }
                    }
                }
            }
        }
        self.come_again(key);
    }

    fn receive_datagrams(&mut self, key: Key, sockets: &mut Sockets) {
        let largest = self.limits.udp_buffer_size;
        let pool = self.datagram_buffers.clone();
        let Some(Io::Datagrams { socket, .. }) = self.io(key) else { return };
        for _ in 0..ROUND {
            let mut buffer = pool.take();
            match socket.recv_from(&mut buffer) {
                Ok((count, _)) if count > largest => {
                    pool.give_back(buffer);
                    sockets.stats.datagrams_oversized += 1;
                }
                Ok((count, from)) => {
                    let data = RecvBuf::in_pool(pool.clone(), buffer, count);
                    sockets.datagram(key, from, data);
                }
                Err(error) => {
                    pool.give_back(buffer);
                    if error.kind() == ErrorKind::WouldBlock {
                        return;
                    }
                    // An error of an earlier datagram; reading it clears it.
                }
            }
        }
        self.come_again(key);
    }

    fn come_again(&mut self, key: Key) {
        if !self.again.contains(&key) {
            self.again.push(key);
        }
    }
}

impl Stream {
    fn new(socket: TcpStream, connecting: bool) -> Self {
        let (readable, paused, ended, blocked) = (false, false, false, false);
        Self { socket, connecting, readable, paused, ended, blocked }
    }
}

impl Driver for EpollDriver {
    fn kind(&self) -> DriverKind {
        DriverKind::Epoll
    }

    fn now(&mut self) -> Duration {
        self.clock.now()
    }

    fn wall_clock(&mut self) -> Duration {
        self.clock.wall()
    }

    fn fill_random(&mut self, buffer: &mut [u8]) {
        crate::sys::fill_random(buffer);
    }

    fn bind(&mut self, protocol: Protocol, address: SocketAddr) -> io::Result<Bound> {
        bind::bind_one(protocol, address, &self.limits)
    }

    fn listen(&mut self, key: Key, bound: Bound) -> io::Result<()> {
        let socket = TcpListener::from(bound.socket.ok_or(ErrorKind::InvalidInput)?);
        socket.set_nonblocking(true)?;
        self.insert(key, Io::Listener { socket, paused: false })
    }

    fn open_datagrams(&mut self, key: Key, bound: Bound) -> io::Result<()> {
        let socket = UdpSocket::from(bound.socket.ok_or(ErrorKind::InvalidInput)?);
        socket.set_nonblocking(true)?;
        self.insert(key, Io::Datagrams { socket, blocked: false })
    }

    fn connect(&mut self, key: Key, to: SocketAddr) -> io::Result<()> {
        let socket = Socket::new(Domain::for_address(to), Type::STREAM.nonblocking(), None)?;
        socket.set_tcp_nodelay(true)?;
        match socket.connect(&to.into()) {
            Ok(()) => {}
            Err(error) if error.raw_os_error() == Some(libc::EINPROGRESS) => {}
            Err(error) => return Err(error),
        }
        // Also a connection that is there at once is reported by its first event.
        self.insert(key, Io::Stream(Stream::new(socket.into(), true)))
    }

    fn local_address(&mut self, key: Key) -> io::Result<SocketAddr> {
        self.stream(key).ok_or(ErrorKind::NotConnected)?.socket.local_addr()
    }

    fn resume(&mut self, key: Key, sockets: &mut Sockets) {
        match self.io(key) {
            Some(Io::Listener { paused, .. }) => {
                *paused = false;
                self.accept(key, sockets);
            }
            Some(Io::Stream(stream)) => {
                stream.paused = false;
                if stream.readable {
                    // In the next turn: a task that reads for as long as there is something to read would never end otherwise, if its
                    // peer fills the socket as fast as it is emptied.
                    self.again.push(key);
                }
            }
            _ => {}
        }
    }

    fn send(&mut self, key: Key, sockets: &mut Sockets) {
        let Some(stream) = self.stream(key) else { return sockets.sent(key, 0) };
        let Some(out) = sockets.outgoing(key) else { return };
        let mut slices = [IoSlice::new(&[]); PIECES];
        let count = out.fill(&mut slices);
        let socket = SockRef::from(&stream.socket);
        let result = socket.send_vectored_with_flags(&slices[..count], libc::MSG_NOSIGNAL);
        stream.blocked = false;
        match result {
            // If something is left, the table asks again.
            Ok(sent) => sockets.sent(key, sent),
            Err(error) => match error.kind() {
                ErrorKind::WouldBlock => stream.blocked = true,
                ErrorKind::Interrupted => sockets.sent(key, 0),
                _ => {
                    sockets.ended(key, Err(errno(&error)));
                    sockets.sent(key, 0);
                }
            },
        }
    }

    fn finish(&mut self, key: Key, _sockets: &mut Sockets) {
        if let Some(stream) = self.stream(key) {
            // If the connection broke meanwhile, receiving tells.
            let _ = stream.socket.shutdown(std::net::Shutdown::Write);
        }
    }

    fn send_datagrams(&mut self, key: Key, sockets: &mut Sockets) {
        let Some(Io::Datagrams { socket, blocked }) = self.io(key) else { return };
        while !*blocked && let Some((to, data)) = sockets.next_datagram(key) {
            match socket.send_to(&data, to) {
                Ok(_) => sockets.datagram_done(key, data, Ok(())),
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    *blocked = true;
                    sockets.put_back_datagram(key, to, data);
                }
                Err(error) => sockets.datagram_done(key, data, Err(errno(&error))),
            }
        }
    }

    fn close(&mut self, key: Key, reset: bool, sockets: &mut Sockets) {
        if let Some(stream) = self.stream(key)
            && reset
        {
            // Closing with a linger time of zero is how a reset is asked for.
            let _ = SockRef::from(&stream.socket).set_linger(Some(Duration::ZERO));
        }
        if self.io(key).is_some() {
            self.ios[key.slot as usize] = None;
        }
        sockets.closed(key);
    }

    fn poll(&mut self, wait: Wait, sockets: &mut Sockets) {
        let again = std::mem::take(&mut self.again);
        let patience = match wait {
            _ if !again.is_empty() => Some(Duration::ZERO),
            Wait::No => Some(Duration::ZERO),
            Wait::Until(deadline) => {
                deadline.map(|deadline| deadline.saturating_sub(self.clock.now()))
            }
        };
        let count = self.epoll.wait(patience);
        for index in 0..count {
            let event = self.epoll.event(index);
            if event.token == BELL {
                self.bell.clear();
            } else {
                self.ready(event.token, event.flags, sockets);
            }
        }
        for key in again {
            self.ready(token(key), libc::EPOLLIN as u32, sockets);
        }
    }

    fn publish(&mut self, link: &Arc<Link>) {
        link.publish(link.written());
    }
}
