//! The io_uring driver. Needs Linux 6.1.
//!
//! Accepting and receiving are multishot operations that run until they are cancelled; received
//! bytes come in buffers of a ring lent to the kernel. When the kernel finds none (a burst larger
//! than the ring) the operation ends and is started again after the completions of that burst are
//! handled: at least half of the buffers are free by then, as no more than half are ever lent on to
//! tasks; further bytes are copied. A stream has one send in flight, whose completion says how much
//! left. All operations of a turn reach the kernel with the one call that waits for the next.
//!
//! A descriptor is closed when nothing is in flight on it any more; what is, is cancelled first.

// Operations carry addresses of memory that must outlive them.
#![allow(unsafe_code)]

mod datagram;
mod listener;
mod message;
mod op;
mod ring;
mod stream;

use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::os::fd::{AsFd, AsRawFd, FromRawFd, IntoRawFd, OwnedFd};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use io_uring::opcode;
use io_uring::squeue::Entry;
use io_uring::types::{CancelBuilder, Fd};
use slab::Slab;
use socket2::{Domain, SockAddr, SockRef, Socket, Type};

use self::message::{Gather, Packet};
use self::op::{Op, key_of, op_of, user_data};
use self::ring::{Completion, Ring};
use super::clock::Clock;
use super::{Bound, Driver, Key, Protocol, Wait};
use crate::buffer_ring::BufferRing;
use crate::config::{DriverKind, Limits};
use crate::mesh::Link;
use crate::net::bind;
use crate::net::table::Sockets;
use crate::sys::EventFd;

const STREAM_GROUP: u16 = 0;
const DATAGRAM_GROUP: u16 = 1;

struct Io {
    key: Key,
    fd: OwnedFd,
    /// What runs while it is wanted: accepting or receiving.
    multishot: Op,
    wanted: bool,
    running: bool,
    /// It has received something since it was started.
    fed: bool,
    /// Operations on the descriptor that will still complete.
    in_flight: u32,
    closing: bool,
    /// The peer's address, during a connect.
    address: Option<Box<SockAddr>>,
    /// The pieces of the send in flight.
    gather: Option<Box<Gather>>,
}

pub(crate) struct UringDriver {
    ring: Ring,
    clock: Clock,
    limits: Limits,
    bell: EventFd,
    /// By slot.
    ios: Vec<Option<Io>>,
    /// Whose multishot operation ended though it is wanted.
    restart: Vec<Key>,
    completions: Vec<Completion>,
    stream_buffers: Rc<BufferRing>,
    datagram_buffers: Rc<BufferRing>,
    datagram_header: Box<libc::msghdr>,
    packets: Slab<Box<Packet>>,
    #[expect(clippy::vec_box, reason = "a packet's box moves into the slab as it is")]
    spare_packets: Vec<Box<Packet>>,
    #[expect(clippy::vec_box, reason = "a gather's box moves into its socket as it is")]
    spare_gathers: Vec<Box<Gather>>,
}

impl UringDriver {
    /// Must be called on the core's thread: the ring is for one thread only.
    pub(crate) fn new(bell: EventFd, clock: Clock, limits: &Limits) -> io::Result<Self> {
        let ring = Ring::new(limits.uring_entries)?;
        let submitter = ring.submitter();
        let stream_buffers = BufferRing::register(
            &submitter,
            STREAM_GROUP,
            limits.tcp_buffers,
            limits.tcp_buffer_size.max(1),
        )?;
        let datagram_buffers = BufferRing::register(
            &submitter,
            DATAGRAM_GROUP,
            limits.udp_buffers,
            limits.udp_buffer_size.saturating_add(message::DATAGRAM_START),
        )?;
        let mut driver = Self {
            ring,
            clock,
            limits: limits.clone(),
            bell,
            ios: Vec::new(),
            restart: Vec::new(),
            completions: Vec::new(),
            stream_buffers,
            datagram_buffers,
            datagram_header: message::receive_header(),
            packets: Slab::new(),
            spare_packets: Vec::new(),
            spare_gathers: Vec::new(),
        };
        driver.watch_bell();
        Ok(driver)
    }

    /// Says why this system has no io_uring for us, if so: tries what a driver needs.
    pub(crate) fn probe() -> io::Result<()> {
        let limits = Limits {
            uring_entries: 8,
            tcp_buffers: 1,
            tcp_buffer_size: 64,
            udp_buffers: 1,
            udp_buffer_size: 64,
            ..Limits::default()
        };
        let mut driver = Self::new(EventFd::new()?, Clock::start(), &limits)?;
        driver.ring.enter(false, None);
        Ok(())
    }

