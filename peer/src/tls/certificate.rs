//! What a peer has shown of itself.

use std::cell::OnceCell;

use rustls::pki_types::CertificateDer;

use crate::Fingerprint;

/// A peer's certificate. Its fingerprints are computed when first asked for.
#[derive(Clone, Debug)]
pub struct Certificate {
    der: CertificateDer<'static>,
    sha1: OnceCell<Fingerprint>,
    sha256: OnceCell<Fingerprint>,
}

impl Certificate {
    pub(super) fn new(der: CertificateDer<'static>) -> Self {
        Self { der, sha1: OnceCell::new(), sha256: OnceCell::new() }
    }

    /// The certificate in DER, for what needs more of it than the fingerprint.
    pub fn der(&self) -> &[u8] {
        &self.der
    }

    /// What Node calls `fingerprint`.
    pub fn sha1(&self) -> Fingerprint {
        *self.sha1.get_or_init(|| Fingerprint::sha1(&self.der))
    }

    /// What Node calls `fingerprint256`.
    pub fn sha256(&self) -> Fingerprint {
        *self.sha256.get_or_init(|| Fingerprint::sha256(&self.der))
    }
}

impl PartialEq for Certificate {
    fn eq(&self, other: &Self) -> bool {
        self.der == other.der
    }
}

impl Eq for Certificate {}
