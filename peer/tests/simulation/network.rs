//! The hosts of a simulated network: grapes, workers and clients, and what happens to them.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, SocketAddrV4};
use std::rc::Rc;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use grenache_engine::sim::{Host, Network, NodeId, World};
use grenache_grape::{Identity, Node};
use grenache_peer::server::Stats;
use grenache_peer::worker::Program;
use rand::rngs::StdRng;
use rand::{Rng, RngExt, SeedableRng};

use crate::client::Orders;
use crate::oracle::Oracle;
use crate::speech::Speech;
use crate::{client, worker};

const DHT_PORT: u16 = 20001;
const API_PORT: u16 = 30001;
const WORKER_PORT: u16 = 1337;

/// Grapes that others begin with.
pub(crate) const ROOTS: usize = 2;

/// Services in the network.
pub(crate) const SERVICES: usize = 5;

/// How long grapes keep what was announced.
pub(crate) const PEER_MAX_AGE: Duration = Duration::from_secs(120);

pub(crate) struct Hosts {
    pub(crate) world: World,
    pub(crate) oracle: Arc<Mutex<Oracle>>,
    pub(crate) grapes: Vec<Machine>,
    pub(crate) workers: Vec<Machine>,
    pub(crate) clients: Vec<Machine>,
    pub(crate) orders: Rc<Orders>,
    /// What runs on the workers.
    programs: BTreeMap<usize, Rc<Program>>,
    whole: bool,
    random: StdRng,
}

/// A host and what runs on it.
pub(crate) struct Machine {
    pub(crate) ip: Ipv4Addr,
    pub(crate) cores: usize,
    pub(crate) node: NodeId,
    /// Whether it has power.
    pub(crate) up: bool,
}

/// What may lose its power.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    Grape,
    Worker,
}

/// How many of each.
#[derive(Clone, Copy)]
pub(crate) struct Sizes {
    /// Hosts with a grape.
    pub(crate) grapes: usize,
    /// Those of them with a worker.
    pub(crate) workers: usize,
    pub(crate) clients: usize,
    /// Callers per core of a client.
    pub(crate) callers: usize,
}

/// A grape tells the network its own address as that of a worker it announces, so each worker has one on its host.
pub(crate) fn host_ip(number: usize) -> Ipv4Addr {
    Ipv4Addr::new(10, 0, 0, number as u8 + 1)
}

fn client_ip(client: usize) -> Ipv4Addr {
    Ipv4Addr::new(10, 2, 0, client as u8 + 1)
}

pub(crate) fn worker_addr(worker: usize) -> SocketAddr {
    SocketAddr::new(IpAddr::V4(host_ip(worker)), WORKER_PORT)
}

pub(crate) fn service(number: usize) -> String {
    format!("service:{number}")
}

/// Whether a worker offers a service: two of five each, so that every service has several workers.
pub(crate) fn offers(worker: usize, service: usize) -> bool {
    (worker + service).is_multiple_of(SERVICES)
        || (worker + 2 * service + 1).is_multiple_of(SERVICES)
}

impl Hosts {
    /// Grapes that know each other, then workers, then clients that make no calls yet.
    pub(crate) fn start(seed: u64, sizes: Sizes, network: Network, speech: Speech) -> Hosts {
        let mut hosts = Hosts {
            world: World::new(seed, network),
            oracle: Arc::new(Mutex::new(Oracle::new(seed))),
            grapes: Vec::new(),
            workers: Vec::new(),
            clients: Vec::new(),
            orders: Rc::new(Orders { calling: Cell::new(false), callers: sizes.callers, speech }),
            programs: BTreeMap::new(),
            whole: true,
            random: StdRng::seed_from_u64(seed),
        };
        for grape in 0..sizes.grapes {
            let cores = hosts.random.random_range(1..3);
            let node = hosts.start_grape(grape, cores);
            hosts.grapes.push(Machine { ip: host_ip(grape), cores, node, up: true });
        }
        hosts.world.run_for(Duration::from_secs(10));
        for worker in 0..sizes.workers {
            let cores = hosts.random.random_range(1..4);
            let node = hosts.start_worker(worker, cores);
            hosts.workers.push(Machine { ip: host_ip(worker), cores, node, up: true });
        }
        for client in 0..sizes.clients {
            let cores = 1 + client % 2;
            let node = hosts.start_client(client, cores);
            hosts.clients.push(Machine { ip: client_ip(client), cores, node, up: true });
        }
        hosts.tell_oracle();
        hosts
    }

    /// Takes the power from a grape or a worker.
    pub(crate) fn kill(&mut self, role: Role, number: usize) -> bool {
        let machine = match role {
            Role::Grape => &mut self.grapes[number],
            Role::Worker => &mut self.workers[number],
        };
        if !std::mem::take(&mut machine.up) {
            return false;
        }
        self.world.kill(machine.node);
        if role == Role::Worker {
            self.oracle.lock().unwrap().worker_killed(number);
        }
        self.tell_oracle();
        true
    }

