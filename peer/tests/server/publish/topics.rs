//! Subscribers that say which topics they want.

use grenache_peer::Error;
use grenache_peer::publish::{Config, MAX_TOPIC};

use super::{on_both, settle};
use crate::socket::{BINARY, CLOSE, Socket, TEXT, frame};
use crate::until;

/// The line by which a subscriber says that it will name topics.
pub(super) const NAMED: &str = "sec-websocket-protocol: other, grenache.topics\r\n";

#[test]
fn a_subscriber_gets_the_topics_that_it_wants() {
    on_both(Config::default(), |worker, publisher| {
        let mut socket = Socket::with(worker.addr(), NAMED);
        assert!(socket.head.contains("\r\nsec-websocket-protocol: grenache.topics\r\n"));
        let mut raw = Socket::connect(worker.addr());
        until("both are here", || publisher.stats().subscribers == 2);
        let publish = || {
            for topic in ["", "trade", "trades.BTC", "trades.ETH", "größe"] {
                publisher.publish(topic, format!("of {topic}")).unwrap();
            }
            // It is known then that nothing else has come.
            publisher.publish_blocking("end", vec![0xff]).unwrap();
            publisher.flush_blocking();
        };
        let mut changes: Vec<(&[&str], &[&str])> = vec![
            (&[], &[]),
            (&["+trades."], &["trades.BTC", "trades.ETH"]),
            (&["+trades.BTC"], &["trades.BTC", "trades.ETH"]),
            (&["-trades."], &["trades.BTC"]),
            (&["-none", "+gr\u{f6}"], &["trades.BTC", "größe"]),
        ];
        changes.push((&["+", "-trades.BTC"], &["", "trade", "trades.BTC", "trades.ETH", "größe"]));
        changes.push((&["-", "-gr\u{f6}"], &[]));
        for (number, (said, expected)) in changes.into_iter().enumerate() {
            for text in said {
                // Texts or bytes.
                socket.send(if number % 2 == 0 { TEXT } else { BINARY }, text);
            }
            settle(&mut socket);
            publish();
            for topic in expected {
                assert_eq!(socket.answer(), format!("{topic}\0of {topic}"));
            }
            if said.contains(&"+") {
                assert_eq!(socket.next().payload, b"end\0\xff");
            }
            settle(&mut socket);
        }
        // Whoever names none gets all, raw.
        for _ in 0..7 {
            for topic in ["", "trade", "trades.BTC", "trades.ETH", "größe"] {
                assert_eq!(raw.answer(), format!("of {topic}"));
            }
            assert_eq!((raw.next().payload), [0xff]);
        }
        let stats = publisher.stats();
        assert_eq!((stats.published, stats.sent), (42, 42 + 2 + 2 + 1 + 2 + 6));
    });
}

#[test]
fn what_changes_nothing_ends_the_connection() {
    on_both(Config { max_topics: 2, ..Config::default() }, |worker, publisher| {
        let long = format!("+{}", "x".repeat(MAX_TOPIC + 1));
        for bad in ["", "trades", "*", &long] {
            let mut socket = Socket::with(worker.addr(), NAMED);
            socket.text("+a").text("+b").text("+a").text(bad).text("+c");
            assert_eq!(socket.closed().0, 1008, "{bad}");
        }
        let mut socket = Socket::with(worker.addr(), NAMED);
        let all = ["+a", "+b", "-a", "+c", "+d"].map(|text| frame(TEXT, text)).concat();
        socket.client.send(all);
        let close = socket.next();
        assert_eq!((close.first, &close.payload[..2]), (CLOSE, &1008_u16.to_be_bytes()[..]));
        until("all are gone", || publisher.stats().subscribers == 0);
        assert_eq!(worker.stats().malformed, 5);
    });
}

#[test]
fn what_is_no_topic_is_not_published() {
    on_both(Config::default(), |worker, publisher| {
        let mut socket = Socket::with(worker.addr(), NAMED);
        socket.text("+");
        settle(&mut socket);
        for topic in ["a\0b".to_string(), "x".repeat(MAX_TOPIC + 1)] {
            let refused = publisher.publish(&topic, "text");
            assert!(matches!(refused, Err(Error::Config(_))), "{refused:?}");
        }
        let longest = "x".repeat(MAX_TOPIC);
        publisher.publish(&longest, "text").unwrap();
        assert_eq!(socket.answer(), format!("{longest}\0text"));
    });
}
