//! Rings of Node's grapes and ours: what is announced on any is found from any.

use serde_json::json;

use crate::grape::{Grape, Kind};
use crate::process::Process;

const MIXED: [Kind; 4] = [Kind::Node, Kind::Rust(1), Kind::Node, Kind::Rust(2)];

/// The lengths at which Node's DHT treats names differently (20 bytes is an id), and UTF-8 of several bytes a character.
fn names() -> Vec<String> {
    let mut names: Vec<String> = [1, 13, 20, 21, 300].map(|length| "n".repeat(length)).to_vec();
    names.push("dienst:größe:服务:😀".into());
    names
}

/// Each grape announces each name with a port of its own, then each is asked for each name.
fn found_from_everywhere(kinds: &[Kind]) {
    let ring = Grape::ring(kinds);
    for (at, name) in names().iter().enumerate() {
        for (from, grape) in ring.iter().enumerate() {
            let port = 1000 + 10 * at + from;
            let answer = grape.call("announce", &json!([name, port]));
            let stored = answer.json().as_u64();
            let text = answer.text();
            assert!(
                stored.is_some_and(|stored| stored >= 1),
                "{:?} announces {name:?}: {text}",
                grape.kind
            );
            for reader in &ring {
                let peers = reader.lookup(name);
                let peer = format!("127.0.0.1:{port}");
                assert!(
                    peers.contains(&peer),
                    "{name:?} announced on {:?}, read on {:?}: {peers:?}",
                    grape.kind,
                    reader.kind
                );
            }
        }
        for reader in &ring {
            let expected: Vec<String> = (0..ring.len())
                .map(|from| format!("127.0.0.1:{}", 1000 + 10 * at + from))
                .collect();
            assert_eq!(reader.lookup(name), expected, "{name:?} on {:?}", reader.kind);
        }
    }
}

#[test]
fn ring_of_node() {
    found_from_everywhere(&[Kind::Node; 4]);
}

#[test]
fn ring_of_two_node_and_two_rust() {
    found_from_everywhere(&MIXED);
}

#[test]
fn ring_of_rust() {
    found_from_everywhere(&[Kind::Rust(1), Kind::Rust(1), Kind::Rust(4)]);
}

/// The same by the link package, as workers do it.
fn link_announces_and_looks_up(kinds: &[Kind]) {
    let ring = Grape::ring(kinds);
    let ports: Vec<u16> = ring.iter().map(|grape| grape.api.number).collect();
    let mut link = Process::node("link.js", &json!({"grapes": ports}));
    link.wait_for_event("ready");
    for name in names() {
        for from in 0..ring.len() {
            // A name per announcer, because the link keeps what it has looked up for ten seconds.
            let name = format!("{from}{name}");
            let stored = link
                .ask(&json!({"grape": from, "call": "announce", "args": [name, 1000 + from, {}]}));
            assert!(
                stored.as_ref().is_ok_and(|stored| stored.as_u64() >= Some(1)),
                "{name:?} on {:?}: {stored:?}",
                ring[from].kind
            );
            for to in 0..ring.len() {
                let found = link.ask(&json!({"grape": to, "call": "lookup", "args": [name, {}]}));
                assert_eq!(
                    found,
                    Ok(json!([format!("127.0.0.1:{}", 1000 + from)])),
                    "{name:?} from {from} to {to}"
                );
            }
        }
    }
    let missing =
        link.ask(&json!({"grape": 0, "call": "lookup", "args": ["nobody:here", {"retry": 1}]}));
    assert_eq!(missing, Err("ERR_GRAPE_LOOKUP_EMPTY".into()));
}

#[test]
fn link_on_a_ring_of_node() {
    link_announces_and_looks_up(&[Kind::Node, Kind::Node]);
}

#[test]
fn link_on_a_mixed_ring() {
    link_announces_and_looks_up(&MIXED);
}

/// A grape that joins later finds what was announced before it came.
#[test]
fn late_comer() {
    for (first, late) in
        [(Kind::Rust(1), Kind::Node), (Kind::Node, Kind::Rust(1)), (Kind::Rust(2), Kind::Rust(1))]
    {
        let ring = Grape::ring(&[first, first]);
        ring[0].call("announce", &json!(["early", 1234]));
        let late = Grape::start(late, &[&ring[0]]);
        assert_eq!(
            late.lookup("early"),
            ["127.0.0.1:1234"],
            "{late:?} in a ring of {first:?}",
            late = late.kind
        );
    }
}

/// Port 0 stands for the grape's DHT port.
#[test]
fn port_zero() {
    let ring = Grape::ring(&[Kind::Node, Kind::Rust(1)]);
    for grape in &ring {
        let name = format!("zero:{:?}", grape.kind);
        assert_eq!(grape.call("announce", &json!([name, 0])).json(), json!(1));
        for reader in &ring {
            assert_eq!(reader.lookup(&name), [format!("127.0.0.1:{}", grape.dht.number)]);
        }
    }
}

/// What Node forgets, ours keeps: a lone grape is a working one, and its first neighbour finds what it has.
#[test]
fn lone_rust_grape() {
    let lone = Grape::start(Kind::Rust(1), &[]);
    assert_eq!(lone.call("announce", &json!(["lone", 1337])).status, 200);
    assert_eq!(lone.lookup("lone"), ["127.0.0.1:1337"]);
    let node = Grape::start(Kind::Node, &[&lone]);
    assert_eq!(node.lookup("lone"), ["127.0.0.1:1337"]);
}
