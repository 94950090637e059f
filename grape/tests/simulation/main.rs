//! Whole networks of grapes in the simulator, from seeds: two hundred grapes of several cores each, on
//! a network that loses, delays, copies and overtakes datagrams, with restarts and partitions, and
//! clients that talk to them over HTTP. What must hold is in `oracle`.
//!
//! `GRENACHE_SEED=7 cargo test -p grenache-grape --test simulation` runs another seed.

mod client;
mod items;
mod network;
mod oracle;

use std::cell::RefCell;
use std::ops::Range;
use std::rc::Rc;
use std::time::Duration;

use grenache_engine::sim::Network;
use network::Grapes;
use oracle::Oracle;

const PEER_MAX_AGE: Duration = Duration::from_secs(40);

/// What happens to a network in one run.
struct Plan {
    seed: u64,
    grapes: usize,
    cores: Range<usize>,
    clients: usize,
    network: Network,
    /// Calls begin for so long.
    length: Duration,
    /// A grape loses its power so often, and is started again some seconds later.
    kill_every: Option<Duration>,
    /// The network falls into two halves so often, for a while.
    partition_every: Option<Duration>,
}

fn seed(default: u64) -> u64 {
    std::env::var("GRENACHE_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(default)
}

/// Runs a plan and gives what the oracle saw and the trace of the run.
fn run(plan: &Plan) -> (oracle::Counts, u64) {
    let oracle =
        Rc::new(RefCell::new(Oracle::new(plan.seed, PEER_MAX_AGE, plan.network.delay.end)));
    let mut grapes =
        Grapes::start(plan.seed, plan.grapes, plan.cores.clone(), plan.network.clone());
    // Time to find each other.
    grapes.world.run_for(Duration::from_secs(20));
    oracle.borrow_mut().healthy_since(grapes.world.now());
    client::start(&mut grapes, &oracle, plan.clients, plan.length);

    let end = grapes.world.now() + plan.length;
    let mut next_kill = plan.kill_every.map(|every| grapes.world.now() + every);
    let mut next_cut = plan.partition_every.map(|every| grapes.world.now() + every);
    let mut heal = None;
    let mut starts: Vec<(Duration, usize)> = Vec::new();
    let step = Duration::from_millis(250);
    while grapes.world.now() < end {
        grapes.world.run_for(step);
        let now = grapes.world.now();
        if let Some(every) = plan.kill_every.filter(|_| next_kill.is_some_and(|at| at <= now)) {
            next_kill = Some(now + every);
            if let Some(victim) = grapes.kill_one() {
                oracle.borrow_mut().killed(victim, now);
                starts.push((now + Duration::from_secs(5), victim));
            }
        }
        starts.retain(|(at, grape)| {
            if *at <= now {
                grapes.start_again(*grape);
                oracle.borrow_mut().started(*grape, now);
            }
            *at > now
        });
        if let Some(every) = plan.partition_every.filter(|_| next_cut.is_some_and(|at| at <= now)) {
            next_cut = Some(now + every);
            heal = Some(now + every / 3);
            grapes.partition();
            oracle.borrow_mut().cut();
        }
        if heal.is_some_and(|at| at <= now) {
            heal = None;
            grapes.world.heal();
            oracle.borrow_mut().healthy_since(now);
        }
    }
    grapes.world.heal();
    // Every call that began is answered by now, or its grape was killed.
    grapes.world.run_for(client::LAST_PAUSE + client::PATIENCE);
    assert_eq!(grapes.world.tasks_panicked(), 0, "seed {}", plan.seed);
    let counts = oracle.borrow().finish();
    (counts, grapes.world.trace())
}

#[test]
fn two_hundred_grapes_through_loss_restarts_and_partitions() {
    let plan = |seed| Plan {
        seed,
        grapes: 200,
        cores: 2..5,
        clients: 40,
        network: Network {
            delay: Duration::from_micros(200)..Duration::from_millis(40),
            loss: 0.02,
            duplicate: 0.01,
            ..Network::default()
        },
        length: Duration::from_secs(150),
        kill_every: Some(Duration::from_secs(4)),
        partition_every: Some(Duration::from_secs(45)),
    };
    for seed in seed(1)..seed(1) + 3 {
        let (counts, _) = run(&plan(seed));
        println!("seed {seed}: {counts:?}");
        assert!(counts.answered > 1000, "{counts:?}");
        assert!(counts.had_to_be_found > 300, "{counts:?}");
        assert!(counts.had_to_be_gone > 50, "{counts:?}");
        assert!(counts.items_had_to_be_found > 40, "{counts:?}");
    }
}

#[test]
fn a_good_network_finds_everything_at_every_seed() {
    for seed in seed(100)..seed(100) + 4 {
        let plan = Plan {
            seed,
            grapes: 25,
            cores: 1..4,
            clients: 6,
            network: Network::default(),
            length: Duration::from_secs(60),
            kill_every: None,
            partition_every: None,
        };
        let (counts, _) = run(&plan);
        assert!(counts.had_to_be_found > 100, "{counts:?}");
        assert_eq!(counts.broken, 0, "{counts:?}");
    }
}

#[test]
fn the_same_seed_is_the_same_run() {
    let plan = |seed| Plan {
        seed,
        grapes: 12,
        cores: 2..4,
        clients: 4,
        network: Network { loss: 0.05, duplicate: 0.02, ..Network::default() },
        length: Duration::from_secs(15),
        kill_every: Some(Duration::from_secs(3)),
        partition_every: None,
    };
    assert_eq!(run(&plan(5)).1, run(&plan(5)).1);
    assert_ne!(run(&plan(5)).1, run(&plan(6)).1);
}
