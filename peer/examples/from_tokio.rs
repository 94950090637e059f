//! Calling services from a program on tokio.
//!
//! `cargo run --release -p grenache-peer --example from_tokio`
//!
//! The calls run on an engine of their own; tokio awaits their results, which come as plain futures.

use std::time::Duration;

use grenache_grape::Grape;
use grenache_peer::server::Reply;
use grenache_peer::{Call, Error, Handle, Json, Worker, handle, worker};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    // A grape and a worker, as in `quickstart`, so that there is somebody to call.
    let config = grenache_grape::Config { dht_port: 0, api_port: 0, ..Default::default() };
    let grape = Grape::start(config)?;
    let grapes = vec![format!("http://{}", grape.api_addr())];
    let config = worker::Config { grapes: grapes.clone(), ..Default::default() };
    let worker = Worker::start(config, |_, services| {
        services.add("rest:square", |request| async move {
            let number: u64 = request.json()?;
            Reply::json(&(number * number))
        });
        services.add("rest:never", |_| std::future::pending::<Result<Reply, Error>>());
    })?;

    let client = Handle::start(handle::Config { grapes, ..Default::default() })?;
    client.wait_for_service("rest:square", Duration::from_secs(10)).await?;
    client.wait_for_service("rest:never", Duration::from_secs(10)).await?;

    // The handle is cheap to clone and goes into any task.
    let tasks: Vec<_> = (1..=100_u64)
        .map(|number| {
            let client = client.clone();
            tokio::spawn(async move {
                let call = Call::new("rest:square", Json::of(&number)?);
                client.request(call).await?.to::<u64>()
            })
        })
        .collect();
    let mut sum = 0;
    for task in tasks {
        sum += task.await??;
    }
    println!("the sum of the squares is {sum}");

    // Replies of all workers, one by one as they come.
    let mut replies = client.map(Call::new("rest:square", Json::of(&12)?), None).await?;
    while let Some((_, reply)) = replies.next().await {
        println!("a worker says {}", reply?);
    }

    // Dropping a future takes the call back: the worker drops its handler.
    let call = client.request(Call::new("rest:never", Json::null()));
    tokio::select! {
        reply = call => println!("a reply? {reply:?}"),
        () = tokio::time::sleep(Duration::from_millis(50)) => println!("given up"),
    }

    // These wait for threads to end, which tokio's own must not.
    tokio::task::spawn_blocking(move || {
        client.stop()?;
        worker.stop();
        worker.join()
    })
    .await??;
    drop(grape);
    Ok(())
}
