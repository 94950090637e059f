//! A grape of ours, inside the test.

use std::net::{SocketAddr, TcpListener};
use std::process::Command;

use grenache_grape::{Config, Grape};

use crate::process::{Ended, Process, command, run_with};

/// A lone grape.
pub(crate) struct Network {
    pub(crate) grape: Grape,
}

impl Network {
    pub(crate) fn start() -> Network {
        let config = Config { dht_port: 0, api_port: 0, ..Config::default() };
        Network { grape: Grape::start(config).expect("a grape") }
    }

    /// What `--grape` takes.
    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.grape.api_addr())
    }

    /// `grenache --grape .. arguments`.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = command("grenache");
        command.args(["--grape", &self.url()]).args(arguments);
        command
    }

    /// The same, run to its end.
    #[track_caller]
    pub(crate) fn run(&self, arguments: &[&str]) -> Ended {
        run_with(self.command(arguments), "")
    }

    /// One of grenache-cli's commands with its options, run to its end.
    #[track_caller]
    pub(crate) fn compatible(&self, program: &str, arguments: &[&str]) -> Command {
        let mut command = command(program);
        let port = self.grape.api_addr().port().to_string();
        command.args(["-g", "127.0.0.1", "-p", &port]).args(arguments);
        command
    }

    /// Announces by the grape's own library.
    pub(crate) fn announce(&self, service: &str, port: u16) {
        assert_eq!(self.grape.announce(service, port).wait().expect("announced"), 1);
    }

    /// Who offers a service, as the grape's own library says.
    pub(crate) fn lookup(&self, service: &str) -> Vec<String> {
        let peers = self.grape.lookup(service).wait().expect("looked up");
        let mut peers: Vec<String> = peers.iter().map(ToString::to_string).collect();
        peers.sort();
        peers
    }

    /// Starts `grenache serve service --port 0 ..` and awaits that it serves; gives its address, too.
    #[track_caller]
    pub(crate) fn serve(&self, service: &str, arguments: &[&str]) -> (Process, SocketAddr) {
        let mut command = self.command(&["serve", service, "--port", "0", "--bind", "127.0.0.1"]);
        command.args(arguments);
        let process = Process::start(command);
        let start = format!("serving {service} on ");
        let addr = process.wait_for(|line| line.strip_prefix(&start)?.parse().ok());
        (process, addr)
    }
}

/// An address on which nobody listens, for as long as the listener (which accepts nobody) lives.
pub(crate) fn deaf() -> (TcpListener, u16) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("an address").port();
    (listener, port)
}

/// A port on which nobody listens now.
pub(crate) fn closed_port() -> u16 {
    deaf().1
}
