//! WebSocket without calls: echoes against fastwebsockets, and a publisher against Node's.

use std::io;
use std::path::Path;

use grenache_bench::load::{Subscribers, WsEcho};
use grenache_bench::sample::{Sample, Series};
use grenache_bench::server::{SERVER_CPU, Server};
use serde_json::json;

use crate::Plan;
use crate::peers;
use crate::publisher::Publisher;
use crate::report::{Report, Table};
use crate::ring::Kind;

/// Connections of an echo, one message in flight on each.
const CONNECTIONS: usize = 16;

/// Bytes of an echo's messages.
const SIZES: [usize; 3] = [20, 1024, 16 * 1024];

const OURS: &str = "ours";
const FAST: &str = "fastwebsockets";

/// Subscribers of a publisher, and bytes of its messages.
const SUBSCRIBERS: usize = 1000;
const MESSAGE: usize = 64;

const NODE: &str = "Node's";

/// Messages per second while one does not read: a part of what they take.
const RATE: u64 = 500;

pub(crate) fn run(plan: &Plan, report: &mut Report) -> io::Result<()> {
    echo(plan, report)?;
    publish(plan, report)?;
    stalled(plan, report)
}

fn echo(plan: &Plan, report: &mut Report) -> io::Result<()> {
    let program = plan.binaries.join("examples/ws_echo");
    let arguments = ["127.0.0.1:0".to_owned()];
    let ours = Server::listening(&SERVER_CPU.to_string(), &program, &arguments)?;
    let fast = plan
        .peer(FAST)
        .and_then(|program| Server::listening(&SERVER_CPU.to_string(), &program, &[]));
    let mut systems = vec![(OURS, ours)];
    match fast {
        Ok(fast) => systems.push((FAST, fast)),
        Err(error) => report.miss(&format!("{FAST} (WebSocket echo)"), &error),
    }
    for size in SIZES {
        let title = format!("WebSocket echo, {size} bytes, {CONNECTIONS} connections");
        let mut series = Series::default();
        for round in 0..plan.rounds {
            eprintln!("{title}: round {} of {}", round + 1, plan.rounds);
            for (name, (server, addr)) in &systems {
                let mut load = WsEcho::connect(*addr, CONNECTIONS, size)?;
                let sample = Sample::take(server, &[], plan.times, |window| load.run(window))?;
                series.push(name, sample);
            }
        }
        report.table(Table::of(&title, &series));
        if systems.len() > 1 {
            let claim = format!("{title}: server CPU, ours to {FAST}");
            report.at_most(claim, series.ratio(OURS, FAST, |s| s.cpu), 1.05);
        }
    }
    Ok(())
}

fn ours(plan: &Plan) -> io::Result<Publisher> {
    Publisher::start(&plan.binaries.join("publisher"), &[])
}

fn nodes(plan: &Plan) -> io::Result<Publisher> {
    let script = format!("{}/node/publisher.js", env!("CARGO_MANIFEST_DIR"));
    // It asks no grape for anything.
    let conf = json!({ "modules": plan.node_modules, "grape": "127.0.0.1:1", "transport": "ws" });
    Publisher::start(Path::new("node"), &[script, conf.to_string()])
}

/// As many messages as the subscribers take.
fn publish(plan: &Plan, report: &mut Report) -> io::Result<()> {
    let title = format!("Publishing {MESSAGE} bytes to {SUBSCRIBERS} subscribers over WebSocket");
    let mut systems = vec![(OURS, Kind::Ours, ours(plan)?)];
    match nodes(plan) {
        Ok(node) => systems.push((NODE, Kind::Node, node)),
        Err(error) => report.leave_out("Node's publisher", error),
    }
    let mut series = Series::default();
    for round in 0..plan.rounds {
        eprintln!("{title}: round {} of {}", round + 1, plan.rounds);
        for (name, kind, publisher) in &mut systems {
            let Publisher { server, client, addr } = publisher;
            let mut load = Subscribers::connect(*addr, SUBSCRIBERS, 0, MESSAGE)?;
            let times = peers::warm(plan, *kind, round);
            let sample = Sample::take(server, &[], times, |window| load.run(client, window, None));
            series.push(name, sample?);
        }
    }
    report.table(Table::of(&title, &series));
    if systems.len() > 1 {
        let rate = series.ratio(OURS, NODE, |s| s.rate);
        report.at_least(format!("{title}: messages/s, ours to Node's"), rate, 20.0);
    }
    Ok(())
}

/// The same at a rate, with a subscriber that never reads, and without.
fn stalled(plan: &Plan, report: &mut Report) -> io::Result<()> {
    let title = format!(
        "Publishing {MESSAGE} bytes, {RATE} times a second, to {SUBSCRIBERS} subscribers over WebSocket"
    );
    let (all, one) = ("all read", "one more never reads");
    let mut publisher = ours(plan)?;
    let mut series = Series::default();
    for round in 0..plan.rounds {
        eprintln!("{title}: round {} of {}", round + 1, plan.rounds);
        for (name, stalled) in [(all, 0), (one, 1)] {
            let Publisher { server, client, addr } = &mut publisher;
            let mut load = Subscribers::connect(*addr, SUBSCRIBERS, stalled, MESSAGE)?;
            let sample = Sample::take(server, &[], plan.times, |window| {
                load.run(client, window, Some(RATE))
            });
            series.push(name, sample?);
        }
    }
    report.table(Table::of(&title, &series));
    let rate = series.ratio(one, all, |s| s.rate);
    report.at_least(
        format!("{title}: messages/s, with one more that never reads to without"),
        rate,
        0.95,
    );
    Ok(())
}
