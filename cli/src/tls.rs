//! The `--tls-..` options.

use std::path::PathBuf;

use grenache_peer::Fingerprint;
use grenache_peer::tls::{self, Authorities, Clients, Identity, Name};

use crate::exit::Failure;

/// How workers are reached over TLS. Without any of these they are called without TLS.
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "TLS options")]
pub struct ClientTls {
    /// Call workers over TLS (any other --tls option says so too)
    #[arg(long)]
    tls: bool,

    /// Trust the authorities in this PEM file, not the system's
    #[arg(long, value_name = "FILE")]
    tls_ca: Option<PathBuf>,

    /// Show this certificate (PEM) to workers that ask for one
    #[arg(long, value_name = "FILE", requires = "tls_key")]
    tls_cert: Option<PathBuf>,

    /// The private key of --tls-cert (PEM, not encrypted)
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    tls_key: Option<PathBuf>,

    /// The name that the worker's certificate must carry [default: the worker's IP address]
    #[arg(long, value_name = "NAME")]
    tls_name: Option<String>,

    /// Take a certificate of the right authority whatever name it carries
    #[arg(long, conflicts_with = "tls_name")]
    tls_no_name_check: bool,

    /// Take only workers whose certificate has one of these SHA-1 or SHA-256 fingerprints. Without --tls-ca they decide
    /// alone, whoever has issued the certificate
    #[arg(long, value_name = "FINGERPRINT,..", value_delimiter = ',')]
    tls_allow: Vec<Fingerprint>,
}

impl ClientTls {
    /// What is asked for, if anything is.
    ///
    /// # Errors
    /// A file that cannot be read or used.
    pub fn config(&self) -> Result<Option<tls::ClientTls>, grenache_peer::Error> {
        let asked = self.tls
            || self.tls_ca.is_some()
            || self.tls_cert.is_some()
            || self.tls_name.is_some()
            || self.tls_no_name_check
            || !self.tls_allow.is_empty();
        if !asked {
            return Ok(None);
        }
        let mut config = tls::ClientTls::new(match &self.tls_ca {
            Some(file) => Authorities::from_file(file)?,
            None if !self.tls_allow.is_empty() => Authorities::none(),
            None => Authorities::system()?,
        });
        if let (Some(certificate), Some(key)) = (&self.tls_cert, &self.tls_key) {
            config.identity = Some(Identity::from_files(certificate, key)?);
        }
        config.name = match &self.tls_name {
            Some(name) => Name::Is(name.clone()),
            None if self.tls_no_name_check => Name::Unchecked,
            None => Name::Address,
        };
        config.allow = self.tls_allow.clone();
        Ok(Some(config))
    }
}

/// How a bridge reaches the workers behind it over TLS: [`ClientTls`] under names of their own.
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "TLS options towards the workers behind")]
pub(crate) struct WorkerTls {
    /// Call workers over TLS (any other --worker-tls option says so too)
    #[arg(long)]
    worker_tls: bool,

    /// Trust the authorities in this PEM file, not the system's
    #[arg(long, value_name = "FILE")]
    worker_tls_ca: Option<PathBuf>,

    /// Show this certificate (PEM) to workers that ask for one
    #[arg(long, value_name = "FILE", requires = "worker_tls_key")]
    worker_tls_cert: Option<PathBuf>,

    /// The private key of --worker-tls-cert (PEM, not encrypted)
    #[arg(long, value_name = "FILE", requires = "worker_tls_cert")]
    worker_tls_key: Option<PathBuf>,

    /// The name that a worker's certificate must carry [default: the worker's IP address]
    #[arg(long, value_name = "NAME")]
    worker_tls_name: Option<String>,

    /// Take a certificate of the right authority whatever name it carries
    #[arg(long, conflicts_with = "worker_tls_name")]
    worker_tls_no_name_check: bool,

    /// Take only workers whose certificate has one of these SHA-1 or SHA-256 fingerprints. Without --worker-tls-ca they
    /// decide alone, whoever has issued the certificate
    #[arg(long, value_name = "FINGERPRINT,..", value_delimiter = ',')]
    worker_tls_allow: Vec<Fingerprint>,
}

impl From<&WorkerTls> for ClientTls {
    fn from(options: &WorkerTls) -> ClientTls {
        let options = options.clone();
        ClientTls {
            tls: options.worker_tls,
            tls_ca: options.worker_tls_ca,
            tls_cert: options.worker_tls_cert,
            tls_key: options.worker_tls_key,
            tls_name: options.worker_tls_name,
            tls_no_name_check: options.worker_tls_no_name_check,
            tls_allow: options.worker_tls_allow,
        }
    }
}

/// How `serve` is reached over TLS. Without a certificate it is served without TLS.
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "TLS options")]
pub(crate) struct ServerTls {
    /// Serve over TLS with this certificate (PEM; the intermediate ones after it)
    #[arg(long, value_name = "FILE", requires = "tls_key")]
    tls_cert: Option<PathBuf>,

    /// The private key of --tls-cert (PEM, not encrypted)
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    tls_key: Option<PathBuf>,

    /// Take only clients that show a certificate of an authority in this PEM file
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    tls_ca: Option<PathBuf>,

    /// Take only clients whose certificate has one of these SHA-1 or SHA-256 fingerprints. Without --tls-ca they decide
    /// alone, whoever has issued the certificate
    #[arg(long, value_name = "FINGERPRINT,..", value_delimiter = ',', requires = "tls_cert")]
    tls_allow: Vec<Fingerprint>,
}

impl ServerTls {
    /// What is asked for, if anything is.
    ///
    /// # Errors
    /// A file that cannot be read or used.
    pub(crate) fn config(&self) -> Result<Option<tls::ServerTls>, Failure> {
        let (Some(certificate), Some(key)) = (&self.tls_cert, &self.tls_key) else {
            return Ok(None);
        };
        let mut config = tls::ServerTls::new(Identity::from_files(certificate, key)?);
        config.clients = match &self.tls_ca {
            Some(file) => Clients::Required(Authorities::from_file(file)?),
            None if self.tls_allow.is_empty() => Clients::Anyone,
            None => Clients::Required(Authorities::none()),
        };
        config.allow = self.tls_allow.clone();
        Ok(Some(config))
    }
}
