//! Listens to the example `publisher`, or to any other of the service `rest:ticker`, Node's included.
//!
//! `cargo run --release -p grenache-peer --example subscriber -- http://127.0.0.1:30001 [prefix of topics]`

use grenache_peer::{Handle, Subscribe, handle};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let grape = arguments.next().unwrap_or_else(|| "http://127.0.0.1:30001".into());
    let handle = Handle::start(handle::Config { grapes: vec![grape], ..Default::default() })?;

    // Waits until there is a publisher, and finds another one when that is gone.
    let mut subscribe = Subscribe::new("rest:ticker");
    if let Some(prefix) = arguments.next() {
        subscribe = subscribe.topic(prefix);
    }
    for message in handle.subscribe(subscribe).wait()? {
        let topic = message.topic.as_deref().unwrap_or("no topic");
        println!("{}: {topic}: {}", message.from, message.text().unwrap_or("not a text"));
    }
    Ok(())
}
