//! A publisher of the peer library, as the comparison starts it.

use std::error::Error;
use std::io::{self, Write};
use std::net::SocketAddr;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use grenache_peer::{Publisher, Worker, publish, worker};
use serde_json::{Value, json};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Messages between two waits for all that was sent to have left; the same as Node's.
const AT_ONCE: u64 = 16;

/// Says where it listens, then takes orders from standard input, `publish <ms> <bytes> [<per second>]`, a line each, and says in
/// JSON what came of it. Without a rate it publishes as fast as its subscribers take the messages.
fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("publisher: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<(), Box<dyn Error>> {
    let publisher = Publisher::new(publish::Config::default());
    let listen = SocketAddr::from(([127, 0, 0, 1], 0));
    let attached = publisher.clone();
    let config = worker::Config { listen, ..worker::Config::default() };
    let worker =
        Worker::start(config, move |_, services| services.publish("bench:pub", &attached))?;
    say(&json!({ "listening": worker.addr().to_string() }))?;
    for line in io::stdin().lines() {
        let line = line?;
        let words: Vec<&str> = line.split(' ').collect();
        let (window, bytes, rate) = match words[..] {
            ["publish", millis, bytes] => (millis.parse()?, bytes.parse()?, None),
            ["publish", millis, bytes, rate] => {
                (millis.parse()?, bytes.parse()?, Some(rate.parse::<u64>()?))
            }
            _ => return Err(format!("what is {line:?}?").into()),
        };
        let message = "x".repeat(bytes);
        let published = publish(&publisher, &message, Duration::from_millis(window), rate)?;
        say(&json!({ "published": published }))?;
    }
    worker.stop();
    Ok(worker.join()?)
}

fn publish(
    publisher: &Publisher,
    message: &str,
    window: Duration,
    rate: Option<u64>,
) -> Result<u64, grenache_peer::Error> {
    let start = Instant::now();
    let mut published = 0;
    while start.elapsed() < window {
        for _ in 0..AT_ONCE {
            publisher.publish_blocking("", message)?;
        }
        published += AT_ONCE;
        match rate {
            None => publisher.flush_blocking(),
            Some(rate) => {
                let due = Duration::from_secs_f64(published as f64 / rate as f64);
                std::thread::sleep(due.saturating_sub(start.elapsed()));
            }
        }
    }
    Ok(published)
}

fn say(what: &Value) -> io::Result<()> {
    let mut out = io::stdout().lock();
    writeln!(out, "{what}")?;
    out.flush()
}
