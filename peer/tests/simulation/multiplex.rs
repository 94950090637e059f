//! WebSocket clients that keep to the protocol and do what they like otherwise, and a worker that stops and dies. Whatever happens:
//!
//! - a request runs once at most, and not at all if it was answered by `ERR_BUSY`;
//! - it is answered once at most, on the connection that it was sent on, by the answer to it and no other;
//! - once all is well, every request is answered, and connections end as they were asked to;
//! - of those that are over nothing is left.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use grenache_engine::sim::{Host, Network, NodeId, World};
use grenache_engine::{Core, now, shutdown, sleep, spawn_local, timeout};
use grenache_peer::server::{self, Reply, Request};
use grenache_peer::worker::{self, Program};
use serde_json::{Value, json};

use crate::client::draw;
use crate::seed;
use crate::wire::{Next, Wire};
use crate::worker::filler;

const IP: [u8; 4] = [10, 0, 0, 1];

const fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// What is known of every request, and what did not hold.
#[derive(Default)]
struct Ledger {
    /// How often each ran.
    runs: Vec<usize>,
    answered: usize,
    busy: usize,
    connections: usize,
    /// Close frames that the worker has sent, by their codes.
    codes: BTreeMap<u16, usize>,
    broken: Vec<String>,
}

/// What the test tells the clients.
#[derive(Default)]
struct Orders {
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

fn program(ledger: &Arc<Mutex<Ledger>>) -> Program {
    let config = worker::Config {
        listen: addr(),
        cores: 2,
        drain: ms(500),
        server: server::Config {
            deflate: true,
            max_concurrent: 8,
            request_timeout: Duration::from_secs(5),
            write_timeout: Duration::from_secs(10),
            ..server::Config::default()
        },
        ..worker::Config::default()
    };
    let ledger = ledger.clone();
    let program = Program::new(config, move |_, services| {
        let ledger = ledger.clone();
        services.add("work", move |request| work(request, ledger.clone()));
    });
    program.expect("a worker")
}

/// `[id, milliseconds, bytes of the answer, whether it fails, filler]`
async fn work(request: Request, ledger: Arc<Mutex<Ledger>>) -> Result<Reply, String> {
    let (id, millis, size, fails, _): (usize, u64, usize, bool, String) =
        request.json().map_err(|error| error.to_string())?;
    ledger.lock().unwrap().runs[id] += 1;
    if millis > 0 {
        sleep(ms(millis)).await;
    }
    match fails {
        true => Err(format!("failed {id}")),
        false => Reply::json(&(id, filler(id, size))).map_err(|error| error.to_string()),
    }
}

async fn client(orders: Rc<Orders>) {
    loop {
        sleep(ms(u64::from(draw(300)))).await;
        let ledger = orders.ledger.borrow().clone();
        if let (true, Some(ledger)) = (orders.calling.get(), ledger) {
            converse(&orders, &ledger).await;
        }
    }
}

/// One connection, from its beginning to its end.
async fn converse(orders: &Orders, ledger: &Mutex<Ledger>) {
    let (well, troubles) = (orders.well.get(), orders.troubles.get());
    let connecting = timeout(Duration::from_secs(20), Wire::connect(addr(), draw(2) == 0, None));
    let Ok(Some(mut wire)) = connecting.await else {
        if well && orders.well.get() {
            ledger.lock().unwrap().broken.push("no connection though all is well".into());
        }
        return;
    };
    let connection = {
        let mut ledger = ledger.lock().unwrap();
        ledger.connections += 1;
        ledger.connections
    };
    let mut asked: BTreeMap<String, (usize, usize, bool)> = BTreeMap::new();
    for number in 0..draw(40) {
        // Several are under way, some more than there may be.
        if asked.len() < 12 && draw(4) != 0 {
            let (rid, fails, size) = (format!("{connection}-{number}"), draw(8) == 0, size());
            let id = {
                let mut ledger = ledger.lock().unwrap();
                ledger.runs.push(0);
                ledger.runs.len() - 1
            };
            let millis = if draw(2) == 0 { 0 } else { draw(200) };
            let text = json!([rid, "work", [id, millis, size, fails, filler(id, self::size())]]);
            asked.insert(rid, (id, size, fails));
            wire.send(&text.to_string());
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
        if take(next, &mut asked, ledger) {
            return end(well, orders, asked.len(), ledger);
        }
    }
    let mut manner = 4;
    if !well {
        manner = draw(5);
        match manner {
            0 => return wire.abort(),
            1 => wire.finish(),
            2 => wire.send_part(&json!(["part", "work", filler(7, 3000)]).to_string()),
            3 => return drop(wire),
            _ => wire.close(3000),
        }
    } else {
        // What is under way is awaited first.
        while !asked.is_empty() {
            let Ok(next) = timeout(Duration::from_secs(30), wire.next()).await else { break };
            if take(next, &mut asked, ledger) {
                break;
            }
        }
        end(well, orders, asked.len(), ledger);
        wire.close(3000);
    }
    loop {
        let next = timeout(Duration::from_secs(60), wire.next()).await;
        let closed = next == Ok(Next::Closed(Some(3000)));
        let Ok(next) = next else {
            if troubles == orders.troubles.get() {
                let what = format!("{connection}, ended in manner {manner}, stays at {:?}", now());
                ledger.lock().unwrap().broken.push(what);
            }
            return wire.abort();
        };
        if take(next, &mut asked, ledger) {
            if well && orders.well.get() && !closed {
                ledger.lock().unwrap().broken.push("it ends otherwise than asked".into());
            }
            return;
        }
    }
}

/// Bytes of a request or an answer: mostly few, at times more than a window of the network.
fn size() -> usize {
    match draw(32) {
        0 => 150_000,
        1..8 => 3000,
        _ => draw(200) as usize,
    }
}

/// The connection has ended with requests unanswered.
fn end(well: bool, orders: &Orders, left: usize, ledger: &Mutex<Ledger>) {
    if well && orders.well.get() && left > 0 {
        ledger.lock().unwrap().broken.push(format!("{left} without an answer though all is well"));
    }
}

/// Looks at what has come. True if it was the last.
fn take(
    next: Next,
    asked: &mut BTreeMap<String, (usize, usize, bool)>,
    ledger: &Mutex<Ledger>,
) -> bool {
    let mut ledger = ledger.lock().unwrap();
    let message = match next {
        Next::Message(message) => message,
        Next::Pong => return false,
        Next::Closed(code) => {
            *ledger.codes.entry(code.unwrap_or_default()).or_default() += 1;
            return true;
        }
        Next::Gone => return true,
    };
    let answer: Value = serde_json::from_slice(&message).expect("JSON");
    let rid = answer[0].as_str().unwrap_or_default();
    let Some((id, size, fails)) = asked.remove(rid) else {
        ledger.broken.push(format!("an answer that nobody waits for: {answer}"));
        return false;
    };
    ledger.answered += 1;
    let (runs, expected) = match &answer {
        busy if busy[3] == 503 => {
            ledger.busy += 1;
            (0, json!([rid, "ERR_BUSY", null, 503]))
        }
        _ if fails => (1, json!([rid, format!("failed {id}"), null])),
        _ => (1, json!([rid, null, [id, filler(id, size)]])),
    };
    if answer != expected || ledger.runs[id] != runs {
        let ran = ledger.runs[id];
        ledger.broken.push(format!("{rid} ran {ran} times and was answered {answer}"));
    }
    false
}

struct Hosts {
    world: World,
    ledger: Arc<Mutex<Ledger>>,
    worker: NodeId,
}

impl Hosts {
    fn start_worker(&mut self) {
        let program = program(&self.ledger);
        let engine = program.engine_config();
        let main = move |core| program.run(core);
        self.worker = self.world.start(Host::new(IP), engine, main).expect("a free host");
    }

    fn run_for(&mut self, duration: Duration) {
        self.world.run_for(duration);
        let ledger = self.ledger.lock().unwrap();
        assert!(ledger.broken.is_empty(), "{:?}", &ledger.broken[..ledger.broken.len().min(5)]);
    }
}

/// Gives what the ledger has counted, and the trace.
fn run(seed: u64) -> (Arc<Mutex<Ledger>>, u64) {
    let network = Network {
        delay: Duration::from_micros(200)..ms(20),
        loss: 0.02,
        cut: 0.4,
        retransmit_timeout: Duration::from_secs(20),
        ..Network::default()
    };
    let mut world = World::new(seed, network);
    let ledger = Arc::<Mutex<Ledger>>::default();
    let (orders, program) = (Rc::<Orders>::default(), program(&ledger));
    *orders.ledger.borrow_mut() = Some(ledger.clone());
    let engine = program.engine_config();
    let worker = world.start(Host::new(IP), engine, move |core| program.run(core)).expect("a host");
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
        world.start(Host::new([10, 1, 0, number]), Default::default(), main).expect("a host");
    }
    let mut hosts = Hosts { world, ledger, worker };
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
        hosts.start_worker();
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
    let ledger = hosts.ledger.lock().unwrap();
    assert!(ledger.runs.iter().all(|runs| *runs <= 1), "a request has run twice");
    drop(ledger);
    (hosts.ledger.clone(), hosts.world.trace())
}

#[test]
fn requests_over_websocket_through_cuts_stops_and_power_losses() {
    for seed in seed(1)..seed(1) + 2 {
        let (ledger, _) = run(seed);
        let ledger = ledger.lock().unwrap();
        let (asked, answered) = (ledger.runs.len(), ledger.answered);
        println!(
            "seed {seed}: {} connections, {answered} of {asked} answered, {} busy, closed {:?}",
            ledger.connections, ledger.busy, ledger.codes
        );
        assert!(answered > 1500 && answered < asked && ledger.busy > 20, "seed {seed}");
        for code in [1001, 1008, 3000] {
            assert!(ledger.codes.contains_key(&code), "seed {seed}: none was closed with {code}");
        }
    }
}

#[test]
fn the_same_seed_is_the_same_conversation() {
    assert_eq!(run(5).1, run(5).1);
}
