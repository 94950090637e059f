//! ZeroMQ: calls and publications against libzmq, what CURVE adds, and what it costs to tell from the first bytes what is spoken.

use std::io;

use grenache_bench::load::{Http, Post};
use grenache_bench::sample::{Sample, Series};
use grenache_bench::server::{SERVER_CPU, Server};
use grenache_peer::zeromq::draw_keys;

use crate::Plan;
use crate::feed::{Feed, Flow, Flows, Setting as Paired, Side};
use crate::figures::{Figure, Figures};
use crate::peers::{Setting, Transport};
use crate::report::{Report, Table};
use crate::request_reply::{self, FLYING, Measure};
use crate::ring::{Kind, Ring};
use crate::tls::Certificates;

/// Bytes of small messages, and of those that are encrypted.
const SMALL: usize = 64;
const LARGE: usize = 1024;

const LIBZMQ: &str = "libzmq";

const OURS: Setting<'static> = Setting {
    name: "ours, ZeroMQ",
    kind: Kind::Ours,
    service: "rest:bench:zmq",
    transport: Transport::ZeroMq,
    idle: "park",
    tls: None,
    more: &[],
};
/// It spins for longer than any gap under load, and parks while the others are measured.
const SPIN: Setting<'static> = Setting {
    name: "ours, ZeroMQ, spinning",
    service: "rest:bench:zmq-spin",
    idle: "spin:1000",
    ..OURS
};

pub(crate) fn run(plan: &Plan, report: &mut Report) -> io::Result<()> {
    let ring = Ring::start(plan, Kind::Ours, 1)?;
    calls(plan, report, &ring)?;
    publications(plan, report, &ring)?;
    let key = draw_keys().secret.to_z85();
    encrypted_calls(plan, report, &ring, &key)?;
    encrypted_publications(plan, report, &ring, &key)?;
    first_bytes(plan, report, &ring)
}

