//! Memory that `sendmsg` and `recvmsg` operations point to.

// These structures hold raw pointers to their neighbours.
#![allow(unsafe_code)]

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};
use std::ptr;

use socket2::SockAddr;

use crate::driver::Key;

/// Pieces of one send.
pub(super) const PIECES: usize = 64;
/// Room for the sender's address before a datagram.
const NAME: usize = size_of::<libc::sockaddr_in6>();
/// `struct io_uring_recvmsg_out`.
const HEADER: usize = 16;
/// Bytes before a received datagram in its buffer.
pub(super) const DATAGRAM_START: usize = HEADER + NAME;

fn empty_header() -> libc::msghdr {
    // SAFETY: plain numbers and pointers, for which zero is a value.
    unsafe { std::mem::zeroed() }
}

/// The pieces of one send of a stream.
pub(super) struct Gather {
    header: libc::msghdr,
    pieces: [libc::iovec; PIECES],
}

impl Gather {
    pub(super) fn new() -> Box<Self> {
        let piece = libc::iovec { iov_base: ptr::null_mut(), iov_len: 0 };
        Box::new(Self { header: empty_header(), pieces: [piece; PIECES] })
    }

    /// Points to `pieces`; the result is valid as long as they and this box stay.
    pub(super) fn fill<'a>(
        self: &mut Box<Self>,
        pieces: impl Iterator<Item = &'a [u8]>,
    ) -> *const libc::msghdr {
        let mut count = 0;
        for (place, piece) in self.pieces.iter_mut().zip(pieces) {
            place.iov_base = piece.as_ptr().cast_mut().cast();
            place.iov_len = piece.len();
            count += 1;
        }
        self.header.msg_iov = self.pieces.as_mut_ptr();
        self.header.msg_iovlen = count;
        &raw const self.header
    }
}

/// A datagram on its way out.
pub(super) struct Packet {
    pub(super) key: Key,
    pub(super) data: Vec<u8>,
    to: SockAddr,
    piece: libc::iovec,
    header: libc::msghdr,
}

impl Packet {
    pub(super) fn new(key: Key, to: SocketAddr, data: Vec<u8>) -> Box<Self> {
        let piece = libc::iovec { iov_base: ptr::null_mut(), iov_len: 0 };
        Box::new(Self { key, data, to: to.into(), piece, header: empty_header() })
    }

    pub(super) fn reuse(self: &mut Box<Self>, key: Key, to: SocketAddr, data: Vec<u8>) {
        self.key = key;
        self.to = to.into();
        self.data = data;
    }

    /// The message; valid as long as this box stays and is not changed.
    pub(super) fn message(self: &mut Box<Self>) -> *const libc::msghdr {
        self.piece.iov_base = self.data.as_ptr().cast_mut().cast();
        self.piece.iov_len = self.data.len();
        self.header.msg_name = self.to.as_ptr().cast_mut().cast();
        self.header.msg_namelen = self.to.len();
        self.header.msg_iov = &raw mut self.piece;
        self.header.msg_iovlen = 1;
        &raw const self.header
    }
}

/// What multishot receives of datagrams are told: how much room an address has.
pub(super) fn receive_header() -> Box<libc::msghdr> {
    let mut header = Box::new(empty_header());
    header.msg_namelen = NAME as u32;
    header
}

/// Reads a `sockaddr` as the kernel wrote it.
pub(super) fn parse_address(name: &[u8]) -> Option<SocketAddr> {
    let family = u16::from_ne_bytes(name.get(..2)?.try_into().ok()?);
    let port = u16::from_be_bytes(name.get(2..4)?.try_into().ok()?);
    match i32::from(family) {
        libc::AF_INET => {
            let ip: [u8; 4] = name.get(4..8)?.try_into().ok()?;
            Some(SocketAddrV4::new(Ipv4Addr::from(ip), port).into())
        }
        libc::AF_INET6 => {
            let flow = u32::from_ne_bytes(name.get(4..8)?.try_into().ok()?);
            let ip: [u8; 16] = name.get(8..24)?.try_into().ok()?;
            let scope = u32::from_ne_bytes(name.get(24..28)?.try_into().ok()?);
            Some(SocketAddrV6::new(Ipv6Addr::from(ip), port, flow, scope).into())
        }
        _ => None,
    }
}
