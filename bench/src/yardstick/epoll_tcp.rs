//! TCP echo by hand on edge-triggered epoll.
#![allow(unsafe_code)]

use std::io::{self, ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};

/// Events taken per wait.
const EVENTS: usize = 256;

/// An epoll instance.
pub(super) struct Epoll(OwnedFd);

impl Epoll {
    pub(super) fn new() -> io::Result<Self> {
        // SAFETY: no pointers; the result is checked before it is owned.
        let fd = unsafe { libc::epoll_create1(libc::EPOLL_CLOEXEC) };
        if fd < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: fresh and ours alone.
        Ok(Self(unsafe { OwnedFd::from_raw_fd(fd) }))
    }

    /// Watches `fd`, edge-triggered, for `events`.
    pub(super) fn add(&self, fd: RawFd, events: i32) -> io::Result<()> {
        let mut event =
            libc::epoll_event { events: (events | libc::EPOLLET) as u32, u64: fd as u64 };
        // SAFETY: the event lives through the call.
        match unsafe {
            libc::epoll_ctl(self.0.as_raw_fd(), libc::EPOLL_CTL_ADD, fd, &raw mut event)
        } {
            0 => Ok(()),
            _ => Err(io::Error::last_os_error()),
        }
    }

    /// Waits until at least one descriptor is ready and calls `ready` with each.
    pub(super) fn wait(&self, mut ready: impl FnMut(RawFd) -> io::Result<()>) -> io::Result<()> {
        let mut events = [libc::epoll_event { events: 0, u64: 0 }; EVENTS];
        // SAFETY: the kernel writes at most EVENTS events.
        let count =
            unsafe { libc::epoll_wait(self.0.as_raw_fd(), events.as_mut_ptr(), EVENTS as i32, -1) };
        if count < 0 {
            return Err(io::Error::last_os_error());
        }
        events[..count as usize].iter().try_for_each(|event| ready(event.u64 as RawFd))
    }
}

struct Connection {
    stream: TcpStream,
    /// What the socket would not take yet.
    unsent: Vec<u8>,
}

pub(super) fn serve(listener: &TcpListener) -> io::Result<()> {
    listener.set_nonblocking(true)?;
    let epoll = Epoll::new()?;
    epoll.add(listener.as_raw_fd(), libc::EPOLLIN)?;
    // By descriptor.
    let mut connections: Vec<Option<Connection>> = Vec::new();
    let mut buffer = [0; super::MESSAGE];
    loop {
        epoll.wait(|fd| {
            if fd == listener.as_raw_fd() {
                return accept(listener, &epoll, &mut connections);
            }
            if let Some(connection) = &mut connections[fd as usize]
                && !connection.turn(&mut buffer)
            {
                connections[fd as usize] = None;
            }
            Ok(())
        })?;
    }
}

fn accept(
    listener: &TcpListener,
    epoll: &Epoll,
    connections: &mut Vec<Option<Connection>>,
) -> io::Result<()> {
    loop {
        let stream = match listener.accept() {
            Ok((stream, _)) => stream,
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
            Err(error) => return Err(error),
        };
        stream.set_nonblocking(true)?;
        stream.set_nodelay(true)?;
        let fd = stream.as_raw_fd();
        if connections.len() <= fd as usize {
            connections.resize_with(fd as usize + 1, || None);
        }
        connections[fd as usize] = Some(Connection { stream, unsent: Vec::new() });
        epoll.add(fd, libc::EPOLLIN | libc::EPOLLOUT | libc::EPOLLRDHUP)?;
    }
}

impl Connection {
    /// Echoes until the socket has nothing more or takes nothing more; false when it is over.
    fn turn(&mut self, buffer: &mut [u8]) -> bool {
        loop {
            while !self.unsent.is_empty() {
                match self.stream.write(&self.unsent) {
                    Ok(count) => drop(self.unsent.drain(..count)),
                    Err(error) => return error.kind() == ErrorKind::WouldBlock,
                }
            }
            let count = match self.stream.read(buffer) {
                Ok(0) => return false,
                Ok(count) => count,
                Err(error) => return error.kind() == ErrorKind::WouldBlock,
            };
            match self.stream.write(&buffer[..count]) {
                Ok(sent) => self.unsent.extend_from_slice(&buffer[sent..count]),
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    self.unsent.extend_from_slice(&buffer[..count])
                }
                Err(_) => return false,
            }
            // A short read has emptied a stream socket; asking again would only cost a system call (epoll(7)).
            if count < buffer.len() && self.unsent.is_empty() {
                return true;
            }
        }
    }
}
