//! `grenache request`: calls a service.

use crate::call::CallOptions;
use crate::exit::{Exit, Failure};
use crate::network::Network;
use crate::output::Output;

/// Calls one worker of a service and prints its reply, the JSON as it came
#[derive(Debug, clap::Args)]
pub(crate) struct Request {
    #[command(flatten)]
    call: CallOptions,

    /// Try so many times more, on another worker if there is one, when no worker can have begun the request
    #[arg(long, value_name = "N", default_value_t = 2)]
    #[arg(value_parser = clap::value_parser!(u32).range(..=100))]
    retry: u32,

    /// The request may run twice: try again also when a worker may have begun it
    #[arg(long)]
    idempotent: bool,
}

impl Request {
    pub(crate) fn run(&self, network: &Network, output: &Output) -> Result<Exit, Failure> {
        let (handle, call) = self.call.prepare(network, output)?;
        let mut call = call.attempts(self.retry + 1);
        if self.idempotent {
            call = call.idempotent();
        }
        let reply = handle.request(call).wait()?;
        output.line(reply)?;
        Ok(Exit::Done)
    }
}
