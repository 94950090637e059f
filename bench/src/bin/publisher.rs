//! A publisher of the peer library, as the comparison starts it.

use std::error::Error;
use std::io::{self, Write};
use std::net::SocketAddr;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::Parser;
use grenache_peer::zeromq::{Gate, SecretKey};
use grenache_peer::{Publisher, Worker, publish, server, worker};
use serde_json::{Value, json};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Messages between two waits for all that was sent to have left; the same as Node's.
const AT_ONCE: u64 = 16;

/// Bytes, with some for each message's place, that are published between two such waits if there is one subscriber; below what
/// may wait for it before messages are dropped.
const AT_ONCE_BYTES: usize = 256 * 1024;
const PLACE: usize = 80;

/// Publishes to whoever connects, over WebSocket or ZeroMQ. Says where it listens, then takes orders from standard input, a line
/// each, and says in JSON what came of it.
///
/// `publish <ms> <bytes> [<per second>]`: without a rate it publishes as fast as its subscribers take the messages. `feed <ms>
/// <bytes>` likewise, to one subscriber, which is awaited first; an empty message says that it is over.
#[derive(Parser)]
struct Arguments {
    /// ZeroMQ is encrypted with CURVE, by this secret key (Z85).
    #[arg(long, allow_hyphen_values = true)]
    curve: Option<SecretKey>,
}

fn main() -> ExitCode {
    match run(Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("publisher: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: Arguments) -> Result<(), Box<dyn Error>> {
    let publisher = Publisher::new(publish::Config::default());
    let listen = SocketAddr::from(([127, 0, 0, 1], 0));
    let attached = publisher.clone();
    let curve = |secret: SecretKey| Gate::Curve { keys: secret.into(), allow: None };
    let gate = arguments.curve.map_or(Gate::Null, curve);
    let server = server::Config { gate, ..server::Config::default() };
    let config = worker::Config { listen, server, ..worker::Config::default() };
    let worker =
        Worker::start(config, move |_, services| services.publish("bench:pub", &attached))?;
    say(&json!({ "listening": worker.addr().to_string() }))?;
    for line in io::stdin().lines() {
        let line = line?;
        let words: Vec<&str> = line.split(' ').collect();
        let published = match words[..] {
            ["publish", millis, bytes, ref rate @ ..] if rate.len() < 2 => {
                let rate = rate.first().map(|rate| rate.parse::<u64>()).transpose()?;
                let message = "x".repeat(bytes.parse()?);
                publish(&publisher, &message, Duration::from_millis(millis.parse()?), rate)?
            }
            ["feed", millis, bytes] => {
                let message = "x".repeat(bytes.parse()?);
                feed(&publisher, &message, Duration::from_millis(millis.parse()?))?
            }
            _ => return Err(format!("what is {line:?}?").into()),
        };
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

fn feed(
    publisher: &Publisher,
    message: &str,
    window: Duration,
) -> Result<u64, grenache_peer::Error> {
    while publisher.stats().listening == 0 {
        std::thread::sleep(Duration::from_millis(1));
    }
    let at_once = (AT_ONCE_BYTES / (message.len() + PLACE)) as u64;
    let start = Instant::now();
    let mut published = 0;
    while start.elapsed() < window {
        for _ in 0..at_once {
            publisher.publish_blocking("", message)?;
        }
        published += at_once;
        publisher.flush_blocking();
    }
    publisher.publish_blocking("", "")?;
    Ok(published)
}

fn say(what: &Value) -> io::Result<()> {
    let mut out = io::stdout().lock();
    writeln!(out, "{what}")?;
    out.flush()
}
