//! Grapes wired together in memory, in virtual time: each with several cores, over a network that loses,
//! delays and doubles datagrams.
#![allow(dead_code)] // Not every test uses all of it.

use core::cmp::Reverse;
use core::net::{Ipv4Addr, SocketAddrV4};
use core::time::Duration;
use grenache_dht::{Config, Dht, Error, Event, Get, Item, Key, NodeId, Op, Put, Route};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use std::collections::{BinaryHeap, HashMap};

pub(crate) struct Grape {
    pub(crate) addr: SocketAddrV4,
    pub(crate) cores: Vec<Dht>,
    pub(crate) up: bool,
    pub(crate) config: Config,
    /// Events other than the ends of commands, by name.
    pub(crate) notices: HashMap<&'static str, usize>,
}

pub(crate) struct World {
    pub(crate) now: Duration,
    pub(crate) grapes: Vec<Grape>,
    pub(crate) rng: StdRng,
    pub(crate) loss: f64,
    pub(crate) double: f64,
    /// Least and most time that a datagram is under way.
    pub(crate) delay: (Duration, Duration),
    /// Grapes with different numbers here do not hear each other.
    pub(crate) side: Vec<u8>,
    pub(crate) sent: usize,
    copies: usize,
    /// Ends of commands, by grape, core and command.
    pub(crate) ends: HashMap<(usize, u8, Op), (Duration, Event)>,
    /// Commands begun, by grape, since it was started.
    begun: Vec<usize>,
    under_way: BinaryHeap<Reverse<(Duration, usize, usize, usize)>>,
    datagrams: HashMap<usize, Vec<u8>>,
}

/// A command that was given to a grape.
pub(crate) type Command = (usize, u8, Op);

impl World {
    pub(crate) fn new(seed: u64) -> Self {
        Self {
            now: Duration::from_secs(1000),
            grapes: Vec::new(),
            rng: StdRng::seed_from_u64(seed),
            loss: 0.0,
            double: 0.0,
            delay: (Duration::from_micros(100), Duration::from_millis(2)),
            side: Vec::new(),
            sent: 0,
            copies: 0,
            ends: HashMap::new(),
            begun: Vec::new(),
            under_way: BinaryHeap::new(),
            datagrams: HashMap::new(),
        }
    }

    /// Starts a grape that knows the addresses of others.
    pub(crate) fn start(&mut self, cores: u8, bootstrap: &[usize]) -> usize {
        let addresses: Vec<_> = bootstrap.iter().map(|&n| Self::address(n)).collect();
        self.start_with(cores, |config| config.bootstrap = addresses)
    }

    pub(crate) fn start_with(&mut self, cores: u8, change: impl FnOnce(&mut Config)) -> usize {
        let n = self.grapes.len();
        let mut config =
            Config::new(NodeId::new(self.rng.random()), 20001, self.rng.random(), [0; 32]);
        config.shards = cores;
        change(&mut config);
        let addr = Self::address(n);
        let notices = HashMap::new();
        self.grapes.push(Grape { addr, cores: Vec::new(), up: false, config, notices });
        self.side.push(0);
        self.begun.push(0);
        self.boot(n);
        n
    }

    pub(crate) fn address(n: usize) -> SocketAddrV4 {
        SocketAddrV4::new(Ipv4Addr::new(10, 0, (n >> 8) as u8, n as u8), 20001)
    }

    fn boot(&mut self, n: usize) {
        let grape = &mut self.grapes[n];
        grape.up = true;
        for shard in 0..grape.config.shards {
            let config = Config { shard, random_seed: self.rng.random(), ..grape.config.clone() };
            grape.cores.push(Dht::new(config, self.now));
        }
        self.drain(n);
    }

    pub(crate) fn kill(&mut self, n: usize) {
        self.grapes[n].up = false;
        self.grapes[n].cores.clear();
        self.begun[n] = 0;
        self.ends.retain(|&(grape, ..), _| grape != n);
    }

