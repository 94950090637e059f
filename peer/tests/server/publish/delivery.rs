//! Messages that arrive: whole, in order, once, at everybody.

use std::collections::BTreeMap;
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use grenache_peer::publish::Config;
use grenache_peer::{Error, server, worker};

use super::{block, on_both, settle, subscribers, with};
use crate::client::Client;
use crate::socket::{BINARY, PING, PONG, Socket, TEXT, upgrade};
use crate::{echo, secure, until};

#[test]
fn every_subscriber_of_every_core_gets_every_message_once_and_in_order() {
    let settings = worker::Config { cores: 2, ..Default::default() };
    with(
        Config::default(),
        settings,
        |_| {},
        |worker, publisher| {
            let mut all = subscribers(worker, publisher, 20);
            for number in 0..500 {
                publisher.publish("", number.to_string()).expect("there is room");
            }
            for socket in &mut all {
                for number in 0..500 {
                    assert_eq!(socket.answer(), number.to_string());
                }
            }
            let stats = publisher.stats();
            assert_eq!((stats.published, stats.sent, stats.subscribers), (1000, 10_000, 20));
            assert_eq!((stats.dropped, stats.missed, stats.disconnected), (0, 0, 0));
            drop(all);
            until("they are gone", || publisher.stats().subscribers == 0);
            assert_eq!(worker.stats().connections, 0);
        },
    );
}

#[test]
fn messages_of_all_kinds_and_sizes_in_order() {
    let config = Config { high_water: 64 << 20, ..Config::default() };
    let settings = worker::Config { tls: None, ..Default::default() };
    with(
        config.clone(),
        settings,
        |_| {},
        |worker, publisher| {
            let plain = subscribers(worker, publisher, 2);
            sizes(publisher, plain);
        },
    );
    let settings = worker::Config { tls: Some(secure::server()), ..Default::default() };
    with(
        config,
        settings,
        |_| {},
        |worker, publisher| {
            let secure = Socket::over(secure::connect(worker.addr(), None), "");
            until("it is here", || publisher.stats().subscribers == 1);
            sizes(publisher, vec![secure]);
        },
    );
}

/// Sizes that go each way that there is, one after the other, also one over what a connection may have queued.
fn sizes<S: std::io::Read + std::io::Write>(
    publisher: &grenache_peer::publish::Publisher,
    sockets: Vec<Socket<S>>,
) {
    let sizes = [0, 1, 100, 16_000, 17_000, 70_000, 10, 1_000_000, 300, 20_000_000, 3];
    for round in 0..3 {
        for size in sizes {
            match round {
                1 => publisher.publish("any", vec![0xff_u8; size]),
                _ => publisher.publish("", "x".repeat(size)),
            }
            .expect("there is room");
        }
    }
    for mut socket in sockets {
        // Its pings are answered between messages, never within one.
        socket.send(PING, "here");
        let mut pongs = 0;
        for round in 0..3 {
            for size in sizes {
                let mut frame = socket.next();
                if frame.first == PONG {
                    pongs += 1;
                    frame = socket.next();
                }
                let (first, byte) = if round == 1 { (BINARY, 0xff) } else { (TEXT, b'x') };
                assert_eq!((frame.first, frame.payload.len()), (first, size));
                assert!(frame.payload.iter().all(|other| *other == byte));
            }
        }
        if pongs == 0 {
            assert_eq!(socket.next().first, PONG);
        }
        settle(&mut socket);
    }
}

