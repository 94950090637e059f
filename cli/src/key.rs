//! The key pair that signs mutable items, in grenache-cli's files.
//!
//! `~/.grenache-cli/key` holds the expanded secret key in hex (the 64 bytes that SHA-512 makes of the seed, the first half
//! clamped), `key.pub` the public key in hex (32 bytes), neither with a line end; `grenache-cli.conf` holds settings for
//! curl, with which grenache-cli's own scripts call a grape.

use std::env;
use std::fs::DirBuilder;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use grenache_peer::link::SecretKey;

use crate::exit::Failure;
use crate::key_file;

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

    /// The file of the secret CURVE key, unless another is named.
    pub(crate) fn curve_file(&self) -> PathBuf {
        self.0.join("curve")
    }

    /// Makes the folder unless it is there.
    ///
    /// # Errors
    /// What the system says.
    pub(crate) fn create(&self) -> Result<(), Failure> {
        let created = DirBuilder::new().mode(0o700).recursive(true).create(&self.0);
        created.map_err(|error| key_file::cannot_write(&self.0, &error))
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
        Ok((key, key_file::warning(&secret)))
    }

    /// Writes the key pair so that only its owner can read it, and gives the public key. A pair that is there is replaced only
    /// if `overwrite` says so.
    ///
    /// # Errors
    /// If there is one already, or what the system says.
    pub(crate) fn store(&self, secret: &[u8; 64], overwrite: bool) -> Result<[u8; 32], Failure> {
        let public = SecretKey::from_bytes(secret)?.public();
        self.create()?;
        key_file::write_pair(
            (&self.secret_file(), &hex(secret)),
            (&self.public_file(), &hex(&public)),
            overwrite,
        )?;
        // What the owner has changed there stays.
        let settings = self.0.join("grenache-cli.conf");
        match key_file::write(&settings, CURL_SETTINGS, false) {
            Err(_) if settings.exists() => Ok(public),
            written => written.map(|()| public),
        }
    }
}

/// Reads so many bytes of hex; blanks at the end are forgiven.
fn read_key<const N: usize>(file: &Path) -> Result<[u8; N], Failure> {
    let text = key_file::read(file, "grenache keygen")?;
    from_hex(&text).ok_or_else(|| {
        Failure::usage(format!("{} is not a key: expected {} hex digits", file.display(), 2 * N))
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
