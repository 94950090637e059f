//! The peers with each other: what they are steered to do, they do.

use std::thread;
use std::time::Duration;

use grenache_engine::{Config, Core, Runtime, spawn_local};
use serde_json::json;

use crate::message::Generated;
use crate::peer::{Language, Peer, apart};
use crate::rpc::{Answer, Form};
use crate::security::keys;

/// Each language as the one that binds, with the other as the one that connects.
fn both() -> impl Iterator<Item = (Peer, Peer)> {
    let pairs = [(Language::Python, Language::Node), (Language::Node, Language::Python)];
    pairs.into_iter().map(|(binds, connects)| (Peer::start(binds), Peer::start(connects)))
}

#[test]
fn messages_events_and_ends() {
    for (binds, connects) in both() {
        let router = binds.socket("ROUTER").bind();
        let dealer = connects.socket("DEALER").identity("me").connect(router.port());
        dealer.event("handshake_succeeded");
        router.event("handshake_succeeded");
        let large = Generated { parts: 3, size: 100_000, seed: 7 };
        dealer.send_generated(&["first"], large);
        let received = router.receive();
        assert_eq!(received[..2], ["me", "first"]);
        assert_eq!(received[2..], large.make());
        router.send(&[received[0].bytes(), b"", b"\xff\0"]);
        assert_eq!(dealer.receive(), [&b""[..], b"\xff\0"]);
        assert!(dealer.receive_within(Duration::from_millis(1)).is_none());
        dealer.close();
        router.event("disconnected");
    }
}

#[test]
fn subscriptions() {
    for (binds, connects) in both() {
        let publisher = binds.socket("XPUB").bind();
        let subscriber = connects.socket("SUB").connect(publisher.port());
        subscriber.subscribe("a");
        assert_eq!(publisher.receive(), [b"\x01a"]);
        publisher.send(&["b", "unheard"]);
        publisher.send(&["ab", "heard"]);
        assert_eq!(subscriber.receive(), ["ab", "heard"]);
        subscriber.unsubscribe("a");
        assert_eq!(publisher.receive(), [b"\0a"]);
        subscriber.subscribe("b");
        assert_eq!(publisher.receive(), [b"\x01b"]);
        subscriber.disconnect(publisher.port());
        assert_eq!(publisher.receive(), [b"\0b"]);
    }
}

#[test]
fn a_publisher_drops_what_is_above_its_high_water_mark() {
    for (binds, connects) in both() {
        let publisher = binds.socket("XPUB").high_water_mark(1).linger(Duration::ZERO).bind();
        let subscriber = connects.socket("SUB").high_water_mark(1).connect(publisher.port());
        subscriber.subscribe("");
        publisher.receive();
        connects.stop();
        for seed in 0..100 {
            publisher.send_generated(&["large"], Generated { parts: 1, size: 1 << 20, seed });
        }
        connects.resume();
        let mut heard = 0;
        loop {
            publisher.send(&["end"]);
            let Some(message) = subscriber.receive_within(Duration::from_millis(10)) else {
                continue;
            };
            if message[0] == "end" {
                break;
            }
            heard += 1;
        }
        assert!((1..100).contains(&heard), "{heard} were heard");
    }
}

#[test]
fn a_killed_peer_is_noticed_and_another_takes_its_place() {
    for (binds, connects) in both() {
        let router = binds.socket("ROUTER").bind();
        let dealer = connects.socket("DEALER").reconnect(Duration::from_millis(10));
        let dealer = dealer.connect(router.port());
        dealer.event("handshake_succeeded");
        binds.kill();
        dealer.event("disconnected");
        let another = Peer::python().socket("ROUTER").open();
        another.bind(router.port());
        dealer.event("handshake_succeeded");
        dealer.send(&["after all"]);
        assert_eq!(another.receive()[1], "after all");
    }
}

