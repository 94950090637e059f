//! `grenache announce`: tells the network who offers a service.

use std::io;
use std::thread;

use grenache_peer::Handle;
use serde::Serialize;

use crate::exit::{self, Exit, Failure};
use crate::network::Network;
use crate::output::Output;
use crate::services::{Form, Service};

/// Announces services on ports of this host, once or for as long as it runs
///
/// Without services on the command line they are read from standard input, one a line as they come; blank lines and
/// comments (# or ; to the end of the line) are passed over. Prints service, port and how many grapes have stored it,
/// separated by tabs. With --json standard input is JSON too: {"data":["service",port]}.
#[derive(Debug, clap::Args)]
pub(crate) struct Announce {
    /// What stands between service and port
    #[arg(short, long, default_value = ",", value_name = "TEXT")]
    #[arg(value_parser = clap::builder::NonEmptyStringValueParser::new())]
    delimiter: String,

    /// Go on announcing until stopped: grapes forget a service after some two minutes
    #[arg(short, long)]
    keep: bool,

    /// The services, e.g. rest:util:net,1337
    #[arg(value_name = "SERVICE,PORT")]
    services: Vec<String>,
}

#[derive(Serialize)]
struct Announced<'a> {
    service: &'a str,
    port: u16,
    stored: usize,
}

impl Announce {
    pub(crate) fn run(&self, network: &Network, output: &Output) -> Result<Exit, Failure> {
        self.announce(network, output, |service, stored| {
            if output.json {
                output.json(&Announced { service: &service.name, port: service.port, stored })
            } else {
                output.line(format_args!("{}\t{}\t{stored}", service.name, service.port))
            }
        })
    }

    /// As grenache-cli does it: success is not worth a word.
    pub(crate) fn run_silent(&self, network: &Network, output: &Output) -> Result<Exit, Failure> {
        self.announce(network, output, |_, _| Ok(()))
    }

    fn announce(
        &self,
        network: &Network,
        output: &Output,
        done: impl Fn(&Service, usize) -> Result<(), Failure>,
    ) -> Result<Exit, Failure> {
        let handle = network.handle(None)?;
        let (mut announced, mut failed) = (0, 0);
        let (mut kept, mut pending) = (Vec::new(), Vec::new());
        let mut one = |service: Result<Service, String>| {
            let result = service.and_then(|service| {
                let stored = announce_once(&handle, &service);
                if self.keep {
                    let asked = handle.start_announcing(&service.name, service.port);
                    match stored {
                        Ok(_) => kept.push(asked),
                        Err(_) => pending.push((service.clone(), asked)),
                    }
                }
                Ok((service, stored?))
            });
            match result {
                Ok((service, stored)) => {
                    announced += 1;
                    done(&service, stored)
                }
                Err(trouble) => {
                    failed += 1;
                    output.warn(trouble);
                    Ok(())
                }
            }
        };
        let lines = Form::Delimited(self.delimiter.clone());
        if self.services.is_empty() {
            let form = if output.json { &Form::Json } else { &lines };
            form.read_all(io::stdin().lock(), &mut one)?;
        } else {
            for service in &self.services {
                let is_json = output.json && service.starts_with(['{', '[']);
                one(if is_json { Form::Json.read(service) } else { lines.read(service) })?;
            }
        }
        if kept.len() + pending.len() > 0 {
            let mut late = Vec::new();
            for (service, asked) in pending {
                late.push(asked.wait()?);
                done(&service, announce_once(&handle, &service).unwrap_or_default())?;
            }
            // Until a signal ends the process: nothing needs to be put away.
            loop {
                thread::park();
            }
        }
        Ok(match (announced, failed) {
            (_, 0) => Exit::Done,
            (0, _) => Exit::Failed,
            _ => Exit::Partly,
        })
    }
}

/// Gives how many grapes have stored it, or what to say about it.
fn announce_once(handle: &Handle, service: &Service) -> Result<usize, String> {
    match handle.announce(&service.name, service.port).wait() {
        Ok(0) => Err(format!("no grape has stored '{}'", service.name)),
        Ok(stored) => Ok(stored),
        Err(error) => Err(exit::line(&error)),
    }
}
