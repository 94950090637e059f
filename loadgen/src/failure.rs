//! Why the generator ends before it has found anything, and its exit codes.

use std::fmt;
use std::io;
use std::process::ExitCode;

/// The exit codes. `--help` names them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// Every request was answered, and no condition failed.
    Done = 0,
    /// No load could be made, or not one request was answered.
    Failed = 1,
    /// The command line, or a file it names, is wrong; nothing was sent.
    Usage = 2,
    /// Nobody announces the service.
    Nothing = 3,
    /// Some requests failed.
    Partly = 5,
    /// A condition of `--fail-if` failed, or no rate kept the promise of `--slo`.
    Missed = 6,
    /// It was interrupted.
    Interrupted = 130,
}

/// What `--help` says about [`Exit`].
pub const EXIT_CODES: &str = "\
Exit codes:
  0    every request was answered, and no condition of --fail-if failed
  1    no load could be made, or not one request was answered
  2    the command line, or a file it names, is wrong; nothing was sent
  3    nobody announces the service
  5    some requests failed (unless a condition on errors in --fail-if allows it)
  6    a condition of --fail-if failed, or no rate kept the promise of --slo
  130  interrupted (SIGINT, SIGTERM); what was found until then is printed";

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// An exit code and one line: what happened, to what, what to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// The code.
    pub exit: Exit,
    /// The line.
    pub text: String,
}

impl Failure {
    /// Something that has no code of its own.
    pub fn failed(text: impl Into<String>) -> Self {
        Self { exit: Exit::Failed, text: text.into() }
    }

    /// The command line, or a file it names, is wrong.
    pub fn usage(text: impl Into<String>) -> Self {
        Self { exit: Exit::Usage, text: text.into() }
    }

    /// A file could not be read or written.
    pub fn of_file(file: &std::path::Path, error: &io::Error) -> Self {
        Self::failed(format!("{}: {error}", file.display()))
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl std::error::Error for Failure {}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self::failed(error.to_string())
    }
}
