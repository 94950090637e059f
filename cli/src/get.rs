//! `grenache get`: finds an item.

use grenache_peer::link::{Item, ItemKey};
use serde::Serialize;
use serde_json::Value;

use crate::exit::{Exit, Failure};
use crate::key::hex;
use crate::network::Network;
use crate::output::Output;
use crate::put::salt;

/// Finds an item and prints its value, after checking that it belongs under its hash
///
/// An immutable item must have that hash. Of a mutable one the public key (and the salt) must have it, and the signature
/// must be right. What fails is not printed.
#[derive(Debug, clap::Args)]
pub(crate) struct Get {
    /// Print the value (the default)
    #[arg(short, long, overrides_with_all = ["raw", "id", "write"])]
    value: bool,

    /// Print the grape's whole answer, in JSON
    #[arg(short, long, overrides_with_all = ["value", "id", "write"])]
    raw: bool,

    /// Print the id of the node that had it
    #[arg(short, long, overrides_with_all = ["value", "raw", "write"])]
    id: bool,

    /// Print the token that the node gave with it, if any
    #[arg(short, long, overrides_with_all = ["value", "raw", "id"])]
    write: bool,

    /// The salt of a mutable item
    #[arg(short, long, value_parser = salt)]
    salt: Option<String>,

    /// Where it is: 40 hex digits
    #[arg(value_parser = hash)]
    hash: ItemKey,
}

#[derive(Serialize)]
struct Found<'a> {
    hash: String,
    v: &'a str,
    #[serde(flatten)]
    version: Option<Version<'a>>,
}

#[derive(Serialize)]
struct Version<'a> {
    k: String,
    seq: i64,
    sig: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    salt: Option<&'a str>,
}

fn hash(text: &str) -> Result<ItemKey, String> {
    text.parse().map_err(|_| "expected 40 hex digits".to_string())
}

impl Get {
    pub(crate) fn run(&self, network: &Network, output: &Output) -> Result<Exit, Failure> {
        let (hash, salt) = (self.hash, self.salt.clone().unwrap_or_default());
        let handle = network.handle(None)?;
        let Some(item) = handle.get(hash, salt).wait()? else {
            let salted = self.salt.as_ref().map(|salt| format!(" with the salt '{salt}'"));
            return Err(Failure::Told(
                Exit::Nothing,
                format!(
                    "nothing is stored under {hash}{}; items fade unless they are put again",
                    salted.unwrap_or_default()
                ),
            ));
        };
        self.print(&item, output)?;
        Ok(Exit::Done)
    }

    fn print(&self, item: &Item, output: &Output) -> Result<(), Failure> {
        if self.raw {
            return self.print_raw(item, output);
        }
        if self.id || self.write {
            let raw: Value = item.raw.to()?;
            let part = &raw[if self.id { "id" } else { "token" }];
            return match part {
                // Nothing to print is no line, as in grenache-cli.
                Value::Null if !output.json => Ok(()),
                Value::String(text) if !output.json => output.line(text),
                other => output.json(other),
            };
        }
        if !output.json {
            return output.line(&item.value);
        }
        let version = match (item.key, item.seq, item.signature) {
            (Some(k), Some(seq), Some(sig)) => {
                Some(Version { k: hex(&k), seq, sig: hex(&sig), salt: self.salt.as_deref() })
            }
            _ => None,
        };
        output.json(&Found { hash: self.hash.to_string(), v: &item.value, version })
    }

    /// The answer on one line, in the order in which it came.
    fn print_raw(&self, item: &Item, output: &Output) -> Result<(), Failure> {
        output.line(item.raw.as_str().replace(['\n', '\r'], " "))
    }
}
