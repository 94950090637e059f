//! A worker on all cores that are asked for, until Ctrl-C. It takes HTTP and WebSocket.
//!
//! `cargo run --release -p grenache-peer --example worker -- http://127.0.0.1:30001 [cores]`
//!
//! It needs a grape (`cargo run --release -p grenache-grape`); the example `client` calls it.

use std::time::Duration;

use grenache_engine::signal::StopSignals;
use grenache_engine::sleep;
use grenache_peer::server::Reply;
use grenache_peer::{Call, Error, Worker, blocking, worker};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    // First, so that the signals end the worker in good order.
    let signals = StopSignals::block()?;
    let mut arguments = std::env::args().skip(1);
    let grape = arguments.next().unwrap_or_else(|| "http://127.0.0.1:30001".into());
    let cores = arguments.next().map_or(Ok(1), |cores| cores.parse())?;

    let config = worker::Config { grapes: vec![grape], cores, ..Default::default() };
    // This runs once on every core. What it makes belongs to that core: no locks, no `Send`.
    let worker = Worker::start(config, |context, services| {
        let core = context.core;

        // The payload stays as it came until a type is asked for.
        services.add("rest:echo", |request| async move {
            Ok::<_, Error>(Reply::from(request.payload().clone()))
        });

        // Handlers may wait as long as they like: others run meanwhile.
        services.add("rest:slow", move |request| async move {
            let millis: u64 = request.json()?;
            sleep(Duration::from_millis(millis)).await;
            Reply::json(&format!("slept {millis} ms on core {core}"))
        });

        // What computes for long, or blocks, goes to another thread.
        services.add("rest:fibonacci", |request| async move {
            let n: u32 = request.json()?;
            if n > 40 {
                return Err(Error::Remote("ERR_TOO_LARGE: 40 at most".into()));
            }
            Reply::json(&blocking(move || fibonacci(n)).await)
        });

        // A handler calls others through its core's own client.
        let client = context.client.clone();
        services.add("rest:twice", move |request| {
            let client = client.clone();
            async move {
                let call = || Call::new("rest:echo", request.payload().clone());
                let first = client.request(call()).await?;
                let second = client.request(call()).await?;
                Reply::json(&[first.to::<serde_json::Value>()?, second.to()?])
            }
        });
    })?;
    println!("listening on {} with {}", worker.addr(), worker.driver());

    signals.stop(worker.stopper())?;
    // Ends when the requests that run are answered.
    worker.join()?;
    println!("stopped");
    Ok(())
}

fn fibonacci(n: u32) -> u64 {
    if n < 2 { n.into() } else { fibonacci(n - 1) + fibonacci(n - 2) }
}
