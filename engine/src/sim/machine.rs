//! A host as the network sees it: whether it has power, and who has which port.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, SocketAddrV4};

use super::net::CoreId;
use super::steer::Program;
use crate::driver::{Key, Protocol};

/// Ports that are given out where none is asked for, as on Linux.
const EPHEMERAL: std::ops::Range<u16> = 32768..61000;

/// One core's socket in a group.
#[derive(Clone, Copy)]
struct Member {
    core: CoreId,
    state: State,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    /// Bound, not opened yet.
    Bound,
    Open(Key),
    Closed,
}

/// An address that is taken, and the sockets that share it.
pub(super) struct Port {
    protocol: Protocol,
    /// As it was asked for, with the real port.
    pub(super) address: SocketAddr,
    members: Vec<Member>,
    steer: Option<Program>,
}

impl Port {
    /// Whether it is bound to all addresses of the host.
    fn is_wild(&self) -> bool {
        self.address.ip().is_unspecified()
    }

    fn takes(&self, to: SocketAddrV4) -> bool {
        self.address.port() == to.port()
            && (self.is_wild() || self.address.ip() == IpAddr::V4(*to.ip()))
    }

    /// Which member takes what comes with this hash of its addresses.
    pub(super) fn pick(&self, hash: u64, packet: &[u8]) -> Option<(CoreId, Key)> {
        let open = |member: &Member| match member.state {
            State::Open(key) => Some((member.core, key)),
            _ => None,
        };
        let steered = self.steer.as_ref().map(|program| program.run(packet) as usize);
        if let Some(chosen) = steered.and_then(|index| self.members.get(index)).and_then(open) {
            return Some(chosen);
        }
        let count = self.members.iter().filter_map(open).count() as u64;
        let chosen = hash.checked_rem(count)? as usize;
        self.members.iter().filter_map(open).nth(chosen)
    }
}

pub(super) struct Machine {
    pub(super) ip: Ipv4Addr,
    pub(super) powered: bool,
    ports: Vec<Port>,
    /// Ports of connections made from here.
    connected: BTreeSet<u16>,
    next: u16,
}

impl Machine {
    pub(super) fn new(ip: Ipv4Addr) -> Self {
        let (ports, connected) = (Vec::new(), BTreeSet::new());
        Self { ip, powered: false, ports, connected, next: EPHEMERAL.start }
    }

    /// Takes an address for a group of cores. Errors are those of a kernel.
    pub(super) fn bind(
        &mut self,
        protocol: Protocol,
        mut address: SocketAddr,
        cores: impl Iterator<Item = CoreId>,
        steer: Option<Program>,
    ) -> Result<SocketAddr, i32> {
        let here = match address.ip() {
            IpAddr::V4(ip) => ip.is_unspecified() || ip.is_loopback() || ip == self.ip,
            IpAddr::V6(ip) => ip.is_unspecified(),
        };
        if !here {
            return Err(libc::EADDRNOTAVAIL);
        }
        if address.port() == 0 {
            let free = |port: &u16| {
                let used = self.ports.iter().any(|other| other.address.port() == *port);
                !used && !self.connected.contains(port)
            };
            address.set_port(self.next_free(free).ok_or(libc::EADDRINUSE)?);
        }
        let taken = self.ports.iter().any(|port| {
            port.protocol == protocol
                && port.address.port() == address.port()
                && (port.is_wild()
                    || address.ip().is_unspecified()
                    || port.address.ip() == address.ip())
        });
        if taken {
            return Err(libc::EADDRINUSE);
        }
        self.next = if EPHEMERAL.contains(&address.port()) { address.port() } else { self.next };
        let members = cores.map(|core| Member { core, state: State::Bound }).collect();
        self.ports.push(Port { protocol, address, members, steer });
        Ok(address)
    }

    /// A port for a connection from here.
    pub(super) fn connect(&mut self) -> Option<u16> {
        let free = |port: &u16| {
            let used =
                |other: &Port| other.protocol == Protocol::Tcp && other.address.port() == *port;
            !self.ports.iter().any(used) && !self.connected.contains(port)
        };
        let port = self.next_free(free)?;
        self.next = port;
        self.connected.insert(port);
        Some(port)
    }

    pub(super) fn disconnect(&mut self, port: u16) {
        self.connected.remove(&port);
    }

    fn next_free(&self, free: impl Fn(&u16) -> bool) -> Option<u16> {
        (self.next + 1..EPHEMERAL.end).chain(EPHEMERAL.start..=self.next).find(free)
    }

    /// A core opens its socket of an address that was bound before.
    pub(super) fn open(&mut self, protocol: Protocol, address: SocketAddr, core: CoreId, key: Key) {
        let ports = self.ports.iter_mut();
        let mut own = ports.filter(|port| port.protocol == protocol && port.address == address);
        if let Some(port) = own.next()
            && let Some(member) = port.members.iter_mut().find(|member| member.core == core)
        {
            member.state = State::Open(key);
        }
    }

    /// Takes sockets out of their groups; an address that nobody has any more is free.
    pub(super) fn release(&mut self, is_gone: impl Fn(CoreId, Option<Key>) -> bool) {
        for port in &mut self.ports {
            for member in &mut port.members {
                let key = match member.state {
                    State::Open(key) => Some(key),
                    _ => None,
                };
                if is_gone(member.core, key) {
                    member.state = State::Closed;
                }
            }
        }
        self.ports.retain(|port| port.members.iter().any(|member| member.state != State::Closed));
    }

    /// Who has an address; one who has it alone goes before one who has all of the host's.
    pub(super) fn find(&self, protocol: Protocol, to: SocketAddrV4) -> Option<&Port> {
        let takers =
            || self.ports.iter().filter(move |port| port.protocol == protocol && port.takes(to));
        takers().find(|port| !port.is_wild()).or_else(|| takers().next())
    }
}
