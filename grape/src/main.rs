//! The `grape` command.

use std::io::IsTerminal;
use std::process::ExitCode;

use clap::Parser;
use grenache_engine::signal::StopSignals;
use grenache_grape::cli::Cli;
use grenache_grape::{Grape, debug};
use tracing_subscriber::EnvFilter;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let cli = Cli::parse();
    match run(&cli) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("grape: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(cli: &Cli) -> Result<(), Box<dyn std::error::Error>> {
    let signals = StopSignals::block()?;
    let verbose = cli.verbose || std::env::var("DEBUG").is_ok_and(|debug| debug::asked_for(&debug));
    let level = if verbose { "warn" } else { "info" };
    tracing_subscriber::fmt()
        .with_env_filter(EnvFilter::try_from_default_env().unwrap_or_else(|_| level.into()))
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .init();
    // Every connection is a descriptor; the soft limit is often a thousand.
    let _ = rlimit::increase_nofile_limit(u64::MAX);

    let config = cli.config()?;
    let cores = config.cores;
    if verbose {
        debug::Debug::new(true, 0).print("starting");
    }
    let grape = Grape::start_verbose(config, verbose)?;
    if let Some(notice) = grape.notice() {
        tracing::warn!("{notice}");
    }
    tracing::info!(
        "grape: DHT on udp {}, API on http://{}, {} core{} on {}; stop with Ctrl-C",
        grape.dht_addr(),
        grape.api_addr(),
        cores,
        if cores == 1 { "" } else { "s" },
        grape.driver()
    );
    signals.stop(grape.stopper())?;
    grape.join()?;
    tracing::info!("grape: stopped");
    Ok(())
}
