//! The command line of `loadgen`.

mod ask;
mod load;
mod output;
mod publications;
mod zeromq;

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Parser, Subcommand};
use grenache_engine::Idle;

use crate::failure::{EXIT_CODES, Exit, Failure};
use crate::null_server::NullServer;
use crate::report::{self, comparison, json, page};
use crate::run::Interrupt;
use ask::{Dht, Echo, Grape, Http, Rpc};
use load::SelfCheck;
use publications::{Pub, Sub};

/// Makes load on grapes, workers and other servers, and tells how they bear it
///
/// Without --rate in a closed loop: the next request leaves when an answer has come, which finds the peak. With --rate in an
/// open loop: requests leave on a schedule, whether answers come or not, as those of independent users do; latencies count
/// from the time at which a request was to be sent.
#[derive(Debug, Parser)]
#[command(name = "loadgen", version, after_help = EXIT_CODES, args_override_self = true)]
#[command(arg_required_else_help = true)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Rpc(Rpc),
    #[command(subcommand)]
    Grape(Grape),
    #[command(subcommand)]
    Dht(Dht),
    Http(Http),
    WsEcho(Echo),
    Sub(Sub),
    Pub(Pub),
    SelfCheck(SelfCheck),
    NullServer(NullServerOptions),
    Compare(Compare),
    /// Prints the JSON Schema of what --json writes
    Schema,
}

/// Runs a server that does nothing but answer, for checks of load generators
///
/// It answers RPC over HTTP, WebSocket and ZeroMQ, the API of grapes and any other HTTP on a TCP port, and KRPC on a UDP port,
/// prints both, and ends with SIGINT or SIGTERM.
#[derive(Debug, clap::Args)]
struct NullServerOptions {
    /// The CPU it runs on
    #[arg(long, default_value_t = 0)]
    cpu: usize,

    /// What it does while there is nothing to do: park, spin or spin:<µs>
    #[arg(long, default_value = "park")]
    idle: Idle,
}

/// Sets runs beside each other
///
/// Prints their figures and the ratios to the first, and says what differs between the loads and machines.
#[derive(Debug, clap::Args)]
struct Compare {
    /// What --json has written
    #[arg(required = true, num_args = 2.., value_name = "FILE")]
    files: Vec<PathBuf>,

    /// Write a page with the runs on the same axes
    #[arg(long, value_name = "FILE")]
    report: Option<PathBuf>,
}

impl Cli {
    /// Does what the command line says; `interrupt` ends it early.
    ///
    /// # Errors
    /// Why nothing came of it.
    pub fn run(self, interrupt: &Interrupt) -> Result<Exit, Failure> {
        match self.command {
            Command::Rpc(rpc) => rpc.run(interrupt),
            Command::Grape(grape) => grape.run(interrupt),
            Command::Dht(dht) => dht.run(interrupt),
            Command::Http(http) => http.run(interrupt),
            Command::WsEcho(echo) => echo.run(interrupt),
            Command::Sub(sub) => sub.run(interrupt),
            Command::Pub(publisher) => publisher.run(interrupt),
            Command::SelfCheck(check) => check.run(interrupt),
            Command::NullServer(server) => server.run(interrupt),
            Command::Compare(compare) => compare.run(),
            Command::Schema => {
                output::print(json::schema().trim_end())?;
                Ok(Exit::Done)
            }
        }
    }
}

impl NullServerOptions {
    fn run(&self, interrupt: &Interrupt) -> Result<Exit, Failure> {
        let server = NullServer::start(self.cpu, grenache_engine::DriverChoice::Auto, self.idle);
        let server = server.map_err(|error| Failure::failed(error.to_string()))?;
        let line =
            |transport: &str, addr: SocketAddr| output::print(&format!("{transport} {addr}"));
        line("tcp", server.tcp())?;
        line("udp", server.udp())?;
        interrupt.wait();
        Ok(Exit::Done)
    }
}

impl Compare {
    fn run(&self) -> Result<Exit, Failure> {
        let unreadable = |error: report::json::Unreadable| Failure::usage(error.to_string());
        let runs = comparison::read(&self.files).map_err(unreadable)?;
        let out = std::io::stdout().lock();
        let coloured = report::is_coloured(&out);
        comparison::write(&runs, coloured, out).or_else(output::unless_reader_is_gone)?;
        if let Some(file) = &self.report {
            let out = output::create(file)?;
            page::write(&runs, out).map_err(|error| Failure::of_file(file, &error))?;
        }
        Ok(Exit::Done)
    }
}
