//! Whether a certificate is taken, asked by rustls during the handshake.

use std::fmt;
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::server::{ParsedCertificate, WebPkiClientVerifier};
use rustls::{
    CertificateError, DigitallySignedStruct, DistinguishedName, OtherError, SignatureScheme,
};

use super::{Authorities, PROVIDER};
use crate::{Error, Fingerprint};

/// Authorities and list, as both sides hold them against the other.
#[derive(Debug)]
struct Trust {
    authorities: Authorities,
    allow: Vec<Fingerprint>,
}

impl Trust {
    fn new(authorities: &Authorities, allow: &[Fingerprint]) -> Result<Self, Error> {
        if authorities.roots.is_empty() && allow.is_empty() {
            return Err(Error::Config(
                "without authorities, TLS needs a list of fingerprints".into(),
            ));
        }
        Ok(Self { authorities: authorities.clone(), allow: allow.to_vec() })
    }

    /// Whether the list alone decides.
    fn only_listed(&self) -> bool {
        self.authorities.roots.is_empty()
    }

    fn check_list(&self, certificate: &CertificateDer<'_>) -> Result<(), rustls::Error> {
        let listed = |fingerprint: &Fingerprint| match fingerprint {
            Fingerprint::Sha1(_) => *fingerprint == Fingerprint::sha1(certificate),
            Fingerprint::Sha256(_) => *fingerprint == Fingerprint::sha256(certificate),
        };
        if self.allow.is_empty() || self.allow.iter().any(listed) {
            return Ok(());
        }
        let why = Arc::new(NotListed(Fingerprint::sha256(certificate)));
        Err(CertificateError::Other(OtherError(why)).into())
    }

    /// Lets a CA's certificate pass as that of a peer if it is itself listed: it is trusted for more
    /// than that. webpki comes to this objection after it has looked at the dates.
    fn forgive<T>(
        &self,
        certificate: &CertificateDer<'_>,
        verdict: Result<T, rustls::Error>,
        passed: T,
    ) -> Result<T, rustls::Error> {
        match verdict {
            Err(rustls::Error::InvalidCertificate(CertificateError::Other(OtherError(error))))
                if error.downcast_ref() == Some(&webpki::Error::CaUsedAsEndEntity)
                    && self.authorities.listed.contains(certificate) =>
            {
                Ok(passed)
            }
            verdict => verdict,
        }
    }
}

/// A certificate that is not on the list of those allowed.
#[derive(Debug)]
pub(super) struct NotListed(Fingerprint);

impl fmt::Display for NotListed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the fingerprint {} is not on the list of those allowed", self.0)
    }
}

impl std::error::Error for NotListed {}

/// What a client asks of a server's certificate.
#[derive(Debug)]
pub(super) struct ServerVerifier {
    trust: Trust,
    named: bool,
}

impl ServerVerifier {
    /// `named`: the certificate must carry the name connected to.
    pub(super) fn new(
        authorities: &Authorities,
        allow: &[Fingerprint],
        named: bool,
    ) -> Result<Arc<Self>, Error> {
        Ok(Arc::new(Self { trust: Trust::new(authorities, allow)?, named }))
    }
}

impl ServerCertVerifier for ServerVerifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        self.trust.check_list(end_entity)?;
        if !self.trust.only_listed() {
            let certificate = ParsedCertificate::try_from(end_entity)?;
            let verdict = rustls::client::verify_server_cert_signed_by_trust_anchor(
                &certificate,
                &self.trust.authorities.roots,
                intermediates,
                now,
                PROVIDER.signature_verification_algorithms.all,
            );
            self.trust.forgive(end_entity, verdict, ())?;
            if self.named {
                rustls::client::verify_server_name(&certificate, server_name)?;
            }
        }
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &PROVIDER.signature_verification_algorithms;
        rustls::crypto::verify_tls12_signature(message, certificate, signed, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &PROVIDER.signature_verification_algorithms;
        rustls::crypto::verify_tls13_signature(message, certificate, signed, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        PROVIDER.signature_verification_algorithms.supported_schemes()
    }
}

/// What a server asks of a client's certificate.
#[derive(Debug)]
pub(super) struct ClientVerifier {
    trust: Trust,
    chain: Option<Arc<dyn ClientCertVerifier>>,
    required: bool,
}

impl ClientVerifier {
    pub(super) fn new(
        authorities: &Authorities,
        allow: &[Fingerprint],
        required: bool,
    ) -> Result<Arc<Self>, Error> {
        let trust = Trust::new(authorities, allow)?;
        let (roots, provider) = (authorities.roots.clone(), PROVIDER.clone());
        let chain = (!trust.only_listed())
            .then(|| WebPkiClientVerifier::builder_with_provider(roots, provider).build())
            .transpose()
            .map_err(|error| Error::Tls(error.to_string()))?;
        Ok(Arc::new(Self { trust, chain, required }))
    }
}

impl ClientCertVerifier for ClientVerifier {
    fn client_auth_mandatory(&self) -> bool {
        self.required
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        self.chain.as_ref().map_or(&[], |chain| chain.root_hint_subjects())
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, rustls::Error> {
        self.trust.check_list(end_entity)?;
        let passed = ClientCertVerified::assertion();
        let Some(chain) = &self.chain else { return Ok(passed) };
        let verdict = chain.verify_client_cert(end_entity, intermediates, now);
        self.trust.forgive(end_entity, verdict, passed)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &PROVIDER.signature_verification_algorithms;
        rustls::crypto::verify_tls12_signature(message, certificate, signed, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &PROVIDER.signature_verification_algorithms;
        rustls::crypto::verify_tls13_signature(message, certificate, signed, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        PROVIDER.signature_verification_algorithms.supported_schemes()
    }
}
