//! Subscribers over WebSocket and over ZeroMQ that read slowly, vanish and come back, and a publisher whose worker stops and dies.
//! Whatever happens:
//!
//! - nobody gets a message twice, or after a later one, or another than was published, or of a topic that it does not want;
//! - there are no more gaps than messages that were counted as dropped; and none at all, if subscribers are disconnected instead;
//! - once all is well and everybody reads, everybody gets everything;
//! - who comes late gets the last message of each topic that it wants.

use std::cell::Cell;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use grenache_engine::sim::{Host, Network, NodeId, World};
use grenache_engine::{Core, shutdown, sleep, spawn_local, timeout};
use grenache_peer::publish::{Config, Overflow, Publisher};
use grenache_peer::worker::{self, Program};

use crate::client::draw;
use crate::seed;
use crate::speech::{Form, Lock, Speech};
use crate::wire::{Next, Purpose, Wire};
use crate::worker::filler;

const IP: [u8; 4] = [10, 0, 0, 1];

/// The topic of a message is its number by this.
const TOPICS: usize = 3;

const fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

fn addr() -> SocketAddr {
    SocketAddr::from((IP, 1337))
}

/// What the test tells all, and what they have seen.
struct State {
    /// Of ZeroMQ.
    lock: Lock,
    publishing: Cell<bool>,
    subscribing: Cell<bool>,
    well: Cell<bool>,
    /// Messages published so far; the next one's number.
    published: Cell<usize>,
    received: Cell<usize>,
    /// Last messages that those who have connected get before others.
    owed: Cell<usize>,
    /// Messages that were skipped.
    gaps: Cell<usize>,
    disconnected: Cell<usize>,
    may_have_gaps: bool,
}

/// A message: a number, and a filler that belongs to it. Mostly short, at times longer than a connection takes at once.
fn message(number: usize) -> String {
    let size = match number % 50 {
        0 => 200_000,
        1..8 => 5000,
        _ => 10,
    };
    format!("{number} {}", filler(number, size))
}

fn topic(number: usize) -> String {
    format!("topic.{}", number % TOPICS)
}

