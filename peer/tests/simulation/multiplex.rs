//! Clients with many requests at a time on a connection, over WebSocket and ZeroMQ, that keep to the protocol and do what they like
//! otherwise; and a worker that stops and dies. Whatever happens, what is in `ledger` holds, and:
//!
//! - once all is well, every request is answered, and connections end as they were asked to;
//! - of those that are over nothing is left.

use std::cell::{Cell, RefCell};
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use grenache_engine::sim::{Host, Network, NodeId, World};
use grenache_engine::{Core, now, shutdown, sleep, spawn_local, timeout};
use grenache_peer::server::{self, Reply, Request};
use grenache_peer::worker::{self, Program};

use crate::client::draw;
use crate::ledger::{Asked, Ledger, failure};
use crate::seed;
use crate::speech::{Speech, ZEROMQ};
use crate::wire::{Next, Purpose, Wire};
use crate::worker::filler;

const IP: [u8; 4] = [10, 0, 0, 1];

const fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// What the test tells the clients.
struct Orders {
    speech: Speech,
    calling: Cell<bool>,
    /// Clients do no harm, and nothing else does: all has to succeed.
    well: Cell<bool>,
    /// How often the network was cut or the worker has lost its power. A client that waits does not learn of it.
    troubles: Cell<usize>,
    ledger: RefCell<Option<Arc<Mutex<Ledger>>>>,
}

fn addr() -> SocketAddr {
    SocketAddr::from((IP, 1337))
}

fn program(speech: Speech, ledger: &Arc<Mutex<Ledger>>) -> Program {
    let config = worker::Config {
        listen: addr(),
        cores: 2,
        drain: ms(500),
        server: server::Config {
            deflate: true,
            max_concurrent: 8,
            request_timeout: Duration::from_secs(5),
            write_timeout: Duration::from_secs(10),
            ..speech.server()
        },
        ..worker::Config::default()
    };
    let ledger = ledger.clone();
    let program = Program::new(config, move |_, services| {
        let ledger = ledger.clone();
        services.add("work", move |request| work(request, speech, ledger.clone()));
    });
    program.expect("a worker")
}

async fn work(
    request: Request,
    speech: Speech,
    ledger: Arc<Mutex<Ledger>>,
) -> Result<Reply, String> {
    let (id, millis, size, fails, _): (usize, u64, usize, bool, String) =
        speech.read(request.payload()).map_err(|error| error.to_string())?;
    ledger.lock().unwrap().runs[id] += 1;
    if millis > 0 {
        sleep(ms(millis)).await;
    }
    match fails {
        true => Err(failure(id)),
        false => Reply::json(&(id, filler(id, size))).map_err(|error| error.to_string()),
    }
}

async fn client(orders: Rc<Orders>) {
    loop {
        sleep(ms(u64::from(draw(300)))).await;
        let ledger = orders.ledger.borrow().clone();
        if let (true, Some(ledger)) = (orders.calling.get(), ledger) {
            match orders.well.get() || draw(8) != 0 {
                true => converse(&orders, &ledger).await,
                false => hang(&orders, &ledger).await,
            }
        }
    }
}

/// A connection that falls silent, in the middle of the handshake or after it, has to be ended by the worker.
async fn hang(orders: &Orders, ledger: &Mutex<Ledger>) {
    let troubles = orders.troubles.get();
    ledger.lock().unwrap().hung += 1;
    let after = 1 + draw(600) as usize;
    let ended = timeout(Duration::from_secs(80), async {
        let Some(mut wire) = Wire::hang(addr(), orders.speech, after).await else { return };
        while !matches!(wire.next().await, Next::Closed(_) | Next::Gone) {}
    });
    if ended.await.is_err() && troubles == orders.troubles.get() {
        let what = format!("one that is silent after {after} bytes stays at {:?}", now());
        ledger.lock().unwrap().broken(what);
    }
}

