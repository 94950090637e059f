//! Datagrams between hosts.

use std::collections::VecDeque;
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};

use super::net::{CoreId, Event, Net, seen_from, to_v4};
use super::site::Io;
use crate::driver::{Key, Protocol};

/// The most a datagram can carry over IPv4.
const LARGEST: usize = 65_507;
/// What a datagram takes in a socket's buffer beside its bytes.
const OVERHEAD: usize = 256;

/// What has arrived at a socket and was not read by its core.
pub(super) struct Inbox {
    address: SocketAddr,
    datagrams: VecDeque<(SocketAddrV4, Vec<u8>)>,
    bytes: usize,
}

impl Inbox {
    pub(super) fn new(address: SocketAddr) -> Self {
        Self { address, datagrams: VecDeque::new(), bytes: 0 }
    }
}

impl Net {
    /// Sends a datagram. Errors are those of a kernel; that it gets lost is none.
    pub(super) fn send_datagram(
        &mut self,
        core: CoreId,
        key: Key,
        to: SocketAddr,
        data: &[u8],
    ) -> Result<(), i32> {
        let ip = self.sites[core as usize].ip;
        let Some(Io::Datagrams(inbox)) = self.io(core, key) else { return Err(libc::EBADF) };
        let own = inbox.address;
        let to = to_v4(to).ok_or(libc::ENETUNREACH)?;
        if to.port() == 0 {
            return Err(libc::EINVAL);
        }
        if data.len() > LARGEST {
            return Err(libc::EMSGSIZE);
        }
        let host = Self::host_of(ip, *to.ip());
        let from = match to_v4(own) {
            Some(own) if own.ip().is_loopback() && host != ip => return Err(libc::EINVAL),
            Some(own) if !own.ip().is_unspecified() => *own.ip(),
            _ if to.ip().is_loopback() => *to.ip(),
            _ => ip,
        };
        let from = SocketAddrV4::new(from, own.port());
        self.traffic.datagrams += 1;
        if self.loses(ip, host) {
            self.traffic.datagrams_lost += 1;
            return Ok(());
        }
        if ip != host && self.chance(self.network.duplicate) {
            self.traffic.datagrams_duplicated += 1;
            let delay = self.travel(ip, host);
            self.schedule(delay, Event::Datagram { sender: ip, from, to, data: data.to_vec() });
        }
        let delay = self.travel(ip, host);
        self.schedule(delay, Event::Datagram { sender: ip, from, to, data: data.to_vec() });
        Ok(())
    }

    pub(super) fn datagram_arrives(
        &mut self,
        sender: Ipv4Addr,
        from: SocketAddrV4,
        to: SocketAddrV4,
        data: Vec<u8>,
    ) {
        let host = Self::host_of(sender, *to.ip());
        if !self.reaches(sender, host) {
            self.traffic.datagrams_cut_off += 1;
            return;
        }
        let hash = self.spread(from, to);
        let machine = self.machine(host);
        let port = machine.find(Protocol::Udp, to);
        let Some((core, key)) = port.and_then(|port| port.pick(hash, &data)) else {
            self.traffic.datagrams_unclaimed += 1;
            return;
        };
        let room = self.sites[core as usize].limits.udp_kernel_buffer;
        let Some(Io::Datagrams(inbox)) = self.io(core, key) else {
            return self.violated(format!("datagram for socket {key:?} which core {core} has not"));
        };
        let size = data.len() + OVERHEAD;
        if inbox.bytes + size > room {
            self.traffic.datagrams_overflowed += 1;
            return;
        }
        inbox.bytes += size;
        inbox.datagrams.push_back((from, data));
        self.traffic.datagrams_arrived += 1;
        self.touch(core, key);
    }

    /// Reads a datagram out of a socket.
    pub(super) fn next_datagram(
        &mut self,
        core: CoreId,
        key: Key,
    ) -> Option<(SocketAddr, Vec<u8>)> {
        let Some(Io::Datagrams(inbox)) = self.io(core, key) else { return None };
        let (from, data) = inbox.datagrams.pop_front()?;
        inbox.bytes -= data.len() + OVERHEAD;
        Some((seen_from(inbox.address, from), data))
    }
}
