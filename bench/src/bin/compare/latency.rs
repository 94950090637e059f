//! One message at a time: what a core that spins saves over one that parks.

use std::io;
use std::time::Duration;

use grenache_bench::load::round_trips;
use grenache_bench::sample::median;
use grenache_bench::server::{SERVER_CPU, Server};
use grenache_bench::yardstick::System;
use serde_json::json;

use crate::Plan;
use crate::echo::name;
use crate::report::{Report, Table};

/// Between an answer and the next message: long enough for a server that parks to be asleep.
const GAP: Duration = Duration::from_micros(50);

pub(crate) fn run(plan: &Plan, report: &mut Report) -> io::Result<()> {
    let title = "TCP echo round trip, 64 bytes, one connection, a message every 50 µs";
    let systems = [
        System::Engine,
        System::EngineSpin,
        System::Uring,
        System::Epoll,
        System::Monoio,
        System::Tokio,
    ];
    let mut rounds: Vec<Vec<(f64, f64)>> = vec![Vec::new(); systems.len()];
    for round in 0..plan.rounds {
        eprintln!("{title}: round {} of {}", round + 1, plan.rounds);
        for (system, figures) in systems.iter().zip(&mut rounds) {
            let arguments = [name(*system), "tcp".to_owned(), "127.0.0.1:0".to_owned()];
            let started = Server::listening(
                &SERVER_CPU.to_string(),
                &plan.binaries.join("yardstick"),
                &arguments,
            );
            match started.and_then(|(server, addr)| {
                round_trips(addr, plan.times.window, GAP).map(|latencies| (server, latencies))
            }) {
                Ok((_, latencies)) => {
                    let micros = |percent| latencies.percentile(percent).as_secs_f64() * 1e6;
                    figures.push((micros(50.0), micros(99.0)));
                }
                Err(error) => report.leave_out(format!("{} ({title})", name(*system)), error),
            }
        }
    }
    let rows = systems.iter().zip(&rounds).map(|(system, figures)| {
        let p50 = median(figures.iter().map(|figure| figure.0));
        let p99 = median(figures.iter().map(|figure| figure.1));
        (name(*system), vec![format!("{p50:.1}"), format!("{p99:.1}")])
    });
    let raw = systems
        .iter()
        .zip(&rounds)
        .map(|(system, figures)| (name(*system), json!(figures)))
        .collect();
    report.table(Table::plain(title, vec!["p50, µs", "p99, µs"], rows.collect(), raw));
    let ratio = median(rounds[1].iter().zip(&rounds[0]).map(|(spin, park)| spin.0 / park.0));
    report.at_most(format!("{title}: p50, the engine spinning to parked"), ratio, 0.6);
    Ok(())
}
