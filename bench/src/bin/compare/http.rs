//! The grape's HTTP API against that of Node's grape and against an HTTP echo on the same engine.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use grenache_bench::load::{Http, Post};
use grenache_bench::sample::{Sample, Series, Times};
use grenache_bench::server::{SERVER_CPU, Server};

use crate::Plan;
use crate::chart::Group;
use crate::report::{Report, Table};
use crate::ring::{self, Kind, Ring};

const CONNECTIONS: usize = 16;
const DEPTH: usize = 16;

/// Node compiles what runs often; before that it is several times slower.
const NODE_WARM_UP: Duration = Duration::from_secs(3);

/// What runs side by side, all rounds long.
struct System {
    name: &'static str,
    tested: Server,
    other: Option<Server>,
    api: SocketAddr,
    kind: Option<Kind>,
}

/// One kind of request under measurement.
struct Load {
    title: String,
    posts: Vec<Post>,
    depth: usize,
}

pub(crate) fn run(plan: &Plan, report: &mut Report) -> io::Result<()> {
    let mut systems = Vec::new();
    for (name, kind) in [("grape", Kind::Ours), ("Node's grape", Kind::Node)] {
        match Ring::start(plan, kind, 1) {
            Ok(Ring { tested, other, api, .. }) => {
                systems.push(System { name, tested, other: Some(other), api, kind: Some(kind) });
            }
            Err(error) => report.leave_out(format!("{name} (HTTP)"), error),
        }
    }
    let program = plan.binaries.join("examples/http_echo");
    match Server::listening(&SERVER_CPU.to_string(), &program, &["127.0.0.1:0".to_owned()]) {
        Ok((tested, api)) => {
            systems.push(System { name: "HTTP echo", tested, other: None, api, kind: None })
        }
        Err(error) => report.leave_out("HTTP echo", error),
    }
    let mut all: Vec<(String, Series)> = Vec::new();
    for round in 0..plan.rounds {
        eprintln!("HTTP: round {} of {}", round + 1, plan.rounds);
        for system in &systems {
            for load in system.loads()? {
                let warm_up = if round == 0 && !plan.quick && system.kind == Some(Kind::Node) {
                    NODE_WARM_UP
                } else {
                    plan.times.warm_up
                };
                let sample = system.measure(&load, Times { warm_up, ..plan.times });
                let sample = sample.map_err(|error| {
                    io::Error::new(
                        error.kind(),
                        format!("{}, {}: {error}", system.name, load.title),
                    )
                })?;
                match all.iter_mut().find(|(title, _)| *title == load.title) {
                    Some((_, series)) => series.push(system.name, sample),
                    None => {
                        let mut series = Series::default();
                        series.push(system.name, sample);
                        all.push((load.title, series));
                    }
                }
            }
        }
    }
    for (index, (title, series)) in all.iter().enumerate() {
        let table = Table::of(title, series);
        report.table(match index {
            0 | 2 => table.charted(Group::Grape, &["grape", "HTTP echo"]),
            // They would say the same again.
            _ => table,
        });
        claims(index, title, series, report);
    }
    Ok(())
}

/// The targets, by the place of the load in [`System::loads`].
fn claims(load: usize, title: &str, series: &Series, report: &mut Report) {
    let has = |name| !series.of(name).is_empty();
    if !has("grape") {
        return;
    }
    let cpu = |reference| series.ratio("grape", reference, |s| s.cpu);
    match load {
        0 if has("Node's grape") => report.at_most(
            format!("{title}: server CPU, ours to Node's"),
            cpu("Node's grape"),
            1.0 / 5.0,
        ),
        1 if has("Node's grape") => {
            let rate = series.ratio("grape", "Node's grape", |s| s.rate);
            report.at_least(format!("{title}: requests/s, ours to Node's"), rate, 20.0);
        }
        2 if has("Node's grape") => report.at_most(
            format!("{title}: server CPU, ours to Node's"),
            cpu("Node's grape"),
            1.0 / 6.0,
        ),
        _ => {}
    }
    if load == 0 && has("HTTP echo") {
        report.at_most(
            format!("{title}: server CPU, ours to the engine's HTTP echo"),
            cpu("HTTP echo"),
            1.3,
        );
    }
}

impl System {
    /// The same loads in the same order for every system; the answers that count as right are asked for once.
    fn loads(&self) -> io::Result<Vec<Load>> {
        let services: Vec<_> =
            (0..CONNECTIONS).map(|number| format!("rest:bench:{number}")).collect();
        let mut lookups = Vec::new();
        let mut announcements = Vec::new();
        for service in &services {
            let (question, announcement) = (ring::question(service), ring::announcement(service));
            // An echo answers with what it was sent.
            let (mut found, mut stored) = (question.clone(), announcement.clone());
            if self.kind.is_some() {
                stored = ring::announce(self.api, service)?;
                found = ring::lookup(self.api, service)?;
                if stored != "1" || found != format!("[\"127.0.0.1:{}\"]", ring::PORT) {
                    return Err(io::Error::other(format!(
                        "{}: announce says {stored}, lookup says {found}",
                        self.name
                    )));
                }
            }
            lookups.push(Post::new("/lookup", &question, &found));
            announcements.push(Post::new("/announce", &announcement, &stored));
        }
        let one = lookups[..1].to_vec();
        let named = |what: &str| format!("{what}, {CONNECTIONS} keep-alive connections");
        Ok(vec![
            Load { title: named("POST /lookup of one service"), posts: one.clone(), depth: 1 },
            Load {
                title: format!("{}, {DEPTH} deep", named("POST /lookup of one service")),
                posts: one,
                depth: DEPTH,
            },
            Load { title: named("POST /announce"), posts: announcements[..1].to_vec(), depth: 1 },
            Load { title: named("POST /lookup of a service each"), posts: lookups, depth: 1 },
        ])
    }

    fn measure(&self, load: &Load, times: Times) -> io::Result<Sample> {
        // Anew each time: Node closes a connection that was idle for five seconds.
        let mut client = Http::connect(self.api, CONNECTIONS, load.depth)?;
        let helpers: Vec<&Server> = self.other.iter().collect();
        Sample::take(&self.tested, &helpers, times, |window| client.run(&load.posts, window))
    }
}
