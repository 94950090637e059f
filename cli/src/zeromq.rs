//! The options that secure ZeroMQ: CURVE and PLAIN.

use std::fs;
use std::path::{Path, PathBuf};

use grenache_peer::zeromq::{Gate, PublicKey, Security, draw_keys};

use crate::curve;
use crate::exit::Failure;
use crate::key_file;
use crate::output::Output;
use crate::transport::Transport;

/// PLAIN's limit for a name and a password each, in bytes (RFC 24).
const MAX_PLAIN: usize = 255;

/// How workers and publishers are known, and this side is known to them, over ZeroMQ. Without any of these nobody is.
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "ZeroMQ options")]
pub(crate) struct ClientZmq {
    /// Use CURVE, with workers that have this public key (40 characters of Z85)
    #[arg(long, value_name = "KEY", allow_hyphen_values = true)]
    curve_server: Option<PublicKey>,

    /// The file of this side's secret CURVE key, which `keygen --curve` makes [default: a new key each time]
    #[arg(long, value_name = "FILE", requires = "curve_server")]
    curve_key: Option<PathBuf>,

    /// Use PLAIN and show this user name. Nothing is encrypted, neither is the password
    #[arg(long, value_name = "NAME", value_parser = user)]
    #[arg(requires = "zmq_password_file", conflicts_with = "curve_server")]
    zmq_user: Option<String>,

    /// The file with the password of --zmq-user
    #[arg(long, value_name = "FILE", requires = "zmq_user")]
    zmq_password_file: Option<PathBuf>,
}

impl ClientZmq {
    /// What is asked for.
    ///
    /// # Errors
    /// A file that cannot be used, or another transport than ZeroMQ's.
    pub(crate) fn security(
        &self,
        transport: Transport,
        output: &Output,
    ) -> Result<Security, Failure> {
        let asked = self.curve_server.is_some() || self.zmq_user.is_some();
        if asked && transport != Transport::Zmq {
            return Err(Failure::usage(
                "CURVE and PLAIN are ZeroMQ's; say --transport zmq, or leave their options out",
            ));
        }
        if let (Some(user), Some(file)) = (&self.zmq_user, &self.zmq_password_file) {
            return Ok(Security::Plain { user: user.clone(), password: password(file, output)? });
        }
        Ok(match (self.curve_server, &self.curve_key) {
            (None, _) => Security::Null,
            (Some(server), None) => Security::Curve { server, keys: draw_keys() },
            (Some(server), Some(file)) => {
                Security::Curve { server, keys: curve::load(file, output)? }
            }
        })
    }
}

/// How a bridge is known to the workers behind it over ZeroMQ: [`ClientZmq`] under names of their own.
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "ZeroMQ options towards the workers behind")]
pub(crate) struct WorkerZmq {
    /// Use CURVE, with workers that have this public key (40 characters of Z85)
    #[arg(long, value_name = "KEY", allow_hyphen_values = true)]
    worker_curve_server: Option<PublicKey>,

    /// The file of the secret CURVE key that is shown to workers [default: a new key each time]
    #[arg(long, value_name = "FILE", requires = "worker_curve_server")]
    worker_curve_key: Option<PathBuf>,

    /// Use PLAIN and show this user name. Nothing is encrypted, neither is the password
    #[arg(long, value_name = "NAME", value_parser = user)]
    #[arg(requires = "worker_zmq_password_file", conflicts_with = "worker_curve_server")]
    worker_zmq_user: Option<String>,

    /// The file with the password of --worker-zmq-user
    #[arg(long, value_name = "FILE", requires = "worker_zmq_user")]
    worker_zmq_password_file: Option<PathBuf>,
}

impl From<&WorkerZmq> for ClientZmq {
    fn from(options: &WorkerZmq) -> ClientZmq {
        let options = options.clone();
        ClientZmq {
            curve_server: options.worker_curve_server,
            curve_key: options.worker_curve_key,
            zmq_user: options.worker_zmq_user,
            zmq_password_file: options.worker_zmq_password_file,
        }
    }
}

/// Whom a server lets in over ZeroMQ. Without any of these that is anybody; over HTTP and WebSocket it is the affair of TLS.
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "ZeroMQ options")]
pub(crate) struct ServerZmq {
    /// Have ZeroMQ clients use CURVE, and be known to them by the secret key in this file, which `keygen --curve` makes.
    /// Whom it lets in over HTTP and WebSocket is the affair of the TLS options
    #[arg(long, value_name = "FILE")]
    curve_key: Option<PathBuf>,

    /// Let in only ZeroMQ clients with this public CURVE key; may be given several times
    #[arg(long, value_name = "KEY", requires = "curve_key", allow_hyphen_values = true)]
    curve_allow: Vec<PublicKey>,

    /// Have ZeroMQ clients use PLAIN and show this user name. Nothing is encrypted, neither is the password
    #[arg(long, value_name = "NAME", value_parser = user)]
    #[arg(requires = "zmq_password_file", conflicts_with = "curve_key")]
    zmq_user: Option<String>,

    /// The file with the password of --zmq-user
    #[arg(long, value_name = "FILE", requires = "zmq_user")]
    zmq_password_file: Option<PathBuf>,
}

impl ServerZmq {
    /// What is asked for.
    ///
    /// # Errors
    /// A file that cannot be used.
    pub(crate) fn gate(&self, output: &Output) -> Result<Gate, Failure> {
        if let (Some(user), Some(file)) = (&self.zmq_user, &self.zmq_password_file) {
            return Ok(Gate::Plain([(user.clone(), password(file, output)?)].into()));
        }
        let Some(file) = &self.curve_key else { return Ok(Gate::Null) };
        let allow = match &self.curve_allow[..] {
            [] => None,
            keys => Some(keys.iter().copied().collect()),
        };
        Ok(Gate::Curve { keys: curve::load(file, output)?, allow })
    }
}

/// A user name of PLAIN.
fn user(text: &str) -> Result<String, String> {
    match text.len() {
        ..=MAX_PLAIN => Ok(text.to_string()),
        length => Err(format!("a user name has at most {MAX_PLAIN} bytes, and this {length}")),
    }
}

/// The first line of a file.
fn password(file: &Path, output: &Output) -> Result<String, Failure> {
    let text = fs::read_to_string(file)
        .map_err(|error| Failure::usage(format!("{} cannot be read: {error}", file.display())))?;
    let password = text.lines().next().unwrap_or_default();
    if password.is_empty() || password.len() > MAX_PLAIN {
        return Err(Failure::usage(format!(
            "{} holds no password: expected a line of at most {MAX_PLAIN} bytes",
            file.display()
        )));
    }
    key_file::warning(file).into_iter().for_each(|warning| output.warn(warning));
    Ok(password.to_string())
}
