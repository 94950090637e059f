//! What a lookup costs when the service belongs to another core than the connection.
//!
//! The grape does not tell which core owns a service, but the CPU time of its threads does: for a service of the
//! connection's own core the other core's thread has next to nothing to do.

use std::io;
use std::time::Duration;

use grenache_bench::load::{Http, Post};
use grenache_bench::sample::{Times, median};
use grenache_bench::server::{SERVER_CPU, Server};
use serde_json::json;

use crate::Plan;
use crate::report::{Report, Table};
use crate::ring::{self, Kind, Ring};

const SERVICES: usize = 32;

/// From this share of the work on, a second core takes part.
const SHARED: f64 = 0.2;

pub(crate) struct Figure {
    cpu: f64,
    rate: f64,
    /// Share of the work that the busier thread did not do.
    elsewhere: f64,
}

impl Figure {
    /// The service belongs to another core than the connection.
    pub(crate) fn is_far(&self) -> bool {
        self.elsewhere >= SHARED
    }
}

pub(crate) fn run(plan: &Plan, report: &mut Report) -> io::Result<()> {
    let ring = Ring::start(plan, Kind::Ours, 2)?;
    let mut client = at_the_server_cpu(&ring)?;
    let mut figures = Vec::new();
    let services = if plan.quick { SERVICES / 4 } else { SERVICES };
    eprintln!("mesh: {services} services");
    for number in 0..services {
        figures.push(measure(plan.times, &ring, &mut client, &format!("rest:mesh:{number}"))?);
    }
    let (near, far): (Vec<_>, Vec<_>) = figures.iter().partition(|figure| !figure.is_far());
    let row = |name: &str, figures: &[&Figure]| {
        let of = |figure: fn(&Figure) -> f64| median(figures.iter().map(|f| figure(f)));
        let cells = vec![
            figures.len().to_string(),
            format!("{:.1}", of(|f| f.cpu)),
            format!("{:.1}", 1e6 / of(|f| f.rate)),
            format!("{:.0} %", of(|f| f.elsewhere) * 100.0),
        ];
        (name.to_owned(), cells)
    };
    let rows =
        vec![row("owned by the connection's core", &near), row("owned by the other core", &far)];
    let raw: Vec<_> = figures
        .iter()
        .map(|f| json!({ "cpu_us": f.cpu, "rate": f.rate, "elsewhere": f.elsewhere }))
        .collect();
    let columns = vec!["services", "µs CPU/request", "µs round trip", "work on the other core"];
    report.table(Table::plain(
        "POST /lookup across cores, a grape on two cores, one connection",
        columns,
        rows,
        raw.into(),
    ));
    Ok(())
}

/// A connection whose core runs on the CPU of the server, not on that of the load: which CPU a core has next to it
/// matters as much as which core owns a service, so all figures are taken from the same one.
fn at_the_server_cpu(ring: &Ring) -> io::Result<Http> {
    for _ in 0..64 {
        let (client, cpu) = connect(ring)?;
        if cpu == SERVER_CPU {
            return Ok(client);
        }
    }
    Err(io::Error::other("no connection was given to the core on the server's CPU"))
}

/// A connection to the grape under test, and the CPU of the core that it was given to.
pub(crate) fn connect(ring: &Ring) -> io::Result<(Http, usize)> {
    // Answered by the connection's own core alone.
    let unknown = [Post::new("/nothing", "{}", "\"ERR_REQ_NOTFOUND\"")];
    let mut client = Http::connect(ring.api, 1, 1)?;
    let before = threads(&ring.tested)?;
    client.run(&unknown, Duration::from_millis(20))?;
    let used = used(&before, &threads(&ring.tested)?);
    let home = used.iter().max_by(|a, b| a.1.total_cmp(&b.1)).map(|(id, _)| *id);
    let home = home.ok_or_else(|| io::Error::other("the grape has no threads"))?;
    Ok((client, ring.tested.last_cpu(home)?))
}

/// What lookups of `service` cost on `client`'s one connection.
pub(crate) fn measure(
    times: Times,
    ring: &Ring,
    client: &mut Http,
    service: &str,
) -> io::Result<Figure> {
    ring::announce(ring.api, service)?;
    let found = ring::lookup(ring.api, service)?;
    let posts = [Post::new("/lookup", &ring::question(service), &found)];
    client.run(&posts, times.warm_up)?;
    let before = threads(&ring.tested)?;
    let outcome = client.run(&posts, times.window)?;
    let used = used(&before, &threads(&ring.tested)?);
    let all: f64 = used.iter().map(|(_, seconds)| seconds).sum();
    let most = used.iter().map(|(_, seconds)| *seconds).fold(0.0, f64::max);
    let cpu = all * 1e6 / outcome.requests as f64;
    let rate = outcome.requests as f64 / outcome.elapsed.as_secs_f64();
    Ok(Figure { cpu, rate, elsewhere: 1.0 - most / all })
}

/// Seconds of CPU that each thread used between two looks.
pub(crate) fn used(before: &[(u32, Duration)], after: &[(u32, Duration)]) -> Vec<(u32, f64)> {
    let was = |id| {
        before.iter().find(|(other, _)| *other == id).map_or(Duration::ZERO, |(_, time)| *time)
    };
    after.iter().map(|&(id, time)| (id, (time - was(id)).as_secs_f64())).collect()
}

/// CPU times once the threads have parked.
pub(crate) fn threads(server: &Server) -> io::Result<Vec<(u32, Duration)>> {
    std::thread::sleep(Duration::from_millis(2));
    server.threads()
}