/// One connection, from its beginning to its end.
async fn converse(orders: &Orders, ledger: &Mutex<Ledger>) {
    let (well, troubles) = (orders.well.get(), orders.troubles.get());
    let connecting = Wire::connect(addr(), orders.speech, Purpose::Requests);
    let Ok(Some(mut wire)) = timeout(Duration::from_secs(20), connecting).await else {
        if well && orders.well.get() {
            ledger.lock().unwrap().broken("no connection though all is well");
        }
        return;
    };
    let mut asked = Asked::new(ledger);
    for _ in 0..draw(40) {
        // Several are under way, some more than there may be.
        if asked.waiting() < 12 && draw(4) != 0 {
            asked.ask(&mut wire);
            continue;
        }
        if draw(8) == 0 {
            wire.ping();
        }
        let next = match timeout(ms(u64::from(draw(100))), wire.next()).await {
            Ok(next) => next,
            // Nothing yet; or it does not read for a while.
            Err(_) if !well && draw(4) == 0 => {
                sleep(ms(u64::from(draw(3000)))).await;
                continue;
            }
            Err(_) => continue,
        };
        if asked.take(next) {
            return end(well, orders, &asked, ledger);
        }
    }
    let mut manner = 4;
    if !well {
        manner = draw(5);
        match manner {
            0 => return wire.abort(),
            1 => wire.finish(),
            2 => wire.ask_in_part(&format!("\"{}\"", filler(7, 3000))),
            3 => return drop(wire),
            _ => wire.close(3000),
        }
    } else {
        // What is under way is awaited first.
        while asked.waiting() > 0 {
            let Ok(next) = timeout(Duration::from_secs(30), wire.next()).await else { break };
            if asked.take(next) {
                break;
            }
        }
        end(well, orders, &asked, ledger);
        wire.close(3000);
    }
    loop {
        let Ok(next) = timeout(Duration::from_secs(60), wire.next()).await else {
            if troubles == orders.troubles.get() {
                let (connection, now) = (asked.connection(), now());
                let what = format!("{connection}, ended in manner {manner}, stays at {now:?}");
                ledger.lock().unwrap().broken(what);
            }
            return wire.abort();
        };
        let as_asked = match orders.speech {
            Speech::ZeroMq(..) => next == Next::Gone,
            _ => next == Next::Closed(Some(3000)),
        };
        if asked.take(next) {
            if well && orders.well.get() && !as_asked {
                ledger.lock().unwrap().broken("it ends otherwise than asked");
            }
            return;
        }
    }
}

/// The connection has ended, maybe with requests unanswered.
fn end(well: bool, orders: &Orders, asked: &Asked<'_>, ledger: &Mutex<Ledger>) {
    let left = asked.waiting();
    if well && orders.well.get() && left > 0 {
        ledger.lock().unwrap().broken(format!("{left} without an answer though all is well"));
    }
}

struct Hosts {
    world: World,
    speech: Speech,
    ledger: Arc<Mutex<Ledger>>,
    worker: NodeId,
    program: Rc<Program>,
}

impl Hosts {
    fn new(seed: u64, speech: Speech, network: Network) -> Hosts {
        let mut world = World::new(seed, network);
        let ledger = Arc::<Mutex<Ledger>>::default();
        let program = Rc::new(program(speech, &ledger));
        let worker = start_worker(&mut world, &program);
        Hosts { world, speech, ledger, worker, program }
    }

    fn start_worker_again(&mut self) {
        self.program = Rc::new(program(self.speech, &self.ledger));
        self.worker = start_worker(&mut self.world, &self.program);
    }

    fn start_clients(&mut self, orders: &Rc<Orders>) {
        *orders.ledger.borrow_mut() = Some(self.ledger.clone());
        for number in 0..6 {
            let orders = orders.clone();
            let main = move |_: Core<()>| {
                let orders = orders.clone();
                async move {
                    for _ in 0..2 {
                        spawn_local(client(orders.clone()));
                    }
                    shutdown().await;
                }
            };
            let host = Host::new([10, 1, 0, number]);
            self.world.start(host, Default::default(), main).expect("a free host");
        }
    }

    fn run_for(&mut self, duration: Duration) {
        self.world.run_for(duration);
        let ledger = self.ledger.lock().unwrap();
        assert!(ledger.broken.is_empty(), "{:?}", &ledger.broken[..ledger.broken.len().min(5)]);
    }
}

fn start_worker(world: &mut World, program: &Rc<Program>) -> NodeId {
    let (engine, program) = (program.engine_config(), program.clone());
    let main = move |core| program.run(core);
    world.start(Host::new(IP), engine, main).expect("a free host")
}

