//! TLS of accepted connections.

use std::sync::Arc;
use std::time::Duration;

use grenache_engine::{TcpStream, now, timeout};
use rustls::server::NoServerSessionStorage;
use rustls::sign::SingleCertAndKey;
use rustls::{ServerConfig, ServerConnection};

use super::verify::ClientVerifier;
use super::{ALPN, Clients, Error, PROVIDER, ServerTls, Stream, VERSIONS};
use crate::channel::{Channel, Received};

/// The first byte of what a client of TLS sends: a record of a handshake (RFC 8446 section 5.1).
const HANDSHAKE: u8 = 0x16;

/// Takes handshakes. Clones share the key of the tickets, so that a session begun on one core resumes
/// on another; make one and clone it for every core.
#[derive(Clone, Debug)]
pub struct Acceptor {
    config: Arc<ServerConfig>,
    handshake_timeout: Duration,
}

impl Acceptor {
    /// An acceptor with `settings`.
    ///
    /// # Errors
    /// Settings that cannot be.
    pub fn new(settings: &ServerTls) -> Result<Self, crate::Error> {
        let unusable = |error: rustls::Error| crate::Error::Tls(error.to_string());
        let builder = ServerConfig::builder_with_provider(PROVIDER.clone());
        let builder = builder.with_protocol_versions(&VERSIONS).map_err(unusable)?;
        let builder = match &settings.clients {
            // Whoever shows none would get past the list.
            Clients::Anyone | Clients::Optional(_) if !settings.allow.is_empty() => {
                let why =
                    "a list of clients' fingerprints needs clients that must show certificates";
                return Err(crate::Error::Config(why.into()));
            }
            Clients::Anyone => builder.with_no_client_auth(),
            Clients::Optional(authorities) => builder.with_client_cert_verifier(
                ClientVerifier::new(authorities, &settings.allow, false)?,
            ),
            Clients::Required(authorities) => builder.with_client_cert_verifier(
                ClientVerifier::new(authorities, &settings.allow, true)?,
            ),
        };
        let identity = Arc::new(SingleCertAndKey::from(settings.identity.key.clone()));
        let mut config = builder.with_cert_resolver(identity);
        config.alpn_protocols = vec![ALPN.to_vec()];
        // Sessions live in tickets, which any core can open; nothing is kept per session.
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.ticketer = rustls::crypto::aws_lc_rs::Ticketer::new().map_err(unusable)?;
        Ok(Self { config: Arc::new(config), handshake_timeout: settings.handshake_timeout })
    }

    /// Goes through the handshake of an accepted connection. Dropping the future closes it.
    ///
    /// # Errors
    /// Why there is no session; the connection is closed then.
    pub async fn accept(&self, stream: TcpStream) -> Result<Channel, Error> {
        self.accept_or(stream, |_| false).await.map(|(channel, _)| channel)
    }

    /// As [`accept`](Self::accept), unless what comes is not TLS and begins with a byte for which `is_taken` says so: then the
    /// connection is as it was, and what has come is given with it.
    pub(crate) async fn accept_or(
        &self,
        stream: TcpStream,
        is_taken: impl Fn(u8) -> bool,
    ) -> Result<(Channel, Option<Received>), Error> {
        let limit = self.handshake_timeout;
        let deadline = now().saturating_add(limit);
        let received = match timeout(limit, stream.recv()).await {
            Ok(Ok(Some(received))) => received,
            Ok(Ok(None)) => return Err(Error::Truncated),
            Ok(Err(error)) => return Err(Error::Broken(error.kind(), error.to_string())),
            Err(_) => {
                stream.abort();
                return Err(Error::Timeout(limit));
            }
        };
        if received.first().is_some_and(|first| *first != HANDSHAKE && is_taken(*first)) {
            return Ok((Channel::Plain(stream), Some(Received::Plain(received))));
        }
        let session = ServerConnection::new(self.config.clone())
            .map_err(|error| Error::Protocol(error.to_string()))?;
        let left = deadline.saturating_sub(now());
        match Stream::handshake(stream, session.into(), Some(received), left).await {
            Ok(stream) => Ok((Channel::Tls(stream), None)),
            Err(Error::Timeout(_)) => Err(Error::Timeout(limit)),
            Err(error) => Err(error),
        }
    }
}
