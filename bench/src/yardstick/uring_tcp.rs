//! TCP echo by hand on io_uring: one multishot accept, one multishot receive per connection into provided buffers, each
//! answer sent straight from the buffer it came in, one send in flight per connection, one system call per turn.
#![allow(unsafe_code)]

use std::collections::VecDeque;
use std::io;
use std::net::TcpListener;
use std::os::fd::{AsRawFd, RawFd};

use io_uring::squeue::Entry;
use io_uring::types::Fd;
use io_uring::{IoUring, cqueue, opcode};

use super::buffers::Buffers;

const GROUP: u16 = 0;
const BUFFERS: u16 = 1024;

// What a completion is about, in the top byte of its user data; the descriptor or buffer stands below.
const ACCEPT: u64 = 0 << 56;
const RECV: u64 = 1 << 56;
const SEND: u64 = 2 << 56;
const KIND: u64 = 0xff << 56;

/// A received buffer that waits for its turn to be sent back.
struct Piece {
    buffer: u16,
    len: u32,
}

#[derive(Default)]
struct Connection {
    open: bool,
    sending: bool,
    queue: VecDeque<Piece>,
}

struct Server {
    ring: IoUring,
    buffers: Buffers,
    /// By descriptor.
    connections: Vec<Connection>,
}

/// The flags every ring of the yardsticks is built with.
pub(super) fn ring() -> io::Result<IoUring> {
    IoUring::builder()
        .setup_single_issuer()
        .setup_coop_taskrun()
        .setup_defer_taskrun()
        .setup_cqsize(8192)
        .build(2048)
}

pub(super) fn serve(listener: &TcpListener) -> io::Result<()> {
    let ring = ring()?;
    let buffers = Buffers::register(&ring, GROUP, BUFFERS, super::MESSAGE)?;
    let mut server = Server { ring, buffers, connections: Vec::new() };
    let listener = listener.as_raw_fd();
    server.push(&opcode::AcceptMulti::new(Fd(listener)).build().user_data(ACCEPT))?;
    let mut done: Vec<cqueue::Entry> = Vec::new();
    loop {
        server.ring.submit_and_wait(1)?;
        done.extend(server.ring.completion());
        for entry in done.drain(..) {
            server.complete(listener, &entry)?;
        }
        server.buffers.publish();
    }
}

impl Server {
    fn push(&mut self, entry: &Entry) -> io::Result<()> {
        // SAFETY: every buffer an entry names belongs to `self.buffers`, which lives as long as the ring.
        while unsafe { self.ring.submission().push(entry) }.is_err() {
            self.ring.submit()?;
        }
        Ok(())
    }

    fn complete(&mut self, listener: RawFd, entry: &cqueue::Entry) -> io::Result<()> {
        let data = entry.user_data();
        let low = data & !KIND;
        match data & KIND {
            ACCEPT => {
                if !cqueue::more(entry.flags()) {
                    self.push(&opcode::AcceptMulti::new(Fd(listener)).build().user_data(ACCEPT))?;
                }
                if entry.result() >= 0 { self.open(entry.result()) } else { Ok(()) }
            }
            RECV => self.received(low as RawFd, entry),
            SEND => self.sent((low >> 16) as RawFd, low as u16, entry.result()),
            other => unreachable!("no operation of kind {other:#x} was submitted"),
        }
    }

    fn open(&mut self, fd: RawFd) -> io::Result<()> {
        let on: libc::c_int = 1;
        // SAFETY: a live descriptor and an option value of the size given.
        unsafe {
            libc::setsockopt(
                fd,
                libc::IPPROTO_TCP,
                libc::TCP_NODELAY,
                (&raw const on).cast(),
                size_of_val(&on) as u32,
            )
        };
        if self.connections.len() <= fd as usize {
            self.connections.resize_with(fd as usize + 1, Connection::default);
        }
        self.connections[fd as usize].open = true;
        self.arm(fd)
    }

    fn arm(&mut self, fd: RawFd) -> io::Result<()> {
        self.push(&opcode::RecvMulti::new(Fd(fd), GROUP).build().user_data(RECV | fd as u64))
    }

    fn received(&mut self, fd: RawFd, entry: &cqueue::Entry) -> io::Result<()> {
        let connection = &mut self.connections[fd as usize];
        if let (Some(buffer), true) = (cqueue::buffer_select(entry.flags()), entry.result() > 0) {
            connection.queue.push_back(Piece { buffer, len: entry.result() as u32 });
            if !connection.sending {
                connection.sending = true;
                self.send(fd)?;
            }
        }
        if cqueue::more(entry.flags()) {
            return Ok(());
        }
        if entry.result() > 0 || entry.result() == -libc::ENOBUFS {
            return self.arm(fd);
        }
        self.connections[fd as usize].open = false;
        self.close_when_quiet(fd);
        Ok(())
    }

    fn send(&mut self, fd: RawFd) -> io::Result<()> {
        let piece = self.connections[fd as usize].queue.front().expect("something to send");
        let (buffer, len) = (piece.buffer, piece.len);
        // MSG_WAITALL has the kernel finish a short send itself.
        let entry = opcode::Send::new(Fd(fd), self.buffers.start(buffer), len)
            .flags(libc::MSG_WAITALL | libc::MSG_NOSIGNAL)
            .build();
        self.push(&entry.user_data(SEND | (fd as u64) << 16 | u64::from(buffer)))
    }

    fn sent(&mut self, fd: RawFd, buffer: u16, result: i32) -> io::Result<()> {
        self.buffers.give_back(buffer);
        let connection = &mut self.connections[fd as usize];
        connection.queue.pop_front();
        if result < 0 {
            // The other side is gone: the receive will end too.
            while let Some(piece) = connection.queue.pop_front() {
                self.buffers.give_back(piece.buffer);
            }
        }
        if !connection.queue.is_empty() {
            return self.send(fd);
        }
        connection.sending = false;
        self.close_when_quiet(fd);
        Ok(())
    }

    fn close_when_quiet(&mut self, fd: RawFd) {
        let connection = &self.connections[fd as usize];
        if !connection.open && !connection.sending {
            // SAFETY: the descriptor came from accept, and neither a receive nor a send of it is in flight.
            unsafe { libc::close(fd) };
        }
    }
}
