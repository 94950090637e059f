//! The way to the network: which grapes, and the handle that asks them.

use grenache_peer::Handle;
use grenache_peer::client;
use grenache_peer::handle::Config;
use grenache_peer::link::Grape;
use grenache_peer::tls::ClientTls;

use crate::exit::Failure;
use crate::transport::Transport;

/// The grape that is asked unless another is named: the `grape` command's own defaults.
pub(crate) const DEFAULT: &str = "http://127.0.0.1:30001";

/// The grapes of a command.
#[derive(Debug, Clone)]
pub(crate) struct Network {
    pub(crate) grapes: Vec<String>,
}

impl Network {
    pub(crate) fn new(grapes: Vec<String>) -> Network {
        Network { grapes }
    }

    /// Starts what asks the grapes and calls workers.
    ///
    /// # Errors
    /// A grape's address that is none, or an engine that does not start.
    pub(crate) fn handle(&self, client_tls: Option<ClientTls>) -> Result<Handle, Failure> {
        self.caller(client_tls, Transport::Http)
    }

    /// As [`handle`](Self::handle), for calls over `transport`.
    ///
    /// # Errors
    /// As [`handle`](Self::handle).
    pub(crate) fn caller(
        &self,
        client_tls: Option<ClientTls>,
        transport: Transport,
    ) -> Result<Handle, Failure> {
        let client = client::Config { transport: transport.into(), ..client::Config::default() };
        let grapes = self.grapes.clone();
        Ok(Handle::start(Config { grapes, client, client_tls, ..Config::default() })?)
    }
}

/// A grape's address as people write it; without `http://` or `https://` the former is meant.
pub(crate) fn parse(text: &str) -> Result<String, String> {
    match text.trim().parse::<Grape>() {
        Ok(_) => Ok(text.trim().to_string()),
        Err(error) => Err(error.to_string()),
    }
}
