//! Certificates made for the tests: an authority, and what it signs for workers and clients.

use std::sync::LazyLock;

use rcgen::{
    BasicConstraints, Certificate, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa,
    Issuer, KeyPair, KeyUsagePurpose, SanType,
};
use sha1::Digest;

/// Somebody who signs certificates.
pub(crate) struct Authority {
    pem: String,
    issuer: Issuer<'static, KeyPair>,
}

/// A certificate with its key, as PEM.
#[derive(Debug, Clone)]
pub(crate) struct Pair {
    pub(crate) cert: String,
    pub(crate) key: String,
    der: Vec<u8>,
}

/// The authority that everybody trusts.
pub(crate) static TRUSTED: LazyLock<Authority> = LazyLock::new(|| Authority::new("Grenache tests"));
/// Another one.
pub(crate) static STRANGER: LazyLock<Authority> = LazyLock::new(|| Authority::new("Somebody else"));

impl Authority {
    fn new(name: &str) -> Authority {
        let mut params = CertificateParams::new(Vec::new()).expect("no names");
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let key = KeyPair::generate().expect("a key");
        let pem = params.self_signed(&key).expect("a certificate").pem();
        Authority { pem, issuer: Issuer::new(params, key) }
    }

    /// Its own certificate.
    pub(crate) fn pem(&self) -> &str {
        &self.pem
    }

    /// A certificate for 127.0.0.1 that serves both sides of a connection.
    pub(crate) fn issue(&self, name: &str) -> Pair {
        self.issue_for(name, vec![SanType::IpAddress([127, 0, 0, 1].into())])
    }

    /// A certificate for other addresses or names.
    pub(crate) fn issue_for(&self, name: &str, names: Vec<SanType>) -> Pair {
        let mut params = CertificateParams::new(Vec::new()).expect("no names");
        params.distinguished_name.push(DnType::CommonName, name);
        params.subject_alt_names = names;
        params.extended_key_usages =
            vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        let key = KeyPair::generate().expect("a key");
        let cert: Certificate = params.signed_by(&key, &self.issuer).expect("a certificate");
        Pair { cert: cert.pem(), key: key.serialize_pem(), der: cert.der().to_vec() }
    }
}

impl Pair {
    /// As Node prints it: `AA:BB:..` of SHA-1.
    pub(crate) fn sha1(&self) -> String {
        fingerprint(&sha1::Sha1::digest(&self.der))
    }

    /// The same of SHA-256.
    pub(crate) fn sha256(&self) -> String {
        fingerprint(&sha2::Sha256::digest(&self.der))
    }
}

fn fingerprint(hash: &[u8]) -> String {
    hash.iter().map(|byte| format!("{byte:02X}")).collect::<Vec<_>>().join(":")
}