    /// Polls the bell: a read would occupy a kernel thread that cannot be cancelled.
    fn watch_bell(&mut self) {
        let fd = Fd(self.bell.as_fd().as_raw_fd());
        let poll = opcode::PollAdd::new(fd, libc::POLLIN as u32).multi(true).build();
        let key = Key { slot: 0, generation: 0 };
        // SAFETY: it points to nothing.
        unsafe { self.ring.push(poll.user_data(user_data(Op::Bell, key))) };
    }

    fn rung(&mut self, completion: Completion) {
        self.bell.clear();
        if !completion.more() {
            self.watch_bell();
        }
    }

    fn insert(&mut self, key: Key, fd: OwnedFd, multishot: Op) {
        let slot = key.slot as usize;
        if slot >= self.ios.len() {
            self.ios.resize_with(slot + 1, || None);
        }
        self.ios[slot] = Some(Io {
            key,
            fd,
            multishot,
            wanted: false,
            running: false,
            fed: false,
            in_flight: 0,
            closing: false,
            address: None,
            gather: None,
        });
    }

    fn io(&mut self, key: Key) -> Option<&mut Io> {
        let io = self.ios.get_mut(key.slot as usize)?.as_mut()?;
        (io.key == key).then_some(io)
    }

    /// Starts an operation on a socket.
    ///
    /// # Safety
    /// As for [`Ring::push`].
    unsafe fn start(&mut self, key: Key, op: Op, entry: Entry) {
        if let Some(io) = self.io(key) {
            io.in_flight += 1;
            // SAFETY: the caller's business.
            unsafe { self.ring.push(entry.user_data(user_data(op, key))) };
        }
    }

    /// Starts an operation that points to nothing and whose outcome nobody needs.
    fn start_quietly(&mut self, entry: Entry) {
        let key = Key { slot: 0, generation: 0 };
        // SAFETY: it points to nothing.
        unsafe { self.ring.push(entry.user_data(user_data(Op::Quiet, key))) };
    }

    /// Starts or cancels the multishot operation of a socket.
    fn want(&mut self, key: Key, wanted: bool) {
        let Some(io) = self.io(key) else { return };
        io.wanted = wanted && !io.closing;
        let (running, op) = (io.running, io.multishot);
        if io.wanted && !running {
            self.start_multishot(key);
        } else if !wanted && running {
            let cancel = CancelBuilder::user_data(user_data(op, key));
            self.start_quietly(opcode::AsyncCancel2::new(cancel).build());
        }
    }

    fn start_multishot(&mut self, key: Key) {
        let header: *const libc::msghdr = &raw const *self.datagram_header;
        let Some(io) = self.io(key) else { return };
        io.running = true;
        io.fed = false;
        let fd = Fd(io.fd.as_raw_fd());
        let op = io.multishot;
        let entry = match op {
            Op::Accept => opcode::AcceptMulti::new(fd).flags(libc::SOCK_CLOEXEC).build(),
            Op::ReceiveDatagrams => opcode::RecvMsgMulti::new(fd, header, DATAGRAM_GROUP).build(),
            _ => opcode::RecvMulti::new(fd, STREAM_GROUP).build(),
        };
        // SAFETY: buffers come from the registered groups; the header lives as long as the driver.
        unsafe { self.start(key, op, entry) };
    }

    /// Notes that an operation has ended.
    fn ended(&mut self, key: Key, sockets: &mut Sockets) {
        let Some(io) = self.io(key) else { return };
        io.in_flight -= 1;
        if io.closing && io.in_flight == 0 {
            self.close_now(key, sockets);
        }
    }

    /// Notes that a multishot operation has ended; it is started again if still wanted.
    fn multishot_ended(&mut self, key: Key, sockets: &mut Sockets) {
        let Some(io) = self.io(key) else { return };
        io.running = false;
        if io.wanted {
            self.restart.push(key);
        }
        self.ended(key, sockets);
    }

    fn close_now(&mut self, key: Key, sockets: &mut Sockets) {
        if let Some(io) = self.ios[key.slot as usize].take() {
            self.start_quietly(opcode::Close::new(Fd(io.fd.into_raw_fd())).build());
        }
        sockets.closed(key);
    }

    fn complete(&mut self, completion: Completion, sockets: &mut Sockets) {
        let key = key_of(completion.user_data);
        match op_of(completion.user_data) {
            Op::Accept => self.accepted(key, completion, sockets),
            Op::Receive => self.received(key, completion, sockets),
            Op::Send => self.sent(key, completion, sockets),
            Op::Connect => self.connected(key, completion, sockets),
            Op::Finish => self.ended(key, sockets),
            Op::ReceiveDatagrams => self.received_datagram(key, completion, sockets),
            Op::Packet => self.packet_sent(completion, sockets),
            Op::Bell => self.rung(completion),
            Op::Quiet => {}
        }
    }
}