#[test]
fn a_core_goes_on_while_a_peer_is_waited_for() {
    let peer = Peer::node();
    let runtime = Runtime::start(Config::default(), move |_: Core<()>| {
        let rep = peer.socket("REP").bind();
        let req = peer.socket("REQ").connect(rep.port());
        async move {
            let received = spawn_local(apart(move || rep.receive()));
            apart(move || req.send(&["?"])).await;
            assert_eq!(received.await.unwrap(), ["?"]);
        }
    });
    runtime.unwrap().join().unwrap();
}

#[test]
fn passwords() {
    for (binds, connects) in both() {
        let rep = binds.socket("REP").plain_server("user", "secret").bind();
        let req = connects.socket("REQ").plain_client("user", "secret").connect(rep.port());
        req.send(&["?"]);
        assert_eq!(rep.receive(), ["?"]);
        rep.send(&["!"]);
        assert_eq!(req.receive(), ["!"]);
        for (user, password) in [("user", "secrets"), ("other", "secret")] {
            let req = connects.socket("REQ").plain_client(user, password).connect(rep.port());
            assert_eq!(req.event("handshake_failed_auth"), "400");
            assert_eq!(rep.event("handshake_failed_auth"), "400");
        }
    }
}

#[test]
fn keys_of_curve() {
    let (server, client) = (keys(1), keys(2));
    for (binds, connects) in both() {
        let router = binds.socket("ROUTER").curve_server(&server, &[client.public]).bind();
        let dealer = || connects.socket("DEALER");
        let good = dealer().curve_client(server.public, &client).connect(router.port());
        good.send(&["x"]);
        assert_eq!(router.receive()[1], "x");
        let stranger = dealer().curve_client(server.public, &keys(3)).connect(router.port());
        assert_eq!(stranger.event("handshake_failed_auth"), "400");
        assert_eq!(router.event("handshake_failed_auth"), "400");
        let _mistaken = dealer().curve_client(keys(4).public, &client).connect(router.port());
        assert_eq!(router.event("handshake_failed_protocol"), "ZMTP_CRYPTOGRAPHIC");
    }
}

#[test]
fn a_stopped_peer_is_noticed_and_comes_back() {
    for (binds, connects) in both() {
        let ms = Duration::from_millis;
        let router = binds.socket("ROUTER").bind();
        let dealer =
            connects.socket("DEALER").heartbeat(ms(100), ms(400), ms(500)).reconnect(ms(10));
        let dealer = dealer.connect(router.port());
        dealer.event("handshake_succeeded");
        binds.stop();
        dealer.event("disconnected");
        binds.resume();
        dealer.event("handshake_succeeded");
    }
}

#[test]
fn workers_and_clients() {
    for (binds, connects) in both() {
        for form in Form::BOTH {
            let worker = binds.socket("ROUTER").bind().serve(form);
            let client = |kind: &str| connects.socket(kind).connect(worker.port()).client(form);
            let clients = match form {
                Form::Frames => vec![client("DEALER")],
                Form::Array => vec![client("DEALER"), client("REQ")],
            };
            for client in clients {
                assert_eq!(
                    client.ask("test:echo", &json!("hello")),
                    Answer::Result("hello".into())
                );
                assert_eq!(worker.request(), "test:echo hello");
                let error = Answer::Error("ERR_X: why".into());
                assert_eq!(client.ask("test:fail", &json!("ERR_X: why")), error);
                assert_eq!(worker.request(), "test:fail ERR_X: why");
            }
        }
        let worker = binds.socket("ROUTER").says_array().bind().serve(Form::Array);
        let client = connects.socket("DEALER").connect(worker.port()).client(Form::Array);
        assert_eq!(client.ask("busy", &json!(1)), Answer::Busy("ERR_BUSY".into()));
        let later = thread::spawn({
            let client = client.clone();
            move || client.ask("later", &json!({"n": 1}))
        });
        worker.request();
        worker.request();
        assert_eq!(client.ask("echo", &json!([2])), Answer::Result(json!([2])));
        assert_eq!(later.join().unwrap(), Answer::Result(json!({"n": 1})));
    }
}
