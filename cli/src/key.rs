//! The key pair that signs mutable items, in grenache-cli's files.
//!
//! `~/.grenache-cli/key` holds the expanded secret key in hex (the 64 bytes that SHA-512 makes of the seed, the first half
//! clamped), `key.pub` the public key in hex (32 bytes), neither with a line end; `grenache-cli.conf` holds settings for
//! curl, with which grenache-cli's own scripts call a grape.

use std::env;
use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use grenache_peer::link::SecretKey;

use crate::exit::Failure;

/// More than this is no key file; what is longer is not read.
const MAX_FILE: u64 = 1024;

/// The settings of grenache-cli's scripts: how their curl calls a grape.
const CURL_SETTINGS: &str = "\
# curl's settings for the shell scripts of grenache-cli; the grenache command does not read them.
silent
no-buffer
max-time 10
connect-timeout 5
compressed
tcp-nodelay
tcp-fastopen
request POST
data-binary = \"@-\"
header = \"Connection: close\"
header = \"Accept: application/json\"
header = \"Content-Type: application/json; charset=UTF-8\"
";

/// Draws a new secret key, in the form of the file.
pub(crate) fn draw() -> [u8; 64] {
    let mut seed = [0; 32];
    rand::fill(&mut seed);
    SecretKey::expand(&seed)
}

/// `~/.grenache-cli`.
pub(crate) struct Folder(PathBuf);

impl Folder {
    /// The folder of whoever runs this.
    ///
    /// # Errors
    /// If `HOME` is not set.
    pub(crate) fn of_user() -> Result<Folder, Failure> {
        match env::var_os("HOME").filter(|home| !home.is_empty()) {
            Some(home) => Ok(Folder(Path::new(&home).join(".grenache-cli"))),
            None => {
                Err(Failure::usage("HOME is not set, so there is no place for the key; set it"))
            }
        }
    }

    /// The file of the secret key.
    pub(crate) fn secret_file(&self) -> PathBuf {
        self.0.join("key")
    }

    /// The file of the public key.
    pub(crate) fn public_file(&self) -> PathBuf {
        self.0.join("key.pub")
    }

    /// Reads the key pair. The second value is a warning for the owner, if there is one.
    ///
    /// # Errors
    /// If a file is missing or is no key, or the two do not belong together.
    pub(crate) fn load(&self) -> Result<(SecretKey, Option<String>), Failure> {
        let secret = self.secret_file();
        let key = SecretKey::from_bytes(&read_key::<64>(&secret)?)?;
        if read_key::<32>(&self.public_file())? != key.public() {
            return Err(Failure::usage(format!(
                "{} does not belong to {}; restore it, or make a new pair with `grenache keygen -f`",
                self.public_file().display(),
                secret.display()
            )));
        }
        let mode = fs::metadata(&secret).map_or(0, |found| found.permissions().mode());
        let warning = (mode & 0o077 != 0)
            .then(|| format!("{0} can be read by others; run `chmod 600 {0}`", secret.display()));
        Ok((key, warning))
    }

    /// Writes the key pair so that only its owner can read it, and gives the public key. A pair that is there is replaced only
    /// if `overwrite` says so.
    ///
    /// # Errors
    /// If there is one already, or what the system says.
    pub(crate) fn store(&self, secret: &[u8; 64], overwrite: bool) -> Result<[u8; 32], Failure> {
        let public = SecretKey::from_bytes(secret)?.public();
        let mut folder = DirBuilder::new();
        folder
            .mode(0o700)
            .recursive(true)
            .create(&self.0)
            .map_err(|error| cannot(&self.0, &error))?;
        // The public key last: what is there when only one could be written is refused by `load`.
        self.write("key", &hex(secret), overwrite)?;
        let written = self.write("key.pub", &hex(&public), overwrite);
        if written.is_err() && !overwrite {
            let _ = fs::remove_file(self.secret_file());
        }
        written?;
        // What the owner has changed there stays.
        match self.write("grenache-cli.conf", CURL_SETTINGS, false) {
            Err(_) if self.0.join("grenache-cli.conf").exists() => Ok(public),
            written => written.map(|()| public),
        }
    }

    /// Writes a whole file or nothing: under another name first, then into its place.
    fn write(&self, name: &str, text: &str, overwrite: bool) -> Result<(), Failure> {
        let place = self.0.join(name);
        let draft = self.0.join(format!(".{name}.{}", std::process::id()));
        let mut options = OpenOptions::new();
        options.write(true).create_new(true).mode(0o600);
        let written = options.open(&draft).and_then(|mut file| {
            file.write_all(text.as_bytes())?;
            file.sync_all()?;
            // A link fails if the place is taken, a rename replaces what is there.
            if overwrite { fs::rename(&draft, &place) } else { fs::hard_link(&draft, &place) }
        });
        let _ = fs::remove_file(&draft);
        written.map_err(|error| match error.kind() {
            io::ErrorKind::AlreadyExists => Failure::failed(format!(
                "{} exists and is kept; use -f to replace the key pair",
                place.display()
            )),
            _ => cannot(&place, &error),
        })
    }
}

fn cannot(place: &Path, error: &io::Error) -> Failure {
    Failure::failed(format!("{} cannot be written: {error}", place.display()))
}

/// Reads so many bytes of hex; blanks at the end are forgiven.
fn read_key<const N: usize>(file: &Path) -> Result<[u8; N], Failure> {
    let opened = fs::File::open(file).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => Failure::usage(format!(
            "there is no key in {}; make one with `grenache keygen`",
            file.display()
        )),
        _ => Failure::usage(format!("{} cannot be read: {error}", file.display())),
    })?;
    let mut text = String::new();
    io::Read::read_to_string(&mut io::Read::take(opened, MAX_FILE), &mut text)
        .ok()
        .and_then(|_| from_hex(text.trim_end()))
        .ok_or_else(|| {
            Failure::usage(format!(
                "{} is not a key: expected {} hex digits",
                file.display(),
                2 * N
            ))
        })
}

/// Bytes as lower-case hex.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// So many bytes from twice as many hex digits.
pub(crate) fn from_hex<const N: usize>(text: &str) -> Option<[u8; N]> {
    if text.len() != 2 * N || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    let mut bytes = [0; N];
    for (byte, at) in bytes.iter_mut().zip((0..text.len()).step_by(2)) {
        *byte = u8::from_str_radix(&text[at..at + 2], 16).ok()?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_hex_of_the_right_length_is_a_key() {
        assert_eq!(from_hex::<2>("0aFf"), Some([10, 255]));
        for text in ["", "0a", "0aff0", "0affff", "+aff", "größ"] {
            assert_eq!(from_hex::<2>(text), None, "{text}");
        }
    }
}
