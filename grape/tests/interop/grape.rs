//! Grapes of every kind, started alike, so that one scenario runs through Node's and ours.

use std::net::{Ipv4Addr, TcpStream};
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::http::{Answer, Connection};
use crate::port::{self, Port};
use crate::process::{DEADLINE, Process, node_command};

/// Whose grape it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Ours, with so many cores.
    Rust(u8),
    /// Node's command line.
    Node,
    /// Node's as a library with an ed25519 verifier.
    NodeVerifying,
}

/// A running grape.
pub(crate) struct Grape {
    /// Whose it is.
    pub(crate) kind: Kind,
    /// Its DHT port.
    pub(crate) dht: Port,
    /// Its API port.
    pub(crate) api: Port,
    /// The process itself.
    pub(crate) process: Process,
}

impl Grape {
    /// Starts a grape that bootstraps from `others`, and awaits that it is ready.
    #[track_caller]
    pub(crate) fn start(kind: Kind, others: &[&Grape]) -> Grape {
        Grape::start_with(kind, others, &[])
    }

    /// The same with more options of the command line.
    #[track_caller]
    pub(crate) fn start_with(kind: Kind, others: &[&Grape], options: &[&str]) -> Grape {
        let (dht, api) = (port::take(), port::take());
        let bootstrap: Vec<String> =
            others.iter().map(|other| format!("127.0.0.1:{}", other.dht.number)).collect();
        let mut command = match kind {
            Kind::NodeVerifying => {
                assert!(options.is_empty(), "the library takes no command line");
                let options = json!({"host": "127.0.0.1", "dht_port": dht.number, "api_port": api.number, "dht_bootstrap": bootstrap});
                node_command("grape.js", &[options.to_string()])
            }
            _ => {
                let mut command = command(kind);
                command.args(["--dp", &dht.number.to_string(), "--aph", &api.number.to_string()]);
                command.args(["--bn", &bootstrap.join(","), "-b", "127.0.0.1"]).args(options);
                command
            }
        };
        command.env("DEBUG", "grenache:grape");
        let mut process = Process::start(&format!("{kind:?} grape {}", dht.number), command);
        process.wait_for("ready", |line| is_event(line, "ready").then_some(()));
        await_listener(api.number);
        Grape { kind, dht, api, process }
    }

    /// Starts a ring: each grape bootstraps from all before it, and all know each other at the end.
    #[track_caller]
    pub(crate) fn ring(kinds: &[Kind]) -> Vec<Grape> {
        let mut ring: Vec<Grape> = Vec::new();
        for kind in kinds {
            let others: Vec<&Grape> = ring.iter().collect();
            let grape = Grape::start(*kind, &others);
            for other in &mut ring {
                other.process.wait_for("node", |line| is_event(line, "node").then_some(()));
            }
            ring.push(grape);
        }
        ring
    }

    /// Calls the API on a connection of its own.
    #[track_caller]
    pub(crate) fn call(&self, call: &str, data: &Value) -> Answer {
        Connection::open(self.api.number).call(call, data)
    }

    /// Looks a service up until `wanted` holds for the answer.
    #[track_caller]
    pub(crate) fn lookup(&self, service: &str) -> Vec<String> {
        let answer = self.call("lookup", &json!(service)).json();
        let mut peers: Vec<String> = serde_json::from_value(answer).expect("an array of peers");
        peers.sort();
        peers
    }
}

/// The program of a kind of grape, without arguments.
pub(crate) fn command(kind: Kind) -> Command {
    match kind {
        Kind::Rust(cores) => {
            let mut command = Command::new(env!("CARGO_BIN_EXE_grape"));
            command
                .env_remove("DEBUG")
                .env_remove("RUST_LOG")
                .args(["--cores", &cores.to_string()]);
            command
        }
        Kind::Node | Kind::NodeVerifying => {
            node_command("node_modules/grenache-grape/bin/grape.js", &[])
        }
    }
}

/// Whether a line is the debug line `grenache:grape <dht port> <event>`.
pub(crate) fn is_event(line: &str, event: &str) -> bool {
    let Some((_, text)) = line.split_once("grenache:grape ") else { return false };
    text.split_once(' ').is_some_and(|(port, name)| port.parse::<u16>().is_ok() && name == event)
}

/// Awaits that something listens on a TCP port; the debug lines do not tell when the API does.
#[track_caller]
fn await_listener(port: u16) {
    let until = Instant::now() + DEADLINE;
    while TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_err() {
        assert!(Instant::now() < until, "nothing listens on {port}");
        std::thread::sleep(Duration::from_millis(5));
    }
}
