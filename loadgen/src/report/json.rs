//! The document itself, for machines and for [`comparison`](super::comparison). `loadgen schema` prints its form.

use std::fmt;
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::outcome::{Outcome, SCHEMA};

/// Writes what a run found, a field a line.
///
/// # Errors
/// What `out` says.
pub fn write(outcome: &Outcome, mut out: impl Write) -> io::Result<()> {
    serde_json::to_writer_pretty(&mut out, outcome)?;
    out.write_all(b"\n")?;
    out.flush()
}

/// Reads what [`write()`] wrote.
///
/// # Errors
/// The file cannot be read, is no such document, or one of another form.
pub fn read(path: &Path) -> Result<Outcome, Unreadable> {
    let unreadable = |why| Unreadable { path: path.to_path_buf(), why };
    let text = fs::read(path).map_err(|error| unreadable(Why::Io(error)))?;
    // The form first: a document of another one may lack anything else.
    let form: Form = serde_json::from_slice(&text).map_err(|_| unreadable(Why::Foreign))?;
    if form.schema != SCHEMA {
        return Err(unreadable(Why::Form(form.schema)));
    }
    serde_json::from_slice(&text).map_err(|error| unreadable(Why::Damaged(error)))
}

/// The JSON Schema of the document. `loadgen/schema.json` is what this gives.
pub fn schema() -> String {
    let schema = schemars::schema_for!(Outcome);
    let mut text = serde_json::to_string_pretty(&schema).expect("a schema is JSON");
    text.push('\n');
    text
}

#[derive(Deserialize)]
struct Form {
    schema: u32,
}

/// A file from which no run can be read.
#[derive(Debug)]
pub struct Unreadable {
    path: PathBuf,
    why: Why,
}

#[derive(Debug)]
enum Why {
    Io(io::Error),
    Foreign,
    Form(u32),
    Damaged(serde_json::Error),
}

impl fmt::Display for Unreadable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = self.path.display();
        match &self.why {
            Why::Io(error) => write!(f, "cannot read {path}: {error}"),
            Why::Foreign => write!(
                f,
                "{path} is not what a run found: give a file that loadgen's --json has written"
            ),
            Why::Form(form) => write!(
                f,
                "{path} has form {form}, and this loadgen reads form {SCHEMA}: use the loadgen that wrote it, or measure again"
            ),
            Why::Damaged(error) => {
                write!(f, "{path} is damaged, {error}: measure again")
            }
        }
    }
}

impl std::error::Error for Unreadable {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match &self.why {
            Why::Io(error) => Some(error),
            Why::Damaged(error) => Some(error),
            Why::Foreign | Why::Form(_) => None,
        }
    }
}
