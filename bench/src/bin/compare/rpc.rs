//! Requests between peers over HTTP: our worker and client against Node's, and our worker against a bare HTTP answer.

use std::io;
use std::time::Duration;

use grenache_bench::load::{Http, Post};
use grenache_bench::sample::{Sample, Series, median};
use grenache_bench::server::{SERVER_CPU, Server};
use serde_json::json;

use crate::Plan;
use crate::chart::Group;
use crate::figures::{Figure, Figures};
use crate::peers::{self, Pair, Setting, Transport};
use crate::report::{Report, Table};
use crate::ring::{Kind, Ring};

/// Requests in flight, and connections of the load driver.
const FLYING: usize = 64;
const FEWER: usize = 16;

/// How long after the question the service that is asked too early comes up.
const LATE: Duration = Duration::from_millis(25);

const OURS: Setting<'static> = Setting {
    name: "ours",
    kind: Kind::Ours,
    service: "rest:bench:rpc",
    transport: Transport::Http,
    idle: "park",
    tls: None,
    more: &[],
};
/// It spins for longer than any gap under load, and parks while the others are measured.
const SPIN: Setting<'static> =
    Setting { name: "ours, spinning", service: "rest:bench:spin", idle: "spin:1000", ..OURS };
const NODE: Setting<'static> = Setting { name: "Node's", kind: Kind::Node, ..OURS };

pub(crate) fn run(plan: &Plan, report: &mut Report) -> io::Result<()> {
    let ring = Ring::start(plan, Kind::Ours, 1)?;
    let mut ours = vec![Pair::start(plan, &ring, OURS)?, Pair::start(plan, &ring, SPIN)?];
    let node = Ring::start(plan, Kind::Node, 1)
        .and_then(|ring| Pair::start(plan, &ring, NODE).map(|pair| (ring, pair)));
    let mut node = match node {
        Ok(node) => Some(node),
        Err(error) => {
            report.leave_out("Node's worker and client", error);
            None
        }
    };
    together(plan, report, &ring, &mut ours, node.as_mut())?;
    worker(plan, report, &ours[0], node.as_ref().map(|(_, pair)| pair))?;
    found(plan, report, &ring, &mut ours[0], node.as_mut())
}

/// Worker and client against Node's, many requests at a time and one at a time.
fn together(
    plan: &Plan,
    report: &mut Report,
    ring: &Ring,
    ours: &mut [Pair<'static>],
    mut node: Option<&mut (Ring, Pair<'static>)>,
) -> io::Result<()> {
    let (mut many, mut one) = (Figures::default(), Figures::default());
    for round in 0..plan.rounds {
        eprintln!("RPC: round {} of {}", round + 1, plan.rounds);
        let ours = ours.iter_mut().map(|pair| (ring, pair));
        let node = node.as_mut().map(|(ring, pair)| (&*ring, pair));
        for (ring, pair) in ours.chain(node) {
            many.push(pair.setting.name, pair.measure(plan, ring, FLYING, round)?);
            one.push(pair.setting.name, pair.measure(plan, ring, 1, round)?);
        }
    }
    let title = format!("RPC \"hello\", worker and client on a CPU each, {FLYING} in flight");
    report.table(many.table(&title));
    if many.have([OURS.name, NODE.name]) {
        let rate = many.ratio(OURS.name, NODE.name, |f| f.worker.rate);
        report.at_least(format!("{title}: requests/s, ours to Node's"), rate, 25.0);
    }
    let title = "RPC \"hello\", worker and client on a CPU each, one at a time";
    report.table(one.table(title));
    if one.have([SPIN.name, NODE.name]) {
        let ratio = |of: fn(&Figure) -> f64| one.ratio(SPIN.name, NODE.name, of);
        let claim = |what: &str| format!("{title}: {what}, ours spinning to Node's");
        report.at_most(claim("p50"), ratio(|f| f.p50), 1.0 / 8.0);
        report.at_most(claim("p99"), ratio(|f| f.p99), 1.0 / 10.0);
    }
    Ok(())
}

/// Our worker against a bare HTTP answer of the same size, and Node's, all asked by the same driver.
fn worker(
    plan: &Plan,
    report: &mut Report,
    ours: &Pair<'static>,
    node: Option<&Pair<'static>>,
) -> io::Result<()> {
    let post = Post::rpc(OURS.service);
    let arguments = ["127.0.0.1:0", "--answer", post.expected()].map(str::to_owned);
    let program = plan.binaries.join("examples/http_echo");
    let (bare, bare_addr) = Server::listening(&SERVER_CPU.to_string(), &program, &arguments)?;
    let (ours_name, bare_name) = ("our worker", "bare HTTP answer");
    let mut systems = vec![
        (ours_name, Kind::Ours, &ours.worker, ours.addr),
        (bare_name, Kind::Ours, &bare, bare_addr),
    ];
    systems.extend(node.map(|pair| ("Node's worker", Kind::Node, &pair.worker, pair.addr)));
    let mut all = [FLYING, FEWER].map(|connections| (connections, Series::default()));
    for round in 0..plan.rounds {
        eprintln!("RPC, worker alone: round {} of {}", round + 1, plan.rounds);
        for (connections, series) in &mut all {
            for &(name, kind, server, addr) in &systems {
                let mut load = Http::connect(addr, *connections, 1)?;
                let posts = [post.clone()];
                let times = peers::warm(plan, kind, round);
                let sample = Sample::take(server, &[], times, |window| load.run(&posts, window));
                series.push(name, sample?);
            }
        }
    }
    for (connections, series) in &all {
        let title = format!("RPC \"hello\" from the load driver, {connections} connections");
        let table = Table::of(&title, series);
        report.table(match *connections {
            FLYING => table.charted(Group::Rpc, &["our worker", "bare HTTP answer"]),
            _ => table,
        });
        let ratio = series.ratio(ours_name, bare_name, |s| s.cpu);
        let claim = format!("{title}: server CPU, our worker to a bare HTTP answer of that size");
        report.at_most(claim, ratio, 1.25);
    }
    Ok(())
}

/// A client that asks before the service is there.
fn found(
    plan: &Plan,
    report: &mut Report,
    ring: &Ring,
    ours: &mut Pair<'static>,
    node: Option<&mut (Ring, Pair<'static>)>,
) -> io::Result<()> {
    let title =
        format!("From a question to its reply, the service up {} ms late", LATE.as_millis());
    let millis = |time: Duration| time.as_secs_f64() * 1e3;
    let mut took = Vec::new();
    for round in 0..plan.rounds {
        let time = ours.find(ring, &format!("rest:bench:late:{round}"), LATE)?;
        took.push(millis(time));
    }
    let worst = took.iter().copied().fold(0.0, f64::max);
    let middle = median(took.iter().copied());
    let cells = |count: usize, middle: f64, worst: f64| {
        vec![count.to_string(), format!("{middle:.1}"), format!("{worst:.1}")]
    };
    let mut rows = vec![(OURS.name.to_owned(), cells(took.len(), middle, worst))];
    let mut raw = json!({ "ours_ms": took });
    match node {
        // It would be longer than all the rest of the smoke test.
        Some(_) if plan.quick => {}
        Some((ring, pair)) => {
            let time = millis(pair.find(ring, "rest:bench:late:0", LATE)?);
            rows.push((NODE.name.to_owned(), cells(1, time, time)));
            raw["node_ms"] = json!([time]);
        }
        None => {}
    }
    report.table(Table::plain(&title, vec!["times", "median, ms", "worst, ms"], rows, raw));
    report.at_most(format!("{title}: ms, worst of {}", took.len()), worst, 50.0);
    Ok(())
}
