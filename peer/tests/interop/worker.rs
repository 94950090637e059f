//! Workers of both sides with the same services: those of grape/tests/node/service.js.

use grenache_peer::Transport;
use serde_json::{Value, json};

use crate::grapes::{self, Side};
use crate::process::Process;
use crate::rust_worker;
use crate::secure::ServerSide;

/// A running worker. Its services are called `<prefix>:<name>`.
pub(crate) struct Worker {
    pub(crate) port: u16,
    kind: Kind,
}

enum Kind {
    Rust(rust_worker::Worker),
    Node(Process),
}

/// What to start.
#[derive(Clone, Copy)]
pub(crate) struct Plan<'a> {
    pub(crate) side: Side,
    /// The grape where it announces itself.
    pub(crate) grape: Side,
    pub(crate) prefix: &'a str,
    pub(crate) services: &'a [&'a str],
    /// What it calls itself.
    pub(crate) name: &'a str,
    pub(crate) secure: Option<&'a ServerSide>,
    /// What Node's takes; ours takes both.
    pub(crate) transport: Transport,
}

impl<'a> Plan<'a> {
    pub(crate) fn new(side: Side, prefix: &'a str, services: &'a [&'a str]) -> Plan<'a> {
        Plan {
            side,
            grape: Side::Rust,
            prefix,
            services,
            name: "a",
            secure: None,
            transport: Transport::Http,
        }
    }

    pub(crate) fn grape(self, grape: Side) -> Plan<'a> {
        Plan { grape, ..self }
    }

    pub(crate) fn name(self, name: &'a str) -> Plan<'a> {
        Plan { name, ..self }
    }

    pub(crate) fn transport(self, transport: Transport) -> Plan<'a> {
        Plan { transport, ..self }
    }

    pub(crate) fn secure(self, secure: Option<&'a ServerSide>) -> Plan<'a> {
        Plan { secure, ..self }
    }

    /// Starts it and awaits that it is announced.
    #[track_caller]
    pub(crate) fn start(self) -> Worker {
        match self.side {
            Side::Rust => {
                let worker = rust_worker::Worker::start(self);
                Worker { port: worker.port(), kind: Kind::Rust(worker) }
            }
            Side::Node => {
                let conf = json!({
                    "grape": grapes::api(self.grape),
                    "transport": node(self.transport),
                    "prefix": self.prefix,
                    "services": self.services,
                    "name": self.name,
                    "secure": self.secure.map(ServerSide::node),
                    "allow": self.secure.map(|secure| &secure.allow),
                });
                let mut process = Process::node("service.js", &conf);
                let announced = process.wait_for_event("announced");
                assert_eq!(announced["err"], Value::Null, "{announced}");
                let port = announced["port"].as_u64().expect("a port") as u16;
                Worker { port, kind: Kind::Node(process) }
            }
        }
    }
}

/// Node's name of a transport.
pub(crate) fn node(transport: Transport) -> &'static str {
    match transport {
        Transport::Http => "http",
        Transport::WebSocket => "ws",
        Transport::ZeroMq => panic!("these packages have no ZeroMQ"),
    }
}

impl Worker {
    /// Ends it at once, as a crash does.
    pub(crate) fn kill(self) {
        drop(self);
    }

    /// Awaits that a whole body has come for the action `both`; gives its length and digest.
    #[track_caller]
    pub(crate) fn uploaded(&mut self) -> (usize, String) {
        match &mut self.kind {
            Kind::Rust(worker) => worker.uploaded(),
            Kind::Node(process) => {
                let uploaded = process.wait_for_event("uploaded");
                let length = uploaded["length"].as_u64().expect("a length") as usize;
                (length, uploaded["sha256"].as_str().expect("a digest").to_string())
            }
        }
    }
}
