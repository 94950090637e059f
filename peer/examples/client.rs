//! Calls the services of the example `worker`, over HTTP, WebSocket or ZeroMQ, which it takes on the same port.
//!
//! `cargo run --release -p grenache-peer --example client -- http://127.0.0.1:30001 [http|ws|zmq]`

use std::time::Duration;

use grenache_peer::{Call, Error, Handle, Json, Transport, client, handle};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let grape = arguments.next().unwrap_or_else(|| "http://127.0.0.1:30001".into());
    // Over WebSocket and ZeroMQ all calls to a worker share a connection; nothing else here changes.
    let transport = match arguments.next().as_deref() {
        None | Some("http") => Transport::Http,
        Some("ws") => Transport::WebSocket,
        Some("zmq") => Transport::ZeroMq,
        Some(other) => return Err(format!("'{other}' is none of http, ws and zmq").into()),
    };
    let client = client::Config { transport, ..Default::default() };
    let client =
        Handle::start(handle::Config { grapes: vec![grape], client, ..Default::default() })?;

    let found = client.wait_for_service("rest:echo", Duration::from_secs(10)).wait()?;
    println!("rest:echo is at {} worker(s)", found.len());

    // The calls run at once; each `wait` is for its own reply.
    let calls: Vec<_> = (0..3)
        .map(|number| Ok(client.request(Call::new("rest:echo", Json::of(&number)?))))
        .collect::<Result<_, Error>>()?;
    for call in calls {
        println!("echo: {}", call.wait()?);
    }

    // All workers of a service; one failure does not lose the others' replies.
    for (worker, reply) in client.map(Call::new("rest:echo", Json::of("all")?), None).wait()? {
        match reply {
            Ok(reply) => println!("{worker} says {reply}"),
            Err(error) => println!("{worker} fails: {error}"),
        }
    }
    println!("{}", client.request(Call::new("rest:twice", Json::of("again")?)).wait()?);

    // An error is the handler's own, or says what went wrong on the way and whether the handler may have run.
    for call in [
        Call::new("rest:fibonacci", Json::of(&20)?),
        Call::new("rest:fibonacci", Json::of(&99)?),
        Call::new("rest:slow", Json::of(&5000)?).timeout(Duration::from_millis(100)),
        Call::new("rest:unknown", Json::null()),
    ] {
        let service = call.service().to_string();
        match client.request(call).wait() {
            Ok(reply) => println!("{service}: {reply}"),
            Err(Error::Remote(text)) => println!("{service}: the handler says {text}"),
            Err(error) => {
                println!("{service}: {} (may have run: {})", error.code(), error.may_have_run());
            }
        }
    }
    client.stop()?;
    Ok(())
}
