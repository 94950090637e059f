//! Certificates made for a test.

use rcgen::{
    BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose, SanType,
    date_time_ymd,
};

use super::HOST;
use crate::Fingerprint;
use crate::tls::{Authorities, ClientTls, Identity, ServerTls};

/// A certificate and its key in PEM.
#[derive(Clone)]
pub(super) struct Pem {
    pub(super) certificate: String,
    pub(super) key: String,
}

impl Pem {
    pub(super) fn identity(&self) -> Identity {
        Identity::from_pem(self.certificate.as_bytes(), self.key.as_bytes()).expect("a good pair")
    }

    /// This certificate as an authority.
    pub(super) fn trusted(&self) -> Authorities {
        Authorities::from_pem(self.certificate.as_bytes()).expect("a good certificate")
    }
}

/// One that issues certificates.
pub(super) struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pub(super) pem: String,
}

impl Authority {
    /// One whose name is its own.
    pub(super) fn new() -> Self {
        let key = KeyPair::generate().expect("a key");
        let name = format!("{}", Fingerprint::sha1(key.public_key_raw()));
        Self::with(&name, key)
    }

    pub(super) fn called(name: &str) -> Self {
        Self::with(name, KeyPair::generate().expect("a key"))
    }

    fn with(name: &str, key: KeyPair) -> Self {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        let pem = params.self_signed(&key).expect("a certificate").pem();
        Self { issuer: Issuer::new(params, key), pem }
    }

    pub(super) fn trusted(&self) -> Authorities {
        Authorities::from_pem(self.pem.as_bytes()).expect("a good certificate")
    }

    pub(super) fn issue(&self, params: &CertificateParams) -> Pem {
        let key = KeyPair::generate().expect("a key");
        let certificate = params.signed_by(&key, &self.issuer).expect("a certificate").pem();
        Pem { certificate, key: key.serialize_pem() }
    }

    /// A server at [`HOST`].
    pub(super) fn server(&self) -> Pem {
        self.issue(&of_host())
    }

    pub(super) fn client(&self) -> Pem {
        self.issue(&named("client"))
    }
}

pub(super) fn named(name: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, name);
    params
}

/// Parameters of a certificate for [`HOST`].
pub(super) fn of_host() -> CertificateParams {
    let mut params = named("server");
    params.subject_alt_names = vec![SanType::IpAddress(HOST.parse().expect("an address"))];
    params
}

pub(super) fn expired(mut params: CertificateParams) -> CertificateParams {
    params.not_after = date_time_ymd(2020, 1, 1);
    params
}

/// As `openssl req -x509` makes them: signed by itself, and a CA.
pub(super) fn of_itself(mut params: CertificateParams) -> Pem {
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    signed_by_itself(&params)
}

pub(super) fn signed_by_itself(params: &CertificateParams) -> Pem {
    let key = KeyPair::generate().expect("a key");
    let certificate = params.self_signed(&key).expect("a certificate").pem();
    Pem { certificate, key: key.serialize_pem() }
}

/// A server and a client that trust each other, without certificates of clients.
pub(super) fn one_sided() -> (ClientTls, ServerTls) {
    let authority = Authority::new();
    (ClientTls::new(authority.trusted()), ServerTls::new(authority.server().identity()))
}

/// A server and a client that both show certificates.
pub(super) fn mutual() -> (ClientTls, ServerTls) {
    let authority = Authority::new();
    let mut client = ClientTls::new(authority.trusted());
    client.identity = Some(authority.client().identity());
    let mut server = ServerTls::new(authority.server().identity());
    server.clients = crate::tls::Clients::Required(authority.trusted());
    (client, server)
}
