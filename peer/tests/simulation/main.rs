//! Grapes, workers and clients in the simulator, from seeds: on a network that delays, loses and cuts, through partitions and
//! power losses of workers and grapes. What must hold is in `oracle`.
//!
//! `GRENACHE_SEED=7 cargo test -p grenache-peer --test simulation` runs another seed.

mod client;
mod ledger;
mod listener;
mod multiplex;
mod network;
mod oracle;
mod publish;
mod speech;
mod subscribe;
mod wire;
mod worker;

use std::time::Duration;

use grenache_engine::sim::Network;
use network::{Hosts, Role, Sizes};
use oracle::Counts;
use speech::{Speech, ZEROMQ};

/// Once all has healed, calls have to succeed after this time: aside-settings have ended, workers are announced again.
const RECOVERY: Duration = Duration::from_secs(45);

/// How long calls are made when all is well.
const WELL: Duration = Duration::from_secs(20);

/// After this time without calls, idle connections are closed on both sides.
const IDLE: Duration = Duration::from_secs(130);

/// What happens in one run.
struct Plan {
    seed: u64,
    /// What calls go over.
    speech: Speech,
    sizes: Sizes,
    network: Network,
    /// Calls are made for so long while things happen.
    length: Duration,
    /// A worker loses its power so often.
    kill_worker: Option<Duration>,
    /// A worker is stopped so often.
    stop_worker: Option<Duration>,
    /// A grape loses its power so often.
    kill_grape: Option<Duration>,
    /// A host loses its power so often: its grape and its worker, without a word on their connections.
    kill_host: Option<Duration>,
    /// The network falls into two halves so often, for a third of the time.
    partition: Option<Duration>,
}

/// Who has lost its power comes back after this time.
const OUTAGE: Duration = Duration::from_secs(5);

