use crate::config::Config;
use crate::contact::{COMPACT_PEER, peer_to_compact};
use crate::seeded::Seeded;
use core::net::SocketAddrV4;
use core::time::Duration;
use indexmap::IndexMap;
use rand::rngs::StdRng;
use rand::seq::index;

/// One announced peer: its address as an integer that sorts, and when it ends, in ns.
#[derive(Clone, Copy)]
struct Peer {
    ends: u64,
    addr: [u8; COMPACT_PEER],
}

/// The peers of one service, sorted by address.
struct Service {
    peers: Vec<Peer>,
    /// No peer ends before this.
    first_end: u64,
}

impl Service {
    fn sweep(&mut self, now: u64) -> usize {
        let before = self.peers.len();
        self.peers.retain(|peer| peer.ends > now);
        self.first_end = self.peers.iter().map(|peer| peer.ends).min().unwrap_or(u64::MAX);
        if self.peers.capacity() > 4 * self.peers.len() {
            self.peers.shrink_to_fit();
        }
        before - self.peers.len()
    }
}

/// Why a peer was not stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Full;

/// The peers announced to this core, by service.
///
/// A peer is gone the moment its age is up: readers sweep a service before they read it. Memory is
/// given back by a hand that goes round all services twice in the life of a peer.
pub(crate) struct Peers {
    max_age: Duration,
    max_services: usize,
    max_per_service: usize,
    max_peers: usize,
    max_key_bytes: usize,
    services: IndexMap<Box<[u8]>, Service, Seeded>,
    peers: usize,
    key_bytes: usize,
    hand: usize,
    /// How far the hand moves at a time, in this round.
    steps: usize,
    next_turn: Option<Duration>,
}

/// Turns of the hand in the life of a peer. It passes every service twice in that.
const TURNS: u32 = 256;

impl Peers {
    pub(crate) fn new(config: &Config, seed: Seeded) -> Self {
        Self {
            max_age: config.peer_max_age,
            max_services: config.max_services,
            max_per_service: config.max_peers_per_service,
            max_peers: config.max_peers,
            max_key_bytes: config.max_key_bytes,
            services: IndexMap::with_hasher(seed),
            peers: 0,
            key_bytes: 0,
            hand: 0,
            steps: steps(0),
            next_turn: None,
        }
    }

    /// Peers stored, with ended ones that the hand has not come to yet.
    pub(crate) fn len(&self) -> usize {
        self.peers
    }

    pub(crate) fn services(&self) -> usize {
        self.services.len()
    }

    /// Stores a peer, or renews it. What is stored stays until its time is up, so a full store refuses.
    pub(crate) fn insert(
        &mut self,
        now: Duration,
        key: &[u8],
        addr: SocketAddrV4,
    ) -> Result<(), Full> {
        let ends = nanos(now + self.max_age);
        let peer = Peer { ends, addr: peer_to_compact(addr) };
        let full = self.peers >= self.max_peers;
        if let Some(service) = self.services.get_mut(key) {
            if service.peers.len() >= self.max_per_service && service.first_end <= nanos(now) {
                self.peers -= service.sweep(nanos(now));
            }
            match service.peers.binary_search_by_key(&peer.addr, |peer| peer.addr) {
                Ok(at) => service.peers[at].ends = ends,
                Err(_) if full || service.peers.len() >= self.max_per_service => return Err(Full),
                Err(at) => {
                    let length = service.peers.len();
                    if length == service.peers.capacity() {
                        service.peers.reserve_exact((length / 2).max(1));
                    }
                    service.peers.insert(at, peer);
                    service.first_end = service.first_end.min(ends);
                    self.peers += 1;
                }
            }
            return Ok(());
        }
        if full
            || self.services.len() >= self.max_services
            || self.key_bytes + key.len() > self.max_key_bytes
            || self.max_per_service == 0
        {
            return Err(Full);
        }
        self.services.insert(key.into(), Service { peers: vec![peer], first_end: ends });
        self.key_bytes += key.len();
        self.peers += 1;
        self.next_turn.get_or_insert(now + self.max_age / TURNS);
        Ok(())
    }

    /// Appends the peers of `key` to `found`: all of them, or a random choice of `max`.
    pub(crate) fn get(
        &mut self,
        now: Duration,
        key: &[u8],
        max: usize,
        rng: &mut StdRng,
        found: &mut Vec<[u8; COMPACT_PEER]>,
    ) {
        let Some(service) = self.services.get_mut(key) else { return };
        if service.first_end <= nanos(now) {
            self.peers -= service.sweep(nanos(now));
        }
        let peers = &service.peers;
        if peers.len() <= max {
            found.extend(peers.iter().map(|peer| peer.addr));
        } else {
            found.extend(index::sample(rng, peers.len(), max).iter().map(|i| peers[i].addr));
        }
    }

    /// When [`turn`](Self::turn) is due.
    pub(crate) fn next_turn(&self) -> Option<Duration> {
        self.next_turn
    }

    /// Lets the hand pass over the next few services.
    pub(crate) fn turn(&mut self, now: Duration) {
        if self.next_turn.is_none_or(|at| now < at) {
            return;
        }
        // It goes faster when there are more services, but not slower before the round is over.
        self.steps = self.steps.max(steps(self.services.len()));
        for _ in 0..self.steps {
            if self.hand >= self.services.len() {
                self.hand = 0;
                self.steps = steps(self.services.len());
            }
            let Some((_, service)) = self.services.get_index_mut(self.hand) else { break };
            if service.first_end <= nanos(now) {
                self.peers -= service.sweep(nanos(now));
            }
            if service.peers.is_empty() {
                if let Some((key, _)) = self.services.swap_remove_index(self.hand) {
                    self.key_bytes -= key.len();
                }
            } else {
                self.hand += 1;
            }
        }
        if self.services.capacity() > 4 * self.services.len() + 64 {
            self.services.shrink_to(2 * self.services.len());
        }
        let pause = self.max_age / TURNS;
        self.next_turn =
            (!self.services.is_empty()).then(|| now + pause.max(Duration::from_millis(1)));
    }
}

/// Services that the hand passes in a turn, so that a round takes half of a peer's life.
fn steps(services: usize) -> usize {
    (services / (TURNS as usize / 2)).max(16)
}

fn nanos(at: Duration) -> u64 {
    u64::try_from(at.as_nanos()).unwrap_or(u64::MAX)
}