    /// Asks a worker to stop: it finishes what it can and breaks off the rest.
    pub(crate) fn stop_worker(&mut self, number: usize) -> bool {
        let worker = &mut self.workers[number];
        let was_up = std::mem::take(&mut worker.up);
        if was_up {
            self.world.stop(worker.node);
            self.oracle.lock().unwrap().worker_killed(number);
        }
        was_up
    }

    /// Starts a grape or a worker again, on its address, with nothing remembered.
    pub(crate) fn start_again(&mut self, role: Role, number: usize) {
        match role {
            Role::Grape => {
                let node = self.start_grape(number, self.grapes[number].cores);
                self.grapes[number].node = node;
                self.grapes[number].up = true;
            }
            Role::Worker => {
                let node = self.start_worker(number, self.workers[number].cores);
                self.workers[number].node = node;
                self.workers[number].up = true;
            }
        }
        self.tell_oracle();
    }

    /// Cuts the network in two halves, drawn anew each time.
    pub(crate) fn partition(&mut self) {
        let machines = self.grapes.iter().chain(&self.clients);
        let random = &mut self.random;
        let (one, other): (Vec<_>, Vec<_>) =
            machines.map(|machine| machine.ip).partition(|_| random.random());
        self.world.partition(&one, &other);
        self.whole = false;
        self.tell_oracle();
    }

    pub(crate) fn heal(&mut self) {
        self.world.heal();
        self.whole = true;
        self.tell_oracle();
    }

    pub(crate) fn draw(&mut self, below: usize) -> usize {
        self.random.random_range(0..below)
    }

    /// Tasks that live on workers and clients.
    pub(crate) fn live_tasks(&self) -> usize {
        let machines = self.workers.iter().chain(&self.clients);
        machines.map(|machine| self.world.live_tasks(machine.node)).sum()
    }

    /// Connections, requests in hand and bytes held, of all workers.
    pub(crate) fn in_hand(&self) -> [u64; 3] {
        let stats: Stats = self.programs.values().map(|program| program.stats()).sum();
        [stats.connections, stats.in_flight, stats.held]
    }

    fn tell_oracle(&self) {
        let now = self.world.now();
        let calm = self.whole && self.grapes.iter().all(|grape| grape.up);
        self.oracle.lock().unwrap().calm(calm, now);
    }

    fn start_grape(&mut self, grape: usize, cores: usize) -> NodeId {
        let ip = host_ip(grape);
        let node = node(ip, cores, &mut self.random);
        let engine = node.engine_config();
        self.world.start(Host::new(ip), engine, move |core| node.run(core)).expect("a free host")
    }

    fn start_worker(&mut self, worker: usize, cores: usize) -> NodeId {
        let grapes = vec![grape_url(worker)];
        let (oracle, speech) = (self.oracle.clone(), self.orders.speech);
        let program = Rc::new(worker::program(worker, cores, grapes, oracle, speech));
        self.programs.insert(worker, program.clone());
        self.oracle.lock().unwrap().worker_started(worker, self.world.now());
        let host = Host::new(host_ip(worker));
        let engine = program.engine_config();
        self.world.start(host, engine, move |core| program.run(core)).expect("a free host")
    }

    fn start_client(&mut self, client: usize, cores: usize) -> NodeId {
        let config = grenache_engine::Config { cores, ..grenache_engine::Config::default() };
        let (oracle, orders, grapes) =
            (self.oracle.clone(), self.orders.clone(), self.grape_urls());
        let main = move |core| client::run(core, grapes.clone(), oracle.clone(), orders.clone());
        self.world.start(Host::new(client_ip(client)), config, main).expect("a free host")
    }

    /// Every client asks the grapes in an order of its own.
    fn grape_urls(&mut self) -> Vec<String> {
        let count = self.grapes.len();
        let first = self.random.random_range(0..count);
        (first..first + 3.min(count)).map(|grape| grape_url(grape % count)).collect()
    }
}

/// A grape.
pub(crate) fn node(ip: Ipv4Addr, cores: usize, random: &mut StdRng) -> Node {
    let config = grenache_grape::Config {
        dht_port: DHT_PORT,
        dht_bind: ip,
        api_port: API_PORT,
        api_bind: IpAddr::V4(ip),
        host: Some(ip),
        peer_max_age: PEER_MAX_AGE,
        cores,
        ..grenache_grape::Config::default()
    };
    let roots = (0..ROOTS).map(host_ip).filter(|root| *root != ip);
    Node {
        config,
        identity: Identity::draw(|bytes| random.fill_bytes(bytes)),
        bootstrap: roots.map(|root| SocketAddrV4::new(root, DHT_PORT)).collect(),
        verbose: false,
    }
}

pub(crate) fn grape_url(grape: usize) -> String {
    format!("http://{}:{API_PORT}", host_ip(grape))
}
