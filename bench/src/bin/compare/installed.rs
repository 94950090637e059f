//! Systems of others that are installed for the comparison, or why they are not.

use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use crate::Plan;

impl Plan {
    /// The program of peer `name`, as built from bench/peers. The error says why it is not there.
    pub(crate) fn peer(&self, name: &str) -> io::Result<PathBuf> {
        let program = self.peers.join(format!("peer-{name}"));
        if program.exists() {
            return Ok(program);
        }
        let here = format!("{} is not there: `cargo xtask bench` builds it", program.display());
        Err(self.why(name, here))
    }

    /// The version that program `name` tells when it is given `argument`. The error says why it does not.
    pub(crate) fn version(&self, name: &str, argument: &str) -> io::Result<String> {
        let output = match Command::new(name).arg(argument).output() {
            Ok(output) => output,
            Err(error) if error.kind() == ErrorKind::NotFound => {
                let how = "is not installed: `cargo xtask bench` does it where there is apt-get";
                return Err(self.why(name, how.to_owned()));
            }
            Err(error) => return Err(error),
        };
        let said = said(&output);
        match version(&said) {
            Some(version) if output.status.success() => Ok(version.to_owned()),
            _ => Err(io::Error::new(ErrorKind::NotFound, format!("does not run: {said}"))),
        }
    }

    /// What the installation said of `name`, or else `otherwise`.
    fn why(&self, name: &str, otherwise: String) -> io::Error {
        let mut absent = self.absent.iter();
        let why = absent.find_map(|absent| absent.strip_prefix(name)?.strip_prefix(": "));
        io::Error::new(ErrorKind::NotFound, why.map_or(otherwise, str::to_owned))
    }
}

/// The version of the libzmq that `program` is linked with.
pub(crate) fn libzmq_version(program: &Path) -> io::Result<String> {
    let said = said(&Command::new(program).arg("version").output()?);
    let version = version(&said).map(str::to_owned);
    version.ok_or_else(|| io::Error::other(format!("its version is {said:?}")))
}

/// All that a program printed; nginx tells its version on standard error.
fn said(output: &Output) -> String {
    let both = [&output.stdout, &output.stderr].map(|text| String::from_utf8_lossy(text));
    both.concat().trim().to_owned()
}

/// The version in a line such as `nginx version: nginx/1.22.1` or `nats-server: v2.9.10`.
fn version(line: &str) -> Option<&str> {
    let start = line.find(|c: char| c.is_ascii_digit())?;
    let rest = &line[start..];
    let end = rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(rest.len());
    rest[..end].contains('.').then_some(&rest[..end])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_versions() {
        for (line, expected) in [
            ("nginx version: nginx/1.22.1", Some("1.22.1")),
            ("nginx version: nginx/1.24.0 (Ubuntu)", Some("1.24.0")),
            ("nats-server: v2.9.10", Some("2.9.10")),
            ("nats-server: v2.11.0-RC.2", Some("2.11.0")),
            ("4.3.4", Some("4.3.4")),
            ("error 127", None),
            ("", None),
        ] {
            assert_eq!(version(line), expected, "{line:?}");
        }
    }
}
