//! Our subscribers, over WebSocket and over ZeroMQ, of a publisher that they find by grapes: its worker stops and dies, and the network
//! falls apart. Whatever happens, what is in `listener` holds, and:
//!
//! - on one connection there are no more gaps than messages that were counted as dropped;
//! - once all is well, everybody gets everything of all the topics that it has come to want;
//! - who comes late gets the last message of each topic that it wants, and that alone.

use std::cell::{Cell, RefCell};
use std::net::Ipv4Addr;
use std::rc::Rc;
use std::time::Duration;

use grenache_engine::sim::{Host, Network, NodeId, World};
use grenache_engine::{Core, shutdown, sleep, spawn_local};
use grenache_peer::publish::{self, Publisher};
use grenache_peer::server;
use grenache_peer::worker::{self, Program};
use rand::SeedableRng;
use rand::rngs::StdRng;

use crate::client::draw;
use crate::listener::{Listener, PATIENCE, State, TOPICS, message, topic};
use crate::network::{ROOTS, grape_url, host_ip, node, worker_addr};
use crate::seed;
use crate::speech::{Form, Lock, Speech};

/// Subscribers of each transport.
const EACH: usize = 4;

const fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

fn program(publisher: &Publisher, lock: Lock) -> Program {
    let config = worker::Config {
        listen: worker_addr(0),
        grapes: vec![grape_url(0)],
        cores: 2,
        drain: ms(300),
        server: server::Config {
            gate: lock.gate(),
            ping_interval: PATIENCE,
            ping_timeout: PATIENCE,
            ..server::Config::default()
        },
        ..worker::Config::default()
    };
    let publisher = publisher.clone();
    let program = Program::new(config, move |_, services| services.publish("news", &publisher));
    program.expect("a worker")
}

/// Publishes from a host of its own, as a thread outside of the worker's cores does.
async fn publish(publisher: Publisher, state: Rc<State>) {
    loop {
        sleep(ms(u64::from(draw(60)))).await;
        if state.publishing.get() {
            publish_one(&publisher, &state);
        }
    }
}

fn publish_one(publisher: &Publisher, state: &State) {
    let number = state.published.get();
    // If there is no room, the same message comes later.
    if publisher.publish(&topic(number), message(number)).is_ok() {
        state.published.set(number + 1);
    }
}

/// All hosts.
struct Hosts {
    world: World,
    publisher: Publisher,
    worker: NodeId,
    program: Rc<Program>,
    state: Rc<State>,
}

impl Hosts {
    fn start(seed: u64, network: Network, lock: Lock) -> Hosts {
        let mut world = World::new(seed, network);
        let mut random = StdRng::seed_from_u64(seed);
        for grape in 0..ROOTS {
            let node = node(host_ip(grape), 1, &mut random);
            let (host, engine) = (Host::new(host_ip(grape)), node.engine_config());
            world.start(host, engine, move |core| node.run(core)).expect("a free host");
        }
        world.run_for(Duration::from_secs(5));
        let config = publish::Config { last_values: 100, ..publish::Config::default() };
        let publisher = Publisher::new(config);
        let program = Rc::new(program(&publisher, lock));
        let worker = start_worker(&mut world, &program);
        let state = Rc::new(State {
            lock,
            publishing: Cell::new(true),
            free: Cell::new(true),
            well: Cell::new(false),
            published: Cell::new(0),
            received: Cell::new(0),
            gaps: Cell::new(0),
            listeners: RefCell::default(),
        });
        let mut hosts = Hosts { world, publisher, worker, program, state };
        let (publishes, state) = (hosts.publisher.clone(), hosts.state.clone());
        hosts.start_host([10, 2, 0, 0], move || publish(publishes.clone(), state.clone()));
        hosts
    }

    /// Starts subscribers of both transports, and gives them.
    fn subscribe(&mut self) -> Vec<Rc<Listener>> {
        let speeches = [Speech::WebSocket, Speech::ZeroMq(Form::Array, self.state.lock)];
        let before = self.state.listeners.borrow().len();
        for number in before..before + 2 * EACH {
            let (speech, quick) = (speeches[number % 2], number % 4 < 2);
            let wanted =
                |topic: usize| (number / 2 + topic).is_multiple_of(3) || topic == number % TOPICS;
            let listener = Rc::new(Listener::new(speech, quick, wanted));
            self.state.listeners.borrow_mut().push(listener.clone());
            let state = self.state.clone();
            let task = move || listener.clone().run(state.clone());
            self.start_host(subscriber_ip(number), task);
        }
        self.state.listeners.borrow()[before..].to_vec()
    }