fn seed(default: u64) -> u64 {
    std::env::var("GRENACHE_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(default)
}

/// Something that happens again and again.
struct Every {
    period: Option<Duration>,
    next: Duration,
}

impl Every {
    fn new(period: Option<Duration>, now: Duration) -> Every {
        Every { period, next: now + period.unwrap_or_default() }
    }

    fn is_due(&mut self, now: Duration) -> bool {
        let Some(period) = self.period.filter(|_| self.next <= now) else { return false };
        self.next = now + period;
        true
    }
}

/// Runs a plan and gives what the oracle saw and the trace of the run.
fn run(plan: &Plan) -> (Counts, u64) {
    let mut hosts = Hosts::start(plan.seed, plan.sizes, plan.network.clone(), plan.speech);
    // Workers announce themselves.
    hosts.world.run_for(Duration::from_secs(5));
    let tasks = hosts.live_tasks();
    hosts.orders.calling.set(true);
    trouble(&mut hosts, plan);

    hosts.heal();
    hosts.world.set_network(Network::default());
    hosts.world.run_for(RECOVERY);
    hosts.oracle.lock().unwrap().healed(hosts.world.now());
    hosts.world.run_for(WELL);
    hosts.orders.calling.set(false);
    hosts.world.run_for(client::LONGEST + Duration::from_secs(3));
    let counts = hosts.oracle.lock().unwrap().finish();

    hosts.world.run_for(IDLE);
    assert_eq!(hosts.world.tasks_panicked(), 0, "seed {}", plan.seed);
    assert_eq!(hosts.in_hand(), [0; 3], "seed {}: connections, requests, bytes", plan.seed);
    assert!(
        hosts.live_tasks() <= tasks,
        "seed {}: {} tasks, at first {tasks}",
        plan.seed,
        hosts.live_tasks()
    );
    (counts, hosts.world.trace())
}

/// What may happen happens.
fn trouble(hosts: &mut Hosts, plan: &Plan) {
    let start = hosts.world.now();
    let mut kill_worker = Every::new(plan.kill_worker, start);
    let mut kill_grape = Every::new(plan.kill_grape, start);
    let mut stop_worker = Every::new(plan.stop_worker, start);
    let mut kill_host = Every::new(plan.kill_host, start);
    let mut partition = Every::new(plan.partition, start);
    let mut heal = None;
    let mut starts: Vec<(Duration, Role, usize)> = Vec::new();
    while hosts.world.now() < start + plan.length || !starts.is_empty() {
        hosts.world.run_for(Duration::from_millis(100));
        hosts.oracle.lock().unwrap().check();
        let now = hosts.world.now();
        for (due, roles) in [
            (kill_worker.is_due(now), &[Role::Worker][..]),
            (kill_grape.is_due(now), &[Role::Grape]),
            (kill_host.is_due(now), &[Role::Worker, Role::Grape]),
        ] {
            let victim = hosts.draw(hosts.workers.len());
            for role in roles {
                if due && now < start + plan.length && hosts.kill(*role, victim) {
                    starts.push((now + OUTAGE, *role, victim));
                }
            }
        }
        let victim = hosts.draw(hosts.workers.len());
        let stops = stop_worker.is_due(now) && now < start + plan.length;
        if stops && hosts.stop_worker(victim) {
            starts.push((now + OUTAGE, Role::Worker, victim));
        }
        starts.retain(|&(at, role, number)| {
            if at <= now {
                hosts.start_again(role, number);
            }
            at > now
        });
        if partition.is_due(now) {
            heal = plan.partition.map(|every| now + every / 3);
            hosts.partition();
        }
        if heal.is_some_and(|at| at <= now) {
            heal = None;
            hosts.heal();
        }
    }
}

fn through_loss_partitions_and_power_losses(seed: u64, speech: Speech) {
    let plan = Plan {
        seed,
        speech,
        sizes: Sizes { grapes: 10, workers: 8, clients: 4, callers: 5 },
        network: Network {
            delay: Duration::from_micros(200)..Duration::from_millis(30),
            loss: 0.02,
            duplicate: 0.01,
            cut: 0.3,
            ..Network::default()
        },
        length: Duration::from_secs(150),
        kill_worker: Some(Duration::from_secs(6)),
        stop_worker: Some(Duration::from_secs(3)),
        kill_grape: Some(Duration::from_secs(30)),
        kill_host: Some(Duration::from_secs(37)),
        partition: Some(Duration::from_secs(50)),
    };
    let (counts, _) = run(&plan);
    println!("seed {seed} over {speech:?}: {counts:?}");
    assert!(counts.replies > 3000, "{counts:?}");
    assert!(counts.had_to_succeed > 300 && counts.had_to_be_found > 100, "{counts:?}");
    assert!(counts.not_run > 20 && counts.repeated > 0, "{counts:?}");
}

#[test]
fn calls_over_http_through_loss_partitions_and_power_losses() {
    for seed in seed(1)..seed(1) + 3 {
        through_loss_partitions_and_power_losses(seed, Speech::Http);
    }
}

#[test]
fn calls_over_websocket_through_loss_partitions_and_power_losses() {
    for seed in seed(1)..seed(1) + 3 {
        through_loss_partitions_and_power_losses(seed, Speech::WebSocket);
    }
}

#[test]
fn calls_over_zeromq_through_loss_partitions_and_power_losses() {
    for (seed, speech) in (seed(1)..seed(1) + 3).cycle().zip(ZEROMQ) {
        through_loss_partitions_and_power_losses(seed, speech);
    }
}

#[test]
fn a_good_network_loses_nothing_at_every_seed() {
    let both = [Speech::Http, Speech::WebSocket];
    let plans = (seed(100)..seed(100) + 4).flat_map(|seed| both.map(|speech| (seed, speech)));
    for (seed, speech) in plans.chain((seed(100)..).zip(ZEROMQ)) {
        let plan = Plan {
            seed,
            speech,
            sizes: Sizes { grapes: 6, workers: 5, clients: 3, callers: 4 },
            network: Network::default(),
            length: Duration::from_secs(30),
            kill_worker: None,
            stop_worker: None,
            kill_grape: None,
            kill_host: None,
            partition: None,
        };
        let (counts, _) = run(&plan);
        println!("seed {seed} over {speech:?}: {counts:?}");
        // What has timed out was given too little time.
        let others: Vec<_> = counts.failed.keys().filter(|code| *code != "ERR_TIMEOUT").collect();
        assert!(others.is_empty(), "{counts:?}");
    }
}

#[test]
fn the_same_seed_is_the_same_run() {
    let plan = |seed, speech| Plan {
        seed,
        speech,
        sizes: Sizes { grapes: 5, workers: 5, clients: 2, callers: 3 },
        network: Network { loss: 0.05, duplicate: 0.02, ..Network::default() },
        length: Duration::from_secs(20),
        kill_worker: Some(Duration::from_secs(3)),
        stop_worker: Some(Duration::from_secs(4)),
        kill_grape: Some(Duration::from_secs(7)),
        kill_host: Some(Duration::from_secs(11)),
        partition: None,
    };
    for speech in [Speech::Http, Speech::WebSocket, ZEROMQ[1]] {
        let trace = run(&plan(5, speech)).1;
        assert_eq!(trace, run(&plan(5, speech)).1);
        assert_ne!(trace, run(&plan(6, speech)).1);
    }
}
