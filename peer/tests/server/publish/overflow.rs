//! Subscribers that do not keep up: what they get, what is counted, and that the others notice nothing.

use std::thread;
use std::time::{Duration, Instant};

use grenache_peer::publish::{Config, Overflow, Publisher};
use grenache_peer::{Worker, server, worker};

use super::{on_both, subscribers, with};
use crate::client::Client;
use crate::socket::{CLOSE, Socket, TEXT};
use crate::until;

/// Bytes of a message: its number and a filler.
const SIZE: usize = 10_000;

/// More messages than kernels keep for a subscriber that does not read.
const COUNT: usize = 3000;

/// As many messages as may wait.
const WAITING: usize = 10;

fn config(overflow: Overflow) -> Config {
    // A frame has 4 bytes before a message of this size, and each counts 64 bytes more.
    Config { overflow, high_water: WAITING * (SIZE + 4 + 64), ..Config::default() }
}

fn message(number: usize) -> String {
    format!("{number:0SIZE$}")
}

fn number(text: &str) -> usize {
    assert_eq!(text.len(), SIZE);
    text.parse().expect("a number")
}

fn stuck(worker: &Worker, publisher: &Publisher) -> Socket {
    let socket = Socket::over(Client::narrow(worker.addr()), "");
    until("it is here", || publisher.stats().subscribers == 1);
    socket
}

/// Publishes all messages and waits until they are where they can go.
fn publish(publisher: &Publisher) {
    for number in 0..COUNT {
        publisher.publish_blocking("", message(number)).unwrap();
    }
    until("all are published", || publisher.stats().published == COUNT as u64);
}

#[test]
fn the_oldest_are_dropped() {
    on_both(config(Overflow::DropOldest), |worker, publisher| {
        let mut socket = stuck(worker, publisher);
        publish(publisher);
        let dropped = publisher.stats().dropped as usize;
        assert!(dropped > 100, "it keeps up");
        let numbers: Vec<_> = (0..COUNT - dropped).map(|_| number(&socket.answer())).collect();
        assert!(numbers.is_sorted_by(|one, next| one < next), "{numbers:?}");
        // What went into its connection at once, and the newest.
        assert_eq!(numbers[..6], [0, 1, 2, 3, 4, 5]);
        let newest: Vec<_> = (COUNT - WAITING..COUNT).collect();
        assert_eq!(numbers[numbers.len() - WAITING..], newest);
        // From here on it has no gaps.
        publisher.publish("", message(COUNT)).unwrap();
        assert_eq!(number(&socket.answer()), COUNT);
        let stats = publisher.stats();
        assert_eq!((stats.sent, stats.dropped), ((COUNT + 1 - dropped) as u64, dropped as u64));
        assert_eq!((stats.disconnected, stats.missed), (0, 0));
    });
}

#[test]
fn the_newest_are_dropped() {
    on_both(config(Overflow::DropNewest), |worker, publisher| {
        let mut socket = stuck(worker, publisher);
        publish(publisher);
        let dropped = publisher.stats().dropped as usize;
        assert!(dropped > 100, "it keeps up");
        let numbers: Vec<_> = (0..COUNT - dropped).map(|_| number(&socket.answer())).collect();
        assert!(numbers.is_sorted_by(|one, next| one < next), "{numbers:?}");
        // What went into its connection at once, and what could wait.
        assert_eq!(numbers[..6 + WAITING], std::array::from_fn::<_, { 6 + WAITING }, _>(|at| at));
        assert!(!numbers.contains(&(COUNT - 1)), "the newest was kept");
        publisher.publish("", message(COUNT)).unwrap();
        assert_eq!(number(&socket.answer()), COUNT);
        let stats = publisher.stats();
        assert_eq!((stats.sent, stats.dropped), ((COUNT + 1 - dropped) as u64, dropped as u64));
    });
}

