//! Clients over TLS, and servers for them.

use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use grenache_peer::tls::{Authorities, Clients, Identity, ServerTls};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

use crate::certificates::{Pair, TRUSTED};
use crate::client::Client;

/// A server that knows clients by their certificates, if they show one.
pub(crate) fn server() -> ServerTls {
    let pair = TRUSTED.issue("worker");
    let identity = Identity::from_pem(pair.cert.as_bytes(), pair.key.as_bytes());
    let authorities = Authorities::from_pem(TRUSTED.pem().as_bytes()).expect("an authority");
    let mut tls = ServerTls::new(identity.expect("an identity"));
    tls.clients = Clients::Optional(authorities);
    tls
}

/// A connection over TLS, which shows a certificate if there is one.
pub(crate) fn connect(
    addr: SocketAddr,
    pair: Option<&Pair>,
) -> Client<StreamOwned<ClientConnection, TcpStream>> {
    let mut roots = RootCertStore::empty();
    let authority = CertificateDer::from_pem_slice(TRUSTED.pem().as_bytes()).expect("PEM");
    roots.add(authority).expect("an authority");
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_root_certificates(roots);
    let config = match pair {
        None => config.with_no_client_auth(),
        Some(pair) => {
            let certificate = CertificateDer::from_pem_slice(pair.cert.as_bytes()).expect("PEM");
            let key = PrivateKeyDer::from_pem_slice(pair.key.as_bytes()).expect("PEM");
            config.with_client_auth_cert(vec![certificate], key).expect("a certificate")
        }
    };
    let name = ServerName::from(addr.ip());
    let session = ClientConnection::new(Arc::new(config), name).expect("a session");
    let stream = TcpStream::connect(addr).expect("a connection");
    stream.set_read_timeout(Some(Duration::from_secs(20))).expect("a timeout");
    stream.set_nodelay(true).expect("no delay");
    Client::over(StreamOwned::new(session, stream))
}
