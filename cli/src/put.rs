//! `grenache put`: stores an item.

use std::time::SystemTime;

use grenache_peer::link;
use serde::Serialize;

use crate::exit::{Exit, Failure};
use crate::key::{Folder, hex};
use crate::network::Network;
use crate::output::Output;

/// Stores a value in the network and prints the hash under which it is found
///
/// An immutable item is found under the hash of its value. A mutable one is signed with the key of `grenache keygen`
/// and found under the hash of the public key (and the salt); newer versions, with higher numbers, replace it.
#[derive(Debug, clap::Args)]
pub(crate) struct Put {
    /// Store a mutable item
    #[arg(short, long)]
    mutable: bool,

    /// The version of a mutable item [default: microseconds since 1970]
    #[arg(short, long, value_name = "SEQ", value_parser = clap::value_parser!(i64).range(0..))]
    number: Option<i64>,

    /// Replace a mutable item only where its version has this number (compare and swap)
    #[arg(short, long, value_name = "SEQ", value_parser = clap::value_parser!(i64).range(0..))]
    cas: Option<i64>,

    /// Tells several mutable items of one key apart; at most 64 bytes
    #[arg(short, long, value_parser = salt)]
    salt: Option<String>,

    /// The value, at most 1000 bytes; several words are joined by blanks
    #[arg(required = true)]
    value: Vec<String>,
}

#[derive(Serialize)]
struct Stored {
    hash: String,
    #[serde(flatten)]
    version: Option<Version>,
}

#[derive(Serialize)]
struct Version {
    k: String,
    seq: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    salt: Option<String>,
}

/// A salt that is none is a mistake.
pub(crate) fn salt(text: &str) -> Result<String, String> {
    match text.len() {
        0 => Err("empty salt".into()),
        1..=64 => Ok(text.to_string()),
        length => Err(format!("it has {length} bytes, more than 64")),
    }
}

impl Put {
    pub(crate) fn run(&self, network: &Network, output: &Output) -> Result<Exit, Failure> {
        let value = self.value.join(" ");
        let (put, version) = if self.mutable {
            let (put, version) = self.signed(value, output)?;
            (put, Some(version))
        } else {
            if self.number.is_some() || self.cas.is_some() || self.salt.is_some() {
                output.warn("number, cas and salt mean nothing without --mutable");
            }
            (link::Put::immutable(value).map_err(unusable)?, None)
        };
        let hash = network.handle(None)?.put(put).wait()?.to_string();
        if output.json {
            output.json(&Stored { hash, version })?;
        } else {
            output.line(hash)?;
        }
        Ok(Exit::Done)
    }

    fn signed(&self, value: String, output: &Output) -> Result<(link::Put, Version), Failure> {
        let (key, warning) = Folder::of_user()?.load()?;
        if let Some(warning) = warning {
            output.warn(warning);
        }
        let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let seq = self.number.unwrap_or(since.as_micros() as i64);
        let salt = self.salt.as_deref().unwrap_or_default().as_bytes();
        let mut put = link::Put::mutable(value, &key, seq, salt).map_err(unusable)?;
        if let Some(cas) = self.cas {
            put = put.cas(cas).map_err(unusable)?;
        }
        Ok((put, Version { k: hex(&key.public()), seq, salt: self.salt.clone() }))
    }
}

/// The item is refused before anything was sent.
fn unusable(error: grenache_peer::Error) -> Failure {
    Failure::usage(error.to_string())
}
