//! One ring for all tests of this binary: a grape of ours and one of Node's that know each other. Tests keep apart by the
//! names of their services.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use grenache_grape::{Config, Grape};

use crate::port::{self, Port};
use crate::process::{DEADLINE, Process, node_command};

/// Whose a grape, a worker or a client is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Side {
    /// Ours.
    Rust,
    /// Node's.
    Node,
}

/// Both.
pub(crate) const SIDES: [Side; 2] = [Side::Rust, Side::Node];

struct Ring {
    rust: Grape,
    node: Port,
    _process: Process,
}

static RING: LazyLock<Ring> = LazyLock::new(start);

fn start() -> Ring {
    let config = Config { dht_port: 0, api_port: 0, ..Config::default() };
    let rust = Grape::start(config).expect("a grape");
    let (dht, node) = (port::take(), port::take());
    let mut command = node_command("node_modules/grenache-grape/bin/grape.js", &[]);
    command.args(["--dp", &dht.number.to_string(), "--aph", &node.number.to_string()]);
    command.args(["--bn", &format!("127.0.0.1:{}", rust.dht_addr().port()), "-b", "127.0.0.1"]);
    let process = Process::start("Node grape", command);
    // What is announced at one is found at the other: they know each other.
    until("way from our grape to Node's", || {
        rust.announce("from ours", 1).wait().is_ok()
            && post(node.number, "lookup", "\"from ours\"")
                .is_ok_and(|peers| peers.contains(":1\""))
    });
    until("way from Node's grape to ours", || {
        post(node.number, "announce", "[\"from node\",1]").is_ok()
            && rust.lookup("from node").wait().is_ok_and(|peers| peers.len() == 1)
    });
    Ring { rust, node, _process: process }
}

/// The port of a grape's HTTP API.
pub(crate) fn api(side: Side) -> u16 {
    match side {
        Side::Rust => RING.rust.api_addr().port(),
        Side::Node => RING.node.number,
    }
}

/// One call of a grape's API.
fn post(port: u16, call: &str, data: &str) -> std::io::Result<String> {
    let body = format!("{{\"rid\":\"r\",\"data\":{data}}}");
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
    let length = body.len();
    write!(
        stream,
        "POST /{call} HTTP/1.1\r\nhost: grape\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n{body}"
    )?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer)
}

/// A prefix for the names of a test's services.
pub(crate) fn prefix(test: &str) -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    format!("{test}:{}", NEXT.fetch_add(1, Ordering::Relaxed))
}

/// Awaits that a grape knows a service at a port of this machine.
#[track_caller]
pub(crate) fn wait_for_announced(grape: Side, service: &str, port: u16) {
    until(&format!("{service} at {port}"), || knows(api(grape), service, port));
}

/// Whether the grape with this API knows a service at a port of this machine.
pub(crate) fn knows(api: u16, service: &str, port: u16) -> bool {
    let (name, peer) = (serde_json::to_string(service).unwrap(), format!("\"127.0.0.1:{port}\""));
    post(api, "lookup", &name).is_ok_and(|peers| peers.contains(&peer))
}

/// Asks until something holds that sends no event.
#[track_caller]
pub(crate) fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let end = Instant::now() + DEADLINE;
    while !holds() {
        assert!(Instant::now() < end, "no {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}