#[test]
fn who_does_not_keep_up_is_disconnected() {
    on_both(config(Overflow::Disconnect), |worker, publisher| {
        let mut socket = stuck(worker, publisher);
        publish(publisher);
        until("it is disconnected", || publisher.stats().subscribers == 0);
        let stats = publisher.stats();
        // The one too many, and those that waited.
        assert_eq!((stats.disconnected, stats.dropped), (1, WAITING as u64 + 1));
        // It has no gap until then.
        for expected in 0..stats.sent as usize {
            assert_eq!(number(&socket.answer()), expected);
        }
        assert_eq!(socket.closed(), (1008, "messages are not read fast enough".into()));
        // It may come back.
        let mut again = subscribers(worker, publisher, 1).remove(0);
        publisher.publish("", message(7)).unwrap();
        assert_eq!(number(&again.answer()), 7);
    });
}

#[test]
fn a_slow_subscriber_holds_up_nobody() {
    for overflow in [Overflow::DropOldest, Overflow::DropNewest, Overflow::Disconnect] {
        on_both(config(overflow), |worker, publisher| {
            let _slow = stuck(worker, publisher);
            let mut fast = subscribers(worker, publisher, 3);
            let mut slowest = Duration::ZERO;
            for expected in 0..COUNT / 3 {
                let start = Instant::now();
                publisher.publish("", message(expected)).expect("there is room");
                for socket in &mut fast {
                    assert_eq!(number(&socket.answer()), expected);
                }
                slowest = slowest.max(start.elapsed());
            }
            assert!(slowest < Duration::from_secs(1), "{slowest:?}");
            let stats = publisher.stats();
            assert!(stats.dropped > 0, "none of them is slow: {stats:?}");
            assert_eq!(stats.disconnected, u64::from(overflow == Overflow::Disconnect));
        });
    }
}

/// A message over the high-water mark reaches whoever has taken what came before.
#[test]
fn one_message_may_always_wait() {
    for overflow in [Overflow::DropOldest, Overflow::DropNewest, Overflow::Disconnect] {
        on_both(Config { high_water: 1000, ..config(overflow) }, |worker, publisher| {
            let mut socket = subscribers(worker, publisher, 1).remove(0);
            for size in [2000, 70_000, 3_000_000] {
                publisher.publish("", "x".repeat(size)).unwrap();
                let frame = socket.next();
                assert_eq!((frame.first, frame.payload.len()), (TEXT, size));
            }
            assert_eq!((publisher.stats().sent, publisher.stats().dropped), (3, 0));
        });
    }
}

#[test]
fn subscribers_that_never_read_are_given_up() {
    let limits = server::Config { write_timeout: Duration::from_millis(300), ..Default::default() };
    for overflow in [Overflow::DropOldest, Overflow::DropNewest, Overflow::Disconnect] {
        let settings = worker::Config { server: limits.clone(), ..Default::default() };
        with(
            config(overflow),
            settings,
            |_| {},
            |worker, publisher| {
                let mut socket = stuck(worker, publisher);
                thread::scope(|scope| {
                    scope.spawn(|| publish(publisher));
                    until("it is given up", || worker.stats().connections == 0);
                });
                // The close frame may just fit into what the kernel keeps for it.
                assert!(socket.client.breaks() || overflow == Overflow::Disconnect, "{overflow:?}");
                assert_eq!(publisher.stats().subscribers, 0);
            },
        );
    }
}

/// The close frame is the last, also after what is only partly sent.
#[test]
fn a_message_that_is_on_its_way_is_completed() {
    on_both(config(Overflow::Disconnect), |worker, publisher| {
        let mut socket = stuck(worker, publisher);
        publisher.publish("", "x".repeat(12_000_000)).unwrap();
        until("it has begun", || publisher.stats().sent == 1);
        for number in 0..=WAITING {
            publisher.publish("", message(number)).unwrap();
        }
        until("it is disconnected", || publisher.stats().subscribers == 0);
        assert_eq!(socket.next().payload.len(), 12_000_000);
        let close = socket.next();
        assert_eq!((close.first, &close.payload[..2]), (CLOSE, &1008_u16.to_be_bytes()[..]));
    });
}
