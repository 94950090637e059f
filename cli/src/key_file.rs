//! Files with keys: only their owner can read them, and none is replaced by accident.

use std::fs::{self, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::Path;

use crate::exit::Failure;

/// More than this is no key file; what is longer is not read.
const MAX_FILE: u64 = 1024;

/// Writes a secret key and the public key that belongs to it, each into its file. A pair that is there, or half of one, is
/// replaced only if `overwrite` says so.
///
/// # Errors
/// If there is one already, or what the system says.
pub(crate) fn write_pair(
    (secret_file, secret): (&Path, &str),
    (public_file, public): (&Path, &str),
    overwrite: bool,
) -> Result<(), Failure> {
    // The public key last: what is there when only one could be written is no pair.
    write(secret_file, secret, overwrite)?;
    let written = write(public_file, public, overwrite);
    if written.is_err() && !overwrite {
        let _ = fs::remove_file(secret_file);
    }
    written
}

/// Writes a whole file or nothing: under another name first, then into its place.
///
/// # Errors
/// As [`write_pair`].
pub(crate) fn write(place: &Path, text: &str, overwrite: bool) -> Result<(), Failure> {
    let name = place.file_name().unwrap_or_default().to_string_lossy();
    let draft = place.with_file_name(format!(".{name}.{}", std::process::id()));
    let mut options = OpenOptions::new();
    options.write(true).create_new(true).mode(0o600);
    let written = options.open(&draft).and_then(|mut file| {
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        // A link fails if the place is taken, a rename replaces what is there.
        if overwrite { fs::rename(&draft, place) } else { fs::hard_link(&draft, place) }
    });
    let _ = fs::remove_file(&draft);
    written.map_err(|error| match error.kind() {
        io::ErrorKind::AlreadyExists => Failure::failed(format!(
            "{} exists and is kept; use -f to replace the key pair",
            place.display()
        )),
        _ => cannot_write(place, &error),
    })
}

/// What it means that `place` cannot be written.
pub(crate) fn cannot_write(place: &Path, error: &io::Error) -> Failure {
    Failure::failed(format!("{} cannot be written: {error}", place.display()))
}

/// Reads a key; blanks at the end are dropped. `command` makes one.
///
/// # Errors
/// If the file is not there or cannot be read. What is no text, or far too long for a key, comes out as no key at all.
pub(crate) fn read(file: &Path, command: &str) -> Result<String, Failure> {
    let opened = fs::File::open(file).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => Failure::usage(format!(
            "there is no key in {}; make one with `{command}`",
            file.display()
        )),
        _ => Failure::usage(format!("{} cannot be read: {error}", file.display())),
    })?;
    let mut text = String::new();
    let read = opened.take(MAX_FILE).read_to_string(&mut text);
    Ok(read.map_or_else(|_| String::new(), |_| text.trim_end().into()))
}

/// A warning for the owner of a secret file that others can read.
pub(crate) fn warning(file: &Path) -> Option<String> {
    let mode = fs::metadata(file).map_or(0, |found| found.permissions().mode());
    (mode & 0o077 != 0)
        .then(|| format!("{0} can be read by others; run `chmod 600 {0}`", file.display()))
}
