//! Lookups on a grape on one core and on two, loaded beside it: what a lookup costs must not grow, but for the hop of those
//! that another core owns.
//!
//! Load and grape share the second CPU, so rates say nothing here. A grape on one core is measured on both CPUs, with
//! the load beside it and without, as the two cores of the other are.

use std::cell::RefCell;
use std::io;
use std::time::Duration;

use grenache_bench::load::{Http, Post};
use grenache_bench::sample::{Sample, Series, Times, median};
use grenache_bench::server::{LOAD_CPU, SERVER_CPU};
use serde_json::json;

use crate::Plan;
use crate::mesh;
use crate::model::Estimate;
use crate::report::{Report, Table};
use crate::ring::{self, Kind, Ring};

/// Connections to each core, each asking for a service of its own. A core that has more at a time does more in a turn, and so
/// each for less: it is as many per core that must cost the same.
const EACH: usize = 8;

/// How long a look at who owns a service takes: enough that the other core is seen to work.
const LOOK: Times =
    Times { warm_up: Duration::from_millis(10), window: Duration::from_millis(60), retries: 0 };

const ALONE: &str = "one core, alone on its CPU";
const BESIDE: &str = "one core, beside the load";
const NEAR: &str = "two cores, owned by the connection's core";
const MIXED: &str = "two cores, every second owned by the other";
const FAR: &str = "two cores, owned by the other core";

/// A ring under load, and what it is asked.
struct Loaded {
    ring: Ring,
    client: Http,
    asked: Vec<(&'static str, Vec<Post>)>,
}

/// What was found of lookups.
pub(crate) struct Found {
    /// CPU time of one on a core, µs.
    pub(crate) own: Estimate,
    /// What it costs in addition if another core owns the service, µs.
    pub(crate) hop: Estimate,
}

pub(crate) fn run(plan: &Plan, report: &mut Report) -> io::Result<Found> {
    let title = "Scaling: POST /lookup of a service each, 8 connections a core, a grape on one core and on two";
    let mut systems = vec![one(plan, SERVER_CPU, ALONE)?, one(plan, LOAD_CPU, BESIDE)?, two(plan)?];
    let mut series = Series::default();
    let mut balance: Vec<(&str, Vec<f64>)> = Vec::new();
    for round in 0..plan.rounds {
        eprintln!("{title}: round {} of {}", round + 1, plan.rounds);
        for Loaded { ring, client, asked } in &mut systems {
            for (name, posts) in asked {
                let busier = RefCell::new(0.0);
                let sample = Sample::take(&ring.tested, &[&ring.other], plan.times, |window| {
                    let before = mesh::threads(&ring.tested)?;
                    let outcome = client.run(posts, window)?;
                    let used = mesh::used(&before, &mesh::threads(&ring.tested)?);
                    let all: f64 = used.iter().map(|(_, seconds)| seconds).sum();
                    *busier.borrow_mut() = used.iter().map(|used| used.1).fold(0.0, f64::max) / all;
                    Ok(outcome)
                });
                let named =
                    |error: io::Error| io::Error::new(error.kind(), format!("{name}: {error}"));
                series.push(name, sample.map_err(named)?);
                match balance.iter_mut().find(|(other, _)| other == name) {
                    Some((_, shares)) => shares.push(busier.take()),
                    None => balance.push((name, vec![busier.take()])),
                }
            }
        }
    }
    report.table(Table::of(title, &series));
    let rows = balance.iter().map(|(name, shares)| {
        let cells = vec![format!("{:.0} %", median(shares.iter().copied()) * 100.0)];
        ((*name).to_owned(), cells)
    });
    report.table(Table::plain(
        &format!("{title}: balance"),
        vec!["busier core's share of the server's CPU time"],
        rows.collect(),
        json!(balance),
    ));
    Ok(find(report, title, &series))
}

fn find(report: &mut Report, title: &str, series: &Series) -> Found {
    let cpu = |name: &str| series.of(name).iter().map(|sample| sample.cpu).collect::<Vec<_>>();
    let mean = |a: Vec<f64>, b: Vec<f64>| {
        a.into_iter().zip(b).map(|(a, b)| f64::midpoint(a, b)).collect::<Vec<_>>()
    };
    let own = mean(cpu(ALONE), cpu(BESIDE));
    let halfway = mean(cpu(NEAR), cpu(FAR));
    let ratio = |name: &str, to: &[f64]| median(cpu(name).iter().zip(to).map(|(a, b)| a / b));
    report.at_most(
        format!("{title}: CPU per lookup that stays on its core, two cores to one"),
        ratio(NEAR, &own),
        1.1,
    );
    report.at_most(
        format!("{title}: CPU per lookup of which half cross, to halfway between none and all"),
        ratio(MIXED, &halfway),
        1.1,
    );
    Found {
        own: Estimate::of(own),
        hop: Estimate::of(cpu(FAR).iter().zip(cpu(NEAR)).map(|(far, near)| far - near)),
    }
}

/// A grape on one core.
fn one(plan: &Plan, cpu: usize, name: &'static str) -> io::Result<Loaded> {
    let ring = Ring::start_on(plan, Kind::Ours, &cpu.to_string(), 1)?;
    let posts = (0..EACH).map(|number| post(&ring, &service(number)));
    let asked = vec![(name, posts.collect::<io::Result<_>>()?)];
    let client = Http::connect(ring.api, EACH, 1)?;
    Ok(Loaded { ring, client, asked })
}

/// A grape on two cores, with connections and services of both sorted by core.
fn two(plan: &Plan) -> io::Result<Loaded> {
    let ring = Ring::start(plan, Kind::Ours, 2)?;
    let mut client = Http::connect(ring.api, 0, 1)?;
    for cpu in [SERVER_CPU, LOAD_CPU] {
        let mut missing = EACH;
        for _ in 0..64 * EACH {
            let (connection, home) = mesh::connect(&ring)?;
            if home == cpu {
                client.join(connection)?;
                missing -= 1;
            }
            if missing == 0 {
                break;
            }
        }
        if missing > 0 {
            return Err(io::Error::other(format!("too few connections went to CPU {cpu}")));
        }
    }
    let (mut probe, home) = mesh::connect(&ring)?;
    let (mut first, mut second) = (Vec::new(), Vec::new());
    for number in 0..64 * EACH {
        let service = service(number);
        let far = mesh::measure(LOOK, &ring, &mut probe, &service)?.is_far();
        let owned = if far == (home == SERVER_CPU) { &mut second } else { &mut first };
        if owned.len() < EACH {
            owned.push(post(&ring, &service)?);
        }
        if first.len() + second.len() == 2 * EACH {
            break;
        }
    }
    let near = [first.clone(), second.clone()].concat();
    let far = [second, first].concat();
    if near.len() < 2 * EACH {
        return Err(io::Error::other("too few services of one of the cores"));
    }
    let pick = |index: usize| if index.is_multiple_of(2) { &near[index] } else { &far[index] };
    let mixed = (0..2 * EACH).map(|index| pick(index).clone()).collect();
    let asked = vec![(NEAR, near), (MIXED, mixed), (FAR, far)];
    Ok(Loaded { ring, client, asked })
}

fn service(number: usize) -> String {
    format!("rest:cores:{number}")
}

/// Announces a service; the lookup of it.
fn post(ring: &Ring, service: &str) -> io::Result<Post> {
    let stored = ring::announce(ring.api, service)?;
    if stored != "1" {
        return Err(io::Error::other(format!("announce says {stored}")));
    }
    Ok(Post::new("/lookup", &ring::question(service), &ring::lookup(ring.api, service)?))
}
