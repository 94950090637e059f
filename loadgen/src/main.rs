//! The command `loadgen`.

use std::process::ExitCode;

use clap::Parser;
use grenache_engine::signal::StopSignals;
use grenache_loadgen::cli::Cli;
use grenache_loadgen::failure::Failure;
use grenache_loadgen::run::Interrupt;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let cli = Cli::parse();
    // Each connection takes a descriptor. Where no more are allowed, the connections that are not made are reported.
    let _ = rlimit::increase_nofile_limit(u64::MAX);
    let interrupt = Interrupt::default();
    let ended = end_by_signals(interrupt.clone()).and_then(|()| cli.run(&interrupt));
    match ended {
        Ok(exit) => exit.into(),
        Err(Failure { exit, text }) => {
            eprintln!("loadgen: {text}");
            exit.into()
        }
    }
}

/// The first SIGINT or SIGTERM ends the run, which then tells what it has; the second ends the process.
fn end_by_signals(interrupt: Interrupt) -> Result<(), Failure> {
    StopSignals::block()?.act(move || interrupt.interrupt())?;
    Ok(())
}
