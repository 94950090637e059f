//! UDP echo by hand on edge-triggered epoll, in batches by recvmmsg and sendmmsg.
#![allow(unsafe_code)]

use std::io;
use std::net::UdpSocket;
use std::os::fd::{AsRawFd, RawFd};

use super::epoll_tcp::Epoll;

/// Datagrams per system call.
const BATCH: usize = 64;

struct Batch {
    headers: [libc::mmsghdr; BATCH],
    data: [libc::iovec; BATCH],
    names: [libc::sockaddr_storage; BATCH],
    bytes: [[u8; super::MESSAGE]; BATCH],
}

pub(super) fn serve(socket: &UdpSocket) -> io::Result<()> {
    socket.set_nonblocking(true)?;
    let fd = socket.as_raw_fd();
    let epoll = Epoll::new()?;
    epoll.add(fd, libc::EPOLLIN)?;
    // SAFETY: plain data for which all zeroes is a value.
    let mut batch: Box<Batch> = unsafe { Box::new(std::mem::zeroed()) };
    loop {
        epoll.wait(|_| {
            loop {
                let count = batch.receive(fd)?;
                batch.send(fd, count);
                // Less than was asked for: the socket is empty; what comes later is a new edge.
                if count < BATCH {
                    return Ok(());
                }
            }
        })?;
    }
}

impl Batch {
    /// Takes up to [`BATCH`] datagrams.
    fn receive(&mut self, fd: RawFd) -> io::Result<usize> {
        for i in 0..BATCH {
            self.data[i] = libc::iovec {
                iov_base: self.bytes[i].as_mut_ptr().cast(),
                iov_len: super::MESSAGE,
            };
            let header = &mut self.headers[i].msg_hdr;
            header.msg_name = (&raw mut self.names[i]).cast();
            header.msg_namelen = size_of::<libc::sockaddr_storage>() as u32;
            header.msg_iov = &raw mut self.data[i];
            header.msg_iovlen = 1;
        }
        // SAFETY: each header names a buffer and an address of its own slot, all of them in `self`.
        let count = unsafe {
            libc::recvmmsg(
                fd,
                self.headers.as_mut_ptr(),
                BATCH as u32,
                libc::MSG_DONTWAIT,
                std::ptr::null_mut(),
            )
        };
        if count >= 0 {
            return Ok(count as usize);
        }
        match io::Error::last_os_error() {
            error if error.kind() == io::ErrorKind::WouldBlock => Ok(0),
            error => Err(error),
        }
    }

    /// Sends the first `count` back; what the socket does not take is lost, as datagrams may be.
    fn send(&mut self, fd: RawFd, count: usize) {
        for i in 0..count {
            self.data[i].iov_len = self.headers[i].msg_len as usize;
        }
        let mut sent = 0;
        while sent < count {
            // SAFETY: the headers from `sent` on were filled by `receive` and point into `self`.
            let taken = unsafe {
                libc::sendmmsg(
                    fd,
                    self.headers[sent..].as_mut_ptr(),
                    (count - sent) as u32,
                    libc::MSG_DONTWAIT,
                )
            };
            // On an error skip the datagram it is about.
            sent += taken.max(1) as usize;
        }
    }
}
