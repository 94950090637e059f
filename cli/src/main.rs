//! The `grenache` command.

use std::process::ExitCode;

use clap::Parser;
use grenache_cli::cli::Cli;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    Cli::parse().run()
}
