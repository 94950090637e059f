//! Our publisher, with libzmq's subscribers and all others.

use std::time::Duration;

use grenache_peer::publish::{Config, Overflow};
use grenache_peer::{Publisher, Subscribe, Transport, Worker, server, worker};
use serde_json::json;

use crate::mechanism::Mechanism;
use crate::peer::{Language, Peer};
use crate::port;
use crate::process::Process;
use crate::rig::{self, text, until};
use crate::socket::Socket;
use crate::subscribe::subscriber;

const fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// A worker that publishes, at this port or a free one.
#[track_caller]
fn publish_at(port: u16, mechanism: Mechanism, service: &str, publisher: &Publisher) -> Worker {
    let server = server::Config { gate: mechanism.gate(), ..server::Config::default() };
    let config = worker::Config { grapes: rig::grapes(), ..rig::config(port, server) };
    let (name, publisher) = (service.to_string(), publisher.clone());
    let worker = Worker::start(config, move |_, services| services.publish(&name, &publisher));
    worker.expect("it starts")
}

#[track_caller]
fn publish(mechanism: Mechanism, config: Config) -> (Worker, Publisher) {
    let publisher = Publisher::new(config);
    (publish_at(0, mechanism, &rig::service("publish"), &publisher), publisher)
}

/// A subscriber of theirs, SUB or XSUB.
struct Theirs {
    socket: Socket,
    raw: bool,
}

impl Theirs {
    fn subscribe(&self, prefix: &str) {
        match self.raw {
            true => self.socket.send(&[[b"\x01", prefix.as_bytes()].concat()]),
            false => self.socket.subscribe(prefix),
        }
    }

    fn unsubscribe(&self, prefix: &str) {
        match self.raw {
            true => self.socket.send(&[[b"\0", prefix.as_bytes()].concat()]),
            false => self.socket.unsubscribe(prefix),
        }
    }

    /// Awaits that the publisher, which keeps the last value of one topic, knows all that was said so far. Nothing must be
    /// subscribed to that this topic begins with.
    fn is_known(&self, publisher: &Publisher) {
        let topic = rig::service("?known");
        publisher.publish(&topic, "known").expect("room");
        self.subscribe(&topic);
        assert_eq!(self.socket.receive(), [&*topic, "known"]);
    }
}

/// Connects subscribers of theirs, one of each language.
fn theirs(peers: &[Peer], kind: &str, mechanism: Mechanism, worker: &Worker) -> Vec<Theirs> {
    let connect = |peer: &Peer| {
        let socket = mechanism.client(peer.socket(kind)).reconnect(ms(10));
        let socket = socket.connect(worker.addr().port());
        // What an XSUB says before is lost.
        socket.event("handshake_succeeded");
        Theirs { socket, raw: kind == "XSUB" }
    };
    peers.iter().map(connect).collect()
}

#[test]
fn topics_come_and_go() {
    let peers = Language::BOTH.map(Peer::start);
    for mechanism in Mechanism::ALL {
        for kind in ["SUB", "XSUB"] {
            println!("{mechanism:?}, {kind}");
            let (worker, publisher) =
                publish(mechanism, Config { last_values: 1, ..Config::default() });
            let mut turn = 0;
            let subscribers = theirs(&peers, kind, mechanism, &worker);
            let mut heard = |change: &dyn Fn(&Theirs), topics: &[&str]| {
                for subscriber in &subscribers {
                    change(subscriber);
                    subscriber.is_known(&publisher);
                }
                turn += 1;
                let all = ["b", "", "a", "ab", "abc", "c", "größe", "end"];
                all.iter().for_each(|topic| publisher.publish(topic, format!("{turn}")).unwrap());
                for subscriber in &subscribers {
                    for topic in topics.iter().chain(&["end"]) {
                        assert_eq!(subscriber.socket.receive(), [*topic, &turn.to_string()]);
                    }
                }
            };
            let several = |one: &Theirs| ["end", "ab", "grö"].iter().for_each(|t| one.subscribe(t));
            heard(&several, &["ab", "abc", "größe"]);
            heard(&|one| one.subscribe("c"), &["ab", "abc", "c", "größe"]);
            // One within the other: each counts once.
            heard(&|one| one.subscribe("abc"), &["ab", "abc", "c", "größe"]);
            heard(&|one| one.unsubscribe("ab"), &["abc", "c", "größe"]);
            heard(&|one| one.unsubscribe("abc"), &["c", "größe"]);
            heard(&|one| one.unsubscribe("grö"), &["c"]);
            heard(&|one| one.subscribe("grö"), &["c", "größe"]);
            subscribers.into_iter().for_each(|one| one.socket.close());
            until("they are gone", || publisher.stats().subscribers == 0);
            assert_eq!(worker.stats().malformed, 0);
        }
    }
}

