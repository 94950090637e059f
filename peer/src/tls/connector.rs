//! TLS of connections made.

use std::cell::RefCell;
use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use grenache_engine::TcpStream;
use lru::LruCache;
use rustls::client::Resumption;
use rustls::pki_types::ServerName;
use rustls::sign::SingleCertAndKey;
use rustls::{ClientConfig, ClientConnection};

use super::verify::ServerVerifier;
use super::{ALPN, ClientTls, Error, Name, PROVIDER, Stream, VERSIONS};
use crate::channel::Channel;

/// Sessions kept per destination.
const SESSIONS: usize = 8;

/// Makes handshakes. Clones share the sessions; one per core.
#[derive(Clone)]
pub struct Connector {
    shared: Rc<Shared>,
}

struct Shared {
    config: ClientConfig,
    name: FixedName,
    handshake_timeout: Duration,
    /// A configuration for each destination, which differ in their sessions: workers share neither
    /// keys nor, with a fixed name, names, and a ticket of one is wasted on another.
    destinations: RefCell<LruCache<SocketAddr, Arc<ClientConfig>>>,
}

enum FixedName {
    None,
    Is(ServerName<'static>),
    Unchecked,
}

impl Connector {
    /// A connector with `settings`, for one core.
    ///
    /// # Errors
    /// Settings that cannot be.
    pub fn new(settings: &ClientTls) -> Result<Self, crate::Error> {
        let unusable = |error: rustls::Error| crate::Error::Tls(error.to_string());
        let name = match &settings.name {
            Name::Address => FixedName::None,
            Name::Unchecked => FixedName::Unchecked,
            Name::Is(name) => FixedName::Is(ServerName::try_from(name.clone()).map_err(|_| {
                crate::Error::Config(format!("'{name}' is neither a host name nor an address"))
            })?),
        };
        let named = !matches!(name, FixedName::Unchecked);
        let verifier = ServerVerifier::new(&settings.authorities, &settings.allow, named)?;
        let builder = ClientConfig::builder_with_provider(PROVIDER.clone())
            .with_protocol_versions(&VERSIONS)
            .map_err(unusable)?
            .dangerous()
            .with_custom_certificate_verifier(verifier);
        let mut config = match &settings.identity {
            None => builder.with_no_client_auth(),
            Some(identity) => builder
                .with_client_cert_resolver(Arc::new(SingleCertAndKey::from(identity.key.clone()))),
        };
        config.alpn_protocols = vec![ALPN.to_vec()];
        let kept = NonZeroUsize::new(settings.destinations).unwrap_or(NonZeroUsize::MIN);
        let destinations = RefCell::new(LruCache::new(kept));
        let handshake_timeout = settings.handshake_timeout;
        Ok(Self { shared: Rc::new(Shared { config, name, handshake_timeout, destinations }) })
    }

    /// Goes through the handshake on a connection made to `host`, a name or an address. Dropping the
    /// future closes it.
    ///
    /// # Errors
    /// Why there is no session; the connection is closed then.
    pub async fn connect(&self, stream: TcpStream, host: &str) -> Result<Channel, Error> {
        let to = stream.peer_addr();
        let name = match &self.shared.name {
            FixedName::Is(name) => name.clone(),
            FixedName::None => ServerName::try_from(host.to_owned()).map_err(|_| {
                Error::Protocol(format!("'{host}' is neither a host name nor an address"))
            })?,
            FixedName::Unchecked => {
                ServerName::try_from(host.to_owned()).unwrap_or_else(|_| to.ip().into())
            }
        };
        let session = ClientConnection::new(self.shared.config_for(to), name)
            .map_err(|error| Error::Protocol(error.to_string()))?;
        let limit = self.shared.handshake_timeout;
        Ok(Channel::Tls(Stream::handshake(stream, session.into(), None, limit).await?))
    }
}

impl Shared {
    fn config_for(&self, to: SocketAddr) -> Arc<ClientConfig> {
        let mut destinations = self.destinations.borrow_mut();
        let config = destinations.get_or_insert(to, || {
            let mut config = self.config.clone();
            config.resumption = Resumption::in_memory_sessions(SESSIONS);
            Arc::new(config)
        });
        config.clone()
    }
}
