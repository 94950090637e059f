//! CURVE keys, by which ZeroMQ peers know each other, in files: 40 characters of Z85, without a line end.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use grenache_peer::zeromq::{KeyPair, SecretKey};

use crate::exit::Failure;
use crate::key_file;
use crate::output::Output;

/// The file of the public key, beside that of the secret one.
pub(crate) fn public_file(secret_file: &Path) -> PathBuf {
    let mut name = OsString::from(secret_file);
    name.push(".pub");
    name.into()
}

/// Writes a key pair so that only its owner can read it. One that is there is replaced only if `overwrite` says so.
///
/// # Errors
/// If there is one already, or what the system says.
pub(crate) fn store(keys: &KeyPair, secret_file: &Path, overwrite: bool) -> Result<(), Failure> {
    let (secret, public) = (keys.secret.to_z85(), keys.public.to_string());
    let public_file = public_file(secret_file);
    key_file::write_pair((secret_file, &secret), (&public_file, &public), overwrite)
}

/// Reads a secret key; its public one belongs to it. Warns the owner if others can read it.
///
/// # Errors
/// If the file is not there, cannot be read, or holds no key.
pub(crate) fn load(secret_file: &Path, output: &Output) -> Result<KeyPair, Failure> {
    let text = key_file::read(secret_file, "grenache keygen --curve")?;
    let secret: SecretKey = text.parse().map_err(|_| {
        let file = secret_file.display();
        Failure::usage(format!("{file} is not a secret CURVE key: expected 40 characters of Z85"))
    })?;
    key_file::warning(secret_file).into_iter().for_each(|warning| output.warn(warning));
    Ok(secret.into())
}
