//! Who one is.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;

use super::{Certificate, PROVIDER};
use crate::Error;

/// A certificate, with those between it and its authority, and its private key.
#[derive(Clone)]
pub struct Identity {
    pub(super) key: Arc<CertifiedKey>,
}

impl Identity {
    /// Reads PEM: the certificate first, then any intermediate ones; and the key in PKCS#8, PKCS#1 or
    /// SEC1.
    ///
    /// # Errors
    /// [`Error::Tls`]: nothing of the kind in the text, an encrypted key, a kind of key that TLS does not
    /// use, or one that does not belong to the certificate.
    pub fn from_pem(certificates: &[u8], key: &[u8]) -> Result<Self, Error> {
        let chain = certificates_in(certificates)?;
        let key = PrivateKeyDer::from_pem_slice(key).map_err(|error| match error {
            pem::Error::NoItemsFound => {
                Error::Tls("no private key in PEM (PKCS#8, PKCS#1 or SEC1, not encrypted)".into())
            }
            other => Error::Tls(format!("the private key: {other}")),
        })?;
        let key = CertifiedKey::from_der(chain, key, &PROVIDER).map_err(|error| match error {
            rustls::Error::InconsistentKeys(_) => {
                Error::Tls("the private key does not belong to the certificate".into())
            }
            other => Error::Tls(format!("the private key: {other}")),
        })?;
        Ok(Self { key: Arc::new(key) })
    }

    /// As [`from_pem`](Self::from_pem), from two files (which may be the same).
    ///
    /// # Errors
    /// [`Error::Tls`], also for a file that cannot be read.
    pub fn from_files(
        certificates: impl AsRef<Path>,
        key: impl AsRef<Path>,
    ) -> Result<Self, Error> {
        Self::from_pem(&read(certificates.as_ref())?, &read(key.as_ref())?)
    }

    /// The certificate that peers see.
    pub fn certificate(&self) -> Certificate {
        Certificate::new(self.key.cert[0].clone())
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Identity").field(&self.certificate().sha256()).finish()
    }
}

/// All certificates in a PEM text, at least one.
pub(super) fn certificates_in(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, Error> {
    let all: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    let all = all.map_err(|error| Error::Tls(format!("a certificate: {error}")))?;
    if all.is_empty() {
        return Err(Error::Tls("no certificate in PEM".into()));
    }
    Ok(all)
}

pub(super) fn read(file: &Path) -> Result<Vec<u8>, Error> {
    std::fs::read(file).map_err(|error| Error::Tls(format!("{}: {error}", file.display())))
}
