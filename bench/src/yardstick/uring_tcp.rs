//! TCP echo by hand on io_uring: one multishot accept, one multishot receive per connection into provided buffers, each
//! answer sent straight from the buffer it came in, one send in flight per connection, one system call per turn.
#![allow(unsafe_code)]

use std::collections::VecDeque;
use std::io;
use std::net::TcpListener;
use std::os::fd::{AsRawFd, RawFd};

use io_uring::squeue::Entry;
use io_uring::types::{Fd, Fixed};
use io_uring::{IoUring, cqueue, opcode};

use super::buffers::Buffers;

const GROUP: u16 = 0;

/// Few enough to stay in the cache: the kernel hands them out in turn, so all of them are touched again and again.
const BUFFERS: u16 = 128;

/// Size of the ring's own table of descriptors.
const CONNECTIONS: u32 = 4096;

// What a completion is about, in the top byte of its user data; the descriptor or buffer stands below.
const ACCEPT: u64 = 0 << 56;
const RECV: u64 = 1 << 56;
const SEND: u64 = 2 << 56;
const CLOSE: u64 = 3 << 56;
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
    /// True when connections live in the ring's own table of descriptors, which saves the kernel the look-up in the
    /// process's table. Such a connection has no descriptor that other system calls could use.
    direct: bool,
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

/// Submits what is queued and waits for at least one completion; a signal is no reason to stop.
pub(super) fn wait(ring: &IoUring) -> io::Result<()> {
    match ring.submit_and_wait(1) {
        Err(error) if error.kind() != io::ErrorKind::Interrupted => Err(error),
        _ => Ok(()),
    }
}

pub(super) fn serve(listener: &TcpListener, direct: bool) -> io::Result<()> {
    // Inherited by the connections.
    let (listener, on) = (listener.as_raw_fd(), 1);
    let value: *const libc::c_int = &raw const on;
    // SAFETY: a live descriptor and an option value of the size given.
    unsafe {
        libc::setsockopt(
            listener,
            libc::IPPROTO_TCP,
            libc::TCP_NODELAY,
            value.cast(),
            size_of_val(&on) as u32,
        )
    };
    let ring = ring()?;
    if direct {
        ring.submitter().register_files_sparse(CONNECTIONS)?;
    }
    let buffers = Buffers::register(&ring, GROUP, BUFFERS, super::MESSAGE)?;
    let mut server = Server { ring, buffers, connections: Vec::new(), direct };
    server.accept(listener)?;
    let mut done: Vec<cqueue::Entry> = Vec::new();
    loop {
        wait(&server.ring)?;
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

    fn accept(&mut self, listener: RawFd) -> io::Result<()> {
        let entry = opcode::AcceptMulti::new(Fd(listener)).allocate_file_index(self.direct).build();
        self.push(&entry.user_data(ACCEPT))
    }

    fn complete(&mut self, listener: RawFd, entry: &cqueue::Entry) -> io::Result<()> {
        let data = entry.user_data();
        let low = data & !KIND;
        match data & KIND {
            ACCEPT => {
                if !cqueue::more(entry.flags()) {
                    self.accept(listener)?;
                }
                if entry.result() >= 0 { self.open(entry.result()) } else { Ok(()) }
            }
            RECV => self.received(low as RawFd, entry),
            SEND => self.sent((low >> 16) as RawFd, low as u16, entry.result()),
            CLOSE => Ok(()),
            other => unreachable!("no operation of kind {other:#x} was submitted"),
        }
    }

    fn open(&mut self, fd: RawFd) -> io::Result<()> {
        if self.connections.len() <= fd as usize {
            self.connections.resize_with(fd as usize + 1, Connection::default);
        }
        self.connections[fd as usize].open = true;
        self.arm(fd)
    }

    fn arm(&mut self, fd: RawFd) -> io::Result<()> {
        let entry = match self.direct {
            true => opcode::RecvMulti::new(Fixed(fd as u32), GROUP).build(),
            false => opcode::RecvMulti::new(Fd(fd), GROUP).build(),
        };
        self.push(&entry.user_data(RECV | fd as u64))
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
        self.close_when_quiet(fd)
    }

    fn send(&mut self, fd: RawFd) -> io::Result<()> {
        let piece = self.connections[fd as usize].queue.front().expect("something to send");
        let (buffer, len) = (piece.buffer, piece.len);
        let start = self.buffers.start(buffer);
        // MSG_WAITALL has the kernel finish a short send itself.
        let flags = libc::MSG_WAITALL | libc::MSG_NOSIGNAL;
        let entry = match self.direct {
            true => opcode::Send::new(Fixed(fd as u32), start, len).flags(flags).build(),
            false => opcode::Send::new(Fd(fd), start, len).flags(flags).build(),
        };
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
        self.close_when_quiet(fd)
    }

    fn close_when_quiet(&mut self, fd: RawFd) -> io::Result<()> {
        let connection = &self.connections[fd as usize];
        if connection.open || connection.sending {
            return Ok(());
        }
        let entry = match self.direct {
            true => opcode::Close::new(Fixed(fd as u32)).build(),
            false => opcode::Close::new(Fd(fd)).build(),
        };
        self.push(&entry.user_data(CLOSE))
    }
}
