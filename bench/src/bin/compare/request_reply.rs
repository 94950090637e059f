//! Our worker and client against Node's and against other ways to ask a service and have its reply.

use std::io;

use grenache_bench::client::Client;
use grenache_bench::server::{LOAD_CPU, SERVER_CPU, Server};

use crate::Plan;
use crate::chart::Group;
use crate::figures::{Cast, Figure, Figures};
use crate::nats;
use crate::peers::{Pair, Setting, Transport};
use crate::report::Report;
use crate::ring::{Kind, Ring};

/// Requests in flight.
pub(crate) const FLYING: usize = 64;

const OURS: Setting<'static> = Setting {
    name: "ours, HTTP",
    kind: Kind::Ours,
    service: "rest:bench:http",
    transport: Transport::Http,
    idle: "park",
    tls: None,
    more: &[],
};

/// Over WebSocket, all on one connection.
const SOCKET: Setting<'static> = Setting {
    name: "ours, WebSocket",
    service: "rest:bench:ours-ws",
    transport: Transport::WebSocket,
    ..OURS
};
const SOCKET_SPIN: Setting<'static> = Setting {
    name: "ours, WebSocket, spinning",
    service: "rest:bench:ours-ws-spin",
    idle: "spin:1000",
    ..SOCKET
};

/// Pairs on our ring.
const ON_OURS: [Setting<'static>; 4] = [
    OURS,
    // It spins for longer than any gap under load, and parks while the others are measured.
    Setting { name: "ours, HTTP, spinning", service: "rest:bench:spin", idle: "spin:1000", ..OURS },
    SOCKET,
    SOCKET_SPIN,
];

const NODE_SOCKET: Setting<'static> = Setting {
    name: "Node's, WebSocket",
    kind: Kind::Node,
    service: "rest:bench:ws",
    transport: Transport::WebSocket,
    ..OURS
};

/// Pairs on Node's ring.
const ON_NODES: [Setting<'static>; 2] =
    [Setting { name: "Node's, HTTP", kind: Kind::Node, ..OURS }, NODE_SOCKET];

/// Runs a window with so many requests in flight in such a round.
pub(crate) type Measure<'a> = Box<dyn FnMut(usize, usize) -> io::Result<Figure> + 'a>;

pub(crate) fn run(plan: &Plan, report: &mut Report) -> io::Result<()> {
    let ring = Ring::start(plan, Kind::Ours, 1)?;
    let node_ring = Ring::start(plan, Kind::Node, 1);
    let mut systems: Vec<(&str, Measure<'_>)> = Vec::new();
    for setting in ON_OURS {
        systems.push((setting.name, pair(plan, &ring, setting)?));
    }
    for setting in ON_NODES {
        let started = match &node_ring {
            Ok(ring) => pair(plan, ring, setting),
            Err(error) => Err(io::Error::new(error.kind(), error.to_string())),
        };
        add(report, &mut systems, setting.name, started);
    }
    for (name, program) in [("tonic", "tonic"), ("NATS", "nats"), ("libzmq", "libzmq")] {
        add(report, &mut systems, name, other(plan, program));
    }
    let (many, one) = measure(plan, report, "request-reply", systems);
    let title =
        |what: &str| format!("Request-reply \"hello\", server and client on a CPU each, {what}");
    if many.have([SOCKET.name, NODE_SOCKET.name]) {
        let claim = |what: &str| format!("WebSocket RPC \"hello\" on one connection: {what}");
        let rate = many.ratio(SOCKET.name, NODE_SOCKET.name, |f| f.worker.rate);
        let flying = format!("{FLYING} in flight, requests/s, ours to Node's");
        report.at_least(claim(&flying), rate, 60.0);
        let p50 = one.ratio(SOCKET_SPIN.name, NODE_SOCKET.name, |f| f.p50);
        report.at_most(claim("one in flight, p50, ours spinning to Node's"), p50, 1.0 / 6.0);
        let batched = many.over(&one, SOCKET.name, |f| f.worker.cpu);
        let flying = format!("server CPU, {FLYING} in flight to one in flight");
        report.at_most(claim(&flying), batched, 1.0 / 3.0);
    }
    let many = many.compared(&title(&format!("{FLYING} in flight")), OURS.name);
    let ours = &[OURS.name, ON_OURS[1].name, SOCKET.name, SOCKET_SPIN.name];
    report.table(many.charted(Group::RequestReply, ours));
    report.table(one.compared(&title("one at a time"), OURS.name));
    Ok(())
}

/// Windows of all in turn, with many requests in flight and with one. One that breaks off goes no further.
pub(crate) fn measure(
    plan: &Plan,
    report: &mut Report,
    what: &str,
    mut systems: Vec<(&'static str, Measure<'_>)>,
) -> (Figures, Figures) {
    let (mut many, mut one) = (Figures::default(), Figures::default());
    for round in 0..plan.rounds {
        eprintln!("{what}: round {} of {}", round + 1, plan.rounds);
        systems.retain_mut(|(name, measure)| {
            for (figures, flying) in [(&mut many, FLYING), (&mut one, 1)] {
                match measure(flying, round) {
                    Ok(figure) => figures.push(name, figure),
                    Err(error) => {
                        report.fail(format!("{name} ({what})"), error);
                        return false;
                    }
                }
            }
            true
        });
    }
    (many, one)
}

/// One more system, or why it is not there.
pub(crate) fn add<'a>(
    report: &mut Report,
    systems: &mut Vec<(&'static str, Measure<'a>)>,
    name: &'static str,
    started: io::Result<Measure<'a>>,
) {
    match started {
        Ok(measure) => systems.push((name, measure)),
        Err(error) => report.miss(&format!("{name} (request-reply)"), &error),
    }
}

/// A worker and a client of Grenache.
pub(crate) fn pair<'a>(
    plan: &'a Plan,
    ring: &'a Ring,
    setting: Setting<'a>,
) -> io::Result<Measure<'a>> {
    let mut pair = Pair::start(plan, ring, setting)?;
    Ok(Box::new(move |flying, round| pair.measure(plan, ring, flying, round)))
}

/// A server and a client of another system, with what these need between them.
pub(crate) fn other<'a>(plan: &'a Plan, name: &str) -> io::Result<Measure<'a>> {
    let program = plan.peer(name)?;
    let mut arguments = vec!["server".to_owned()];
    let mut broker = None;
    if name == "nats" {
        plan.version("nats-server", "-v")?;
        let (server, addr) = nats::start()?;
        arguments.push(addr.to_string());
        broker = Some(server);
    }
    let (worker, addr) = Server::listening(&SERVER_CPU.to_string(), &program, &arguments)?;
    let arguments = ["client".to_owned(), addr.to_string()];
    let (asking, mut client) = Client::start(&LOAD_CPU.to_string(), &program, &arguments)?;
    Ok(Box::new(move |flying, _| {
        let cast = Cast {
            worker: &worker,
            broker: broker.as_ref(),
            asking: &asking,
            client: &mut client,
            helpers: &[],
        };
        Figure::take(cast, plan.times, flying)
    }))
}
