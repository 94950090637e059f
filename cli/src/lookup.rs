//! `grenache lookup`: who offers a service.

use std::net::SocketAddr;

use grenache_peer::Error;
use serde::Serialize;

use crate::exit::{self, Exit, Failure};
use crate::network::Network;
use crate::output::Output;

/// Finds the workers of services
///
/// Prints a line for each service: one worker as ip:port, at random unless told otherwise; with --all all of them,
/// separated by blanks. Several of the options print a line each.
#[derive(Debug, clap::Args)]
pub(crate) struct Lookup {
    /// Print all workers
    #[arg(short, long)]
    all: bool,

    /// Print the first worker
    #[arg(short, long)]
    first: bool,

    /// Print the last worker
    #[arg(short, long)]
    last: bool,

    /// Print a random worker (the default)
    #[arg(short, long)]
    random: bool,

    /// The services
    #[arg(required = true, value_name = "SERVICE")]
    services: Vec<String>,
}

#[derive(Serialize)]
struct Found<'a> {
    service: &'a str,
    peers: Vec<SocketAddr>,
}

impl Lookup {
    pub(crate) fn run(&self, network: &Network, output: &Output) -> Result<Exit, Failure> {
        let handle = network.handle(None)?;
        let mut found = 0;
        for service in &self.services {
            match handle.lookup(service).wait() {
                Ok(peers) => {
                    self.print(service, &peers, output)?;
                    found += 1;
                }
                Err(error @ Error::LookupEmpty { .. }) if self.services.len() > 1 => {
                    output.warn(exit::line(&error));
                }
                Err(error) => return Err(error.into()),
            }
        }
        Ok(match found {
            0 => Exit::Nothing,
            all if all == self.services.len() => Exit::Done,
            _ => Exit::Partly,
        })
    }

    fn print(&self, service: &str, peers: &[SocketAddr], output: &Output) -> Result<(), Failure> {
        let picked = self.pick(peers);
        if output.json {
            return output.json(&Found { service, peers: picked.concat() });
        }
        for line in picked {
            let line: Vec<String> = line.iter().map(SocketAddr::to_string).collect();
            output.line(line.join(" "))?;
        }
        Ok(())
    }

    /// The workers asked for, those of each option by themselves.
    fn pick(&self, peers: &[SocketAddr]) -> Vec<Vec<SocketAddr>> {
        let mut picked = Vec::new();
        if self.all {
            picked.push(peers.to_vec());
        }
        if self.first {
            picked.push(peers.first().copied().into_iter().collect());
        }
        if self.last {
            picked.push(peers.last().copied().into_iter().collect());
        }
        if self.random || picked.is_empty() {
            let any = rand::random_range(0..peers.len().max(1));
            picked.push(peers.get(any).copied().into_iter().collect());
        }
        picked
    }
}
