//! A call whose request and reply are streams of bytes, both flowing at once.
//!
//! `cargo run --release -p grenache-peer --example streaming`

use std::time::Duration;

use grenache_grape::Grape;
use grenache_peer::client::StreamCall;
use grenache_peer::{Error, Handle, Json, Worker, handle, worker};

/// Bytes sent, in pieces.
const PIECES: usize = 160;
const PIECE: usize = 64 * 1024;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let config = grenache_grape::Config { dht_port: 0, api_port: 0, ..Default::default() };
    let grape = Grape::start(config)?;
    let grapes = vec![format!("http://{}", grape.api_addr())];

    let config = worker::Config { grapes: grapes.clone(), ..Default::default() };
    let worker = Worker::start(config, |_, services| {
        // Answers every piece as it comes. A client that does not read makes `write` wait, and so, in turn, itself.
        services.add_stream("rest:shout", |request| async move {
            while let Some(piece) = request.read().await? {
                request.write(piece.to_ascii_uppercase()).await?;
            }
            Ok::<(), Error>(())
        });
        // Reads it all and answers as usual, with one JSON value.
        services.add_stream("rest:count", |request| async move {
            let mut count = 0;
            while let Some(piece) = request.read().await? {
                count += piece.len();
            }
            let unit: String = request.args()?;
            request.reply(Ok(&Json::of(&format!("{count} {unit}"))?));
            Ok::<(), Error>(())
        });
    })?;

    let client = Handle::start(handle::Config { grapes, ..Default::default() })?;
    for service in ["rest:shout", "rest:count"] {
        client.wait_for_service(service, Duration::from_secs(10)).wait()?;
    }

    // One thread sends while another receives: neither side keeps more than a few pieces.
    let stream = client.stream(StreamCall::new("rest:shout")).wait()?;
    let received = std::thread::scope(|scope| {
        let sender = scope.spawn(|| -> Result<(), Error> {
            for _ in 0..PIECES {
                stream.send(vec![b'a'; PIECE]).wait()?;
            }
            stream.finish().wait()
        });
        let mut received = 0;
        while let Some(piece) = stream.recv().wait()? {
            assert!(piece.iter().all(|byte| *byte == b'A'));
            received += piece.len();
        }
        sender.join().expect("the sender has not panicked")?;
        Ok::<usize, Error>(received)
    })?;
    println!("{received} bytes came back in capitals");

    let call = StreamCall::new("rest:count").args(Json::of("bytes")?);
    let stream = client.stream(call).wait()?;
    for piece in ["some", " ", "text"] {
        stream.send(piece).wait()?;
    }
    stream.finish().wait()?;
    println!("the worker has counted {}", stream.reply().wait()?);

    client.stop()?;
    worker.stop();
    worker.join()?;
    grape.stop()?;
    Ok(())
}
