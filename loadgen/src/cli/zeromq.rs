//! The options about ZeroMQ.

use std::path::{Path, PathBuf};

use grenache_peer::tls::ClientTls;
use grenache_peer::zeromq::{KeyPair, PublicKey, SecretKey, draw_keys};

use crate::failure::Failure;
use crate::what::{Curve, Security};

/// How ZeroMQ is secured.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "ZeroMQ options")]
pub(super) struct CurveOptions {
    /// Encrypt with CURVE, for a server with this public key: 40 characters of Z85
    #[arg(long, value_name = "KEY", allow_hyphen_values = true)]
    curve_server: Option<PublicKey>,

    /// The file with our secret key, 40 characters of Z85 [default: one that is drawn at random]
    #[arg(long, value_name = "FILE", requires = "curve_server")]
    curve_key: Option<PathBuf>,
}

impl CurveOptions {
    /// How connections are secured, of ZeroMQ if it is `zmq` and else of anything but ZeroMQ.
    pub(super) fn security(&self, zmq: bool, tls: Option<ClientTls>) -> Result<Security, Failure> {
        match (self.curve_server, tls) {
            (None, tls) if !zmq => Ok(tls.into()),
            (None, None) => Ok(Security::Open),
            (Some(server), None) if zmq => {
                let keys = match &self.curve_key {
                    Some(file) => read(file)?,
                    None => draw_keys(),
                };
                Ok(Security::Curve(Curve { server, keys }))
            }
            (_, Some(_)) if zmq => {
                let text = "--tls does not go with --transport zmq, which --curve-server encrypts";
                Err(Failure::usage(text))
            }
            _ => Err(Failure::usage("--curve-server goes with --transport zmq alone")),
        }
    }
}

fn read(file: &Path) -> Result<KeyPair, Failure> {
    let unusable = |why: String| Failure::usage(format!("{}: {why}", file.display()));
    let text = std::fs::read_to_string(file).map_err(|error| unusable(error.to_string()))?;
    let secret: SecretKey = text.trim().parse().map_err(|_| {
        unusable("it should hold a secret key of CURVE, 40 characters of Z85".to_owned())
    })?;
    Ok(secret.into())
}