#[test]
fn the_empty_prefix_is_everything() {
    for language in Language::BOTH {
        let peer = Peer::start(language);
        for kind in ["SUB", "XSUB"] {
            let (worker, publisher) = publish(Mechanism::Null, Config::default());
            let [one] = &theirs(std::slice::from_ref(&peer), kind, Mechanism::Null, &worker)[..]
            else {
                unreachable!("there is one");
            };
            one.subscribe("");
            until("it listens", || publisher.stats().listening == 1);
            publisher.publish("", "without topic").unwrap();
            publisher.publish("t", "").unwrap();
            publisher.publish("", "").unwrap();
            publisher.publish("t", vec![0, 0xff]).unwrap();
            assert_eq!(one.socket.receive(), ["without topic"]);
            assert_eq!(one.socket.receive(), ["t", ""]);
            assert_eq!(one.socket.receive(), [""]);
            assert_eq!(one.socket.receive(), [&b"t"[..], &[0, 0xff]]);
            one.subscribe("end");
            one.unsubscribe("");
            // Until that is known everything comes.
            let mut number = 0;
            let heard = || one.socket.receive();
            loop {
                number += 1;
                let said = number.to_string();
                publisher.publish("", said.as_str()).unwrap();
                publisher.publish("end", said.as_str()).unwrap();
                let first = heard();
                if first == ["end", &said] {
                    break;
                }
                assert_eq!(first, [&*said]);
                assert_eq!(heard(), ["end", &said]);
            }
        }
    }
}

#[test]
fn ten_megabytes_are_heard() {
    let peers = Language::BOTH.map(Peer::start);
    for mechanism in [Mechanism::Null, Mechanism::Curve] {
        let (worker, publisher) = publish(mechanism, Config::default());
        let subscribers = theirs(&peers, "SUB", mechanism, &worker);
        subscribers.iter().for_each(|one| one.subscribe("large"));
        until("both listen", || publisher.stats().listening == 2);
        for size in [0, 1, 254, 255, 256, 70_000, 1_000_000, 10_000_000, 3] {
            let text = text(size);
            publisher.publish("large", text.as_str()).unwrap();
            for one in &subscribers {
                assert_eq!(one.socket.receive(), ["large", &text]);
            }
        }
        assert_eq!(publisher.stats().dropped, 0);
    }
}

#[test]
fn one_that_does_not_read_is_treated_as_the_policy_says() {
    const COUNT: u64 = 300;
    let quick = Peer::python();
    let peers = Language::BOTH.map(Peer::start);
    for overflow in [Overflow::DropOldest, Overflow::DropNewest, Overflow::Disconnect] {
        for peer in &peers {
            println!("{overflow:?}");
            let config = Config { high_water: 300_000, overflow, ..Config::default() };
            let (worker, publisher) = publish(Mechanism::Null, config);
            let two = [peer.clone(), quick.clone()];
            let [slow, quick]: [Theirs; 2] =
                theirs(&two, "SUB", Mechanism::Null, &worker).try_into().ok().expect("two");
            [&slow, &quick].iter().for_each(|one| one.subscribe(""));
            until("both listen", || publisher.stats().listening == 2);
            peer.stop();
            let text = text(100_000);
            for number in 0..COUNT {
                publisher.publish_blocking(&number.to_string(), text.as_str()).unwrap();
                assert_eq!(quick.socket.receive()[0], number.to_string());
            }
            let dropped = publisher.stats().dropped;
            assert!(dropped > 0);
            if overflow == Overflow::Disconnect {
                until("it is gone", || publisher.stats().subscribers == 1);
                assert_eq!(publisher.stats().disconnected, 1);
                peer.resume();
                // It comes back, and says by itself what it had subscribed to.
                slow.socket.event("disconnected");
                until("it is back", || publisher.stats().listening == 2);
            } else {
                peer.resume();
            }
            let mut seen = Vec::new();
            if overflow != Overflow::Disconnect {
                while seen.len() as u64 + publisher.stats().dropped < COUNT {
                    let message = slow.socket.receive();
                    assert!(message[1] == text);
                    seen.push(
                        String::from_utf8(message[0].bytes().to_vec()).unwrap().parse().unwrap(),
                    );
                }
                assert!(seen.is_sorted() && seen[0] == 0, "{seen:?}");
                let has_newest = seen.last() == Some(&(COUNT - 1));
                assert_eq!(has_newest, overflow == Overflow::DropOldest, "{seen:?}");
            }
            // Whatever it was, it goes on.
            publisher.publish("after", "all").unwrap();
            assert_eq!(quick.socket.receive(), ["after", "all"]);
            let mut rest = std::iter::repeat_with(|| slow.socket.receive());
            assert!(rest.any(|message| message == ["after", "all"]));
            [slow, quick].into_iter().for_each(|one| one.socket.close());
        }
    }
}

