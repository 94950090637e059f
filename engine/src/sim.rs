//! The simulator: whole networks of nodes on one thread, in virtual time, from a seed.
//!
//! A [`World`] runs the same program as [`Runtime`](crate::Runtime): the same [`Config`], the same
//! `main`, the same executor, and below it a driver whose clock, randomness, network and mesh are the
//! world's. One core takes a turn at a time, in an order that the seed decides, so every run of a
//! seed is the same run, as long as the program takes nothing from outside of the engine: no clock,
//! no randomness, no order of a `HashMap` with keys of its own.
//!
//! A client in a test is a host like any other, with a main of its own; what it finds out it may
//! leave in an `Rc` that the test holds too.
//!
//! ```
//! use std::{cell::Cell, rc::Rc, time::Duration};
//! use grenache_engine::{Config, Core, UdpSocket, sim};
//!
//! let mut world = sim::World::new(7, sim::Network::default());
//! let server = "10.0.0.1:53".parse().unwrap();
//! let config = Config { cores: 3, udp: vec![server], ..Config::default() };
//! world.start(sim::Host::new([10, 0, 0, 1]), config, |core: Core<()>| async move {
//!     while let Ok(datagram) = core.sockets[0].recv().await {
//!         core.sockets[0].send_to(&datagram.data, datagram.from);
//!     }
//! }).unwrap();
//!
//! let answered = Rc::new(Cell::new(false));
//! let answer = answered.clone();
//! world.start(sim::Host::new([10, 0, 0, 2]), Config::default(), move |_: Core<()>| {
//!     let answer = answer.clone();
//!     async move {
//!         let socket = UdpSocket::bind("0.0.0.0:0".parse().unwrap()).unwrap();
//!         socket.send_to(b"hello", server);
//!         answer.set(&socket.recv().await.unwrap().data[..] == b"hello");
//!     }
//! }).unwrap();
//! assert!(world.run_until(|| answered.get(), Duration::from_secs(1)));
//! ```
//!
//! What the world is like:
//!
//! - **Hosts** have an IPv4 address each; 127.0.0.0/8 is the host itself, 0.0.0.0 and `::` are all its
//!   addresses. Several nodes may run on one host and share its ports. What belongs to the threads of
//!   a real machine in [`Config`] (`driver`, `idle`, `pinning`) means nothing here.
//! - **Cores** that share an address get datagrams and connections by a hash of both addresses;
//!   datagrams by `Config::steer` before that.
//! - **Datagrams** are lost, delayed, copied and overtaken as [`Network`] says. The largest has 65,507
//!   bytes.
//! - **Streams** arrive in order and in pieces cut anywhere, with a window, half close and reset. A
//!   piece that does not get through is sent again after 200 ms, then after twice that, and so on up
//!   to two minutes, until the time-outs of [`Network`]. A connection to a port without a listener is
//!   refused; one to a host without power, or partitioned off, times out.
//! - **Power.** [`World::kill`] ends a node without a word. Its peers see nothing; when they send,
//!   there is no answer and at last a time-out, or, when another node runs on the host, a reset.
//! - **Invariants**, always checked: one core runs at a time, none that is dead, and no queue is past
//!   its bound in [`Limits`](crate::Limits). If one is broken, or the main of a core panics, the world
//!   panics and names its seed.

mod driver;
mod machine;
mod net;
mod network;
mod node;
mod site;
mod steer;
mod tcp;
mod transit;
mod udp;

use std::cell::RefCell;
use std::future::Future;
use std::net::{Ipv4Addr, SocketAddr};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

pub use network::{Network, Traffic};

use crate::config::Config;
use crate::core::Core;
use crate::error::StartError;
use crate::mesh::{Full, Outside};
use crate::stats::Stats;
use net::{Net, Step};
use node::{Node, Rung};

/// The first turns of a node's cores come within this time of its start, in any order.
const START: std::ops::Range<Duration> = Duration::ZERO..Duration::from_micros(100);

/// A machine in the network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Host {
    /// Its address.
    pub ip: Ipv4Addr,
}