/// Gives what the ledger has counted, and the trace.
fn run(seed: u64, speech: Speech) -> (Arc<Mutex<Ledger>>, u64) {
    let network = Network {
        delay: Duration::from_micros(200)..ms(20),
        loss: 0.02,
        cut: 0.4,
        retransmit_timeout: Duration::from_secs(20),
        ..Network::default()
    };
    let mut hosts = Hosts::new(seed, speech, network);
    let orders = Rc::new(Orders {
        speech,
        calling: Cell::new(false),
        well: Cell::new(false),
        troubles: Cell::new(0),
        ledger: RefCell::default(),
    });
    hosts.start_clients(&orders);
    hosts.run_for(ms(100));
    orders.calling.set(true);
    for round in 0..12 {
        hosts.run_for(Duration::from_secs(2));
        orders.troubles.set(orders.troubles.get() + usize::from(round % 3 != 1));
        match round % 3 {
            0 => hosts.world.kill(hosts.worker),
            1 => hosts.world.stop(hosts.worker),
            _ => {
                hosts.world.partition(&[IP.into()], &[[10, 1, 0, 0].into(), [10, 1, 0, 1].into()]);
                hosts.run_for(Duration::from_secs(3));
                hosts.world.heal();
                continue;
            }
        }
        hosts.run_for(Duration::from_secs(1));
        // What it has sent at last is on its way for a while.
        let stopped = hosts.world.now();
        while hosts.world.is_running(hosts.worker) {
            hosts.run_for(ms(100));
            assert!(hosts.world.now() < stopped + Duration::from_secs(10), "it does not stop");
        }
        hosts.start_worker_again();
    }
    // Now only clients do harm, until those that were harmed are through with it, and all is well.
    hosts.world.set_network(Network { cut: 0.4, ..Network::default() });
    hosts.run_for(Duration::from_secs(30));
    orders.calling.set(false);
    hosts.run_for(Duration::from_secs(150));
    let tasks = hosts.world.live_tasks(hosts.worker);
    orders.well.set(true);
    orders.calling.set(true);
    hosts.run_for(Duration::from_secs(20));
    orders.calling.set(false);
    hosts.run_for(Duration::from_secs(60));
    assert_eq!(hosts.world.live_tasks(hosts.worker), tasks, "something is left");
    assert_eq!(hosts.world.tasks_panicked(), 0);
    let stats = hosts.program.stats();
    assert_eq!((stats.connections, stats.in_flight, stats.held), (0, 0, 0), "seed {seed}");
    let ledger = hosts.ledger.lock().unwrap();
    assert!(ledger.runs.iter().all(|runs| *runs <= 1), "a request has run twice");
    drop(ledger);
    (hosts.ledger.clone(), hosts.world.trace())
}

fn through_cuts_stops_and_power_losses(seed: u64, speech: Speech) {
    let (ledger, _) = run(seed, speech);
    let ledger = ledger.lock().unwrap();
    let (asked, answered) = (ledger.runs.len(), ledger.answered);
    println!(
        "seed {seed} over {speech:?}: {} connections, {answered} of {asked} answered, {} busy, {} hung, closed {:?}",
        ledger.connections, ledger.busy, ledger.hung, ledger.codes
    );
    assert!(answered > 1500 && answered < asked && ledger.busy > 20, "seed {seed}");
    assert!(ledger.hung > 5, "seed {seed}");
    for code in [1001, 1008, 3000] {
        let is_closed = ledger.codes.contains_key(&code);
        let has_codes = speech == Speech::WebSocket;
        assert_eq!(is_closed, has_codes, "seed {seed}: closed with {code}");
    }
}

#[test]
fn requests_over_websocket_through_cuts_stops_and_power_losses() {
    for seed in seed(1)..seed(1) + 2 {
        through_cuts_stops_and_power_losses(seed, Speech::WebSocket);
    }
}

#[test]
fn requests_over_zeromq_through_cuts_stops_and_power_losses() {
    for (seed, speech) in (seed(1)..).zip(ZEROMQ) {
        through_cuts_stops_and_power_losses(seed, speech);
    }
}

#[test]
fn the_same_seed_is_the_same_conversation() {
    for speech in [Speech::WebSocket, ZEROMQ[1]] {
        assert_eq!(run(5, speech).1, run(5, speech).1);
    }
}
