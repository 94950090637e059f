//! Subscribers over ZeroMQ, beside those over WebSocket.

use std::io::Write;
use std::time::Duration;

use bytes::BytesMut;
use grenache_peer::publish::{Config, Overflow, Publisher};
use grenache_peer::server::{self, Services};
use grenache_peer::zeromq::{Gate, KeyPair, draw_keys};
use grenache_peer::{Worker, worker};
use grenache_transports::zmtp::{Mechanism, Side, SocketType};

use crate::client::Client;
use crate::dealer::Peer;
use crate::publish::{on_both, with};
use crate::socket::{Socket, TEXT};
use crate::{echo, until};

fn null() -> Mechanism {
    Mechanism::null(Side::Connect)
}

/// A SUB that has subscribed to these, which is known at the publisher.
fn subscriber(worker: &Worker, publisher: &Publisher, prefixes: &[&[u8]]) -> Peer {
    let before = publisher.stats().listening;
    let mut peer = Peer::connect(worker.addr(), SocketType::Sub, null());
    prefixes.iter().for_each(|prefix| peer.subscribe(prefix));
    until("it listens", || publisher.stats().listening == before + 1);
    peer
}

#[test]
fn a_message_reaches_websocket_and_zeromq_alike() {
    on_both(Config::default(), |worker, publisher| {
        let mut zeromq = subscriber(worker, publisher, &[b"trades."]);
        let mut all = subscriber(worker, publisher, &[b""]);
        let mut topical =
            Socket::with(worker.addr(), "sec-websocket-protocol: grenache.topics\r\n");
        topical.send(TEXT, "+trades.");
        let mut raw = Socket::connect(worker.addr());
        until("all are here", || publisher.stats().listening == 4);
        publisher.publish("trades.BTC", "{\"price\": 1}").unwrap();
        publisher.publish("other", vec![0xff, 0]).unwrap();
        publisher.publish("", "trades. without a topic").unwrap();
        publisher.publish("trades.", "").unwrap();
        assert_eq!(zeromq.texts(), ["trades.BTC", "{\"price\": 1}"]);
        // Of a message without a topic ZeroMQ compares the beginning.
        assert_eq!(zeromq.texts(), ["trades. without a topic"]);
        assert_eq!(zeromq.texts(), ["trades.", ""]);
        assert_eq!(all.texts(), ["trades.BTC", "{\"price\": 1}"]);
        assert_eq!(all.next(), Some(vec![b"other".to_vec(), vec![0xff, 0]]));
        assert_eq!(all.texts(), ["trades. without a topic"]);
        assert_eq!(topical.answer(), "trades.BTC\0{\"price\": 1}");
        assert_eq!(topical.answer(), "trades.\0");
        assert_eq!(raw.answer(), "{\"price\": 1}");
        assert_eq!(publisher.stats().dropped, 0);
    });
}

#[test]
fn prefixes_come_and_go() {
    on_both(Config::default(), |worker, publisher| {
        let mut peer = subscriber(worker, publisher, &[b"a", b"a", b"ab"]);
        publisher.publish("abc", "1").unwrap();
        assert_eq!(peer.texts(), ["abc", "1"]);
        // libzmq says twice what it subscribes to twice, and cancels once.
        peer.cancel(b"a");
        peer.cancel(b"never");
        peer.cancel(b"ab");
        until("it listens no more", || publisher.stats().listening == 0);
        publisher.publish("abc", "2").unwrap();
        peer.subscribe(b"x");
        until("it listens again", || publisher.stats().listening == 1);
        publisher.publish("abc", "3").unwrap();
        publisher.publish("x", "4").unwrap();
        assert_eq!(peer.texts(), ["x", "4"]);
        // As messages, which is how 3.0 has it.
        peer.send(&[b"\x01abc"]);
        peer.send(&[b"\x00x"]);
        peer.send(&[b"ignored"]);
        publisher.flush_blocking();
        until("it has changed", || {
            publisher.publish("abc", "5").unwrap();
            publisher.flush_blocking();
            publisher.stats().sent > 2
        });
        assert_eq!(peer.texts(), ["abc", "5"]);
    });
}

