//! Unmodified Node workers and clients that find each other through a grape or a ring of them.

use serde_json::{Value, json};

use crate::grape::{Grape, Kind};
use crate::port::{self, Port};
use crate::process::Process;

/// Two workers of one service and a client: request, map, an error, and a service that nobody offers.
fn workers_and_client(transport: &str, kinds: &[Kind]) {
    let ring = Grape::ring(kinds);
    let service = format!("rpc:{transport}:größe");
    let workers: Vec<(Process, Port)> = ["a", "b"].iter().enumerate().map(|(at, name)| {
        let port = port::take();
        let grape = &ring[at % ring.len()];
        let conf = json!({"transport": transport, "grape": grape.api.number, "service": service, "port": port.number, "name": name});
        let mut worker = Process::node("worker.js", &conf);
        let announced = worker.wait_for_event("announced");
        assert_eq!(announced["err"], Value::Null, "{announced}");
        (worker, port)
    }).collect();

    for grape in &ring {
        let mut client =
            Process::node("client.js", &json!({"transport": transport, "grape": grape.api.number}));
        client.wait_for_event("ready");
        for payload in [
            json!("hello"),
            json!({"a": [1, 2.5, null, "größe 服务"]}),
            json!("x".repeat(100_000)),
            json!(0),
        ] {
            let answer = client
                .ask(&json!({"call": "request", "service": service, "payload": payload}))
                .expect("an answer");
            assert_eq!(answer["echo"], payload);
            assert_eq!(answer["key"], json!(service));
        }
        if transport == "http" {
            let answer = client.ask(&json!({"call": "request", "service": service, "payload": "zip", "opts": {"compress": true}}));
            assert_eq!(answer.expect("an answer")["echo"], json!("zip"));
        }
        let answers = client
            .ask(&json!({"call": "map", "service": service, "payload": "all"}))
            .expect("answers");
        let mut names: Vec<&str> = answers
            .as_array()
            .expect("an array")
            .iter()
            .filter_map(|answer| answer["worker"].as_str())
            .collect();
        names.sort_unstable();
        assert_eq!(names, ["a", "b"], "map asks every worker: {answers}");
        let failed = client.ask(&json!({"call": "request", "service": service, "payload": "fail"}));
        assert_eq!(failed, Err("ERR_FROM_WORKER".into()));
        let missing =
            client.ask(&json!({"call": "request", "service": "rpc:nobody", "payload": "x"}));
        assert_eq!(missing, Err("ERR_GRAPE_LOOKUP_EMPTY".into()));
    }
    drop(workers);
}

/// A subscriber finds its publisher by the grape and gets every message, as it was sent.
fn publisher_and_subscriber(kinds: &[Kind]) {
    let ring = Grape::ring(kinds);
    let port = port::take();
    let (first, last) = (&ring[0], &ring[ring.len() - 1]);
    let mut publisher = Process::node(
        "publisher.js",
        &json!({"grape": first.api.number, "service": "news", "port": port.number}),
    );
    let announced = publisher.wait_for_event("announced");
    assert_eq!(announced["err"], Value::Null, "{announced}");
    let mut subscribers: Vec<Process> = (0..2)
        .map(|_| {
            let mut subscriber = Process::node(
                "subscriber.js",
                &json!({"grape": last.api.number, "service": "news"}),
            );
            subscriber.wait_for_event("connected");
            publisher.wait_for_event("subscriber");
            subscriber
        })
        .collect();
    for message in ["first", "größe 服务", "[\"raw\", null]"] {
        assert_eq!(publisher.ask(&json!({"message": message})), Ok(json!(2)));
        for subscriber in &mut subscribers {
            assert_eq!(subscriber.wait_for_event("message")["message"], json!(message));
        }
    }
}

const MIXED: [Kind; 3] = [Kind::Rust(1), Kind::Node, Kind::Rust(2)];

#[test]
fn http_through_node() {
    workers_and_client("http", &[Kind::Node, Kind::Node]);
}

#[test]
fn http_through_one_rust_grape() {
    workers_and_client("http", &[Kind::Rust(1)]);
}

#[test]
fn http_through_a_mixed_ring() {
    workers_and_client("http", &MIXED);
}

#[test]
fn ws_through_node() {
    workers_and_client("ws", &[Kind::Node, Kind::Node]);
}

#[test]
fn ws_through_one_rust_grape() {
    workers_and_client("ws", &[Kind::Rust(1)]);
}

#[test]
fn ws_through_a_mixed_ring() {
    workers_and_client("ws", &MIXED);
}

#[test]
fn publishing_through_node() {
    publisher_and_subscriber(&[Kind::Node, Kind::Node]);
}

#[test]
fn publishing_through_one_rust_grape() {
    publisher_and_subscriber(&[Kind::Rust(4)]);
}

#[test]
fn publishing_through_a_mixed_ring() {
    publisher_and_subscriber(&MIXED);
}
