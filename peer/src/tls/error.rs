//! Why a TLS connection came to nothing, in words that say what to do.

use std::fmt;
use std::io;
use std::time::Duration;

use rustls::{AlertDescription, CertificateError, Connection, OtherError, PeerIncompatible};

use super::verify::NotListed;

/// Why there is no session, or no longer.
#[non_exhaustive]
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Error {
    /// This side does not take the peer's certificate, or has seen none.
    Untrusted(String),
    /// The peer has refused, usually this side's certificate. With TLS 1.3 clients learn it only when
    /// they read; no request was taken.
    Refused(String),
    /// The handshake took longer than it may.
    Timeout(Duration),
    /// What the peer says is not TLS, or none that this side speaks.
    Protocol(String),
    /// The connection ended without `close_notify`: something may be missing.
    Truncated,
    /// The connection under it broke.
    Broken(io::ErrorKind, String),
}

impl Error {
    /// The error inside an [`io::Error`] of a [`Channel`](crate::channel::Channel).
    pub fn of(error: &io::Error) -> Option<&Self> {
        error.get_ref()?.downcast_ref()
    }

    /// What an error of rustls means for this session.
    pub(super) fn explain(error: rustls::Error, session: &Connection) -> Self {
        let (peer, own) = match session {
            Connection::Client(_) => ("server", "client"),
            Connection::Server(_) => ("client", "server"),
        };
        match error {
            rustls::Error::InvalidCertificate(why) => Self::Untrusted(untrusted(&why, peer)),
            rustls::Error::NoCertificatesPresented => {
                Self::Untrusted(format!("the {peer} has shown no certificate"))
            }
            rustls::Error::AlertReceived(alert) => match refused(alert, peer, own) {
                Some(why) => Self::Refused(why),
                None => {
                    Self::Protocol(format!("the {peer} has broken off with the alert {alert:?}"))
                }
            },
            rustls::Error::InvalidMessage(_) if session.protocol_version().is_none() => {
                Self::Protocol(format!("the {peer} does not speak TLS"))
            }
            rustls::Error::PeerIncompatible(
                PeerIncompatible::SupportedVersionsExtensionRequired
                | PeerIncompatible::Tls12NotOffered
                | PeerIncompatible::Tls12NotOfferedOrEnabled
                | PeerIncompatible::ServerDoesNotSupportTls12Or13,
            ) => Self::Protocol(format!("the {peer} speaks neither TLS 1.3 nor 1.2")),
            other => Self::Protocol(other.to_string()),
        }
    }
}

/// Why the peer's certificate is not taken.
fn untrusted(why: &CertificateError, peer: &str) -> String {
    use CertificateError as C;
    let certificate = format!("the {peer}'s certificate");
    match why {
        C::UnknownIssuer => {
            format!("{certificate} is of an authority that is not among those trusted")
        }
        C::Expired | C::ExpiredContext { .. } => format!("{certificate} has expired"),
        C::NotValidYet | C::NotValidYetContext { .. } => {
            format!("{certificate} is not valid yet; is a clock wrong?")
        }
        C::NotValidForName => format!("{certificate} is not valid for its address"),
        C::NotValidForNameContext { expected, presented } => {
            let carried = match presented.as_slice() {
                [] => "it carries no names".to_owned(),
                names => format!("it carries {}", names.join(", ")),
            };
            let expected = expected.to_str();
            format!(
                "{certificate} is not valid for {expected}: {carried}; issue one with that subject \
                 alternative name, or set the name to expect"
            )
        }
        C::InvalidPurpose | C::InvalidPurposeContext { .. } => {
            format!("{certificate} is not meant for a {peer} (extended key usage)")
        }
        C::BadSignature => format!(
            "{certificate} is not signed by the authority it names, or is not the peer's own"
        ),
        C::Other(OtherError(error)) => match error.downcast_ref::<NotListed>() {
            Some(not_listed) => format!("{certificate} is not taken: {not_listed}"),
            None if error.downcast_ref() == Some(&webpki::Error::CaUsedAsEndEntity) => {
                format!(
                    "{certificate} is one of a CA; list it among the authorities to trust it as it is"
                )
            }
            None => format!("{certificate} is not taken: {error}"),
        },
        other => format!("{certificate} is not taken: {other}"),
    }
}

/// What the peer's alert means if it is one of those that refuse a handshake. Others may come at any time, for any reason.
fn refused(alert: AlertDescription, peer: &str, own: &str) -> Option<String> {
    use AlertDescription as A;
    Some(match alert {
        A::CertificateRequired => format!("the {peer} asks for a certificate; give this {own} one"),
        A::UnknownCA => format!(
            "the {peer} does not trust the authority of this {own}'s certificate; list it there"
        ),
        A::BadCertificate
        | A::UnsupportedCertificate
        | A::CertificateUnknown
        | A::AccessDenied
        | A::DecryptError
        | A::NoCertificate => format!(
            "the {peer} does not take this {own}'s certificate: its name or fingerprint may not be \
             what the {peer} expects"
        ),
        A::CertificateExpired => {
            format!(
                "the {peer} says that this {own}'s certificate has expired; or its clock is wrong"
            )
        }
        A::CertificateRevoked => {
            format!("the {peer} says that this {own}'s certificate is revoked")
        }
        A::HandshakeFailure => format!(
            "the {peer} refuses the handshake: no common cipher, or it asks for a certificate"
        ),
        A::ProtocolVersion => format!("the {peer} speaks neither TLS 1.3 nor 1.2"),
        A::NoApplicationProtocol => format!("the {peer} does not speak HTTP/1.1"),
        A::UnrecognisedName => format!("the {peer} has no certificate for the name asked for"),
        _ => return None,
    })
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Untrusted(why) | Self::Refused(why) | Self::Protocol(why) => f.write_str(why),
            Self::Timeout(limit) => write!(f, "the TLS handshake took longer than {limit:?}"),
            Self::Truncated => f.write_str("the connection ended before its TLS session"),
            Self::Broken(_, why) => write!(f, "the connection broke: {why}"),
        }
    }
}

impl std::error::Error for Error {}

impl From<Error> for io::Error {
    fn from(error: Error) -> Self {
        let kind = match error {
            Error::Untrusted(_) | Error::Refused(_) => io::ErrorKind::PermissionDenied,
            Error::Timeout(_) => io::ErrorKind::TimedOut,
            Error::Protocol(_) => io::ErrorKind::InvalidData,
            Error::Truncated => io::ErrorKind::UnexpectedEof,
            Error::Broken(kind, _) => kind,
        };
        io::Error::new(kind, error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_some_alerts_refuse_a_handshake() {
        use AlertDescription as A;
        for alert in [A::CertificateRequired, A::UnknownCA, A::AccessDenied, A::HandshakeFailure] {
            assert!(refused(alert, "server", "client").is_some(), "{alert:?}");
        }
        // After these it is open what the peer had read before.
        for alert in [A::InternalError, A::BadRecordMac, A::UserCanceled, A::UnexpectedMessage] {
            assert!(refused(alert, "server", "client").is_none(), "{alert:?}");
        }
    }
}
