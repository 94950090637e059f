//! Streams: connecting, receiving, sending.

// Operations carry addresses of memory that must outlive them.
#![allow(unsafe_code)]

use std::os::fd::AsRawFd;

use io_uring::opcode;
use io_uring::types::Fd;

use super::message::{Gather, PIECES};
use super::{Op, UringDriver};
use crate::buffer::RecvBuf;
use crate::driver::uring::ring::Completion;
use crate::driver::{Flow, Key};
use crate::net::table::Sockets;

/// The largest piece of one operation, whose result is an `i32`.
const PIECE_MAX: usize = i32::MAX as usize;

impl UringDriver {
    pub(super) fn connected(&mut self, key: Key, completion: Completion, sockets: &mut Sockets) {
        if let Some(io) = self.io(key) {
            io.address = None;
            if completion.result == 0 {
                sockets.connected(key, Ok(()));
                self.want(key, true);
            } else {
                sockets.connected(key, Err(-completion.result));
            }
        }
        self.ended(key, sockets);
    }

    pub(super) fn received(&mut self, key: Key, completion: Completion, sockets: &mut Sockets) {
        let lease = completion.buffer().map(|buffer| {
            // SAFETY: this completion of a receive from the group named the buffer.
            unsafe { self.stream_buffers.lease(buffer) }
        });
        match (completion.result, lease) {
            (1.., Some(lease)) => {
                let end = completion.result as usize;
                if let Some(io) = self.io(key) {
                    io.fed = true;
                }
                let data = if self.stream_buffers.is_short() {
                    sockets.stats.buffer_copies += 1;
                    RecvBuf::owned(lease[..end].to_vec())
                } else {
                    RecvBuf::leased(lease, 0, end)
                };
                if sockets.received(key, data) == Flow::Pause {
                    self.want(key, false);
                }
            }
            (0, _) => self.receive_ended(key, Ok(()), sockets),
            _ => match -completion.result {
                libc::ENOBUFS => sockets.stats.buffer_shortages += 1,
                libc::ECANCELED | libc::EINTR | libc::EAGAIN => {}
                errno => self.receive_ended(key, Err(errno), sockets),
            },
        }
        if !completion.more() {
            self.multishot_ended(key, sockets);
        }
    }

    fn receive_ended(&mut self, key: Key, result: Result<(), i32>, sockets: &mut Sockets) {
        if let Some(io) = self.io(key) {
            io.wanted = false;
            sockets.ended(key, result);
        }
    }

    pub(super) fn send_stream(&mut self, key: Key, sockets: &mut Sockets) {
        let Some(io) = self.ios.get_mut(key.slot as usize).and_then(Option::as_mut) else {
            return sockets.sent(key, 0);
        };
        let fd = Fd(io.fd.as_raw_fd());
        let Some(out) = sockets.outgoing(key) else { return };
        let mut pieces = out.freeze(PIECES).peekable();
        // The table asks only if there is something to send.
        let first = pieces.next().unwrap_or(&[]);
        let entry = if pieces.peek().is_none() || first.len() >= PIECE_MAX {
            let length = first.len().min(PIECE_MAX) as u32;
            opcode::Send::new(fd, first.as_ptr(), length).flags(libc::MSG_NOSIGNAL).build()
        } else {
            let mut gather = self.spare_gathers.pop().unwrap_or_else(Gather::new);
            let message = gather.fill(std::iter::once(first).chain(pieces));
            io.gather = Some(gather);
            opcode::SendMsg::new(fd, message).flags(libc::MSG_NOSIGNAL as u32).build()
        };
        // SAFETY: the queue keeps frozen pieces in place until the table is told that the send is
        // over, and the table keeps the queue until the socket is closed, which waits for this
        // operation; the gather stays in its box as long.
        unsafe { self.start(key, Op::Send, entry) };
    }

    pub(super) fn sent(&mut self, key: Key, completion: Completion, sockets: &mut Sockets) {
        if let Some(io) = self.io(key) {
            if let Some(gather) = io.gather.take() {
                self.spare_gathers.push(gather);
            }
            match completion.result {
                0.. => sockets.sent(key, completion.result as usize),
                result => {
                    if !matches!(-result, libc::EINTR | libc::EAGAIN) {
                        sockets.ended(key, Err(-result));
                    }
                    sockets.sent(key, 0);
                }
            }
        }
        self.ended(key, sockets);
    }
}
