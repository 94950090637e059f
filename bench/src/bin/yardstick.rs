//! Runs one of the echo servers that the engine is measured against.

use std::net::SocketAddr;
use std::process::ExitCode;

use clap::Parser;
use grenache_bench::yardstick::{self, System, Transport};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Echoes on one thread until it is ended; prints `listening <address>` first.
#[derive(Parser)]
struct Arguments {
    system: System,
    transport: Transport,
    /// Port 0 takes a free one.
    addr: SocketAddr,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match yardstick::serve(arguments.system, arguments.transport, arguments.addr) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!(
                "yardstick {:?} {:?} on {}: {error}",
                arguments.system, arguments.transport, arguments.addr
            );
            ExitCode::FAILURE
        }
    }
}