impl Host {
    /// The host with this address.
    pub fn new(ip: impl Into<Ipv4Addr>) -> Self {
        Self { ip: ip.into() }
    }
}

/// A node that was started in a [`World`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct NodeId(u32);

/// A network of hosts and the nodes on them; see the [module](self).
///
/// Dropping it kills all nodes.
pub struct World {
    seed: u64,
    net: Rc<RefCell<Net>>,
    rung: Rung,
    nodes: Vec<Node>,
}

impl World {
    /// An empty network at time zero.
    ///
    /// # Panics
    /// If `network` makes no sense, such as a chance above 1.
    pub fn new(seed: u64, network: Network) -> Self {
        let net = Rc::new(RefCell::new(Net::new(seed, network)));
        Self { seed, net, rung: Rung::default(), nodes: Vec::new() }
    }

    /// Starts a node on a host and turns the host's power on. It runs when the world does.
    ///
    /// A node that was killed or stopped is started again by starting another one on its host.
    ///
    /// # Errors
    /// As [`Runtime::start`](crate::Runtime::start): no cores, an address that is taken or not the
    /// host's, a steering program that no kernel would take.
    pub fn start<M, F, Fut>(
        &mut self,
        host: Host,
        config: Config,
        main: F,
    ) -> Result<NodeId, StartError>
    where
        M: Send + 'static,
        F: Fn(Core<M>) -> Fut + 'static,
        Fut: Future<Output = ()> + 'static,
    {
        let number = self.nodes.len() as u32;
        let node = Node::start(&self.net, &self.rung, number, host.ip, &config, main)?;
        let mut net = self.net.borrow_mut();
        net.machine(host.ip).powered = true;
        for core in node.cores() {
            let at = net.now + net.draw(&START);
            net.wake(core, at);
        }
        drop(net);
        self.nodes.push(node);
        Ok(NodeId(number))
    }

    /// Takes the power from a node: it is gone at once and tells nobody. The host is without power
    /// then, unless another node runs on it.
    pub fn kill(&mut self, node: NodeId) {
        let node = node.0 as usize;
        let mut net = self.net.borrow_mut();
        net.cut_power(node as u32);
        for core in self.nodes[node].cores() {
            net.forget_core(core);
        }
        drop(net);
        self.nodes[node].kill();
        let ip = self.nodes[node].ip;
        let powered = self.nodes.iter().any(|other| other.ip == ip && !other.is_over());
        self.net.borrow_mut().machine(ip).powered = powered;
    }

    /// Asks a node to stop: resolves [`shutdown`](crate::shutdown) on all its cores. Its host keeps
    /// its power.
    pub fn stop(&mut self, node: NodeId) {
        self.nodes[node.0 as usize].stop();
    }

    /// Whether a core of the node still runs.
    pub fn is_running(&self, node: NodeId) -> bool {
        !self.nodes[node.0 as usize].is_over()
    }