fn program(publisher: &Publisher, lock: Lock) -> Program {
    let config = worker::Config {
        listen: addr(),
        cores: 2,
        drain: ms(300),
        server: grenache_peer::server::Config {
            gate: lock.gate(),
            write_timeout: Duration::from_secs(8),
            ..Default::default()
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
        sleep(ms(u64::from(draw(20)))).await;
        let many = if draw(30) == 0 { 60 } else { draw(4) };
        for _ in 0..many {
            let number = state.published.get();
            // If there is no room, the same message comes later.
            if state.publishing.get() && publisher.publish(&topic(number), message(number)).is_ok()
            {
                state.published.set(number + 1);
            }
        }
    }
}

async fn subscriber(state: Rc<State>) {
    loop {
        sleep(ms(u64::from(draw(500)))).await;
        if state.subscribing.get() {
            listen(&state).await;
        }
    }
}

/// One connection, from its beginning to its end.
async fn listen(state: &State) {
    let wanted = (draw(2) == 0).then(|| draw(TOPICS as u32) as usize);
    let well = state.well.get();
    let (speech, purpose) = (
        if draw(2) == 0 { Speech::WebSocket } else { Speech::ZeroMq(Form::Array, state.lock) },
        wanted.map_or(Purpose::Everything, |_| Purpose::Topics),
    );
    let connecting = timeout(Duration::from_secs(10), Wire::connect(addr(), speech, purpose));
    let Ok(Some(mut wire)) = connecting.await else { return };
    if draw(2) == 0 {
        wire.ping();
    }
    if let Some(wanted) = wanted {
        wire.subscribe(&topic(wanted));
    }
    state.owed.set(state.owed.get() + wanted.map_or(TOPICS, |_| 1));
    // Of whoever is slow it is not known what it misses at the end.
    let patience = if well { Duration::MAX } else { ms(u64::from(draw(20_000))) };
    let mut last = None;
    let over = timeout(patience, async {
        loop {
            match wire.next().await {
                Next::Published(topic, text) => check(state, wanted, &mut last, topic, &text),
                Next::Answer(..) => panic!("nothing was asked"),
                Next::Closed(code) => {
                    if code == Some(1008) {
                        state.disconnected.set(state.disconnected.get() + 1);
                    }
                    return;
                }
                Next::Gone => return,
            }
            if draw(40) == 0 {
                wire.ping();
                // It has no effect to say so again.
                wanted.inspect(|wanted| wire.subscribe(&topic(*wanted)));
            }
            if !state.well.get() && draw(300) == 0 {
                sleep(ms(u64::from(draw(12_000)))).await;
            }
            let step = wanted.map_or(1, |_| TOPICS);
            let is_last = last.is_some_and(|last| last + step >= state.published.get());
            if state.well.get() && !state.subscribing.get() && is_last {
                return;
            }
        }
    });
    match over.await {
        Err(_) if draw(2) == 0 => wire.abort(),
        Err(_) => wire.close(1000),
        Ok(()) => {}
    }
}

fn check(
    state: &State,
    wanted: Option<usize>,
    last: &mut Option<usize>,
    topic: Option<String>,
    text: &str,
) {
    let number: usize = text.split_once(' ').expect("a number").0.parse().expect("a number");
    assert!(text == self::message(number), "{number} is not what was published");
    assert!(topic.is_none_or(|topic| topic == self::topic(number)), "{number}: another topic");
    assert!(wanted.is_none_or(|wanted| wanted == number % TOPICS), "nobody wants {number}");
    let step = wanted.map_or(1, |_| TOPICS);
    if let Some(last) = *last {
        assert!(number > last, "{number} after {last}");
        let gap = (number - last) / step - 1;
        assert!(gap == 0 || (state.may_have_gaps && !state.well.get()), "{number} after {last}");
        state.gaps.set(state.gaps.get() + gap);
    }
    *last = Some(number);
    state.received.set(state.received.get() + 1);
}

fn start_worker(world: &mut World, program: Program) -> NodeId {
    let engine = program.engine_config();
    world.start(Host::new(IP), engine, move |core| program.run(core)).expect("a free host")
}

fn start<F>(world: &mut World, ip: [u8; 4], task: impl Fn() -> F + 'static)
where
    F: Future<Output = ()> + 'static,
{
    let main = move |_: Core<()>| {
        spawn_local(task());
        shutdown()
    };
    world.start(Host::new(ip), Default::default(), main).expect("a free host");
}

fn run(seed: u64, overflow: Overflow, lock: Lock) -> (Rc<State>, Publisher, u64) {
    let network = Network {
        delay: Duration::from_micros(200)..ms(10),
        loss: 0.01,
        cut: 0.4,
        retransmit_timeout: Duration::from_secs(20),
        ..Network::default()
    };
    let mut world = World::new(seed, network);
    let config = Config {
        overflow,
        high_water: 800_000,
        max_queued: 200,
        last_values: TOPICS,
        ..Config::default()
    };
    let publisher = Publisher::new(config);
    let state = Rc::new(State {
        lock,
        publishing: Cell::new(true),
        subscribing: Cell::new(true),
        well: Cell::new(false),
        published: Cell::new(0),
        received: Cell::new(0),
        owed: Cell::new(0),
        gaps: Cell::new(0),
        disconnected: Cell::new(0),
        may_have_gaps: overflow != Overflow::Disconnect,
    });
    let mut worker = start_worker(&mut world, program(&publisher, lock));
    let (publishes, publishing) = (publisher.clone(), state.clone());
    start(&mut world, [10, 2, 0, 0], move || publish(publishes.clone(), publishing.clone()));
    for number in 0..8 {
        let state = state.clone();
        start(&mut world, [10, 1, 0, number], move || subscriber(state.clone()));
    }
    for round in 0..6 {
        world.run_for(Duration::from_secs(4));
        match round % 4 {
            0 => world.kill(worker),
            1 => world.stop(worker),
            _ => continue,
        }
        while world.is_running(worker) {
            world.run_for(ms(100));
        }
        worker = start_worker(&mut world, program(&publisher, lock));
    }
    // Nobody is harmed any more, and who was comes back.
    state.subscribing.set(false);
    world.set_network(Network { cut: 0.4, ..Network::default() });
    world.run_for(Duration::from_secs(60));
    state.well.set(true);
    state.subscribing.set(true);
    world.run_for(Duration::from_secs(10));
    assert_eq!(publisher.stats().subscribers, 8, "seed {seed}");
    // One more of each topic, and who has that has all.
    state.publishing.set(false);
    world.run_for(Duration::from_secs(2));
    state.subscribing.set(false);
    for _ in 0..TOPICS {
        let number = state.published.get();
        publisher.publish(&topic(number), message(number)).expect("there is room");
        state.published.set(number + 1);
    }
    world.run_for(Duration::from_secs(5));
    assert_eq!(publisher.stats().subscribers, 0, "seed {seed}: somebody waits for a message");
    state.owed.set(0);
    let before = state.received.get();
    state.subscribing.set(true);
    world.run_for(Duration::from_secs(10));
    let (came, owed) = (state.received.get() - before, state.owed.get());
    assert!(came == owed && owed >= 8, "seed {seed}: {came} last messages of {owed}");
    assert_eq!(world.tasks_panicked(), 0, "seed {seed}");
    (state, publisher, world.trace())
}

#[test]
fn subscribers_through_slowness_stops_and_power_losses() {
    let plans = [
        (Overflow::DropOldest, Lock::Null),
        (Overflow::DropNewest, Lock::Curve),
        (Overflow::Disconnect, Lock::Null),
        (Overflow::DropOldest, Lock::Curve),
    ];
    for (seed, (overflow, lock)) in (seed(1)..).zip(plans) {
        let (state, publisher, _) = run(seed, overflow, lock);
        let stats = publisher.stats();
        let (received, gaps) = (state.received.get(), state.gaps.get() as u64);
        println!(
            "seed {seed}, {overflow:?}, {lock:?}: {received} received, {gaps} missed, {stats:?}"
        );
        assert!(received > 3000 && received as u64 <= stats.sent, "seed {seed}");
        assert!(gaps <= stats.dropped, "seed {seed}");
        let disconnected = state.disconnected.get() as u64;
        match overflow {
            Overflow::Disconnect => assert!(disconnected > 0 && stats.disconnected > 0),
            Overflow::DropOldest => assert!(gaps > 0 && stats.disconnected == 0, "seed {seed}"),
            // Whoever is slow may leave before it gets what comes after the gap.
            Overflow::DropNewest => {
                assert!(stats.dropped > 0 && stats.disconnected == 0, "seed {seed}");
            }
        }
    }
}

#[test]
fn the_same_seed_publishes_the_same() {
    let trace = |seed| run(seed, Overflow::DropOldest, Lock::Curve).2;
    assert_eq!(trace(5), trace(5));
}
