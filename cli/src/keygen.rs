//! `grenache keygen`: a key pair for mutable items, or for ZeroMQ.

use std::path::{Path, PathBuf};

use grenache_peer::zeromq::draw_keys;
use serde::Serialize;

use crate::curve;
use crate::exit::{Exit, Failure};
use crate::key::{self, Folder, hex};
use crate::output::Output;

/// Makes the key pair that signs mutable items, in ~/.grenache-cli as grenache-cli does; or one for ZeroMQ
///
/// Prints the public key. A pair that is there is kept, and that is an error.
#[derive(Debug, clap::Args)]
pub(crate) struct Keygen {
    /// Replace the pair that is there; items signed with it can never be changed again, and peers that know its public key
    /// know you no more
    #[arg(short, long)]
    force: bool,

    /// Make a CURVE key pair in Z85, with which ZeroMQ peers know each other and encrypt
    #[arg(long)]
    curve: bool,

    /// The file of the secret CURVE key; the public one goes beside it, as FILE.pub [default: ~/.grenache-cli/curve]
    #[arg(short, long, value_name = "FILE", requires = "curve")]
    output: Option<PathBuf>,
}

#[derive(Serialize)]
struct Made<'a> {
    public_key: &'a str,
    secret_file: String,
    public_file: String,
}

/// Makes the pair that signs items and gives its public key in hex. One that is there is replaced only by `force`.
pub(crate) fn make(force: bool) -> Result<String, Failure> {
    let public = Folder::of_user()?.store(&key::draw(), force)?;
    Ok(hex(&public))
}

impl Keygen {
    pub(crate) fn run(&self, output: &Output) -> Result<Exit, Failure> {
        if self.curve {
            let file = self.curve_file()?;
            let keys = draw_keys();
            curve::store(&keys, &file, self.force)?;
            return tell(&keys.public.to_string(), &file, &curve::public_file(&file), output);
        }
        let folder = Folder::of_user()?;
        tell(&make(self.force)?, &folder.secret_file(), &folder.public_file(), output)
    }

    fn curve_file(&self) -> Result<PathBuf, Failure> {
        if let Some(file) = &self.output {
            return Ok(file.clone());
        }
        let folder = Folder::of_user()?;
        folder.create()?;
        Ok(folder.curve_file())
    }
}

fn tell(public_key: &str, secret: &Path, public: &Path, output: &Output) -> Result<Exit, Failure> {
    match output.json {
        true => output.json(&Made {
            public_key,
            secret_file: secret.display().to_string(),
            public_file: public.display().to_string(),
        })?,
        false => output.line(public_key)?,
    }
    Ok(Exit::Done)
}
