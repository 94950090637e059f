//! `grenache keygen`: a key pair for mutable items.

use serde::Serialize;

use crate::exit::{Exit, Failure};
use crate::key::{self, Folder, hex};
use crate::output::Output;

/// Makes the key pair that signs mutable items, in ~/.grenache-cli as grenache-cli does
///
/// Prints the public key. A pair that is there is kept, and that is an error.
#[derive(Debug, clap::Args)]
pub(crate) struct Keygen {
    /// Replace the pair that is there; items signed with it can never be changed again
    #[arg(short, long)]
    pub(crate) force: bool,
}

#[derive(Serialize)]
struct Made<'a> {
    public_key: &'a str,
    secret_file: String,
    public_file: String,
}

impl Keygen {
    /// Makes the pair and gives its public key in hex.
    pub(crate) fn make(&self) -> Result<String, Failure> {
        let public = Folder::of_user()?.store(&key::draw(), self.force)?;
        Ok(hex(&public))
    }

    pub(crate) fn run(&self, output: &Output) -> Result<Exit, Failure> {
        let public_key = &self.make()?;
        if output.json {
            let folder = Folder::of_user()?;
            output.json(&Made {
                public_key,
                secret_file: folder.secret_file().display().to_string(),
                public_file: folder.public_file().display().to_string(),
            })?;
        } else {
            output.line(public_key)?;
        }
        Ok(Exit::Done)
    }
}