#[test]
fn a_subscriber_as_node_has_it_may_say_anything() {
    let deflate = server::Config { deflate: true, ..Default::default() };
    let settings = worker::Config { server: deflate, ..Default::default() };
    with(
        Config::default(),
        settings,
        |_| {},
        |worker, publisher| {
            let offer = "sec-websocket-extensions: permessage-deflate; client_max_window_bits\r\n";
            let mut socket = Socket::with(worker.addr(), offer);
            // What is published is compressed for nobody.
            assert!(!socket.head.contains("sec-websocket-extensions"), "{}", socket.head);
            assert!(!socket.head.contains("sec-websocket-protocol"), "{}", socket.head);
            for text in ["", "+topic", r#"["r","echo",1]"#, "hello"] {
                socket.text(text);
            }
            socket.send(BINARY, [0xff; 100_000]);
            settle(&mut socket);
            publisher.publish("topic", "one").unwrap();
            assert_eq!(socket.answer(), "one");
            // Nor does HTTP disturb.
            let answer = Client::connect(worker.addr()).ask(r#"["r","echo",1]"#);
            assert_eq!(answer, r#"["r","ERR_SERVICE_NOTFOUND",null]"#);
        },
    );
}

#[test]
fn from_many_threads() {
    on_both(Config::default(), |worker, publisher| {
        let mut all = subscribers(worker, publisher, 3);
        thread::scope(|scope| {
            for thread in 0..4 {
                scope.spawn(move || {
                    for number in 0..250 {
                        publisher.publish_blocking("", format!("{thread} {number}")).unwrap();
                    }
                });
            }
        });
        let mut orders = Vec::new();
        for socket in &mut all {
            let mut next = BTreeMap::new();
            let order: Vec<String> = (0..1000).map(|_| socket.answer()).collect();
            for message in &order {
                let (thread, number) = message.split_once(' ').unwrap();
                let expected = next.entry(thread.to_owned()).or_insert(0);
                assert_eq!(number.parse(), Ok(*expected), "of thread {thread}");
                *expected += 1;
            }
            orders.push(order);
        }
        // On one core it is the same for all.
        assert!(orders.iter().all(|order| *order == orders[0]));
    });
}

#[test]
fn a_core_that_does_not_keep_up_is_busy() {
    let config = Config { max_queued: 4, ..Config::default() };
    let (blocked, told) = mpsc::channel();
    let (go, gate) = async_channel::unbounded();
    let setup =
        move |services: &mut server::Services| block(services, blocked.clone(), gate.clone());
    with(config, worker::Config::default(), setup, |worker, publisher| {
        let mut socket = Socket::with(worker.addr(), super::topics::NAMED);
        socket.text("+");
        settle(&mut socket);
        let mut other = Client::connect(worker.addr());
        other.send(crate::client::post(r#"["r","block",1]"#));
        told.recv().expect("it is blocked");
        for number in 0..4 {
            publisher.publish("t", number.to_string()).expect("there is room");
        }
        for _ in 0..3 {
            let refused = publisher.publish("t", "too many");
            assert!(matches!(refused, Err(Error::Busy(_))), "{refused:?}");
        }
        thread::scope(|scope| {
            let waiting = scope.spawn(|| publisher.publish_blocking("t", "4"));
            go.send_blocking(()).unwrap();
            waiting.join().unwrap().expect("there is room at last");
        });
        for number in 0..5 {
            assert_eq!(socket.answer(), format!("t\0{number}"));
        }
        publisher.flush_blocking();
        let stats = publisher.stats();
        assert_eq!((stats.published, stats.sent, stats.dropped, stats.missed), (5, 5, 0, 0));
    });
}

/// However much waits for a core: what the system has room for is dropped for nobody.
#[test]
fn a_burst_overflows_nothing_that_is_read() {
    let (blocked, told) = mpsc::channel();
    let (go, gate) = async_channel::unbounded();
    let setup =
        move |services: &mut server::Services| block(services, blocked.clone(), gate.clone());
    let config = Config { high_water: 50_000, ..Config::default() };
    with(config, worker::Config::default(), setup, |worker, publisher| {
        let mut socket = Socket::with(worker.addr(), super::topics::NAMED);
        socket.text("+");
        settle(&mut socket);
        let mut other = Client::connect(worker.addr());
        other.send(crate::client::post(r#"["r","block",1]"#));
        told.recv().expect("it is blocked");
        for number in 0..3000 {
            publisher.publish("", format!("{number:0200}")).expect("there is room");
        }
        go.send_blocking(()).unwrap();
        for number in 0..3000 {
            assert_eq!(socket.answer(), format!("\0{number:0200}"));
        }
        assert_eq!((publisher.stats().sent, publisher.stats().dropped), (3000, 0));
    });
}

#[test]
fn flush_waits_until_all_has_left() {
    let config =
        Config { flush: Duration::from_millis(300), high_water: 64 << 20, ..Config::default() };
    on_both(config, |worker, publisher| {
        publisher.flush_blocking();
        let mut reads = subscribers(worker, publisher, 1).remove(0);
        thread::scope(|scope| {
            let reading = scope.spawn(|| (0..200).for_each(|_| drop(reads.next())));
            for _ in 0..200 {
                publisher.publish_blocking("", "x".repeat(100_000)).unwrap();
            }
            publisher.flush_blocking();
            assert_eq!((publisher.stats().published, publisher.stats().sent), (200, 200));
            reading.join().unwrap();
        });
        // Who reads nothing holds it up for some time only.
        let _idle = Socket::over(Client::narrow(worker.addr()), "");
        until("it is here", || publisher.stats().subscribers == 2);
        drop(reads);
        publisher.publish("", "x".repeat(20_000_000)).unwrap();
        let start = Instant::now();
        publisher.flush_blocking();
        let took = start.elapsed();
        assert!((Duration::from_millis(250)..Duration::from_secs(3)).contains(&took), "{took:?}");
    });
}

#[test]
fn a_worker_with_handlers_has_subscribers_that_name_topics() {
    let setup = |services: &mut server::Services| services.add("echo", echo);
    with(Config::default(), worker::Config::default(), setup, |worker, publisher| {
        let mut asks = Socket::connect(worker.addr());
        let mut hears = Socket::with(worker.addr(), super::topics::NAMED);
        hears.text("+");
        settle(&mut hears);
        assert_eq!(publisher.stats().subscribers, 1);
        publisher.publish("topic", "text").unwrap();
        assert_eq!(hears.answer(), "topic\0text");
        assert_eq!(asks.ask(r#"["r","echo",1]"#), r#"["r",null,1]"#);
        assert_eq!(Client::connect(worker.addr()).ask(r#"["r","echo",1]"#), r#"["r",null,1]"#);
    });
}

#[test]
fn too_many_subscribers_are_refused_before_the_upgrade() {
    on_both(Config { max_subscribers: 2, ..Config::default() }, |worker, publisher| {
        let mut all = subscribers(worker, publisher, 2);
        let mut refused = Client::connect(worker.addr());
        let answer = refused.send(upgrade("")).answer();
        assert_eq!((answer.status, answer.closes()), (503, true));
        all.pop();
        until("there is room", || publisher.stats().subscribers == 1);
        all.extend(subscribers(worker, publisher, 1));
        publisher.publish("", "to both").unwrap();
        all.iter_mut().for_each(|socket| assert_eq!(socket.answer(), "to both"));
        assert_eq!(worker.stats().refused, 1);
    });
}

#[test]
fn what_was_published_leaves_before_the_worker_stops() {
    on_both(Config::default(), |worker, publisher| {
        let mut socket = subscribers(worker, publisher, 1).remove(0);
        publisher.publish("", "x".repeat(900_000)).unwrap();
        publisher.publish("", "last").unwrap();
        thread::scope(|scope| {
            let reading = scope.spawn(move || {
                assert_eq!(socket.answer().len(), 900_000);
                assert_eq!(socket.answer(), "last");
                assert_eq!(socket.closed(), (1001, "the server goes down".into()));
            });
            publisher.flush_blocking();
            worker.stop();
            reading.join().unwrap();
        });
    });
}
