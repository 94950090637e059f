//! The grapes of a simulated network.

use std::net::{IpAddr, Ipv4Addr, SocketAddr, SocketAddrV4};
use std::ops::Range;

use grenache_engine::sim::{Host, Network, NodeId, World};
use grenache_grape::{Config, Identity, Node};
use rand::rngs::StdRng;
use rand::{Rng, RngExt, SeedableRng};

pub(crate) const DHT_PORT: u16 = 20001;
pub(crate) const API_PORT: u16 = 30001;

/// Grapes that others begin with.
const ROOTS: usize = 3;

pub(crate) struct Grapes {
    pub(crate) world: World,
    grapes: Vec<Grape>,
    random: StdRng,
}

struct Grape {
    ip: Ipv4Addr,
    cores: usize,
    node: NodeId,
    alive: bool,
}

pub(crate) fn ip(grape: usize) -> Ipv4Addr {
    Ipv4Addr::new(10, 0, (grape / 200) as u8, (grape % 200 + 1) as u8)
}

pub(crate) fn api(grape: usize) -> SocketAddr {
    SocketAddr::new(IpAddr::V4(ip(grape)), API_PORT)
}

impl Grapes {
    pub(crate) fn start(seed: u64, count: usize, cores: Range<usize>, network: Network) -> Grapes {
        let mut world = World::new(seed, network);
        let mut random = StdRng::seed_from_u64(seed);
        let grapes = (0..count)
            .map(|grape| {
                let cores = random.random_range(cores.clone());
                let node = start(&mut world, &mut random, ip(grape), cores);
                Grape { ip: ip(grape), cores, node, alive: true }
            })
            .collect();
        Grapes { world, grapes, random }
    }

    pub(crate) fn len(&self) -> usize {
        self.grapes.len()
    }

    /// Takes the power from a grape that is not one of the first.
    pub(crate) fn kill_one(&mut self) -> Option<usize> {
        let victim = self.random.random_range(ROOTS..self.grapes.len());
        let grape = &mut self.grapes[victim];
        if !std::mem::take(&mut grape.alive) {
            return None;
        }
        self.world.kill(grape.node);
        Some(victim)
    }

    /// Starts a grape again, on its address, with nothing remembered.
    pub(crate) fn start_again(&mut self, grape: usize) {
        let grape = &mut self.grapes[grape];
        grape.node = start(&mut self.world, &mut self.random, grape.ip, grape.cores);
        grape.alive = true;
    }

    /// Cuts the network in two halves, drawn anew each time.
    pub(crate) fn partition(&mut self) {
        let (one, other): (Vec<_>, Vec<_>) =
            self.grapes.iter().map(|grape| grape.ip).partition(|_| self.random.random());
        self.world.partition(&one, &other);
    }
}

fn start(world: &mut World, random: &mut StdRng, ip: Ipv4Addr, cores: usize) -> NodeId {
    let config = Config {
        dht_port: DHT_PORT,
        dht_bind: ip,
        api_port: API_PORT,
        api_bind: IpAddr::V4(ip),
        host: None,
        peer_max_age: super::PEER_MAX_AGE,
        cores,
        ..Config::default()
    };
    let roots = (0..ROOTS).map(self::ip).filter(|root| *root != ip);
    let node = Node {
        config,
        identity: Identity::draw(|bytes| random.fill_bytes(bytes)),
        bootstrap: roots.map(|root| SocketAddrV4::new(root, DHT_PORT)).collect(),
        verbose: false,
    };
    let engine = node.engine_config();
    world.start(Host::new(ip), engine, move |core| node.run(core)).expect("a free host")
}
