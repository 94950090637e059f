//! `grenache map`: calls every worker of a service.

use std::net::SocketAddr;

use grenache_peer::Json;
use serde::Serialize;
use serde_json::value::RawValue;

use crate::call::CallOptions;
use crate::exit::{self, Exit, Failure};
use crate::network::Network;
use crate::output::Output;

/// Calls every worker of a service and prints a line for each reply as it comes
///
/// A line is the worker's ip:port, a tab and the reply. Failures are told on standard error; with --json they are lines
/// on standard output, too: {"worker":"ip:port","reply":..} or {"worker":"ip:port","error":"..."}.
#[derive(Debug, clap::Args)]
pub(crate) struct Map {
    #[command(flatten)]
    call: CallOptions,

    /// Call at most so many workers
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    limit: Option<u32>,
}

#[derive(Serialize)]
#[serde(rename_all = "lowercase")]
enum Outcome<'a> {
    Reply(&'a RawValue),
    Error(String),
}

#[derive(Serialize)]
struct Line<'a> {
    worker: SocketAddr,
    #[serde(flatten)]
    outcome: Outcome<'a>,
}

impl Map {
    pub(crate) fn run(&self, network: &Network, output: &Output) -> Result<Exit, Failure> {
        let (handle, call) = self.call.prepare(network, output)?;
        let limit = self.limit.map(|limit| limit as usize);
        let (mut replied, mut failed) = (0, 0);
        for (worker, result) in handle.map(call, limit).wait()? {
            match result {
                Ok(reply) => {
                    replied += 1;
                    print(worker, &reply, output)?;
                }
                Err(error) => {
                    failed += 1;
                    let error = exit::line(&error);
                    if output.json {
                        output.json(&Line { worker, outcome: Outcome::Error(error) })?;
                    } else {
                        output.warn(format_args!("{worker}: {error}"));
                    }
                }
            }
        }
        Ok(match (replied, failed) {
            (_, 0) => Exit::Done,
            (0, _) => Exit::Failed,
            _ => Exit::Partly,
        })
    }
}

fn print(worker: SocketAddr, reply: &Json, output: &Output) -> Result<(), Failure> {
    // Line ends stand only between the parts of a JSON text, never in its strings.
    let reply = reply.as_str().replace(['\n', '\r'], " ");
    if !output.json {
        return output.line(format_args!("{worker}\t{reply}"));
    }
    let reply = RawValue::from_string(reply).map_err(|error| Failure::failed(error.to_string()))?;
    output.json(&Line { worker, outcome: Outcome::Reply(&reply) })
}