#[test]
fn too_many_prefixes_and_too_long_ones_disconnect() {
    on_both(Config { max_topics: 2, ..Config::default() }, |worker, publisher| {
        for prefixes in [&[&b"a"[..], b"b", b"c"][..], &[&[b'x'; 256][..]]] {
            let mut peer = Peer::connect(worker.addr(), SocketType::Sub, null());
            prefixes.iter().for_each(|prefix| peer.subscribe(prefix));
            assert_eq!(peer.next(), None);
        }
        until("they are gone", || publisher.stats().subscribers == 0);
        assert_eq!(worker.stats().malformed, 2);
    });
}

#[test]
fn the_last_message_of_each_topic_is_there_for_who_comes_late() {
    let config = Config { last_values: 3, ..Config::default() };
    on_both(config, |worker, publisher| {
        for (topic, text) in [("a", "1"), ("ab", "2"), ("ac", "3"), ("b", "4"), ("ab", "5")] {
            publisher.publish_blocking(topic, text).unwrap();
        }
        // There is room for three topics.
        let mut all = subscriber(worker, publisher, &[b""]);
        assert_eq!(
            [all.texts(), all.texts(), all.texts()].concat(),
            ["ac", "3", "b", "4", "ab", "5"]
        );
        let mut peer = subscriber(worker, publisher, &[b"ab"]);
        assert_eq!(peer.texts(), ["ab", "5"]);
        // Not again what it has had already.
        peer.subscribe(b"a");
        assert_eq!(peer.texts(), ["ac", "3"]);
        publisher.publish("ab", "6").unwrap();
        assert_eq!(
            (peer.texts(), all.texts()),
            (vec!["ab".into(), "6".into()], vec!["ab".into(), "6".into()])
        );
        let mut topical =
            Socket::with(worker.addr(), "sec-websocket-protocol: grenache.topics\r\n");
        topical.send(TEXT, "+b");
        assert_eq!(topical.answer(), "b\x004");
        let mut raw = Socket::connect(worker.addr());
        assert_eq!([raw.answer(), raw.answer(), raw.answer()], ["3", "4", "6"]);
    });
}

#[test]
fn one_that_does_not_read_holds_up_nobody() {
    for overflow in [Overflow::DropOldest, Overflow::DropNewest, Overflow::Disconnect] {
        let config = Config { high_water: 200_000, overflow, ..Config::default() };
        on_both(config, |worker, publisher| {
            let narrow = Client::narrow(worker.addr()).stream;
            let mut slow = Peer::over(narrow, SocketType::Sub, null());
            slow.subscribe(b"");
            let mut quick = subscriber(worker, publisher, &[b""]);
            until("both listen", || publisher.stats().listening == 2);
            let count = 300;
            let text = "x".repeat(50_000);
            for number in 0..count {
                publisher.publish_blocking(&number.to_string(), text.as_str()).unwrap();
                assert_eq!(quick.texts()[0], number.to_string());
            }
            assert!(publisher.stats().dropped > 0);
            let mut seen = Vec::new();
            match overflow {
                Overflow::Disconnect => {
                    until("it is gone", || publisher.stats().subscribers == 1);
                    while slow.next().is_some() {}
                }
                _ => {
                    let lost = publisher.stats().dropped;
                    while seen.len() as u64 + lost < count {
                        seen.push(slow.texts()[0].parse::<u64>().expect("a number"));
                    }
                    assert!(seen.is_sorted());
                    let newest = seen.last() == Some(&(count - 1));
                    assert_eq!(newest, overflow == Overflow::DropOldest);
                }
            }
        });
    }
}

/// Settings of a worker with these keys.
fn locked(keys: &KeyPair) -> worker::Config {
    let gate = Gate::Curve { keys: keys.clone(), allow: None };
    worker::Config { server: server::Config { gate, ..Default::default() }, ..Default::default() }
}

