//! What clients can make a worker keep in memory. Apart from other tests, because it is measured for the whole process.

#[path = "server/client.rs"]
#[allow(dead_code, reason = "the server's tests use all of it")]
mod client;
#[path = "server/socket.rs"]
#[allow(dead_code, reason = "the server's tests use all of it")]
mod socket;

use std::io::Write;
use std::thread;
use std::time::{Duration, Instant};

use grenache_engine::DriverChoice;
use grenache_peer::publish::{self, Publisher};
use grenache_peer::server::{Reply, Request};
use grenache_peer::{Error, Worker, worker};
use peak_alloc::PeakAlloc;

use client::Client;
use socket::{PING, Socket, TEXT, frame};

#[global_allocator]
static PEAK: PeakAlloc = PeakAlloc;

const MIB: usize = 1024 * 1024;

/// Runs `harm` against a worker on each driver, and says that no more than `most` bytes are in use at any time meanwhile, beyond
/// those before.
#[track_caller]
fn bounded(what: &str, most: usize, harm: impl Fn(&Worker, &Publisher)) {
    for driver in [DriverChoice::Auto, DriverChoice::Epoll] {
        let publisher = Publisher::new(publish::Config { max_queued: 64, ..Default::default() });
        let attached = publisher.clone();
        let listen = "127.0.0.1:0".parse().unwrap();
        let config = worker::Config { listen, driver, ..worker::Config::default() };
        let worker = Worker::start(config, move |_, services| {
            services.publish("ticker", &attached);
            services.add("echo", |request: Request| async move {
                Ok::<_, Error>(Reply::from(request.payload().clone()))
            });
        });
        let worker = worker.expect("it starts");
        // What is kept for good, and is there from the start.
        assert_eq!(Socket::connect(worker.addr()).ask(r#"["r","echo",1]"#), r#"["r",null,1]"#);
        PEAK.reset_peak_usage();
        let before = PEAK.current_usage();
        harm(&worker, &publisher);
        let grown = PEAK.peak_usage().saturating_sub(before);
        assert!(grown < most, "{what}: {grown} bytes on {:?}", worker.driver());
        println!("{what}: {} KiB at most on {:?}", grown / 1024, worker.driver());
        worker.stop();
        worker.join().expect("no core panics");
    }
}

/// Sends the same until it is not taken any more, for a while; gives how much was taken.
fn pour(socket: &mut Socket, bytes: &[u8], most: usize) -> usize {
    let timeout = Some(Duration::from_millis(100));
    socket.client.stream.set_write_timeout(timeout).expect("a timeout");
    let mut sent = 0;
    while sent < most {
        match socket.client.stream.write(bytes) {
            Ok(count) if count == bytes.len() => sent += count,
            _ => break,
        }
    }
    sent
}

/// One test: they would measure each other.
#[test]
fn memory_is_bounded() {
    let requests = frame(TEXT, format!(r#"["r","echo","{}"]"#, "x".repeat(1000))).repeat(50);
    bounded("answers that are not read", 4 * MIB, |worker, _| {
        let mut sockets: Vec<_> = (0..3).map(|_| narrow(worker, "")).collect();
        for socket in &mut sockets {
            let sent = pour(socket, &requests, 100 * MIB);
            assert!(sent < 100 * MIB, "it was read on and on");
        }
    });
    let pings = frame(PING, [b'x'; 125]).repeat(500);
    bounded("pongs that are not read", 4 * MIB, |worker, _| {
        pour(&mut narrow(worker, ""), &pings, 50 * MIB);
    });
    bounded("lengths that are only claimed", 20 * MIB, |worker, _| {
        let claim = [&[0x81, 0xff][..], &60_000_000_u64.to_be_bytes(), b"maskhello"].concat();
        let mut sockets: Vec<_> = (0..200).map(|_| Socket::connect(worker.addr())).collect();
        for socket in &mut sockets {
            socket.client.send(&claim);
        }
        // They are all looked at by the time this is answered.
        assert_eq!(Client::connect(worker.addr()).ask(r#"["r","echo",1]"#), r#"["r",null,1]"#);
    });
    bounded("a message in the smallest fragments", 3 * MIB, |worker, _| {
        let mut socket = Socket::connect(worker.addr());
        socket.send(0x01, r#"["r","echo",""#);
        let some = frame(0x00, "x").repeat(1000);
        for _ in 0..300 {
            socket.client.send(&some);
        }
        assert_eq!(socket.send(0x80, "\"]").answer().len(), 300_000 + 13);
    });
    bounded("subscribers that do not read", 6 * MIB, |worker, publisher| {
        let topics = "sec-websocket-protocol: grenache.topics\r\n";
        let mut sockets: Vec<_> = (0..3).map(|_| narrow(worker, topics)).collect();
        for socket in &mut sockets {
            socket.text("+").send(PING, "");
            socket.next();
        }
        let begun = Instant::now();
        for _ in 0..10_000 {
            publisher.publish_blocking("", "x".repeat(10_000)).unwrap();
        }
        while publisher.stats().published < 10_000 && begun.elapsed() < Duration::from_secs(20) {
            thread::sleep(Duration::from_millis(1));
        }
        let stats = publisher.stats();
        assert!(stats.dropped > 10_000, "they keep up: {stats:?}");
    });
}

fn narrow(worker: &Worker, lines: &str) -> Socket {
    Socket::over(Client::narrow(worker.addr()), lines)
}