impl Driver for UringDriver {
    fn kind(&self) -> DriverKind {
        DriverKind::Uring
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
        self.insert(key, bound.socket.ok_or(ErrorKind::InvalidInput)?, Op::Accept);
        self.want(key, true);
        Ok(())
    }

    fn open_datagrams(&mut self, key: Key, bound: Bound) -> io::Result<()> {
        self.insert(key, bound.socket.ok_or(ErrorKind::InvalidInput)?, Op::ReceiveDatagrams);
        self.want(key, true);
        Ok(())
    }

    fn connect(&mut self, key: Key, to: SocketAddr) -> io::Result<()> {
        // Blocking: on a non-blocking socket io_uring would not wait but answer EAGAIN.
        let socket = Socket::new(Domain::for_address(to), Type::STREAM, None)?;
        socket.set_tcp_nodelay(true)?;
        self.insert(key, socket.into(), Op::Receive);
        let Some(io) = self.io(key) else { return Ok(()) };
        let address = &*io.address.insert(Box::new(to.into()));
        let fd = Fd(io.fd.as_raw_fd());
        let entry = opcode::Connect::new(fd, address.as_ptr().cast(), address.len()).build();
        // SAFETY: the address stays in its box until the operation has ended.
        unsafe { self.start(key, Op::Connect, entry) };
        Ok(())
    }

    fn local_address(&mut self, key: Key) -> io::Result<SocketAddr> {
        let io = self.io(key).ok_or(ErrorKind::NotConnected)?;
        bind::to_socket_address(&SockRef::from(&io.fd).local_addr()?)
    }

    fn resume(&mut self, key: Key, _sockets: &mut Sockets) {
        self.want(key, true);
    }

    fn send(&mut self, key: Key, sockets: &mut Sockets) {
        self.send_stream(key, sockets);
    }

    fn finish(&mut self, key: Key, _sockets: &mut Sockets) {
        if let Some(io) = self.io(key) {
            let entry = opcode::Shutdown::new(Fd(io.fd.as_raw_fd()), libc::SHUT_WR).build();
            // SAFETY: it points to nothing.
            unsafe { self.start(key, Op::Finish, entry) };
        }
    }

    fn send_datagrams(&mut self, key: Key, sockets: &mut Sockets) {
        self.send_packets(key, sockets);
    }

    fn close(&mut self, key: Key, reset: bool, sockets: &mut Sockets) {
        let Some(io) = self.io(key) else { return sockets.closed(key) };
        if reset {
            // Closing with a linger time of zero is how a reset is asked for.
            let _ = SockRef::from(&io.fd).set_linger(Some(Duration::ZERO));
        }
        io.closing = true;
        let (idle, datagrams) = (io.in_flight == 0, io.multishot == Op::ReceiveDatagrams);
        let fd = Fd(io.fd.as_raw_fd());
        self.want(key, false);
        if idle {
            self.close_now(key, sockets);
        } else if !datagrams {
            // Datagrams on their way out still leave.
            self.start_quietly(opcode::AsyncCancel2::new(CancelBuilder::fd(fd).all()).build());
        }
    }

    fn poll(&mut self, wait: Wait, sockets: &mut Sockets) {
        match wait {
            Wait::No => self.ring.enter(false, None),
            Wait::Until(None) => self.ring.enter(true, None),
            Wait::Until(Some(deadline)) => {
                let patience = deadline.saturating_sub(self.clock.now());
                self.ring.enter(true, Some(patience));
            }
        }
        let mut completions = std::mem::take(&mut self.completions);
        self.ring.reap(&mut completions);
        for completion in completions.drain(..) {
            self.complete(completion, sockets);
        }
        self.completions = completions;
        // While buffers are short the first get them all: whoever has had some comes after those that have had none, and nobody
        // overtakes.
        let mut restart = std::mem::take(&mut self.restart);
        restart.sort_by_key(|key| self.io(*key).is_some_and(|io| io.fed));
        for key in restart.drain(..) {
            if self.io(key).is_some_and(|io| io.wanted && !io.running && !io.closing) {
                self.start_multishot(key);
            }
        }
        self.restart = restart;
    }

    fn publish(&mut self, link: &Arc<Link>) {
        link.publish(link.written());
    }
}

impl Drop for UringDriver {
    fn drop(&mut self) {
        // Also submits closes that are still queued.
        self.ring.cancel_all(|completion| {
            if op_of(completion.user_data) == Op::Accept && completion.result >= 0 {
                // SAFETY: the kernel made this descriptor for us, and nobody else will see it.
                drop(unsafe { OwnedFd::from_raw_fd(completion.result) });
            }
        });
    }
}