    /// Starts a killed grape again: same address, new id and secrets.
    pub(crate) fn restart(&mut self, n: usize) {
        self.grapes[n].config.id = NodeId::new(self.rng.random());
        self.grapes[n].config.token_secret = self.rng.random();
        self.boot(n);
    }

    /// Takes everything out of a grape's cores, until there is nothing more.
    pub(crate) fn drain(&mut self, n: usize) {
        loop {
            let mut idle = true;
            for core in 0..self.grapes[n].cores.len() {
                while let Some(transmit) = self.grapes[n].cores[core].poll_transmit() {
                    idle = false;
                    let (to, payload) = (transmit.to, transmit.payload.to_vec());
                    self.send(n, to, payload);
                }
                while let Some(event) = self.grapes[n].cores[core].poll_event() {
                    idle = false;
                    self.take_event(n, core, event);
                }
            }
            if idle {
                return;
            }
        }
    }

    fn take_event(&mut self, n: usize, core: usize, event: Event) {
        let now = self.now;
        let grape = &mut self.grapes[n];
        let name = match &event {
            Event::LookupDone { op, .. }
            | Event::Announced { op, .. }
            | Event::PutDone { op, .. }
            | Event::Got { op, .. } => {
                let before = self.ends.insert((n, core as u8, *op), (now, event));
                assert!(before.is_none(), "a command ended twice");
                return;
            }
            Event::Contact(contact) => {
                let others = grape.cores.iter_mut().enumerate().filter(|(i, _)| *i != core);
                others.for_each(|(_, other)| other.learn(now, *contact));
                "contact"
            }
            Event::ContactGone(id) => {
                let others = grape.cores.iter_mut().enumerate().filter(|(i, _)| *i != core);
                others.for_each(|(_, other)| other.forget(*id));
                "gone"
            }
            Event::Announce { .. } => "announce",
            Event::Node => "node",
            Event::Warning => "warning",
            Event::Ready => "ready",
        };
        *grape.notices.entry(name).or_default() += 1;
    }

    fn send(&mut self, from: usize, to: SocketAddrV4, payload: Vec<u8>) {
        self.sent += 1;
        let Some(to) = (0..self.grapes.len()).find(|&n| self.grapes[n].addr == to) else { return };
        let copies = if self.rng.random_bool(self.double) { 2 } else { 1 };
        for _ in 0..copies {
            if self.rng.random_bool(self.loss) {
                continue;
            }
            let (least, most) = self.delay;
            let arrival =
                self.now + least + (most - least).mul_f64(self.rng.random_range(0.0..1.0));
            self.copies += 1;
            let number = self.copies;
            self.datagrams.insert(number, payload.clone());
            self.under_way.push(Reverse((arrival, number, from, to)));
        }
    }

    fn arrive(&mut self, number: usize, from: usize, to: usize) {
        let Some(payload) = self.datagrams.remove(&number) else { return };
        if !self.grapes[to].up || self.side[from] != self.side[to] {
            return;
        }
        let from = self.grapes[from].addr;
        let cores = &mut self.grapes[to].cores;
        // The kernel gives it to any core, which hands it on to the right one.
        let first = self.rng.random_range(0..cores.len());
        let core = match cores[first].route(&payload) {
            Route::Here => first,
            Route::Shard(other) => {
                let other = usize::from(other);
                assert_eq!(cores[other].route(&payload), Route::Here, "handed on twice");
                other
            }
        };
        cores[core].receive(self.now, from, &payload);
        self.drain(to);
    }

    /// Lets time pass.
    pub(crate) fn run_for(&mut self, time: Duration) {
        let until = self.now + time;
        self.run_until(until, |_| false);
        self.now = until;
    }

