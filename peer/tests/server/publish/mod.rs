//! Publishers, as subscribers hear them over raw sockets.

mod delivery;
mod overflow;
mod topics;

use std::sync::mpsc;

use grenache_engine::DriverChoice;
use grenache_peer::publish::{Config, Publisher};
use grenache_peer::server::Services;
use grenache_peer::{Worker, worker};

use crate::socket::{PING, PONG, Socket};
use crate::until;

/// Runs a test against a worker with a publisher alone, on each driver.
pub(crate) fn on_both(config: Config, test: impl Fn(&Worker, &Publisher)) {
    with(config, worker::Config::default(), |_| {}, test);
}

/// As [`on_both`], with settings and more services.
pub(crate) fn with(
    config: Config,
    settings: worker::Config,
    setup: impl Fn(&mut Services) + Clone + Send + Sync + 'static,
    test: impl Fn(&Worker, &Publisher),
) {
    for driver in [DriverChoice::Auto, DriverChoice::Epoll] {
        let publisher = Publisher::new(config.clone());
        let listen = "127.0.0.1:0".parse().unwrap();
        let settings = worker::Config { listen, driver, ..settings.clone() };
        let (attached, setup) = (publisher.clone(), setup.clone());
        let worker = Worker::start(settings, move |_, services| {
            services.publish("ticker", &attached);
            setup(services);
        });
        let worker = worker.expect("it starts");
        test(&worker, &publisher);
        worker.stop();
        worker.join().expect("no core panics");
        assert_eq!(publisher.stats().subscribers, 0);
        publisher.publish("", "for nobody").expect("that is no error");
    }
}

/// So many subscribers, all of them heard of.
fn subscribers(worker: &Worker, publisher: &Publisher, count: usize) -> Vec<Socket> {
    let before = publisher.stats().subscribers;
    let all = (0..count).map(|_| Socket::connect(worker.addr())).collect();
    until("they are here", || publisher.stats().subscribers == before + count as u64);
    all
}

/// Returns when all was read that was sent before.
fn settle<S: std::io::Read + std::io::Write>(socket: &mut Socket<S>) {
    socket.send(PING, "settled");
    let pong = socket.next();
    assert_eq!((pong.first, pong.text()), (PONG, "settled"));
}

/// The core that tells of it does not do anything else until `go`.
fn block(services: &mut Services, blocked: mpsc::Sender<()>, go: async_channel::Receiver<()>) {
    services.add("block", move |request| {
        blocked.send(()).expect("somebody waits");
        let _ = go.recv_blocking();
        crate::echo(request)
    });
}
