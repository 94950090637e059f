//! The way to the network: which grapes, and the handle that asks them.

use grenache_peer::handle::Config;
use grenache_peer::link::Grape;
use grenache_peer::tls::ClientTls;
use grenache_peer::zeromq::{self, Security};
use grenache_peer::{Handle, client, subscribe};

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

    /// Starts what asks the grapes.
    ///
    /// # Errors
    /// A grape's address that is none, or an engine that does not start.
    pub(crate) fn handle(&self, client_tls: Option<ClientTls>) -> Result<Handle, Failure> {
        let grapes = self.grapes.clone();
        Ok(Handle::start(Config { grapes, client_tls, ..Config::default() })?)
    }

    /// As [`handle`](Self::handle), for calls over `transport`.
    ///
    /// # Errors
    /// As [`handle`](Self::handle).
    pub(crate) fn caller(
        &self,
        client_tls: Option<ClientTls>,
        transport: Transport,
        security: Security,
    ) -> Result<Handle, Failure> {
        let (grapes, client) = (self.grapes.clone(), client_config(transport, security));
        Ok(Handle::start(Config { grapes, client, client_tls, ..Config::default() })?)
    }

    /// As [`handle`](Self::handle), for listening over `transport`.
    ///
    /// # Errors
    /// As [`handle`](Self::handle).
    pub(crate) fn subscriber(
        &self,
        client_tls: Option<ClientTls>,
        transport: Transport,
        security: Security,
    ) -> Result<Handle, Failure> {
        let (grapes, subscribe) = (self.grapes.clone(), subscribe_config(transport, security));
        Ok(Handle::start(Config { grapes, subscribe, client_tls, ..Config::default() })?)
    }
}

/// How workers are called.
pub(crate) fn client_config(transport: Transport, security: Security) -> client::Config {
    let zeromq = zeromq::Config { security, ..zeromq::Config::default() };
    client::Config { transport: transport.into(), zeromq, ..client::Config::default() }
}

/// How publishers are listened to.
pub(crate) fn subscribe_config(transport: Transport, security: Security) -> subscribe::Config {
    let zeromq = zeromq::Config { security, ..zeromq::Config::default() };
    subscribe::Config { transport: transport.into(), zeromq, ..subscribe::Config::default() }
}

/// A grape's address as people write it; without `http://` or `https://` the former is meant.
pub(crate) fn parse(text: &str) -> Result<String, String> {
    match text.trim().parse::<Grape>() {
        Ok(_) => Ok(text.trim().to_string()),
        Err(error) => Err(error.to_string()),
    }
}
