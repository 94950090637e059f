//! A grape, a worker and a client in one process.
//!
//! `cargo run --release -p grenache-peer --example quickstart`

use grenache_grape::Grape;
use grenache_peer::server::Reply;
use grenache_peer::{Call, Handle, Json, Worker, handle, worker};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    // The grape knows who offers which service. Port 0 is any free one.
    let config = grenache_grape::Config { dht_port: 0, api_port: 0, ..Default::default() };
    let grape = Grape::start(config)?;
    let grapes = vec![format!("http://{}", grape.api_addr())];

    // The worker offers one, and announces it as long as it runs.
    let config = worker::Config { grapes: grapes.clone(), ..Default::default() };
    let worker = Worker::start(config, |_, services| {
        services.add("rest:sum", |request| async move {
            let numbers: Vec<f64> = request.json()?;
            Reply::json(&numbers.iter().sum::<f64>())
        });
    })?;

    // The client calls it, wherever it is. It may have asked too early: then it waits until the worker is announced.
    let client = Handle::start(handle::Config { grapes, ..Default::default() })?;
    let call = Call::new("rest:sum", Json::of(&[1.5, 2.0, 3.0])?).wait_for_service();
    let sum: f64 = client.request(call).wait()?.to()?;
    println!("the sum is {sum}");

    // What a handler cannot do is an error with its text.
    let call = Call::new("rest:sum", Json::of("not numbers")?);
    if let Err(error) = client.request(call).wait() {
        println!("the worker says: {error}");
    }

    client.stop()?;
    worker.stop();
    worker.join()?;
    grape.stop()?;
    Ok(())
}
