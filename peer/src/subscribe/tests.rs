//! Subscribers over ZeroMQ, against publishers by hand, on the real engine and in the simulator.

use std::future::poll_fn;
use std::net::SocketAddr;
use std::rc::Rc;

use grenache_engine::{JoinHandle, TcpListener, spawn_local, timeout};
use grenache_transports::ws::Kind;

use super::feed::Feed;
use super::{Config, Message, Shared, Subscription, zeromq};
use crate::client::Transport;
use crate::http::tests::{LONG, run};
use crate::link::{self, Link};
use crate::zeromq::tests::{accept, mechanisms, ms, next};
use crate::zeromq::{self as zmq, Gate, Incoming, SocketType};

fn config() -> Config {
    Config { transport: Transport::ZeroMq, ..Config::default() }
}

/// Listens to one publisher, as long as its connection lasts.
fn listen(to: SocketAddr, config: Config, topics: &[&str]) -> Subscription {
    let feed = Feed::new(topics.iter().map(|topic| (*topic).to_owned()).collect(), &config);
    let nobody = SocketAddr::from(([127, 0, 0, 1], 1));
    let link = Link::new(&[nobody.into()], link::Config::default(), None).unwrap();
    let (shared, listens) = (Rc::new(Shared { link, config, tls: None }), feed.clone());
    let task: JoinHandle<()> = spawn_local(async move {
        let (_, error) = zeromq::listen(&shared, to, &listens).await;
        listens.failed(error);
    });
    Subscription { feed, task }
}

async fn publisher(listener: &TcpListener, gate: &Gate) -> zmq::Link {
    let config = zmq::Config::default();
    zmq::Link::new(accept(listener, SocketType::Pub, gate, &config).await.unwrap(), &config)
}

async fn change(publisher: &mut zmq::Link) -> (char, String) {
    let (sign, prefix) = match timeout(LONG, next(publisher)).await.expect("a change").unwrap() {
        Incoming::Subscribe(prefix) => ('+', prefix),
        Incoming::Cancel(prefix) => ('-', prefix),
        other => panic!("{other:?}"),
    };
    (sign, String::from_utf8(prefix.to_vec()).unwrap())
}

async fn heard(subscription: &mut Subscription) -> Message {
    timeout(LONG, subscription.next()).await.expect("a message")
}

#[test]
fn topics_are_said_and_messages_are_heard() {
    run(|any| async move {
        for (gate, security) in mechanisms() {
            let listener = TcpListener::bind(any).expect("a free port");
            let mut config = config();
            config.zeromq.security = security;
            let mut listens = listen(listener.local_addr(), config, &["b", "a"]);
            let mut publisher = publisher(&listener, &gate).await;
            for topic in ["a", "b"] {
                assert_eq!(change(&mut publisher).await, ('+', topic.into()));
            }
            // Connected is who knows that the topics are known: that is when the publisher answers a PING.
            assert_eq!((listens.stats().connections, listens.stats().connected), (1, 0));
            let answers = poll_fn(|context| publisher.poll_recv(context));
            assert!(timeout(ms(50), answers).await.is_err());
            timeout(LONG, listens.connected()).await.expect("an answer");
            assert_eq!(listens.stats().connected, 1);

            publisher.send(&zmq::Message::from(["a.b", "text"]));
            publisher.send(&zmq::Message::from(["a.b", "of", "three"]));
            publisher.send(&zmq::Message::from([&b"b\xff"[..], b"\xff"]));
            publisher.send(&zmq::Message::from("b alone"));
            publisher.send(&zmq::Message::from(["", ""]));
            for (topic, kind, data) in [
                (Some("a.b"), Kind::Text, &b"text"[..]),
                (Some("b\u{fffd}"), Kind::Binary, b"\xff"),
                (None, Kind::Text, b"b alone"),
                (Some(""), Kind::Text, b""),
            ] {
                let message = heard(&mut listens).await;
                assert_eq!(message.topic.as_deref(), topic);
                assert_eq!((message.kind, &message.data[..]), (kind, data));
                assert_eq!(message.from, listener.local_addr());
            }
            assert_eq!((listens.stats().received, listens.stats().malformed), (4, 1));

            listens.add("c").unwrap();
            listens.remove("a");
            assert_eq!(change(&mut publisher).await, ('+', "c".into()));
            assert_eq!(change(&mut publisher).await, ('-', "a".into()));
            drop(listens);
            assert!(timeout(LONG, next(&mut publisher)).await.expect("its end").is_err());
        }
    });
}

#[test]
fn whoever_is_slow_holds_up_the_publisher() {
    run(|any| async move {
        let listener = TcpListener::bind(any).expect("a free port");
        let mut listens =
            listen(listener.local_addr(), Config { max_waiting: 10, ..config() }, &[]);
        let mut publisher = publisher(&listener, &Gate::Null).await;
        assert_eq!(change(&mut publisher).await, ('+', String::new()));
        let mut sent = 0;
        while timeout(ms(100), poll_fn(|context| publisher.poll_room(context))).await.is_ok() {
            publisher.send(&zmq::Message::from([&b"topic"[..], &[b'x'; 10_000]]));
            sent += 1;
            assert!(sent < 10_000, "100 MB wait somewhere");
        }
        assert_eq!(listens.stats().received, 10);
        for _ in 0..sent {
            let _ = poll_fn(|context| std::task::Poll::Ready(publisher.poll_room(context))).await;
            assert_eq!(heard(&mut listens).await.data.len(), 10_000);
        }
    });
}

#[test]
fn a_publisher_of_3_0_is_heard_once_the_topics_have_left() {
    run(|any| async move {
        let listener = TcpListener::bind(any).expect("a free port");
        let mut listens = listen(listener.local_addr(), config(), &["a"]);
        let (stream, _) = listener.accept().await.unwrap();
        let greeting = [&[0xff, 0, 0, 0, 0, 0, 0, 0, 1, 0x7f, 3, 0][..], b"NULL"].concat();
        let ready = b"\x04\x19\x05READY\x0bSocket-Type\0\0\0\x03PUB";
        stream.write(&[&greeting[..], &[0; 64 - 16], ready].concat());
        let mut seen = Vec::new();
        while !seen.ends_with(b"\0\x02\x01a") {
            seen.extend_from_slice(&stream.recv().await.unwrap().expect("the topics"));
        }
        timeout(LONG, listens.connected()).await.expect("nothing to wait for");
        stream.write(b"\x01\x01a\0\x01b");
        assert_eq!(heard(&mut listens).await.text(), Some("b"));
        drop(stream);
        poll_fn(|context| {
            listens.feed.wait_connected(context);
            let over = listens.task.is_finished();
            context.waker().wake_by_ref();
            if over { std::task::Poll::Ready(()) } else { std::task::Poll::Pending }
        })
        .await;
        assert_eq!(listens.stats().connected, 0);
        assert_eq!(listens.last_error().unwrap().code(), "ERR_TRANSPORT_CLOSE");
    });
}

#[test]
fn there_is_nothing_to_listen_to_over_http() {
    let error = Config { transport: Transport::Http, ..Config::default() }.check();
    assert_eq!(error.unwrap_err().code(), "ERR_CONFIG");
}
