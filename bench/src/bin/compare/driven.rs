//! Processes whose cores drive themselves, and in which ways they are measured.

use std::io;
use std::ops::Range;
use std::time::Duration;

use clap::ValueEnum;
use grenache_bench::client::Client;
use grenache_bench::load::Outcome;
use grenache_bench::sample::Sample;
use grenache_bench::scaling::Work;
use grenache_bench::server::Server;
use serde_json::Value;

use crate::Plan;
use crate::model::keyed;

/// Cores of the process of which only two work, to see what it costs that the others are there.
pub(crate) const CROWD: usize = 64;

/// A share of crossing requests so small that few of them share a visit to the other core.
pub(crate) const THIN: f64 = 0.125;

/// Processes of the program `scaling`, side by side.
pub(crate) struct Processes {
    servers: Vec<Server>,
    clients: Vec<Client>,
}

impl Processes {
    fn start(&mut self, plan: &Plan, work: Work, cpus: &str, cores: usize) -> io::Result<()> {
        let work = work.to_possible_value().map_or_else(String::new, |work| work.get_name().into());
        let arguments = [work, "--cores".to_owned(), cores.to_string()];
        let (server, client) = Client::start(cpus, &plan.binaries.join("scaling"), &arguments)?;
        self.servers.push(server);
        self.clients.push(client);
        Ok(())
    }

    pub(crate) fn measure(&mut self, plan: &Plan, setup: &Setup) -> io::Result<Sample> {
        let servers: Vec<&Server> = self.servers[setup.processes.clone()].iter().collect();
        let clients = &mut self.clients[setup.processes.clone()];
        let work = |window: Duration| setup.work(clients, window);
        Sample::of_all(&servers, &[], plan.times, work)
    }
}

/// Which processes work, and how.
pub(crate) struct Setup {
    pub(crate) name: String,
    processes: Range<usize>,
    active: usize,
    share: f64,
}

impl Setup {
    fn work(&self, clients: &mut [Client], window: Duration) -> io::Result<Outcome> {
        for client in clients.iter_mut() {
            client.order(&format!("run {} {} {}", window.as_millis(), self.active, self.share))?;
        }
        let (mut answered, mut crossed, mut rate) = (0, 0, 0.0);
        for client in clients {
            let said = client.answer()?;
            for core in said.as_array().into_iter().flatten() {
                let number = |key: &str| core.get(key).and_then(Value::as_u64).unwrap_or(0);
                answered += number("answered");
                crossed += number("crossed");
                rate += number("answered") as f64 / (number("elapsed") as f64 / 1e9);
            }
        }
        let due = answered as f64 * self.share;
        if answered == 0 || (crossed as f64 - due).abs() > self.active as f64 {
            let what = format!("{}: {crossed} of {answered} requests crossed", self.name);
            return Err(io::Error::other(what));
        }
        let elapsed = Duration::from_secs_f64(answered as f64 / rate);
        Ok(Outcome { requests: answered, elapsed, lost: 0 })
    }
}

/// The setups for each of `counts` cores, and the processes they need.
pub(crate) fn setups(
    plan: &Plan,
    work: Work,
    counts: &[usize],
) -> io::Result<(Processes, Vec<Setup>)> {
    let most = counts.iter().copied().max().unwrap_or(1);
    let mut processes = Processes { servers: Vec::new(), clients: Vec::new() };
    for cpu in 0..most {
        processes.start(plan, work, &cpu.to_string(), 1)?;
    }
    let mut setups = Vec::new();
    let mut add = |name: String, processes, active, share| {
        setups.push(Setup { name, processes, active, share });
    };
    for cpu in 0..2 {
        add(alone(cpu), cpu..cpu + 1, 1, 0.0);
    }
    for &count in counts {
        add(apart(count), 0..count, 1, 0.0);
    }
    if work == Work::Arithmetic {
        return Ok((processes, setups));
    }
    for &count in counts {
        let at = processes.servers.len();
        processes.start(plan, work, &format!("0-{}", count - 1), count)?;
        for share in [0.0, keyed(count)] {
            add(together(count, share), at..at + 1, count, share);
        }
        if count == 2 {
            for share in [THIN, 1.0] {
                add(together(count, share), at..at + 1, count, share);
            }
        }
    }
    let at = processes.servers.len();
    processes.start(plan, work, "0,1", CROWD)?;
    add(in_a_crowd(), at..at + 1, 2, 0.0);
    Ok((processes, setups))
}

pub(crate) fn alone(cpu: usize) -> String {
    format!("one core, CPU {cpu}")
}

pub(crate) fn apart(count: usize) -> String {
    format!("{count} processes of one core")
}

pub(crate) fn together(count: usize, share: f64) -> String {
    match share {
        0.0 => format!("{count} cores"),
        share => format!("{count} cores, {} % cross", share * 100.0),
    }
}

pub(crate) fn in_a_crowd() -> String {
    format!("2 cores of {CROWD}")
}