    fn run_until(&mut self, until: Duration, done: impl Fn(&Self) -> bool) {
        while !done(self) {
            let cores = self.grapes.iter().enumerate().flat_map(|(n, grape)| {
                grape.cores.iter().filter_map(move |core| Some((core.poll_timeout()?, n)))
            });
            let timeout = cores.min();
            let arrival = self.under_way.peek().map(|Reverse((at, ..))| *at);
            match (arrival, timeout) {
                (Some(at), timeout) if at <= until && timeout.is_none_or(|(t, _)| at <= t) => {
                    self.now = self.now.max(at);
                    if let Some(Reverse((_, number, from, to))) = self.under_way.pop() {
                        self.arrive(number, from, to);
                    }
                }
                (_, Some((at, n))) if at <= until => {
                    self.now = self.now.max(at);
                    for core in &mut self.grapes[n].cores {
                        if core.poll_timeout().is_some_and(|at| at <= self.now) {
                            core.handle_timeout(self.now);
                            let next = core.poll_timeout();
                            assert!(
                                next.is_none_or(|at| at > self.now),
                                "a timer does not move on"
                            );
                        }
                    }
                    self.drain(n);
                }
                _ => break,
            }
        }
    }

    /// Waits for the end of a command, which must come in bounded time.
    pub(crate) fn wait(&mut self, command: Command) -> (Duration, Event) {
        self.run_until(self.now + Duration::from_secs(25), |world| {
            world.ends.contains_key(&command)
        });
        self.ends.get(&command).cloned().unwrap_or_else(|| panic!("{command:?} does not end"))
    }

    fn owner(&mut self, n: usize, key: &[u8]) -> (u8, &mut Dht) {
        self.begun[n] += 1;
        let owner = self.grapes[n].cores[0].owner(key);
        (owner, &mut self.grapes[n].cores[usize::from(owner)])
    }

    pub(crate) fn begin_announce(&mut self, n: usize, key: &[u8], port: u16) -> Command {
        let (now, local) = (self.now, *self.grapes[n].addr.ip());
        let (owner, dht) = self.owner(n, key);
        let op = dht.announce(now, key.to_vec(), port, local).unwrap();
        self.drain(n);
        (n, owner, op)
    }

    pub(crate) fn begin_lookup(&mut self, n: usize, key: &[u8]) -> Command {
        let now = self.now;
        let (owner, dht) = self.owner(n, key);
        let op = dht.lookup(now, Key::from(key.to_vec())).unwrap();
        self.drain(n);
        (n, owner, op)
    }

    pub(crate) fn announce(&mut self, n: usize, key: &[u8], port: u16) -> Result<usize, Error> {
        let command = self.begin_announce(n, key, port);
        match self.wait(command).1 {
            Event::Announced { result, .. } => result,
            other => panic!("{other:?}"),
        }
    }

    /// The ports of the peers found, sorted.
    pub(crate) fn lookup(&mut self, n: usize, key: &[u8]) -> Vec<u16> {
        let command = self.begin_lookup(n, key);
        self.found(command)
    }

    pub(crate) fn found(&mut self, command: Command) -> Vec<u16> {
        let Event::LookupDone { peers, .. } = self.wait(command).1 else { panic!() };
        let mut ports: Vec<u16> = peers.iter().map(SocketAddrV4::port).collect();
        ports.sort_unstable();
        ports
    }

    pub(crate) fn put(&mut self, n: usize, put: Put) -> Result<[u8; 20], Error> {
        let now = self.now;
        let (owner, dht) = self.owner(n, &put.target());
        let op = dht.put(now, put).unwrap();
        self.drain(n);
        match self.wait((n, owner, op)).1 {
            Event::PutDone { result, .. } => result,
            other => panic!("{other:?}"),
        }
    }

    pub(crate) fn get(&mut self, n: usize, target: [u8; 20], salt: &'static str) -> Option<Item> {
        let now = self.now;
        let (owner, dht) = self.owner(n, &target);
        let op = dht.get(now, Get { target, salt: salt.into() }).unwrap();
        self.drain(n);
        match self.wait((n, owner, op)).1 {
            Event::Got { result, .. } => result,
            other => panic!("{other:?}"),
        }
    }

    /// Every command that began has ended, once; nothing is left over.
    pub(crate) fn check_all_ended(&mut self) {
        self.run_for(Duration::from_secs(30));
        assert_eq!(self.ends.len(), self.begun.iter().sum());
        for grape in &self.grapes {
            for core in &grape.cores {
                assert_eq!(core.stats().operations, 0);
            }
        }
    }
}
