//! HTTP to other peers and to grapes: connections that are kept and used again.
//!
//! A [`Pool`] belongs to one core. A request is written, and its answer read, by the future of the call itself; nothing runs
//! for a connection but one task that closes those nobody has used for long.

mod config;
mod connection;
mod destination;
mod dial;
mod exchange;
mod failed;
mod lease;
mod pool;
#[cfg(test)]
pub(crate) mod tests;

pub use config::Config;
pub(crate) use connection::Answer;
pub(crate) use exchange::Exchange;
pub(crate) use failed::Failed;
pub(crate) use pool::Pool;

use std::net::SocketAddr;
use std::rc::Rc;

use bytes::Bytes;
use grenache_transports::http::Field;

/// Where requests go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Target {
    pub(crate) addr: SocketAddr,
    /// What the Host header says; with TLS also, without its port, the name that the certificate is for.
    pub(crate) host: Rc<str>,
    /// By TLS.
    pub(crate) secure: bool,
}

impl Target {
    /// A peer that is known by its address alone.
    pub(crate) fn peer(addr: SocketAddr, secure: bool) -> Target {
        Target { addr, host: addr.to_string().into(), secure }
    }

    /// The name that the server's certificate is for; none if it needs no certificate.
    pub(crate) fn server_name(&self) -> Option<&str> {
        let host = &*self.host;
        let name = match host.strip_prefix('[') {
            Some(address) => address.split(']').next(),
            None => host.split(':').next(),
        };
        name.filter(|_| self.secure)
    }
}

/// A request to be sent, by POST.
#[derive(Clone, Debug)]
pub(crate) struct Outgoing<'a> {
    /// The path.
    pub(crate) target: &'a str,
    pub(crate) fields: &'a [Field<'a>],
    pub(crate) body: Bytes,
    /// It may run twice, so it may share a connection with others: see [`Config::max_pipelined`].
    pub(crate) idempotent: bool,
}
