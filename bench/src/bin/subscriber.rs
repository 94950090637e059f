//! A subscriber of the peer library over ZeroMQ, as the comparison starts it.

use std::error::Error;
use std::io::{self, Write};
use std::net::SocketAddr;
use std::process::{self, ExitCode};
use std::thread;
use std::time::{Duration, Instant};

use clap::Parser;
use grenache_engine::timeout;
use grenache_peer::zeromq::{self, KeyPair, SecretKey, Security};
use grenache_peer::{Handle, Subscribe, Transport, handle, subscribe};
use serde_json::{Value, json};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// How long a publisher may take to be there.
const PATIENCE: Duration = Duration::from_secs(10);

/// Listens to one publisher, on one core, and says in JSON how many messages came before each empty one, and in what time. Ends
/// when its standard input does.
#[derive(Parser)]
struct Arguments {
    /// The grape's API.
    grape: SocketAddr,
    service: String,
    /// ZeroMQ is encrypted with CURVE; this is the publisher's secret key (Z85), of which only the public one is needed.
    #[arg(long, allow_hyphen_values = true)]
    curve: Option<SecretKey>,
}

fn main() -> ExitCode {
    match run(Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("subscriber: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: Arguments) -> Result<(), Box<dyn Error>> {
    let curve = |secret: SecretKey| {
        let server = KeyPair::from(secret).public;
        Security::Curve { server, keys: zeromq::draw_keys() }
    };
    let security = arguments.curve.map_or(Security::Null, curve);
    let handle = Handle::start(handle::Config {
        grapes: vec![format!("http://{}", arguments.grape)],
        subscribe: subscribe::Config {
            transport: Transport::ZeroMq,
            zeromq: zeromq::Config { security, ..zeromq::Config::default() },
            ..subscribe::Config::default()
        },
        ..handle::Config::default()
    })?;
    thread::spawn(|| {
        // A broken input is an end of it too.
        let _ = io::copy(&mut io::stdin().lock(), &mut io::sink());
        process::exit(0);
    });
    let listening = handle.run(async move |context| {
        let mut subscription = context.subscriber.subscribe(Subscribe::new(arguments.service))?;
        let connected = timeout(PATIENCE, subscription.connected()).await;
        connected.map_err(|_| grenache_peer::Error::Config("no publisher to listen to".into()))?;
        say(&json!({ "ready": true }));
        loop {
            let mut message = subscription.next().await;
            let (start, mut heard) = (Instant::now(), 0_u64);
            while !message.data.is_empty() {
                heard += 1;
                message = subscription.next().await;
            }
            say(&json!({ "heard": heard, "elapsed": start.elapsed().as_nanos() as u64 }));
        }
    });
    Ok(listening.wait()?)
}

fn say(what: &Value) {
    let mut out = io::stdout().lock();
    let said = writeln!(out, "{what}").and_then(|()| out.flush());
    said.expect("whoever has started it reads what it says");
}
