//! Rings of two grapes, ours or Node's: one under test, one that it finds what it looks up on.

use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, UdpSocket};
use std::path::PathBuf;
use std::thread::sleep;
use std::time::{Duration, Instant};

use grenache_bench::load::call;
use grenache_bench::server::{LOAD_CPU, SERVER_CPU, Server};

use crate::Plan;

/// How long a ring may take until its grapes know each other.
const START: Duration = Duration::from_secs(30);

/// Whose grape.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Ours,
    Node,
}

/// Two grapes that know each other.
pub(crate) struct Ring {
    pub(crate) tested: Server,
    pub(crate) other: Server,
    pub(crate) api: SocketAddr,
    other_api: SocketAddr,
}

impl Ring {
    /// Starts the grape under test, on one core and its own CPU or on several cores and as many CPUs, and the other one
    /// next to the load.
    pub(crate) fn start(plan: &Plan, kind: Kind, cores: usize) -> io::Result<Self> {
        let cpus =
            if cores == 1 { SERVER_CPU.to_string() } else { format!("{SERVER_CPU},{LOAD_CPU}") };
        Self::start_on(plan, kind, &cpus, cores)
    }

    /// The same with the grape under test on `cpus`, a list as taskset(1) takes it.
    pub(crate) fn start_on(plan: &Plan, kind: Kind, cpus: &str, cores: usize) -> io::Result<Self> {
        let (ports, other_ports) = (Ports::free()?, Ports::free()?);
        let tested = grape(plan, kind, cpus, &ports, &[other_ports.dht], cores)?;
        let other = grape(plan, kind, &LOAD_CPU.to_string(), &other_ports, &[ports.dht], 1)?;
        let ring = Self { tested, other, api: local(ports.api), other_api: local(other_ports.api) };
        ring.wait()?;
        Ok(ring)
    }

    /// Until what is announced on one is found on the other, both ways.
    fn wait(&self) -> io::Result<()> {
        let start = Instant::now();
        let mut last = String::new();
        while start.elapsed() < START {
            match self.found() {
                Ok(true) => return Ok(()),
                Ok(false) => last = "the other grape's announcements are not found".to_owned(),
                Err(error) => last = error.to_string(),
            }
            sleep(Duration::from_millis(50));
        }
        Err(io::Error::other(format!("two grapes did not become a ring: {last}")))
    }

    fn found(&self) -> io::Result<bool> {
        let mut found = true;
        for (from, to, service) in
            [(self.api, self.other_api, "bench:there"), (self.other_api, self.api, "bench:back")]
        {
            announce(from, service)?;
            found &= lookup(to, service)?.contains("127.0.0.1:");
        }
        Ok(found)
    }
}

/// The port every service is announced with.
pub(crate) const PORT: u16 = 1337;

/// The body of an announcement of `service`.
pub(crate) fn announcement(service: &str) -> String {
    format!(r#"{{"rid":"8f1dbd5c-5b67-4a2b-8a5a-ae5a9c1a2b3c","data":["{service}",{PORT}]}}"#)
}

/// The body of a lookup of `service`.
pub(crate) fn question(service: &str) -> String {
    format!(r#"{{"rid":"8f1dbd5c-5b67-4a2b-8a5a-ae5a9c1a2b3c","data":"{service}"}}"#)
}

/// Announces `service`; the answer.
pub(crate) fn announce(api: SocketAddr, service: &str) -> io::Result<String> {
    call(api, "/announce", &announcement(service))
}

/// Looks `service` up; the answer.
pub(crate) fn lookup(api: SocketAddr, service: &str) -> io::Result<String> {
    call(api, "/lookup", &question(service))
}

/// The ports of one grape.
pub(crate) struct Ports {
    pub(crate) dht: u16,
    pub(crate) api: u16,
}

impl Ports {
    /// Ports that were free a moment ago.
    pub(crate) fn free() -> io::Result<Self> {
        let dht = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port();
        let api = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port();
        Ok(Self { dht, api })
    }
}

/// An address of this machine.
pub(crate) fn local(port: u16) -> SocketAddr {
    (Ipv4Addr::LOCALHOST, port).into()
}

/// Starts one grape; `cores` are for ours alone.
pub(crate) fn grape(
    plan: &Plan,
    kind: Kind,
    cpus: &str,
    ports: &Ports,
    bootstrap: &[u16],
    cores: usize,
) -> io::Result<Server> {
    let bootstrap: Vec<_> = bootstrap.iter().map(|port| local(*port).to_string()).collect();
    // Node's command line insists on a bootstrap; one where nobody is makes a lone grape.
    let bootstrap =
        if bootstrap.is_empty() { "127.0.0.1:1".to_owned() } else { bootstrap.join(",") };
    let common = [
        ("--dp", ports.dht.to_string()),
        ("--aph", ports.api.to_string()),
        ("--bn", bootstrap),
        ("-b", Ipv4Addr::LOCALHOST.to_string()),
    ];
    let mut arguments: Vec<String> =
        common.into_iter().flat_map(|(key, value)| [key.to_owned(), value]).collect();
    match kind {
        Kind::Ours => {
            arguments.extend(["--cores".to_owned(), cores.to_string()]);
            Server::start(cpus, &plan.grape, &arguments)
        }
        Kind::Node => {
            let script = plan.node_modules.join("grenache-grape/bin/grape.js");
            if !script.exists() {
                let message =
                    format!("{} is not there: install Node's packages first", script.display());
                return Err(io::Error::new(io::ErrorKind::NotFound, message));
            }
            arguments.insert(0, script.display().to_string());
            Server::start(cpus, &PathBuf::from("node"), &arguments)
        }
    }
}
