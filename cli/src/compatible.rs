//! grenache-cli's commands: its options, its output and its exit codes, which are 0 and 1 only.
//!
//! Where it differs from grenache-cli: help and version end with 0; a value that is too long is refused, not cut; no
//! `grenache-keygen` is needed before the other commands.

use std::process::ExitCode;

use clap::Parser;

use crate::announce::Announce;
use crate::exit::{Exit, Failure};
use crate::get::Get;
use crate::keygen;
use crate::lookup::Lookup;
use crate::network::Network;
use crate::output::Output;
use crate::put::Put;

/// Which grape is asked.
#[derive(Debug, clap::Args)]
struct Grape {
    /// Set the Grape hostname
    #[arg(short = 'g', long = "grape", value_name = "HOST", default_value = "127.0.0.1")]
    #[arg(value_parser = clap::builder::NonEmptyStringValueParser::new())]
    host: String,

    /// Set the Grape port number
    #[arg(short, long, default_value_t = 30002, value_parser = clap::value_parser!(u16).range(1..))]
    port: u16,

    /// Enable TLS
    #[arg(short, long)]
    tls: bool,
}

impl Grape {
    fn network(&self) -> Network {
        let scheme = if self.tls { "https" } else { "http" };
        Network::new(vec![format!("{scheme}://{}:{}", self.host, self.port)])
    }
}

/// Announces services on the DHT
#[derive(Debug, Parser)]
#[command(name = "grenache-announce", version, args_override_self = true)]
struct AnnounceCommand {
    #[command(flatten)]
    grape: Grape,

    /// Use JSON as data serializer: {"data":["service",port]}
    #[arg(short, long)]
    json: bool,

    #[command(flatten)]
    announce: Announce,
}

/// Looks for services in the DHT
#[derive(Debug, Parser)]
#[command(name = "grenache-lookup", version, args_override_self = true)]
#[command(arg_required_else_help = true)]
struct LookupCommand {
    #[command(flatten)]
    grape: Grape,

    #[command(flatten)]
    lookup: Lookup,
}

/// Sends a PUT request to the DHT
#[derive(Debug, Parser)]
#[command(name = "grenache-put", version, args_override_self = true)]
#[command(arg_required_else_help = true)]
struct PutCommand {
    #[command(flatten)]
    grape: Grape,

    #[command(flatten)]
    put: Put,
}

/// Sends a GET request to the DHT
#[derive(Debug, Parser)]
#[command(name = "grenache-get", version, args_override_self = true)]
#[command(arg_required_else_help = true)]
struct GetCommand {
    #[command(flatten)]
    grape: Grape,

    #[command(flatten)]
    get: Get,
}

/// Generates the key pair that signs mutable items
#[derive(Debug, Parser)]
#[command(name = "grenache-keygen", version, args_override_self = true)]
struct KeygenCommand {
    /// Replace the pair that is there; items signed with it can never be changed again
    #[arg(short, long)]
    force: bool,
}

/// `grenache-announce`.
pub fn announce() -> ExitCode {
    run("grenache-announce", |command: AnnounceCommand, output| {
        output.json = command.json;
        command.announce.run_silent(&command.grape.network(), output)
    })
}

/// `grenache-lookup`.
pub fn lookup() -> ExitCode {
    run("grenache-lookup", |command: LookupCommand, output| {
        command.lookup.run(&command.grape.network(), output)
    })
}

/// `grenache-put`.
pub fn put() -> ExitCode {
    run("grenache-put", |command: PutCommand, output| {
        command.put.run(&command.grape.network(), output)
    })
}

/// `grenache-get`.
pub fn get() -> ExitCode {
    run("grenache-get", |command: GetCommand, output| {
        command.get.run(&command.grape.network(), output)
    })
}

/// `grenache-keygen`.
pub fn keygen() -> ExitCode {
    run("grenache-keygen", |command: KeygenCommand, output| {
        keygen::make(command.force)?;
        output.line("grenache-keygen: keypair generated successfully.")?;
        Ok(Exit::Done)
    })
}

fn run<C: Parser>(
    program: &'static str,
    work: impl FnOnce(C, &mut Output) -> Result<Exit, Failure>,
) -> ExitCode {
    let mut output = Output { program, json: false };
    let exit = match C::try_parse() {
        Ok(command) => {
            let result = work(command, &mut output);
            output.end_code(result)
        }
        Err(error) => {
            let _ = error.print();
            if error.exit_code() == 0 { Exit::Done } else { Exit::Failed }
        }
    };
    // One service of several is enough.
    match exit {
        Exit::Done | Exit::Partly => ExitCode::SUCCESS,
        _ => ExitCode::FAILURE,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_grammars_are_sound() {
        AnnounceCommand::command().debug_assert();
        LookupCommand::command().debug_assert();
        PutCommand::command().debug_assert();
        GetCommand::command().debug_assert();
        KeygenCommand::command().debug_assert();
    }

    #[test]
    fn the_grape_is_a_host_a_port_and_perhaps_tls() {
        let url = |words: &[&str]| {
            let hash = "0".repeat(40);
            let words = ["grenache-get"].iter().chain(words).copied().chain([hash.as_str()]);
            GetCommand::try_parse_from(words).map(|command| command.grape.network().grapes)
        };
        assert_eq!(url(&[]).unwrap(), ["http://127.0.0.1:30002"]);
        assert_eq!(url(&["-g", "grape", "-p", "1", "-t"]).unwrap(), ["https://grape:1"]);
        for words in [["-p", "0"], ["-p", "65536"], ["-p", "x"], ["-g", ""]] {
            assert!(url(&words).is_err(), "{words:?}");
        }
    }
}
