//! The engine's HTTP against servers that people would pick instead, all with the same answer.

use std::io;
use std::net::SocketAddr;
use std::path::Path;

use grenache_bench::load::{Http, Post};
use grenache_bench::sample::{Sample, Series, Times};
use grenache_bench::server::{SERVER_CPU, Server};

use crate::Plan;
use crate::chart::Group;
use crate::folder::Folder;
use crate::nginx;
use crate::report::{Report, Table};

/// Connections, and requests in flight on each.
const LOADS: [(usize, usize); 3] = [(64, 1), (16, 1), (16, 16)];

struct System {
    name: &'static str,
    server: Server,
    addr: SocketAddr,
    /// What it writes to, gone after it.
    _folder: Option<Folder>,
}

pub(crate) fn run(plan: &Plan, report: &mut Report) -> io::Result<()> {
    let post = Post::rpc("rest:bench:rpc");
    let mut systems = vec![ours(plan, post.expected())?];
    for (name, started) in [
        ("hyper", peer(plan, "hyper", post.expected())),
        ("axum", peer(plan, "axum", post.expected())),
        ("nginx", nginx(plan, post.expected())),
    ] {
        match started {
            Ok(system) => systems.push(system),
            Err(error) => report.miss(&format!("{name} (HTTP server)"), &error),
        }
    }
    let mut all = LOADS.map(|load| (load, Series::default()));
    for round in 0..plan.rounds {
        eprintln!("HTTP servers: round {} of {}", round + 1, plan.rounds);
        systems.retain(|system| {
            for (load, series) in &mut all {
                match measure(system, *load, &post, plan.times) {
                    Ok(sample) => series.push(system.name, sample),
                    Err(error) => {
                        report.fail(format!("{} (HTTP server)", system.name), error);
                        return false;
                    }
                }
            }
            true
        });
    }
    for ((connections, depth), series) in &all {
        let title =
            format!("HTTP servers, a fixed answer, {connections} connections, {depth} deep");
        report.table(Table::of(&title, series).charted(Group::HttpServers, &["ours"]));
    }
    Ok(())
}

/// One window; the connections are new, since servers close those that have been idle for long.
fn measure(
    system: &System,
    (connections, depth): (usize, usize),
    post: &Post,
    times: Times,
) -> io::Result<Sample> {
    let mut load = Http::connect(system.addr, connections, depth)?;
    let posts = [post.clone()];
    Sample::take(&system.server, &[], times, |window| load.run(&posts, window))
}

fn ours(plan: &Plan, answer: &str) -> io::Result<System> {
    let program = plan.binaries.join("examples/http_echo");
    listening("ours", &program, &["127.0.0.1:0", "--answer", answer])
}

fn peer(plan: &Plan, name: &'static str, answer: &str) -> io::Result<System> {
    listening(name, &plan.peer(name)?, &[answer])
}

fn nginx(plan: &Plan, answer: &str) -> io::Result<System> {
    plan.version("nginx", "-v")?;
    let (server, addr, folder) = nginx::start(answer)?;
    Ok(System { name: "nginx", server, addr, _folder: Some(folder) })
}

fn listening(name: &'static str, program: &Path, arguments: &[&str]) -> io::Result<System> {
    let arguments: Vec<String> = arguments.iter().map(|&argument| argument.to_owned()).collect();
    let (server, addr) = Server::listening(&SERVER_CPU.to_string(), program, &arguments)?;
    Ok(System { name, server, addr, _folder: None })
}