/// Requests of `rid`, key and "hello", of libzmq's in a part each.
fn calls(plan: &Plan, report: &mut Report, ring: &Ring) -> io::Result<()> {
    let mut systems: Vec<(&str, Measure<'_>)> = Vec::new();
    for setting in [OURS, SPIN] {
        systems.push((setting.name, request_reply::pair(plan, ring, setting)?));
    }
    request_reply::add(report, &mut systems, LIBZMQ, request_reply::other(plan, LIBZMQ));
    let (many, one) = request_reply::measure(plan, report, "calls over ZeroMQ", systems);
    let title = |what: &str| format!("Calls over ZeroMQ \"hello\", {what}");
    if many.have([OURS.name, LIBZMQ]) {
        let claim = |what: &str| format!("{}, ours to libzmq's", title(what));
        let p50 = one.ratio(SPIN.name, LIBZMQ, |f| f.p50);
        report.at_most(claim("one in flight: p50, spinning"), p50, 1.0 / 3.0);
        let rate = many.ratio(OURS.name, LIBZMQ, |f| f.worker.rate);
        report.at_least(claim(&format!("{FLYING} in flight: requests/s")), rate, 2.0);
    }
    report.table(many.compared(&title(&format!("{FLYING} in flight")), OURS.name));
    report.table(one.compared(&title("one at a time"), OURS.name));
    Ok(())
}

/// One publisher, one subscriber, small messages; ours, libzmq's, and each with the other's.
fn publications(plan: &Plan, report: &mut Report, ring: &Ring) -> io::Result<()> {
    let paired = |name, service, publisher, subscriber| Paired {
        name,
        service,
        publisher,
        subscriber,
        curve: None,
    };
    let (ours, libzmq) = ("ours to ours", "libzmq's to libzmq's");
    let settings = [
        paired(ours, "bench:zmq:ours", Side::Ours, Side::Ours),
        paired(libzmq, "bench:zmq:libzmq", Side::Libzmq, Side::Libzmq),
        paired("ours to libzmq's", "bench:zmq:to-libzmq", Side::Ours, Side::Libzmq),
        paired("libzmq's to ours", "bench:zmq:to-ours", Side::Libzmq, Side::Ours),
    ];
    let flows = feeds(plan, report, ring, &settings, SMALL)?;
    let title = format!("Publishing {SMALL} bytes over ZeroMQ to one subscriber");
    if flows.have([ours, libzmq]) {
        let rate = flows.ratio(ours, libzmq, |f| f.publisher.rate);
        report.at_least(format!("{title}: messages/s, ours to libzmq's"), rate, 1.0);
    }
    report.table(flows.table(&title, ours));
    Ok(())
}

/// Windows of these pairs in turn. One without libzmq is left out.
fn feeds(
    plan: &Plan,
    report: &mut Report,
    ring: &Ring,
    settings: &[Paired<'_>],
    bytes: usize,
) -> io::Result<Flows> {
    let mut pairs = Vec::new();
    for setting in settings {
        match Feed::start(plan, ring, *setting) {
            Ok(feed) => pairs.push((setting.name, feed)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                report.miss(&format!("{} (publishing over ZeroMQ)", setting.name), &error);
            }
            Err(error) => return Err(error),
        }
    }
    let mut flows = Flows::default();
    for round in 0..plan.rounds {
        eprintln!("publishing {bytes} bytes over ZeroMQ: round {} of {}", round + 1, plan.rounds);
        for (name, feed) in &mut pairs {
            flows.push(name, feed.measure(plan, ring, bytes)?);
        }
    }
    Ok(flows)
}

/// Calls with and without CURVE; a message is a request or a reply.
fn encrypted_calls(plan: &Plan, report: &mut Report, ring: &Ring, key: &str) -> io::Result<()> {
    let size = LARGE.to_string();
    let (plain, curve) = (["--size", &size], ["--size", &size, "--curve", key]);
    let plain =
        Setting { name: "ours, NULL", service: "rest:bench:zmq-null", more: &plain, ..OURS };
    let curve =
        Setting { name: "ours, CURVE", service: "rest:bench:zmq-curve", more: &curve, ..OURS };
    let mut systems: Vec<(&str, Measure<'_>)> = Vec::new();
    for setting in [plain, curve] {
        systems.push((setting.name, request_reply::pair(plan, ring, setting)?));
    }
    let (many, one) = request_reply::measure(plan, report, "CURVE", systems);
    let title = |what: &str| format!("Calls over ZeroMQ, {LARGE} bytes, {what}");
    let cpu = |figures: &Figures, of: fn(&Figure) -> f64| figures.ratio(curve.name, plain.name, of);
    let flying = format!("{FLYING} in flight");
    let claim = |side: &str| format!("{}: CPU per message, {side}, CURVE to NULL", title(&flying));
    report.at_most(claim("worker"), cpu(&many, |f| f.worker.cpu), CURVE);
    report.at_most(claim("client"), cpu(&many, |f| f.client_cpu), CURVE);
    report.table(many.compared(&title(&flying), plain.name));
    report.table(one.compared(&title("one at a time"), plain.name));
    Ok(())
}

/// What CURVE may cost at most, to plain messages of [`LARGE`] bytes.
const CURVE: f64 = 1.6;

/// Publications with and without CURVE.
fn encrypted_publications(
    plan: &Plan,
    report: &mut Report,
    ring: &Ring,
    key: &str,
) -> io::Result<()> {
    let (plain, curve) = ("NULL", "CURVE");
    let paired = |name, service, curve| Paired {
        name,
        service,
        publisher: Side::Ours,
        subscriber: Side::Ours,
        curve,
    };
    let settings =
        [paired(plain, "bench:zmq:null", None), paired(curve, "bench:zmq:curve", Some(key))];
    let flows = feeds(plan, report, ring, &settings, LARGE)?;
    let title = format!("Publishing {LARGE} bytes over ZeroMQ to one subscriber, ours");
    let claim = |side: &str| format!("{title}: CPU per message, {side}, CURVE to NULL");
    let cpu = |of: fn(&Flow) -> f64| flows.ratio(curve, plain, of);
    report.at_most(claim("publisher"), cpu(|f| f.publisher.cpu), CURVE);
    report.at_most(claim("subscriber"), cpu(|f| f.subscriber_cpu), CURVE);
    report.table(flows.table(&title, plain));
    Ok(())
}

/// Requests over HTTP to a worker that takes nothing else, and to one that takes everything on its port.
fn first_bytes(plan: &Plan, report: &mut Report, ring: &Ring) -> io::Result<()> {
    let certificates = Certificates::make()?;
    let folder = certificates.path("worker").display().to_string();
    let (alone, all, tls) = ("HTTP alone", "HTTP, WebSocket, ZeroMQ", "those over TLS too");
    let service = "rest:bench:first-bytes";
    let workers =
        [(alone, vec!["--http-only"]), (all, vec![]), (tls, vec!["--tls", &folder, "--plain"])];
    let workers = workers.into_iter().map(|(name, more)| {
        let arguments = ["worker", &ring.api.to_string(), service].map(str::to_owned);
        let arguments: Vec<_> =
            arguments.into_iter().chain(more.into_iter().map(str::to_owned)).collect();
        let program = plan.binaries.join("rpc");
        let (server, addr) = Server::listening(&SERVER_CPU.to_string(), &program, &arguments)?;
        Ok((name, server, addr))
    });
    let workers = workers.collect::<io::Result<Vec<_>>>()?;
    let title = format!("HTTP requests \"hello\" on a port, {FLYING} connections");
    let posts = [Post::rpc(service)];
    let mut series = Series::default();
    for round in 0..plan.rounds {
        eprintln!("{title}: round {} of {}", round + 1, plan.rounds);
        for (name, server, addr) in &workers {
            let mut load = Http::connect(*addr, FLYING, 1)?;
            let helpers = [&ring.tested, &ring.other];
            let sample =
                Sample::take(server, &helpers, plan.times, |window| load.run(&posts, window));
            series.push(name, sample?);
        }
    }
    report.table(Table::of(&title, &series));
    for name in [all, tls] {
        let claim = format!("{title}: CPU per request where the port takes {name}, to {alone}");
        report.at_most(claim, series.ratio(name, alone, |s| s.cpu), 1.02);
    }
    Ok(())
}
