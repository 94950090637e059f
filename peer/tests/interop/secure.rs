//! TLS settings of a worker or a client, whosever it is.

use grenache_peer::{Fingerprint, tls};
use serde_json::{Value, json};

use crate::certificates::{Pair, TRUSTED};

/// What a worker asks of its clients' certificates.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Clients {
    /// Nothing.
    Anyone,
    /// A certificate of the authority, if there is one.
    Optional,
    /// A certificate of the authority.
    Required,
}

/// A worker's.
#[derive(Debug, Clone)]
pub(crate) struct ServerSide {
    pub(crate) pair: Pair,
    pub(crate) clients: Clients,
    /// Fingerprints of the only clients, if there is one.
    pub(crate) allow: Vec<String>,
}

/// A client's.
#[derive(Debug, Clone)]
pub(crate) struct ClientSide {
    /// Node's client does not do without.
    pub(crate) pair: Option<Pair>,
    /// PEM of the authority.
    pub(crate) authority: String,
    /// Fingerprints of the only workers, if there is one.
    pub(crate) allow: Vec<String>,
}

impl ServerSide {
    pub(crate) fn new(pair: &Pair, clients: Clients) -> ServerSide {
        ServerSide { pair: pair.clone(), clients, allow: Vec::new() }
    }

    /// Ours.
    pub(crate) fn rust(&self) -> tls::ServerTls {
        let mut settings = tls::ServerTls::new(identity(&self.pair));
        let authorities = || tls::Authorities::from_pem(TRUSTED.pem().as_bytes()).expect("PEM");
        settings.clients = match self.clients {
            Clients::Anyone => tls::Clients::Anyone,
            Clients::Optional => tls::Clients::Optional(authorities()),
            Clients::Required => tls::Clients::Required(authorities()),
        };
        settings.allow = fingerprints(&self.allow);
        settings
    }

    /// `secure` of Node's worker.
    pub(crate) fn node(&self) -> Value {
        json!({
            "key": self.pair.key,
            "cert": self.pair.cert,
            "ca": TRUSTED.pem(),
            "requestCert": self.clients != Clients::Anyone,
            // Node lets those in that have no certificate, and those whose certificate it does not trust.
            "rejectUnauthorized": self.clients == Clients::Required,
        })
    }
}

impl ClientSide {
    pub(crate) fn new(pair: &Pair) -> ClientSide {
        let authority = TRUSTED.pem().to_string();
        ClientSide { pair: Some(pair.clone()), authority, allow: Vec::new() }
    }

    /// Ours.
    pub(crate) fn rust(&self) -> tls::ClientTls {
        let authorities = tls::Authorities::from_pem(self.authority.as_bytes()).expect("PEM");
        let mut settings = tls::ClientTls::new(authorities);
        settings.identity = self.pair.as_ref().map(identity);
        settings.allow = fingerprints(&self.allow);
        settings
    }

    /// `secure` of Node's client.
    pub(crate) fn node(&self) -> Value {
        let pair = self.pair.as_ref().expect("Node's client needs a certificate");
        json!({"key": pair.key, "cert": pair.cert, "ca": self.authority})
    }
}

fn identity(pair: &Pair) -> tls::Identity {
    tls::Identity::from_pem(pair.cert.as_bytes(), pair.key.as_bytes()).expect("PEM")
}

fn fingerprints(texts: &[String]) -> Vec<Fingerprint> {
    texts.iter().map(|text| text.parse().expect("a fingerprint")).collect()
}
