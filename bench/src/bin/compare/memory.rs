//! Memory of a grape: idle, and per announced peer.

use std::io;
use std::net::Ipv4Addr;
use std::thread::sleep;
use std::time::{Duration, Instant};

use grenache_bench::load::Announcer;
use grenache_bench::server::SERVER_CPU;
use serde_json::json;

use crate::Plan;
use crate::report::{Report, Table};
use crate::ring::{self, Kind, Ports};

const IDLE_LIMIT: f64 = 20.0;
const PEER_LIMIT: f64 = 250.0;

/// Services and the peers of each; the last shape, a service per peer, is told without a claim.
const SHAPES: [(usize, u16); 3] = [(1_000, 1_000), (10_000, 100), (1_000_000, 1)];

pub(crate) fn run(plan: &Plan, report: &mut Report) -> io::Result<()> {
    let mut rows = Vec::new();
    let mut raw = serde_json::Map::new();
    let node = Ports::free()?;
    match idle(plan, Kind::Node, &node, 1) {
        Ok(bytes) => {
            rows.push(("Node's grape, idle".to_owned(), vec![format!("{:.1} MB", bytes / 1e6)]))
        }
        Err(error) => report.leave_out("Node's grape (memory)", error),
    }
    let bytes = idle(plan, Kind::Ours, &Ports::free()?, 1)?;
    rows.push(("grape, idle".to_owned(), vec![format!("{:.1} MB", bytes / 1e6)]));
    raw.insert("idle_bytes".to_owned(), json!(bytes));
    report.at_most(
        "resident memory of an idle grape on one core, MB".to_owned(),
        bytes / 1e6,
        IDLE_LIMIT,
    );
    for (services, peers) in SHAPES {
        let services = if plan.quick { services / 100 } else { services };
        let title = format!("{services} services with {peers} peers each");
        eprintln!("memory: {title}");
        let per_peer = fill(plan, services, peers)?;
        rows.push((format!("grape, {title}"), vec![format!("{per_peer:.0} bytes a peer")]));
        raw.insert(title.clone(), json!(per_peer));
        if peers > 1 && !plan.quick {
            report.at_most(format!("{title}: resident bytes per peer"), per_peer, PEER_LIMIT);
        }
    }
    report.table(Table::plain("Memory", vec!["resident"], rows, raw.into()));
    Ok(())
}

/// Resident bytes of a lone grape that has served a call and been left alone; `cores` are for ours alone.
pub(crate) fn idle(plan: &Plan, kind: Kind, ports: &Ports, cores: usize) -> io::Result<f64> {
    let server = ring::grape(plan, kind, &SERVER_CPU.to_string(), ports, &[], cores)?;
    up(ports)?;
    sleep(Duration::from_millis(if plan.quick { 100 } else { 2000 }));
    Ok(server.resident()? as f64)
}

/// Until the API answers.
fn up(ports: &Ports) -> io::Result<()> {
    let start = Instant::now();
    loop {
        match ring::lookup(ring::local(ports.api), "bench:none") {
            Ok(_) => return Ok(()),
            Err(error) if start.elapsed() > Duration::from_secs(20) => return Err(error),
            Err(_) => sleep(Duration::from_millis(20)),
        }
    }
}

/// Bytes by which a fresh grape grew per peer announced to it.
fn fill(plan: &Plan, services: usize, peers: u16) -> io::Result<f64> {
    let ports = Ports::free()?;
    let server = ring::grape(plan, Kind::Ours, &SERVER_CPU.to_string(), &ports, &[], 1)?;
    up(&ports)?;
    let before = server.resident()?;
    let start = Instant::now();
    let services: Vec<_> = (0..services).map(|number| format!("rest:memory:{number}")).collect();
    let dht = ring::local(ports.dht);
    let mut count = 0;
    // From a good many addresses, as a network's peers are.
    let hosts = services.len().min(100);
    for (number, chunk) in services.chunks(services.len().div_ceil(hosts)).enumerate() {
        let host = Ipv4Addr::new(127, 1, 0, number as u8 + 1);
        count += Announcer::new(host, dht)?.announce(chunk, 1024..1024 + peers)?;
    }
    if start.elapsed() > Duration::from_secs(110) {
        return Err(io::Error::other(
            "announcing took so long that the first peers may have expired",
        ));
    }
    let grown = server.resident()?.saturating_sub(before);
    if !ring::lookup(ring::local(ports.api), &services[0])?.contains("127.1.0.") {
        return Err(io::Error::other("what was announced is not found"));
    }
    Ok(grown as f64 / count as f64)
}
