//! Settings of both sides.

use std::time::Duration;

use super::{Authorities, Identity};
use crate::Fingerprint;

/// How long a handshake may take unless set otherwise.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);

/// TLS of a server: what it shows and whom it takes.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ServerTls {
    /// Certificate and key of the server.
    pub identity: Identity,
    /// Whether clients show certificates, and of which authorities.
    pub clients: Clients,
    /// Fingerprints of the client certificates taken, which clients must show then ([`Clients::Required`]). Empty: all that
    /// `clients` takes.
    pub allow: Vec<Fingerprint>,
    /// A connection that takes longer for its handshake is closed. 10 s.
    pub handshake_timeout: Duration,
}

impl ServerTls {
    /// A server that takes anyone.
    pub fn new(identity: Identity) -> Self {
        let (clients, allow) = (Clients::Anyone, Vec::new());
        Self { identity, clients, allow, handshake_timeout: HANDSHAKE_TIMEOUT }
    }
}

/// Which certificates clients show.
#[derive(Clone, Debug, Default)]
pub enum Clients {
    /// None. As Node's `requestCert: false`.
    #[default]
    Anyone,
    /// None, or one of these authorities.
    Optional(Authorities),
    /// One of these authorities. As Node's `requestCert: true, rejectUnauthorized: true`.
    Required(Authorities),
}

/// TLS of a client: what it shows and whom it trusts.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ClientTls {
    /// Who vouches for servers.
    pub authorities: Authorities,
    /// Certificate and key, for servers that ask for them.
    pub identity: Option<Identity>,
    /// Which name the server's certificate must carry.
    pub name: Name,
    /// Fingerprints of the server certificates taken. Empty: all that the rest takes.
    pub allow: Vec<Fingerprint>,
    /// A handshake that takes longer fails. 10 s.
    pub handshake_timeout: Duration,
    /// Destinations whose sessions a core keeps, to resume them. 1024.
    pub destinations: usize,
}

impl ClientTls {
    /// A client without a certificate that trusts these authorities.
    pub fn new(authorities: Authorities) -> Self {
        let (identity, name, allow) = (None, Name::Address, Vec::new());
        let handshake_timeout = HANDSHAKE_TIMEOUT;
        Self { authorities, identity, name, allow, handshake_timeout, destinations: 1024 }
    }
}

/// Which name a server's certificate must carry among its subject alternative names.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Name {
    /// The address or host name connected to, as in Node. Services are found as addresses, so their
    /// certificates need the worker's IP address.
    #[default]
    Address,
    /// This name (or IP address), whatever the address.
    Is(String),
    /// None is asked for, the authorities' word is enough: Node's `checkServerIdentity: () => undefined`.
    /// Anyone with a certificate of these authorities can pass for a server; meant for authorities of
    /// one's own, or together with `allow`.
    Unchecked,
}
