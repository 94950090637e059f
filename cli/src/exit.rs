//! How a command ends: its exit code and, if it failed, one line.

use std::fmt;
use std::io;
use std::process::ExitCode;

use grenache_peer::Error;

/// The exit codes. `--help` and the manual name them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exit {
    /// Done.
    Done = 0,
    /// It failed.
    Failed = 1,
    /// The command line, or a file or a payload it names, is wrong; nothing was asked of the network.
    Usage = 2,
    /// Nobody announces the service, or nothing is stored under the hash.
    Nothing = 3,
    /// The time was up.
    TimedOut = 4,
    /// Some of several did, some failed.
    Partly = 5,
}

/// What `--help` and the manual say about [`Exit`].
pub(crate) const EXIT_CODES: &str = "\
Exit codes:
  0  done
  1  failed
  2  the command line, a file or a payload is wrong; nothing was sent
  3  nobody announces the service, or nothing is stored under the hash
  4  the time was up
  5  some of several failed, the others did not";

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> ExitCode {
        ExitCode::from(exit as u8)
    }
}

/// Why a command ends before it is done.
#[derive(Debug)]
pub(crate) enum Failure {
    /// With an exit code and one line: what happened, to what, what to do.
    Told(Exit, String),
    /// Whoever reads standard output has gone away and wants no more; not an error.
    ReaderGone,
}

impl Failure {
    /// The command line, or a file or a payload it names, is wrong.
    pub(crate) fn usage(text: impl Into<String>) -> Failure {
        Failure::Told(Exit::Usage, text.into())
    }

    /// Something failed that has no code of its own.
    pub(crate) fn failed(text: impl Into<String>) -> Failure {
        Failure::Told(Exit::Failed, text.into())
    }

    /// What a failed write to standard output means.
    pub(crate) fn of_output(error: &io::Error) -> Failure {
        match error.kind() {
            io::ErrorKind::BrokenPipe => Failure::ReaderGone,
            _ => Failure::failed(format!("standard output cannot be written: {error}")),
        }
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Failure {
        Failure::Told(code(&error), line(&error))
    }
}

/// The exit code for an error of the network.
fn code(error: &Error) -> Exit {
    match error {
        Error::LookupEmpty { .. } => Exit::Nothing,
        Error::Timeout { .. } => Exit::TimedOut,
        Error::Config(_) | Error::Tls(_) => Exit::Usage,
        _ => Exit::Failed,
    }
}

/// The error and, where something can be done about it, what.
pub(crate) fn line(error: &Error) -> String {
    let hint = match error {
        Error::LookupEmpty { .. } => "is its worker running, and on the same grapes?",
        Error::GrapeUnreachable(_) => "start a grape, or name another with --grape",
        Error::Timeout { .. } => "give it more with --timeout",
        _ => return one_line(error),
    };
    format!("{}; {hint}", one_line(error))
}

/// Texts of workers and grapes may have several lines, and characters that steer a terminal; ours has one line and none.
fn one_line(text: &dyn fmt::Display) -> String {
    let mut line = String::new();
    for part in text.to_string().lines().map(str::trim).filter(|part| !part.is_empty()) {
        if !line.is_empty() {
            line.push(' ');
        }
        for character in part.chars() {
            match character.is_control() {
                true => line.extend(character.escape_default()),
                false => line.push(character),
            }
        }
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_others_say_stays_one_harmless_line() {
        let text = "first\n\n  second \x1b[2Jthird\r\n";
        assert_eq!(line(&Error::Remote(text.into())), "first second \\u{1b}[2Jthird");
    }

    #[test]
    fn errors_end_with_their_code() {
        for (error, exit) in [
            (Error::LookupEmpty { service: "a".into() }, Exit::Nothing),
            (
                Error::Timeout { limit: Default::default(), to: None, may_have_run: false },
                Exit::TimedOut,
            ),
            (Error::GrapeUnreachable("refused".into()), Exit::Failed),
            (Error::Remote("no".into()), Exit::Failed),
            (Error::Tls("no key".into()), Exit::Usage),
        ] {
            assert_eq!(code(&error), exit, "{error}");
        }
    }
}
