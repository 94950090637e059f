//! The task runner: `cargo xtask <task>`. It needs cargo, Node and a C compiler, and says so when one is missing.

mod autobahn;
mod checks;
mod debian;
mod fuzz;
mod peers;
mod setup;
mod step;
mod zeromq;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use step::Failed;

/// Runs the tasks of this repository.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Cli {
    #[command(subcommand)]
    task: Task,
}

#[derive(Debug, Subcommand)]
enum Task {
    /// Check that the tools are there and install what the tests need: npm packages, wrk and h2load from Debian, Autobahn's test suite and pyzmq from PyPI
    Setup,
    /// Run all tests, including those against the real Node packages
    Test {
        /// Passed on to `cargo test` before its `--`, such as a filter or `-p CRATE`
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<String>,
    },
    /// Run all of Autobahn's test suite for WebSocket: both roles, plain and TLS, compression. Takes an hour
    Autobahn,
    /// Everything that must hold before a change lands: tests, format, lints, docs, fuzz targets, benches
    Ci,
    /// Run every fuzz target for so many seconds
    Fuzz {
        /// Seconds for each target
        #[arg(default_value_t = 60)]
        seconds: u64,
        /// Only targets whose name contains this
        #[arg(long)]
        only: Option<String>,
    },
    /// Measure against Node's Grenache and what people would pick instead, side by side; builds and fetches these
    Bench {
        /// Passed on to the comparison
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<String>,
    },
}

fn main() -> ExitCode {
    let done = match Cli::parse().task {
        Task::Setup => setup::install_for_tests(),
        Task::Test { arguments } => {
            setup::install_for_tests().and_then(|()| checks::test(&arguments))
        }
        Task::Autobahn => setup::install_for_tests().and_then(|()| checks::autobahn()),
        Task::Ci => setup::install_for_tests().and_then(|()| checks::ci()),
        Task::Fuzz { seconds, only } => fuzz::run(seconds, only.as_deref()),
        Task::Bench { arguments } => {
            setup::install().and_then(|()| checks::bench(&arguments)).map(drop)
        }
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(Failed(what)) => {
            eprintln!("xtask: {what}");
            ExitCode::FAILURE
        }
    }
}

/// The repository.
fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("xtask has a parent folder").to_path_buf()
}
