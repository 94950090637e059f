//! The engine's echo against echoes by hand and on other runtimes.

use std::io;
use std::time::Duration;

use clap::ValueEnum;
use grenache_bench::load::{Outcome, TcpEcho, UdpEcho};
use grenache_bench::sample::{Sample, Series};
use grenache_bench::server::{SERVER_CPU, Server};
use grenache_bench::yardstick::{System, Transport};

use crate::Plan;
use crate::chart::Group;
use crate::report::{Report, Table};

const CONNECTIONS: usize = 64;
const SOCKETS: usize = 16;
const WINDOW: usize = 4;

pub(crate) fn tcp(plan: &Plan, report: &mut Report) -> io::Result<()> {
    let title = format!("TCP echo, 64 bytes, {CONNECTIONS} connections");
    compare(plan, report, &title, Transport::Tcp, |addr| {
        let mut load = TcpEcho::connect(addr, CONNECTIONS)?;
        Ok(Box::new(move |window| load.run(window)))
    })
}

pub(crate) fn udp(plan: &Plan, report: &mut Report) -> io::Result<()> {
    let title =
        format!("UDP echo, 64 bytes, {SOCKETS} clients with {WINDOW} datagrams in flight each");
    compare(plan, report, &title, Transport::Udp, |addr| {
        let mut load = UdpEcho::connect(addr, SOCKETS, WINDOW)?;
        Ok(Box::new(move |window| load.run(window)))
    })
}

type Load = Box<dyn FnMut(Duration) -> io::Result<Outcome>>;

fn compare(
    plan: &Plan,
    report: &mut Report,
    title: &str,
    transport: Transport,
    connect: impl Fn(std::net::SocketAddr) -> io::Result<Load>,
) -> io::Result<()> {
    let mut series = Series::default();
    let mut systems = System::value_variants().to_vec();
    systems.retain(|&system| match system {
        System::EngineSpin => false,
        // One UDP socket is registered with the ring in any case.
        System::UringDirect => transport == Transport::Tcp,
        _ => true,
    });
    for round in 0..plan.rounds {
        eprintln!("{title}: round {} of {}", round + 1, plan.rounds);
        systems.retain(|&system| {
            let name = name(system);
            match measure(plan, system, transport, &connect) {
                Ok(sample) => series.push(&name, sample),
                Err(error) => {
                    report.leave_out(format!("{name} ({title})"), error);
                    return false;
                }
            }
            true
        });
    }
    let ours = &["engine", "engine-epoll"];
    report.table(Table::of(title, &series).charted(Group::Echo, ours));
    let best = series.best(&["uring", "uring-direct", "epoll", "monoio"]);
    for (reference, limit) in
        best.map(|name| (name, 1.05)).into_iter().chain([("glommio", 1.0), ("tokio", 1.0)])
    {
        if !series.of(reference).is_empty() {
            let claim = format!("{title}: server CPU, engine to {reference}");
            report.at_most(claim, series.ratio("engine", reference, |s| s.cpu), limit);
        }
    }
    Ok(())
}

/// The name of `system` on the command line and in the report.
pub(crate) fn name(system: System) -> String {
    system.to_possible_value().map_or_else(String::new, |value| value.get_name().to_owned())
}

fn measure(
    plan: &Plan,
    system: System,
    transport: Transport,
    connect: impl Fn(std::net::SocketAddr) -> io::Result<Load>,
) -> io::Result<Sample> {
    let transport = if transport == Transport::Tcp { "tcp" } else { "udp" };
    let program = plan.binaries.join("yardstick");
    let arguments = [name(system), transport.to_owned(), "127.0.0.1:0".to_owned()];
    let (server, addr) = Server::listening(&SERVER_CPU.to_string(), &program, &arguments)?;
    let mut load = connect(addr)?;
    Sample::take(&server, &[], plan.times, &mut load)
}
