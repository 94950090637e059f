//! A publisher: a message each 100 ms, under two topics in turn, until Ctrl-C.
//!
//! `cargo run --release -p grenache-peer --example publisher -- http://127.0.0.1:30001`
//!
//! It needs a grape (`cargo run --release -p grenache-grape`); the example `subscriber` listens to it, and so does Node's
//! `PeerSub` of grenache-nodejs-ws.

use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::Duration;

use grenache_engine::signal::StopSignals;
use grenache_peer::publish::{Config, Overflow, Publisher};
use grenache_peer::{Worker, worker};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let signals = StopSignals::block()?;
    let grape = std::env::args().nth(1).unwrap_or_else(|| "http://127.0.0.1:30001".into());

    // A subscriber that does not keep up loses the oldest of what waits for it, and holds up nobody.
    let publisher = Publisher::new(Config { overflow: Overflow::DropOldest, ..Config::default() });
    let config = worker::Config { grapes: vec![grape], ..Default::default() };
    let attached = publisher.clone();
    let worker = Worker::start(config, move |_, services| {
        services.publish("rest:ticker", &attached);
    })?;
    println!("listening on {}", worker.addr());

    let (stop, stopped) = mpsc::channel::<()>();
    let publishing = std::thread::spawn({
        let publisher = publisher.clone();
        move || {
            for number in 0_u64.. {
                let topic = ["trades.BTCUSD", "trades.ETHUSD"][number as usize % 2];
                let tick = format!("{{\"pair\":\"{}\",\"number\":{number}}}", &topic[7..]);
                // Fails only if messages are published faster than they are sent, or the topic is none.
                if let Err(error) = publisher.publish(topic, tick) {
                    eprintln!("{error}");
                }
                let pause = stopped.recv_timeout(Duration::from_millis(100));
                if pause == Err(RecvTimeoutError::Disconnected) {
                    return;
                }
            }
        }
    });
    signals.stop(worker.stopper())?;
    worker.join()?;
    drop(stop);
    publishing.join().map_err(|_| "publishing has failed")?;
    println!("{:?}", publisher.stats());
    Ok(())
}
