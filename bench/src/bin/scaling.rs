//! Cores that are server and client at once, as the comparison starts them.

use std::error::Error;
use std::io::{self, Write};
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use grenache_bench::scaling::{Config, Cores, Window, Work};
use grenache_engine::DriverChoice;
use serde_json::{Value, json};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Takes orders from standard input, `run <ms> <active cores> <share>` a line each, and says in JSON what came of it. The
/// share of requests that another core answers is a number from 0 to 1. Threads are pinned to the CPUs that the process
/// was given, in order.
#[derive(Parser)]
struct Arguments {
    work: Work,
    /// How many cores there are.
    #[arg(long, default_value_t = 1)]
    cores: usize,
    /// Connections of each core to itself, with one request in flight on each.
    #[arg(long, default_value_t = 16)]
    connections: usize,
    /// Which driver does the I/O: auto, uring or epoll.
    #[arg(long, default_value = "auto")]
    driver: DriverChoice,
}

fn main() -> ExitCode {
    match run(&Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("scaling: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &Arguments) -> Result<(), Box<dyn Error>> {
    let &Arguments { work, cores, connections, driver } = arguments;
    let running = Cores::start(Config { work, cores, connections, driver })?;
    say(&json!({ "ready": true }))?;
    for line in io::stdin().lines() {
        let line = line?;
        let words: Vec<&str> = line.split(' ').collect();
        let ["run", millis, active, share] = words[..] else {
            return Err(format!("what is {line:?}?").into());
        };
        let time = Duration::from_millis(millis.parse()?);
        let window = Window { time, active: active.parse()?, share: share.parse()? };
        let counts = running.run(window)?;
        let cores: Vec<_> = counts
            .iter()
            .map(|count| {
                let elapsed = count.elapsed.as_nanos() as u64;
                json!({ "answered": count.answered, "crossed": count.crossed, "elapsed": elapsed })
            })
            .collect();
        say(&Value::from(cores))?;
    }
    Ok(())
}

fn say(what: &Value) -> io::Result<()> {
    let mut out = io::stdout().lock();
    writeln!(out, "{what}")?;
    out.flush()
}
