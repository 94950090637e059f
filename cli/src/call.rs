//! What `request` and `map` have in common.

use std::time::Duration;

use grenache_peer::{Call, Handle};

use crate::exit::Failure;
use crate::network::Network;
use crate::output::Output;
use crate::payload;
use crate::tls::ClientTls;
use crate::transport::Transport;
use crate::zeromq::ClientZmq;

/// A service, a payload and how to get it there.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct CallOptions {
    /// The service
    service: String,

    /// The payload, any JSON value; - reads it from standard input
    #[arg(value_name = "JSON", allow_hyphen_values = true)]
    payload: String,

    /// How workers are spoken to
    #[arg(long, value_enum, default_value_t = Transport::Http)]
    transport: Transport,

    /// How long all of it may take, in milliseconds: finding, connecting, trying again, waiting for the reply
    #[arg(long, value_name = "MS", default_value_t = 60_000)]
    #[arg(value_parser = clap::value_parser!(u64).range(1..))]
    timeout: u64,

    /// Compress payload and reply; over HTTP only
    #[arg(long)]
    gzip: bool,

    /// If nobody offers the service yet, wait for somebody who does
    #[arg(long)]
    wait: bool,

    #[command(flatten)]
    tls: ClientTls,

    #[command(flatten)]
    zmq: ClientZmq,
}

impl CallOptions {
    /// What makes the call, and the call.
    ///
    /// # Errors
    /// A payload that is no JSON, a file of the TLS or ZeroMQ options that cannot be used.
    pub(crate) fn prepare(
        &self,
        network: &Network,
        output: &Output,
    ) -> Result<(Handle, Call), Failure> {
        let tls = self.tls.config()?;
        let security = self.zmq.security(self.transport, output)?;
        let payload = payload::read(&self.payload)?;
        let mut call =
            Call::new(&self.service, payload).timeout(Duration::from_millis(self.timeout));
        if self.gzip {
            call = call.gzip();
        }
        if self.wait {
            call = call.wait_for_service();
        }
        Ok((network.caller(tls, self.transport, security)?, call))
    }
}
