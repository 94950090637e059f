//! What a command prints: results on standard output, one line about each trouble on standard error.

use std::env;
use std::fmt;
use std::io::{self, IsTerminal, Write};
use std::process::ExitCode;

use serde::Serialize;
use tracing_subscriber::filter::LevelFilter;

use crate::exit::{Exit, Failure};

/// Where a command prints, and how.
#[derive(Debug, Clone)]
pub(crate) struct Output {
    /// The name of the program, which begins every line on standard error.
    pub(crate) program: &'static str,
    /// JSON for machines, one value a line.
    pub(crate) json: bool,
}

impl Output {
    /// Prints one line, at once, also into a pipe.
    ///
    /// # Errors
    /// [`Failure::ReaderGone`], or what the system says.
    pub(crate) fn line(&self, line: impl fmt::Display) -> Result<(), Failure> {
        self.bytes(format!("{line}\n").as_bytes())
    }

    /// Prints `value` as one line of JSON.
    ///
    /// # Errors
    /// As [`line`](Output::line).
    pub(crate) fn json(&self, value: &impl Serialize) -> Result<(), Failure> {
        let text =
            serde_json::to_string(value).map_err(|error| Failure::failed(error.to_string()))?;
        self.line(text)
    }

    /// Prints bytes as they are.
    ///
    /// # Errors
    /// As [`line`](Output::line).
    pub(crate) fn bytes(&self, bytes: &[u8]) -> Result<(), Failure> {
        let mut out = io::stdout().lock();
        out.write_all(bytes).and_then(|()| out.flush()).map_err(|error| Failure::of_output(&error))
    }

    /// Says on standard error how things stand.
    pub(crate) fn note(&self, text: impl fmt::Display) {
        // If nobody reads it, nothing is lost.
        let _ = writeln!(io::stderr(), "{}: {text}", self.program);
    }

    /// Says what went wrong while the command goes on.
    pub(crate) fn warn(&self, text: impl fmt::Display) {
        self.tell("warning", "33", &text);
    }

    /// Ends the command: says why if it failed, and gives its exit code.
    pub(crate) fn end(&self, result: Result<Exit, Failure>) -> ExitCode {
        self.end_code(result).into()
    }

    /// As [`end`](Output::end), before it is the system's code.
    pub(crate) fn end_code(&self, result: Result<Exit, Failure>) -> Exit {
        match result {
            Ok(exit) => exit,
            Err(Failure::ReaderGone) => Exit::Done,
            Err(Failure::Told(exit, text)) => {
                self.tell("error", "1;31", &text);
                exit
            }
        }
    }

    fn tell(&self, kind: &str, colour: &str, text: &dyn fmt::Display) {
        let (on, off) = if is_coloured() {
            (format!("\x1b[{colour}m"), "\x1b[0m")
        } else {
            (String::new(), "")
        };
        // If nobody reads this either, the exit code has to do.
        let _ = writeln!(io::stderr(), "{}: {on}{kind}:{off} {text}", self.program);
    }
}

/// Says on standard error what a worker has to say: that no grape takes its announcement, for one.
pub(crate) fn log_warnings() {
    tracing_subscriber::fmt()
        .with_max_level(LevelFilter::WARN)
        .with_writer(io::stderr)
        .with_ansi(is_coloured())
        .without_time()
        .with_target(false)
        .init();
}

/// Colour is for people at a terminal that has not said no (<https://no-color.org>).
pub(crate) fn is_coloured() -> bool {
    let refused = env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty())
        || env::var_os("TERM").is_some_and(|term| term == "dumb");
    !refused && io::stderr().is_terminal()
}
