//! TLS 1.3 and 1.2 for servers and clients, mutual where asked for, by rustls.
//!
//! What Node's workers and clients take as `secure: { key, cert, ca, requestCert, rejectUnauthorized }`
//! is here [`ServerTls`] and [`ClientTls`]:
//!
//! | Node | here |
//! |---|---|
//! | `key`, `cert` | [`Identity`] |
//! | `ca` | [`Authorities`] |
//! | `requestCert: true, rejectUnauthorized: true` | [`Clients::Required`] |
//! | `checkServerIdentity: () => undefined` | [`Name::Unchecked`] |
//! | comparing `fingerprint` in the handler | `allow`, checked before any request |
//! | `rejectUnauthorized: false` and comparing `fingerprint` | [`Authorities::none`] and `allow` |
//!
//! A certificate that is itself listed among the authorities is taken as it is, also if it says of itself
//! that it is a CA, as those made by `openssl req -x509` do. Other CA certificates are not taken as those
//! of a server or client.
//!
//! Sessions resume: a server's tickets are good on all of its cores, a client keeps some of each
//! destination. A session taken up (for up to a day) is not checked again, but it is known only to settings
//! as they were: after a change of certificates or lists, restart.

mod acceptor;
mod authorities;
mod certificate;
mod config;
mod connector;
mod error;
mod identity;
mod stream;
#[cfg(test)]
mod tests;
mod verify;

pub use acceptor::Acceptor;
pub use authorities::Authorities;
pub use certificate::Certificate;
pub use config::{ClientTls, Clients, Name, ServerTls};
pub use connector::Connector;
pub use error::Error;
pub use identity::Identity;
pub use stream::Stream;

use std::sync::{Arc, LazyLock};

use rustls::crypto::CryptoProvider;

/// The protocol spoken inside, for peers that ask.
const ALPN: &[u8] = b"http/1.1";

/// The cryptography, chosen here rather than by what else a program links.
static PROVIDER: LazyLock<Arc<CryptoProvider>> =
    LazyLock::new(|| Arc::new(rustls::crypto::aws_lc_rs::default_provider()));

/// Versions spoken: Node's workers of today 1.3, of the day before 1.2.
static VERSIONS: [&rustls::SupportedProtocolVersion; 2] =
    [&rustls::version::TLS13, &rustls::version::TLS12];
