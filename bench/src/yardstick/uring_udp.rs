//! UDP echo by hand on io_uring: one multishot recvmsg into provided buffers, one sendmsg per datagram straight from the
//! buffer it came in, all of a turn submitted by one system call.
#![allow(unsafe_code)]

use std::io;
use std::net::UdpSocket;
use std::os::fd::AsRawFd;

use io_uring::squeue::Entry;
use io_uring::types::{Fixed, RecvMsgOut};
use io_uring::{IoUring, cqueue, opcode};

use super::buffers::Buffers;

const GROUP: u16 = 0;
/// As in TCP, few enough to stay in the cache.
const BUFFERS: u16 = 128;
const SOCKET: Fixed = Fixed(0);
const RECV: u64 = u64::MAX;

/// The header of one sendmsg; slot `i` belongs to whoever holds buffer `i`.
struct Send {
    header: libc::msghdr,
    data: libc::iovec,
}

struct Server {
    ring: IoUring,
    buffers: Buffers,
    sends: Box<[Send]>,
    /// What recvmsg is to leave room for: an address, no control data.
    header: Box<libc::msghdr>,
}

pub(super) fn serve(socket: &UdpSocket) -> io::Result<()> {
    let ring = super::uring_tcp::ring()?;
    ring.submitter().register_files(&[socket.as_raw_fd()])?;
    let buffers = Buffers::register(&ring, GROUP, BUFFERS, super::MESSAGE)?;
    // SAFETY: both structures are plain data for which all zeroes is a value.
    let zeroed = || unsafe { std::mem::zeroed::<Send>() };
    let sends = std::iter::repeat_with(zeroed).take(BUFFERS.into()).collect();
    let mut header = Box::new(zeroed().header);
    header.msg_namelen = size_of::<libc::sockaddr_storage>() as u32;
    let mut server = Server { ring, buffers, sends, header };
    server.arm()?;
    let mut done: Vec<cqueue::Entry> = Vec::new();
    loop {
        super::uring_tcp::wait(&server.ring)?;
        done.extend(server.ring.completion());
        for entry in done.drain(..) {
            if entry.user_data() == RECV {
                server.received(&entry)?;
            } else {
                server.buffers.give_back(entry.user_data() as u16);
            }
        }
        server.buffers.publish();
    }
}

impl Server {
    fn push(&mut self, entry: &Entry) -> io::Result<()> {
        // SAFETY: headers and buffers that entries name belong to `self` and stay where they are.
        while unsafe { self.ring.submission().push(entry) }.is_err() {
            self.ring.submit()?;
        }
        Ok(())
    }

    fn arm(&mut self) -> io::Result<()> {
        let entry = opcode::RecvMsgMulti::new(SOCKET, &raw const *self.header, GROUP).build();
        self.push(&entry.user_data(RECV))
    }

    fn received(&mut self, entry: &cqueue::Entry) -> io::Result<()> {
        if let Some(buffer) = cqueue::buffer_select(entry.flags()) {
            let filled = self.buffers.filled(buffer, entry.result().max(0) as usize);
            match RecvMsgOut::parse(filled, &self.header) {
                Ok(message)
                    if !message.is_name_data_truncated() && !message.is_payload_truncated() =>
                {
                    let (name, payload) = (message.name_data(), message.payload_data());
                    let send = &mut self.sends[usize::from(buffer)];
                    send.data = libc::iovec {
                        iov_base: payload.as_ptr().cast_mut().cast(),
                        iov_len: payload.len(),
                    };
                    send.header.msg_name = name.as_ptr().cast_mut().cast();
                    send.header.msg_namelen = name.len() as u32;
                    send.header.msg_iov = &raw mut send.data;
                    send.header.msg_iovlen = 1;
                    let header = &raw const send.header;
                    self.push(
                        &opcode::SendMsg::new(SOCKET, header).build().user_data(buffer.into()),
                    )?;
                }
                _ => self.buffers.give_back(buffer),
            }
        }
        if cqueue::more(entry.flags()) { Ok(()) } else { self.arm() }
    }
}
