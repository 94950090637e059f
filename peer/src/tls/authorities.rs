//! Whose word is taken.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;

use super::identity::{certificates_in, read};
use crate::Error;

/// The certificates of authorities, or of single peers trusted as they are.
#[derive(Clone)]
pub struct Authorities {
    pub(super) roots: Arc<RootCertStore>,
    /// The same as they were given.
    pub(super) listed: Arc<[CertificateDer<'static>]>,
}

impl Authorities {
    /// Reads PEM with one or more certificates.
    ///
    /// # Errors
    /// [`Error::Tls`]: none in the text, or one that cannot be used.
    pub fn from_pem(certificates: &[u8]) -> Result<Self, Error> {
        let listed = certificates_in(certificates)?;
        let mut roots = RootCertStore::empty();
        for certificate in &listed {
            let unusable = |error| Error::Tls(format!("an authority's certificate: {error}"));
            roots.add(certificate.clone()).map_err(unusable)?;
        }
        Ok(Self { roots: Arc::new(roots), listed: listed.into() })
    }

    /// As [`from_pem`](Self::from_pem), from a file.
    ///
    /// # Errors
    /// [`Error::Tls`], also for a file that cannot be read.
    pub fn from_file(file: impl AsRef<Path>) -> Result<Self, Error> {
        Self::from_pem(&read(file.as_ref())?)
    }

    /// Those that the system trusts (`SSL_CERT_FILE` and `SSL_CERT_DIR` are obeyed).
    ///
    /// # Errors
    /// [`Error::Tls`]: the system has none.
    pub fn system() -> Result<Self, Error> {
        let found = rustls_native_certs::load_native_certs();
        let mut roots = RootCertStore::empty();
        // Systems carry a few that nobody can use any more.
        let (usable, _) = roots.add_parsable_certificates(found.certs.iter().cloned());
        if usable == 0 {
            let why = found.errors.first().map(|error| format!(": {error}")).unwrap_or_default();
            return Err(Error::Tls(format!("the system has no certificates of authorities{why}")));
        }
        Ok(Self { roots: Arc::new(roots), listed: found.certs.into() })
    }

    /// Nobody's: a list of fingerprints alone decides. The certificates on it are then taken whatever
    /// they say of themselves, their dates and names included.
    pub fn none() -> Self {
        Self { roots: Arc::new(RootCertStore::empty()), listed: Arc::new([]) }
    }
}

impl fmt::Debug for Authorities {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Authorities({})", self.listed.len())
    }
}
