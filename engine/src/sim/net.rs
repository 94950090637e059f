//! The world between the executors: time, what is on its way, and which core has something to do.
//!
//! Everything that happens is either the arrival of something that is on its way or a turn of a
//! core. Both are taken in the order of their times, and what is drawn by chance is drawn from one
//! seeded generator in that order, so a seed is a run.

use std::cmp::{Ordering, Reverse};
use std::collections::{BTreeMap, BTreeSet, BinaryHeap, HashSet};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, SocketAddrV4};
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use super::machine::Machine;
use super::network::{Network, Traffic};
use super::site::Site;
use super::tcp::{Connection, End};
use crate::mesh::Link;

/// A core, ever: numbers are not used again.
pub(super) type CoreId = u32;

/// The least time between two turns of a core, so that a task that never waits lets time pass.
pub(super) const TURN: Duration = Duration::from_micros(1);
/// How long a packet takes inside a host. Always the same, so that none overtakes another.
const INSIDE: Duration = Duration::from_micros(10);

/// Something on its way.
pub(super) enum Event {
    Datagram {
        sender: Ipv4Addr,
        from: SocketAddrV4,
        to: SocketAddrV4,
        data: Vec<u8>,
    },
    /// The first segment of this end's queue reaches the other end.
    Segment(End),
    /// This end learns what the other has read.
    Window(End),
    /// This end, which waits for the other to read, asks whether it is still there.
    Probe(End),
    /// This end learns that the other is gone.
    Reset(End),
    Mesh {
        link: Arc<Link>,
        written: usize,
        to: CoreId,
    },
}

struct Scheduled {
    at: Duration,
    sequence: u64,
    event: Event,
}

impl PartialEq for Scheduled {
    fn eq(&self, other: &Self) -> bool {
        self.sequence == other.sequence
    }
}

impl Eq for Scheduled {}

impl PartialOrd for Scheduled {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Scheduled {
    fn cmp(&self, other: &Self) -> Ordering {
        (self.at, self.sequence).cmp(&(other.at, other.sequence))
    }
}

/// What came next.
pub(super) enum Step {
    /// This core is to take a turn.
    Turn(CoreId),
    /// Something has arrived.
    Arrival,
    /// Nothing happens before the time asked for.
    Nothing,
}

pub(super) struct Net {
    pub(super) network: Network,
    pub(super) traffic: Traffic,
    pub(super) now: Duration,
    pub(super) sites: Vec<Site>,
    pub(super) machines: BTreeMap<Ipv4Addr, Machine>,
    pub(super) connections: BTreeMap<u64, Connection>,
    pub(super) next_connection: u64,
    pub(super) partitions: Vec<(HashSet<Ipv4Addr>, HashSet<Ipv4Addr>)>,
    /// The first thing seen that must not be.
    pub(super) violation: Option<String>,
    events: BinaryHeap<Reverse<Scheduled>>,
    agenda: BTreeSet<(Duration, CoreId)>,
    sequence: u64,
    random: StdRng,
    salt: u64,
    trace: DefaultHasher,
}

impl Net {
    pub(super) fn new(seed: u64, network: Network) -> Self {
        network.check();
        let mut random = StdRng::seed_from_u64(seed);
        Self {
            network,
            traffic: Traffic::default(),
            now: Duration::ZERO,
            sites: Vec::new(),
            machines: BTreeMap::new(),
            connections: BTreeMap::new(),
            next_connection: 0,
            partitions: Vec::new(),
            violation: None,
            events: BinaryHeap::new(),
            agenda: BTreeSet::new(),
            sequence: 0,
            salt: random.random(),
            random,
            trace: DefaultHasher::new(),
        }
    }

    /// Takes what comes next, if it comes until then; the clock then shows its time.
    pub(super) fn step(&mut self, until: Duration) -> Step {
        let event = self.events.peek().map(|Reverse(scheduled)| scheduled.at);
        let turn = self.agenda.first().copied();
        match (event, turn) {
            (Some(at), turn) if at <= until && turn.is_none_or(|(turn, _)| at <= turn) => {
                let Some(Reverse(Scheduled { event, .. })) = self.events.pop() else {
                    return Step::Nothing;
                };
                self.now = at;
                self.arrive(event);
                Step::Arrival
            }
            (_, Some((at, core))) if at <= until => {
                self.now = self.now.max(at);
                self.agenda.pop_first();
                self.traffic.turns += 1;
                let site = &mut self.sites[core as usize];
                assert!(site.alive, "a dead core has a turn");
                site.due = None;
                site.not_before = at + TURN;
                self.note(0, &(at, core));
                Step::Turn(core)
            }
            _ => {
                self.now = self.now.max(until);
                Step::Nothing
            }
        }
    }