/// A peer of such a worker, with keys of its own.
fn curve(worker: &Worker, keys: &KeyPair, socket: SocketType) -> Peer {
    let mut entropy = [0; 96];
    rand::fill(&mut entropy);
    let mechanism = Mechanism::curve_client(keys.public, draw_keys(), entropy);
    Peer::connect(worker.addr(), socket, mechanism)
}

#[test]
fn with_curve_each_gets_its_own_boxes() {
    let keys = draw_keys();
    let setup = |services: &mut Services| services.add("echo", echo);
    let config = Config { high_water: 10_000_000, ..Config::default() };
    with(config, locked(&keys), setup, |worker, publisher| {
        let connect = |socket| curve(worker, &keys, socket);
        let mut peers = [connect(SocketType::Sub), connect(SocketType::Sub)];
        peers.iter_mut().for_each(|peer| peer.subscribe(b"t"));
        until("both listen", || publisher.stats().listening == 2);
        let sizes = [0, 1, 1000, 100_000, 2_000_000, 7];
        for size in sizes {
            publisher.publish("t", vec![b'x'; size]).unwrap();
        }
        for peer in &mut peers {
            for size in sizes {
                let parts = peer.next().expect("a message");
                assert_eq!((parts[0].as_slice(), parts[1].len()), (&b"t"[..], size));
            }
        }
        // The same port answers requests.
        let mut dealer = connect(SocketType::Dealer);
        assert_eq!(dealer.ask(&[r#"["r","echo",1]"#]), [r#"["r",null,1]"#]);
    });
}

#[test]
fn with_curve_what_is_kept_comes_after_answers_to_earlier_pings() {
    let keys = draw_keys();
    let test = |worker: &Worker, publisher: &Publisher| {
        publisher.publish_blocking("t", "the last").unwrap();
        let mut peer = curve(worker, &keys, SocketType::Sub);
        let mut both = BytesMut::new();
        peer.connection.ping(Duration::ZERO, &mut both).expect("it is ready");
        peer.connection.subscribe(b"t", &mut both).expect("it is ready");
        peer.stream.write_all(&both).expect("sent");
        assert_eq!(peer.texts(), ["t", "the last"]);
        assert_eq!(peer.connection.pongs(), 1);
    };
    with(Config { last_values: 1, ..Config::default() }, locked(&keys), |_| {}, test);
}

#[test]
fn a_publisher_alone_has_nothing_for_who_asks_and_is_full_some_time() {
    on_both(Config { max_subscribers: 1, ..Config::default() }, |worker, publisher| {
        assert_eq!(Peer::dealer(worker.addr()).refused.as_deref(), Some("Invalid socket type"));
        let _first = subscriber(worker, publisher, &[b""]);
        let mut second = Peer::connect(worker.addr(), SocketType::Sub, null());
        assert_eq!(second.next(), None);
        assert_eq!(worker.stats().refused, 1);
    });
}

#[test]
fn a_subscriber_is_pinged_and_may_say_nothing_else() {
    let server = server::Config {
        ping_interval: Duration::from_millis(50),
        ping_timeout: Duration::from_millis(300),
        ..Default::default()
    };
    let settings = worker::Config { server, ..Default::default() };
    with(
        Config::default(),
        settings,
        |_| {},
        |worker, publisher| {
            let mut peer = subscriber(worker, publisher, &[b""]);
            let (publishes, begun) = (publisher.clone(), std::time::Instant::now());
            std::thread::spawn(move || {
                std::thread::sleep(Duration::from_millis(800));
                publishes.publish("", "at last").expect("room");
            });
            // Its PONGs are answers enough.
            assert_eq!(peer.texts(), ["at last"]);
            assert!(begun.elapsed() >= Duration::from_millis(700));
            until("it is given up then", || publisher.stats().subscribers == 0);
        },
    );
}
