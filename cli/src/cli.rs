//! The command line of `grenache`.

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::announce::Announce;
use crate::bridge::Bridge;
use crate::completions::Completions;
use crate::exit::{EXIT_CODES, Exit, Failure};
use crate::get::Get;
use crate::keygen::Keygen;
use crate::lookup::Lookup;
use crate::man::Manual;
use crate::map::Map;
use crate::network::{self, Network};
use crate::output::Output;
use crate::publish::Publish;
use crate::put::Put;
use crate::request::Request;
use crate::serve::Serve;
use crate::subscribe::Subscribe;

/// Announces, finds and calls services of a Grenache network, and stores items in it
#[derive(Debug, Parser)]
#[command(name = "grenache", version, after_help = EXIT_CODES, args_override_self = true)]
#[command(arg_required_else_help = true)]
pub struct Cli {
    /// The grapes to ask, separated by commas; the next one is asked when one does not answer
    #[arg(short, long, global = true, env = "GRENACHE_GRAPE", value_name = "URL,..")]
    #[arg(default_value = network::DEFAULT, value_delimiter = ',', value_parser = network::parse)]
    grape: Vec<String>,

    /// Print JSON for machines, one value a line
    #[arg(short, long, global = true)]
    json: bool,

    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Announce(Announce),
    Lookup(Lookup),
    Put(Put),
    Get(Get),
    Keygen(Keygen),
    Request(Request),
    Map(Map),
    Serve(Serve),
    #[command(name = "pub")]
    Publish(Publish),
    #[command(name = "sub")]
    Subscribe(Subscribe),
    Bridge(Box<Bridge>),
    Completions(Completions),
    #[command(name = "man")]
    Manual(Manual),
}

impl Cli {
    /// Does what the command line says; gives the exit code.
    pub fn run(&self) -> ExitCode {
        let output = Output { program: "grenache", json: self.json };
        output.end(self.result(&output))
    }

    fn result(&self, output: &Output) -> Result<Exit, Failure> {
        let network = &Network::new(self.grape.clone());
        match &self.command {
            Command::Announce(announce) => announce.run(network, output),
            Command::Lookup(lookup) => lookup.run(network, output),
            Command::Put(put) => put.run(network, output),
            Command::Get(get) => get.run(network, output),
            Command::Keygen(keygen) => keygen.run(output),
            Command::Request(request) => request.run(network, output),
            Command::Map(map) => map.run(network, output),
            Command::Serve(serve) => serve.run(network, output),
            Command::Publish(publish) => publish.run(network, output),
            Command::Subscribe(subscribe) => subscribe.run(network, output),
            Command::Bridge(bridge) => bridge.run(network, output),
            Command::Completions(completions) => completions.run(output),
            Command::Manual(manual) => manual.run(output),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_grammar_is_sound() {
        Cli::command().debug_assert();
    }
}