    fn arrive(&mut self, event: Event) {
        match event {
            Event::Datagram { sender, from, to, data } => {
                self.note(1, &(self.now, from, to, &data));
                self.datagram_arrives(sender, from, to, data);
            }
            Event::Segment(end) => {
                self.note(2, &(self.now, end));
                self.segment_arrives(end);
            }
            Event::Window(end) => {
                self.note(3, &(self.now, end));
                self.window_opens(end);
            }
            Event::Probe(end) => {
                self.note(4, &(self.now, end));
                self.probe(end);
            }
            Event::Reset(end) => {
                self.note(5, &(self.now, end));
                self.reset_arrives(end);
            }
            Event::Mesh { link, written, to } => {
                self.note(6, &(self.now, link.from, to, written));
                if self.sites[to as usize].alive {
                    link.publish(written);
                }
            }
        }
    }

    /// Adds something that happens to the trace.
    pub(super) fn note(&mut self, kind: u8, what: &impl Hash) {
        kind.hash(&mut self.trace);
        what.hash(&mut self.trace);
    }

    pub(super) fn trace(&self) -> u64 {
        self.trace.finish()
    }

    pub(super) fn schedule(&mut self, after: Duration, event: Event) {
        self.schedule_at(self.now + after, event);
    }

    pub(super) fn schedule_at(&mut self, at: Duration, event: Event) {
        self.sequence += 1;
        self.events.push(Reverse(Scheduled { at, sequence: self.sequence, event }));
    }

    /// Gives a core a turn at this time, or at the time it has one already if that is earlier.
    pub(super) fn wake(&mut self, core: CoreId, at: Duration) {
        let site = &mut self.sites[core as usize];
        if !site.alive {
            return;
        }
        let at = at.max(site.not_before);
        if site.due.is_some_and(|due| due <= at) {
            return;
        }
        if let Some(due) = site.due.replace(at) {
            self.agenda.remove(&(due, core));
        }
        self.agenda.insert((at, core));
    }

    /// A core has no turn to come any more.
    pub(super) fn take_turn_back(&mut self, core: CoreId) {
        if let Some(due) = self.sites[core as usize].due.take() {
            self.agenda.remove(&(due, core));
        }
    }

    pub(super) fn draw(&mut self, range: &Range<Duration>) -> Duration {
        if range.is_empty() { range.start } else { self.random.random_range(range.clone()) }
    }

    pub(super) fn draw_size(&mut self, most: usize) -> usize {
        self.random.random_range(1..=most.max(1))
    }

    pub(super) fn chance(&mut self, chance: f64) -> bool {
        chance > 0.0 && self.random.random_bool(chance)
    }

    pub(super) fn draw_seed(&mut self) -> u64 {
        self.random.random()
    }

    /// How a group of sockets is spread over by addresses.
    pub(super) fn spread(&self, from: SocketAddrV4, to: SocketAddrV4) -> u64 {
        let mut hasher = DefaultHasher::new();
        (self.salt, from, to).hash(&mut hasher);
        hasher.finish()
    }

    /// How long a packet takes.
    pub(super) fn travel(&mut self, from: Ipv4Addr, to: Ipv4Addr) -> Duration {
        if from == to {
            return INSIDE;
        }
        let delay = self.network.delay.clone();
        self.draw(&delay)
    }

    /// Whether a packet is lost by chance.
    pub(super) fn loses(&mut self, from: Ipv4Addr, to: Ipv4Addr) -> bool {
        from != to && self.chance(self.network.loss)
    }

    /// Whether what arrives now at `to` gets through and finds power there.
    pub(super) fn reaches(&self, from: Ipv4Addr, to: Ipv4Addr) -> bool {
        let cut = |(one, other): &(HashSet<Ipv4Addr>, HashSet<Ipv4Addr>)| {
            (one.contains(&from) && other.contains(&to))
                || (one.contains(&to) && other.contains(&from))
        };
        let powered = self.machines.get(&to).is_some_and(|machine| machine.powered);
        powered && (from == to || !self.partitions.iter().any(cut))
    }

    /// The host that has the address, as seen from `from`.
    pub(super) fn host_of(from: Ipv4Addr, address: Ipv4Addr) -> Ipv4Addr {
        if address.is_loopback() { from } else { address }
    }

    /// Something is so that must never be so. Reported by the world once the turn is over, for a
    /// panic in here might be taken for one of a task.
    pub(super) fn violated(&mut self, what: String) {
        self.violation.get_or_insert(what);
    }
}

/// The simulated network speaks IPv4, also in the form that an IPv6 socket sees.
pub(super) fn to_v4(address: SocketAddr) -> Option<SocketAddrV4> {
    let ip = match address.ip() {
        IpAddr::V4(ip) => ip,
        IpAddr::V6(ip) => ip.to_ipv4_mapped()?,
    };
    Some(SocketAddrV4::new(ip, address.port()))
}

/// An address as a socket sees it that is bound to `own`.
pub(super) fn seen_from(own: SocketAddr, address: SocketAddrV4) -> SocketAddr {
    match own {
        SocketAddr::V4(_) => address.into(),
        SocketAddr::V6(_) => (address.ip().to_ipv6_mapped(), address.port()).into(),
    }
}