    fn start_host<F: Future<Output = ()> + 'static>(
        &mut self,
        ip: impl Into<Ipv4Addr>,
        task: impl Fn() -> F + 'static,
    ) {
        let main = move |_: Core<()>| {
            spawn_local(task());
            shutdown()
        };
        self.world.start(Host::new(ip), Default::default(), main).expect("a free host");
    }

    fn run_for(&mut self, seconds: u64) {
        self.world.run_for(Duration::from_secs(seconds));
    }

    /// The worker stops or dies, or some are cut off from it for a while.
    fn trouble(&mut self, round: usize) {
        match round % 3 {
            0 => self.world.kill(self.worker),
            1 => self.world.stop(self.worker),
            _ => {
                let cut_off: Vec<Ipv4Addr> = (0..EACH).map(subscriber_ip).collect();
                self.world.partition(&[host_ip(0)], &cut_off);
                self.run_for(if round == 2 { 2 } else { 12 });
                return self.world.heal();
            }
        }
        while self.world.is_running(self.worker) {
            self.world.run_for(ms(100));
        }
        self.run_for(1);
        self.program = Rc::new(program(&self.publisher, self.state.lock));
        self.worker = start_worker(&mut self.world, &self.program);
    }
}

fn subscriber_ip(number: usize) -> Ipv4Addr {
    Ipv4Addr::new(10, 1, 0, number as u8 + 1)
}

fn start_worker(world: &mut World, program: &Rc<Program>) -> NodeId {
    let (engine, program) = (program.engine_config(), program.clone());
    let main = move |core| program.run(core);
    world.start(Host::new(host_ip(0)), engine, main).expect("a free host")
}

fn run(seed: u64, lock: Lock) -> (Hosts, u64) {
    let network = Network {
        delay: Duration::from_micros(200)..ms(10),
        loss: 0.01,
        cut: 0.4,
        retransmit_timeout: Duration::from_secs(10),
        ..Network::default()
    };
    let mut hosts = Hosts::start(seed, network, lock);
    let listeners = hosts.subscribe();
    for round in 0..6 {
        hosts.run_for(5);
        hosts.trouble(round);
    }
    // Everybody comes back, nobody changes its mind any more, and gets what has waited.
    hosts.world.set_network(Network { cut: 0.4, ..Network::default() });
    hosts.run_for(40);
    let state = hosts.state.clone();
    state.free.set(false);
    state.publishing.set(false);
    hosts.run_for(15);
    state.well.set(true);
    state.publishing.set(true);
    hosts.run_for(10);
    state.publishing.set(false);
    for _ in 0..TOPICS {
        publish_one(&hosts.publisher, &state);
    }
    hosts.run_for(3);
    for (number, listener) in listeners.iter().enumerate() {
        assert_eq!(listener.stats.get().connected, 1, "seed {seed}: {number}");
        // One that does not read for a while does not notice every loss.
        let connections = listener.stats.get().connections;
        let least = if number % 4 < 2 { 4 } else { 2 };
        assert!(connections >= least, "seed {seed}: {number} has made {connections}");
        assert!(listener.has_all(state.published.get()), "seed {seed}: {number} misses some");
    }
    for listener in hosts.subscribe() {
        hosts.run_for(3);
        assert!(listener.has_all(state.published.get()), "seed {seed}: the last is not kept");
        assert_eq!(listener.received.get(), listener.wanted().len(), "seed {seed}: more came");
    }
    let stats = hosts.publisher.stats();
    assert_eq!(stats.subscribers, 4 * EACH as u64, "seed {seed}");
    assert_eq!(hosts.program.stats().connections, stats.subscribers, "seed {seed}");
    assert_eq!(hosts.program.stats().held, 0, "seed {seed}");
    assert_eq!(hosts.world.tasks_panicked(), 0, "seed {seed}");
    let trace = hosts.world.trace();
    (hosts, trace)
}

#[test]
fn subscribers_come_back_with_all_their_topics() {
    for (seed, lock) in (seed(1)..).zip([Lock::Null, Lock::Curve]) {
        let (hosts, _) = run(seed, lock);
        let (stats, state) = (hosts.publisher.stats(), &hosts.state);
        let (received, gaps) = (state.received.get(), state.gaps.get() as u64);
        println!("seed {seed}, {lock:?}: {received} received, {gaps} missed, {stats:?}");
        assert!(received > 3000 && gaps <= stats.dropped, "seed {seed}");
    }
}

#[test]
fn the_same_seed_subscribes_the_same() {
    assert_eq!(run(5, Lock::Curve).1, run(5, Lock::Curve).1);
}