    /// Sends a message to a core from outside; it comes from [`Sender::Outside`](crate::Sender).
    ///
    /// # Errors
    /// [`Full`] if `Limits::mesh_outside` messages wait there already, or if the node is over.
    ///
    /// # Panics
    /// If there is no such core, or the node's messages are of another type.
    pub fn post<M: 'static>(
        &mut self,
        node: NodeId,
        core: usize,
        message: M,
    ) -> Result<(), Full<M>> {
        let node = &self.nodes[node.0 as usize];
        let outside = node.outside.downcast_ref::<Vec<Arc<Outside<M>>>>();
        let Some(outside) = outside else {
            panic!("the node's messages are not {}", std::any::type_name::<M>());
        };
        if node.is_over() { Err(Full(message)) } else { outside[core].post(message) }
    }

    /// Cuts the network between two groups of hosts, on top of what is cut already: nothing arrives
    /// any more, also what is on its way.
    pub fn partition(&mut self, one: &[Ipv4Addr], other: &[Ipv4Addr]) {
        let cut = (one.iter().copied().collect(), other.iter().copied().collect());
        self.net.borrow_mut().partitions.push(cut);
    }

    /// Mends all cuts.
    pub fn heal(&mut self) {
        self.net.borrow_mut().partitions.clear();
    }

    /// Changes the network from now on.
    ///
    /// # Panics
    /// As [`World::new`].
    pub fn set_network(&mut self, network: Network) {
        network.check();
        self.net.borrow_mut().network = network;
    }

    /// Runs for this long.
    ///
    /// # Panics
    /// If an invariant is broken or the main of a core panics.
    pub fn run_for(&mut self, duration: Duration) {
        let until = self.now() + duration;
        while self.step(until).is_some() {}
    }

    /// Runs until the condition holds, at most for this long. The condition is asked at first and
    /// after each turn of a core. Says whether it holds.
    ///
    /// # Panics
    /// As [`run_for`](Self::run_for).
    pub fn run_until(&mut self, mut condition: impl FnMut() -> bool, limit: Duration) -> bool {
        let until = self.now() + limit;
        let mut turned = true;
        loop {
            if turned && condition() {
                return true;
            }
            match self.step(until) {
                Some(turn) => turned = turn,
                None => return false,
            }
        }
    }

    /// The time since the world began; cores see the same.
    pub fn now(&self) -> Duration {
        self.net.borrow().now
    }

    /// The seed it was made from.
    pub fn seed(&self) -> u64 {
        self.seed
    }

    /// A hash of everything that has happened so far: all arrivals with their times and bytes, all
    /// turns. Two runs with the same one were the same.
    pub fn trace(&self) -> u64 {
        self.net.borrow().trace()
    }

    /// What the network has carried.
    pub fn traffic(&self) -> Traffic {
        self.net.borrow().traffic
    }

    /// The TCP addresses of a node, in the order of its configuration, with real ports.
    pub fn tcp_addrs(&self, node: NodeId) -> &[SocketAddr] {
        &self.nodes[node.0 as usize].tcp
    }

    /// The UDP addresses of a node, in the order of its configuration, with real ports.
    pub fn udp_addrs(&self, node: NodeId) -> &[SocketAddr] {
        &self.nodes[node.0 as usize].udp
    }

    /// The counters of a core; those at its end if it is over.
    pub fn stats(&self, node: NodeId, core: usize) -> Stats {
        self.nodes[node.0 as usize].stats(core)
    }

    /// Tasks alive on all cores of a node, with their mains.
    pub fn live_tasks(&self, node: NodeId) -> usize {
        self.nodes[node.0 as usize].live_tasks()
    }

    /// Tasks that have panicked on any core of any node so far.
    pub fn tasks_panicked(&self) -> u64 {
        let panicked = |node: &Node| -> u64 {
            (0..node.cores().len()).map(|index| node.stats(index).tasks_panicked).sum()
        };
        self.nodes.iter().map(panicked).sum()
    }

    /// The next arrival or turn until then, if there is one; says whether it was a turn.
    fn step(&mut self, until: Duration) -> Option<bool> {
        let mut net = self.net.borrow_mut();
        for core in node::take_rung(&self.rung) {
            let now = net.now;
            net.wake(core, now);
        }
        let turned = match net.step(until) {
            Step::Nothing => return None,
            Step::Arrival => None,
            Step::Turn(core) => {
                Some((net.sites[core as usize].node, net.sites[core as usize].index))
            }
        };
        drop(net);
        if let Some((node, index)) = turned
            && let node = &mut self.nodes[node as usize]
            && node.turn(index, &self.net).is_err()
        {
            let ip = node.ip;
            self.fail(&format!("main of core {index} of {ip} panicked"));
        }
        let violation = self.net.borrow_mut().violation.take();
        if let Some(violation) = violation {
            self.fail(&violation);
        }
        Some(turned.is_some())
    }

    fn fail(&self, what: &str) -> ! {
        panic!("simulation of seed {} at {:?}: {what}", self.seed, self.now());
    }
}

impl Drop for World {
    fn drop(&mut self) {
        for number in 0..self.nodes.len() as u32 {
            self.kill(NodeId(number));
        }
    }
}
