//! Where a core is in the network, and what it has opened there.

use std::collections::VecDeque;
use std::net::{Ipv4Addr, SocketAddr};
use std::ops::Range;
use std::time::Duration;

use super::machine::Machine;
use super::net::{CoreId, Net};
use super::tcp::End;
use super::udp::Inbox;
use crate::config::Limits;
use crate::driver::{Key, Protocol};

/// How long a core may take to notice what has arrived.
const NOTICE: Range<Duration> = Duration::ZERO..Duration::from_micros(10);

/// What a core has opened.
pub(super) enum Io {
    Listener { address: SocketAddr, backlog: VecDeque<u64>, paused: bool },
    Stream(End),
    Datagrams(Inbox),
}

/// What the network knows of a core.
pub(super) struct Site {
    pub(super) node: u32,
    /// Within its node.
    pub(super) index: usize,
    pub(super) ip: Ipv4Addr,
    pub(super) alive: bool,
    pub(super) limits: Limits,
    /// By slot.
    pub(super) ios: Vec<Option<(Key, Io)>>,
    /// Sockets with something to report.
    touched: Vec<Key>,
    /// When its next turn is.
    pub(super) due: Option<Duration>,
    pub(super) not_before: Duration,
}

impl Site {
    pub(super) fn new(node: u32, index: usize, ip: Ipv4Addr, limits: Limits) -> Self {
        Self {
            node,
            index,
            ip,
            alive: true,
            limits,
            ios: Vec::new(),
            touched: Vec::new(),
            due: None,
            not_before: Duration::ZERO,
        }
    }
}

impl Net {
    /// A socket has something to report to its core.
    pub(super) fn touch(&mut self, core: CoreId, key: Key) {
        let notice = self.draw(&NOTICE);
        if let Some(site) = self.sites.get_mut(core as usize).filter(|site| site.alive) {
            site.touched.push(key);
            self.wake(core, self.now + notice);
        }
    }

    pub(super) fn take_touched(&mut self, core: CoreId) -> Vec<Key> {
        std::mem::take(&mut self.sites[core as usize].touched)
    }

    pub(super) fn machine(&mut self, ip: Ipv4Addr) -> &mut Machine {
        self.machines.entry(ip).or_insert_with(|| Machine::new(ip))
    }

    /// Binds a socket for a core alone.
    pub(super) fn bind(
        &mut self,
        core: CoreId,
        protocol: Protocol,
        address: SocketAddr,
    ) -> Result<SocketAddr, i32> {
        let site = &self.sites[core as usize];
        if !site.alive {
            return Err(libc::ENETDOWN);
        }
        let ip = site.ip;
        self.machine(ip).bind(protocol, address, std::iter::once(core), None)
    }

    /// Opens a socket that was bound.
    pub(super) fn open(&mut self, core: CoreId, key: Key, address: SocketAddr, io: Io) {
        let protocol = match &io {
            Io::Datagrams(_) => Protocol::Udp,
            _ => Protocol::Tcp,
        };
        let ip = self.sites[core as usize].ip;
        self.machine(ip).open(protocol, address, core, key);
        self.insert(core, key, io);
    }

    pub(super) fn insert(&mut self, core: CoreId, key: Key, io: Io) {
        let ios = &mut self.sites[core as usize].ios;
        let slot = key.slot as usize;
        if slot >= ios.len() {
            ios.resize_with(slot + 1, || None);
        }
        ios[slot] = Some((key, io));
    }

    pub(super) fn io(&mut self, core: CoreId, key: Key) -> Option<&mut Io> {
        let (owner, io) = self.sites[core as usize].ios.get_mut(key.slot as usize)?.as_mut()?;
        (*owner == key).then_some(io)
    }

    /// A core closes one of its sockets.
    pub(super) fn close(&mut self, core: CoreId, key: Key, reset: bool) {
        if self.io(core, key).is_none() {
            return;
        }
        let site = &mut self.sites[core as usize];
        let (ip, closed) = (site.ip, site.ios[key.slot as usize].take());
        match closed {
            Some((_, Io::Stream(end))) => self.close_stream(end, reset),
            Some((_, io)) => {
                self.machine(ip)
                    .release(|member, member_key| member == core && member_key == Some(key));
                if let Io::Listener { backlog, .. } = io {
                    for connection in backlog {
                        self.refuse(End { connection, side: 1 });
                    }
                }
            }
            None => {}
        }
    }

    /// A core is no more, and what it had open is closed.
    pub(super) fn end_core(&mut self, core: CoreId) {
        let keys: Vec<Key> =
            self.sites[core as usize].ios.iter().flatten().map(|(key, _)| *key).collect();
        for key in keys {
            self.close(core, key, false);
        }
        self.forget_core(core);
    }

    /// A core is no more.
    pub(super) fn forget_core(&mut self, core: CoreId) {
        let site = &mut self.sites[core as usize];
        site.alive = false;
        site.ios = Vec::new();
        site.touched = Vec::new();
        let ip = site.ip;
        self.take_turn_back(core);
        self.machine(ip).release(|member, _| member == core);
    }
}
