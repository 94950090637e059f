//! Datagrams: receiving and sending.

// Operations carry addresses of memory that must outlive them.
#![allow(unsafe_code)]

use std::os::fd::AsRawFd;

use io_uring::opcode;
use io_uring::types::{Fd, RecvMsgOut};

use super::message::{DATAGRAM_START, Packet, parse_address};
use super::{Op, UringDriver};
use crate::buffer::RecvBuf;
use crate::driver::Key;
use crate::driver::uring::ring::Completion;
use crate::net::table::Sockets;

/// Packets kept for reuse.
const SPARE: usize = 1024;

impl UringDriver {
    pub(super) fn received_datagram(
        &mut self,
        key: Key,
        completion: Completion,
        sockets: &mut Sockets,
    ) {
        let lease = completion.buffer().map(|buffer| {
            // SAFETY: this completion of a receive from the group named the buffer.
            unsafe { self.datagram_buffers.lease(buffer) }
        });
        if completion.result == -libc::ENOBUFS {
            sockets.stats.buffer_shortages += 1;
        }
        if let (0.., Some(lease)) = (completion.result, lease)
            && let Ok(parsed) =
                RecvMsgOut::parse(&lease[..completion.result as usize], &self.datagram_header)
        {
            let end = DATAGRAM_START + parsed.payload_data().len();
            let (from, truncated) =
                (parse_address(parsed.name_data()), parsed.is_payload_truncated());
            if truncated {
                sockets.stats.datagrams_oversized += 1;
            } else if let Some(from) = from {
                let data = if self.datagram_buffers.is_short() {
                    sockets.stats.buffer_copies += 1;
                    RecvBuf::owned(lease[DATAGRAM_START..end].to_vec())
                } else {
                    RecvBuf::leased(lease, DATAGRAM_START, end)
                };
                sockets.datagram(key, from, data);
            }
        }
        if !completion.more() {
            self.multishot_ended(key, sockets);
        }
    }

    pub(super) fn send_packets(&mut self, key: Key, sockets: &mut Sockets) {
        let Some(io) = self.io(key) else { return };
        let fd = Fd(io.fd.as_raw_fd());
        while let Some((to, data)) = sockets.next_datagram(key) {
            let packet = match self.spare_packets.pop() {
                Some(mut packet) => {
                    packet.reuse(key, to, data);
                    packet
                }
                None => Packet::new(key, to, data),
            };
            let index = self.packets.insert(packet);
            let message = self.packets[index].message();
            let entry = opcode::SendMsg::new(fd, message).flags(libc::MSG_NOSIGNAL as u32).build();
            let user_data = (Op::Packet as u64) << 56 | index as u64;
            if let Some(io) = self.io(key) {
                io.in_flight += 1;
            }
            // SAFETY: the packet stays in its box, unchanged, until this operation has ended.
            unsafe { self.ring.push(entry.user_data(user_data)) };
        }
    }

    pub(super) fn packet_sent(&mut self, completion: Completion, sockets: &mut Sockets) {
        let mut packet = self.packets.remove((completion.user_data & (u64::MAX >> 8)) as usize);
        let result = if completion.result < 0 { Err(-completion.result) } else { Ok(()) };
        let key = packet.key;
        sockets.datagram_done(key, std::mem::take(&mut packet.data), result);
        if self.spare_packets.len() < SPARE {
            self.spare_packets.push(packet);
        }
        self.ended(key, sockets);
    }
}