#[test]
fn who_comes_late_gets_the_last_values() {
    let peers = Language::BOTH.map(Peer::start);
    for mechanism in [Mechanism::Null, Mechanism::Curve] {
        for kind in ["SUB", "XSUB"] {
            let config = Config { last_values: 3, ..Config::default() };
            let (worker, publisher) = publish(mechanism, config);
            for (topic, text) in [("a", "1"), ("ab", "2"), ("ac", "3"), ("b", "4"), ("ab", "5")] {
                publisher.publish_blocking(topic, text).unwrap();
            }
            for one in theirs(&peers, kind, mechanism, &worker) {
                one.subscribe("ab");
                assert_eq!(one.socket.receive(), ["ab", "5"]);
                // Not again what it has.
                one.subscribe("a");
                assert_eq!(one.socket.receive(), ["ac", "3"]);
                one.subscribe("");
                assert_eq!(one.socket.receive(), ["b", "4"]);
                one.socket.close();
            }
        }
    }
}

#[test]
fn subscribers_come_back_when_our_worker_does() {
    let peers = Language::BOTH.map(Peer::start);
    for mechanism in Mechanism::ALL {
        let (place, publisher) = (port::take(), Publisher::new(Config::default()));
        let service = rig::service("restart");
        let start = || publish_at(place.number, mechanism, &service, &publisher);
        let mut worker = start();
        let subscribers = theirs(&peers, "SUB", mechanism, &worker);
        for one in &subscribers {
            ["a", "b", "c"].iter().for_each(|topic| one.subscribe(topic));
            one.unsubscribe("b");
        }
        for _ in 0..2 {
            rig::stop(worker);
            assert_eq!(publisher.stats().subscribers, 0);
            subscribers.iter().for_each(|one| drop(one.socket.event("disconnected")));
            worker = start();
            until("both listen", || publisher.stats().listening == 2);
            // What was said first is known; the rest comes with it or soon after.
            for (at, one) in subscribers.iter().enumerate() {
                heard_at_last(&publisher, &format!("c{at}"), &one.socket);
            }
            for (topic, text) in [("b", "not wanted"), ("ab", "wanted")] {
                publisher.publish(topic, text).unwrap();
            }
            for one in &subscribers {
                let mut next = || one.socket.receive();
                let first = std::iter::repeat_with(&mut next).find(|it| it[0].bytes()[0] != b'c');
                assert_eq!(first.unwrap(), ["ab", "wanted"]);
            }
        }
    }
}

/// Publishes under a topic until it is heard.
fn heard_at_last(publisher: &Publisher, topic: &str, by: &Socket) {
    until(topic, || {
        publisher.publish(topic, "").unwrap();
        let heard = by.receive_within(ms(10));
        heard.is_some_and(|message| message[0] == topic)
    });
}

#[test]
fn one_publication_reaches_subscribers_of_every_kind() {
    let service = rig::service("all");
    let publisher = Publisher::new(Config::default());
    let worker = publish_at(0, Mechanism::Null, &service, &publisher);
    assert!(worker.announced());
    let mut node =
        Process::node("subscriber.js", &json!({"grape": rig::grape(), "service": service}));
    node.wait_for_event("connected");
    let peers = Language::BOTH.map(Peer::start);
    let mut theirs = theirs(&peers, "SUB", Mechanism::Null, &worker);
    theirs.extend(self::theirs(&peers, "XSUB", Mechanism::Null, &worker));
    theirs.iter().for_each(|one| one.subscribe(""));
    let handles = [Transport::WebSocket, Transport::ZeroMq]
        .map(|transport| subscriber(transport, Mechanism::Null));
    let mut ours = handles.each_ref().map(|handle| {
        handle.subscribe(Subscribe::new(&service)).wait().expect("it is there").into_iter()
    });
    until("all listen", || publisher.stats().listening == 7);
    let large = text(3_000_000);
    for (topic, text) in
        [("", "first"), ("trades.BTC", "größe \u{1f600}"), ("größe", ""), ("t", &*large)]
    {
        publisher.publish(topic, text).unwrap();
        assert!(node.wait_for_event("message")["message"] == text);
        for one in &theirs {
            let message = one.socket.receive();
            match topic {
                "" => assert_eq!(message, [text]),
                topic => assert_eq!(message, [topic, text]),
            }
        }
        for messages in &mut ours {
            let message = messages.next().expect("it goes on");
            assert_eq!(message.topic.unwrap_or_default(), topic);
            assert!(message.data == text);
        }
    }
    let stats = publisher.stats();
    assert_eq!((stats.published, stats.sent, stats.dropped), (4, 28, 0));
}
