//! BEP44 items: put on one grape, read from another, Node's and ours.

use serde_json::{Value, json};

use crate::conformance::mask;
use crate::grape::{Grape, Kind};
use crate::placeholders::{expand, hex, immutable_key, mutable_key, public_key, sign};
use crate::process::Process;

fn mutable(v: &str, salt: &str, seq: i64) -> Value {
    let mut item =
        json!({"v": v, "k": hex(&public_key()), "sig": hex(&sign(seq, salt, v)), "seq": seq});
    if !salt.is_empty() {
        item["salt"] = salt.into();
    }
    item
}

fn address(salt: &str) -> Value {
    let hash = hex(&mutable_key(salt));
    if salt.is_empty() { json!(hash) } else { json!({"hash": hash, "salt": salt}) }
}

/// Every grape puts an item of its own, every grape reads it.
fn immutable_both_ways(kinds: &[Kind]) {
    let ring = Grape::ring(kinds);
    for (from, writer) in ring.iter().enumerate() {
        for (what, v) in [
            ("short", format!("item {from}")),
            ("UTF-8", format!("größe 服务 {from}")),
            ("long", format!("{from:999}")),
        ] {
            let key = hex(&immutable_key(&v));
            let data = if what == "short" { json!(v) } else { json!({"v": v}) };
            assert_eq!(
                writer.call("put", &data).json(),
                json!(key),
                "{what} put on {:?}",
                writer.kind
            );
            for reader in &ring {
                for data in [json!(key), json!({"hash": key})] {
                    let got = reader.call("get", &data);
                    assert_eq!(
                        got.json()["v"],
                        json!(v),
                        "{what} put on {:?}, read on {:?}",
                        writer.kind,
                        reader.kind
                    );
                }
            }
        }
    }
}

#[test]
fn immutable_on_node() {
    immutable_both_ways(&[Kind::Node, Kind::Node]);
}

#[test]
fn immutable_on_a_mixed_ring() {
    immutable_both_ways(&[Kind::Node, Kind::Rust(1), Kind::NodeVerifying, Kind::Rust(2)]);
}

/// Every grape puts mutable items with and without salt, every grape with a verifier reads them, to the last field.
fn mutable_both_ways(kinds: &[Kind]) {
    let ring = Grape::ring(kinds);
    for (from, writer) in ring.iter().enumerate() {
        // Without salt there is one item for all, and Node's grape prefers its own copy, however old: so one writes it.
        let unsalted = (from == 0).then(|| (String::new(), 0));
        let salted = [(format!("salt {from}"), 1), (format!("sälz {from}"), 7)];
        for (salt, seq) in salted.into_iter().chain(unsalted) {
            let v = format!("value {from}");
            let put = writer.call("put", &mutable(&v, &salt, seq));
            assert_eq!(
                put.json(),
                json!(hex(&mutable_key(&salt))),
                "{salt:?} put on {:?}",
                writer.kind
            );
            for reader in &ring {
                let got = reader.call("get", &address(&salt)).json();
                if reader.kind == Kind::Node {
                    // It has no verifier, so it passes over what it gets.
                    assert_eq!(got, Value::Null);
                    continue;
                }
                let where_to =
                    format!("{salt:?} put on {:?}, read on {:?}: {got}", writer.kind, reader.kind);
                assert_eq!(got["v"], json!(v), "{where_to}");
                assert_eq!(got["seq"], json!(seq), "{where_to}");
                assert_eq!(got["k"], json!(hex(&public_key())), "{where_to}");
                assert_eq!(got["sig"], json!(hex(&sign(seq, &salt, &v))), "{where_to}");
                // An item of the grape's own store comes without a token, and without its salt.
                let told = !salt.is_empty() && !got["token"].is_null();
                assert_eq!(got["salt"], if told { json!(salt) } else { Value::Null }, "{where_to}");
            }
        }
    }
}

#[test]
fn mutable_on_verifying_node() {
    mutable_both_ways(&[Kind::NodeVerifying, Kind::NodeVerifying]);
}

#[test]
fn mutable_on_a_mixed_ring() {
    mutable_both_ways(&[Kind::NodeVerifying, Kind::Rust(1), Kind::NodeVerifying, Kind::Rust(2)]);
    mutable_both_ways(&[Kind::Rust(1), Kind::NodeVerifying, Kind::Rust(2)]);
}

#[test]
fn mutable_beside_node_without_verifier() {
    mutable_both_ways(&[Kind::Node, Kind::Rust(1), Kind::Rust(2)]);
}

/// A grape that has nothing itself shows what it reads from others as Node's does, byte for byte but for id and token.
#[test]
fn late_comers_show_items_alike() {
    let ring = Grape::ring(&[Kind::Rust(1), Kind::NodeVerifying]);
    let put = |data: Value| {
        assert_eq!(ring[0].call("put", &data).json().as_str().map(str::len), Some(40))
    };
    for v in [json!("größe"), json!(7), json!([1, null, "b", [2]]), json!({"b": 1, "a": "x"})] {
        put(json!({"v": v}));
    }
    put(mutable("plain", "", 3));
    put(mutable("salted", "pepper", -4));
    let late =
        [Grape::start(Kind::NodeVerifying, &[&ring[0]]), Grape::start(Kind::Rust(2), &[&ring[0]])];
    for bencoded in ["6:größe", "7:größe", "i7e", "li1e1:bli2eee", "d1:a1:x1:bi1ee"] {
        let hash = expand(&format!("<<benhash {bencoded}>>"));
        for data in [json!(hash), json!({"hash": hash, "salt": "pepper"})] {
            let [node, ours] = late.each_ref().map(|grape| mask(&grape.call("get", &data).text()));
            assert_eq!(ours, node, "{bencoded} by {data}");
        }
    }
    for data in [address(""), address("pepper"), json!(hex(&mutable_key("pepper")))] {
        let [node, ours] = late.each_ref().map(|grape| mask(&grape.call("get", &data).text()));
        assert_eq!(ours, node, "{data}");
    }
}

/// Old sequence numbers, wrong cas and wrong signatures are refused on the way from one grape to the other.
fn conflicts(kinds: &[Kind]) {
    let ring = Grape::ring(kinds);
    for (from, writer) in ring.iter().enumerate() {
        let salt = format!("conflict {from}");
        let put = |v: &str, seq: i64, cas: Option<i64>| {
            let mut item = mutable(v, &salt, seq);
            if let Some(cas) = cas {
                item["cas"] = cas.into();
            }
            let answer = writer.call("put", &item);
            (answer.status, answer.json())
        };
        let key = json!(hex(&mutable_key(&salt)));
        let old = (302, json!("302 sequence number less than current"));
        let mismatch = (301, json!("301 CAS mismatch, re-read and try again"));
        let kind = writer.kind;
        assert_eq!(put("five", 5, None), (200, key.clone()), "{kind:?}");
        assert_eq!(put("four", 4, None), old, "{kind:?}");
        assert_eq!(put("six", 6, Some(4)), mismatch, "{kind:?}");
        assert_eq!(put("six", 6, Some(5)), (200, key.clone()), "{kind:?}");

        let mut forged = mutable("seven", &salt, 7);
        forged["v"] = "forged".into();
        let answer = writer.call("put", &forged);
        assert_ne!(answer.json(), key, "{kind:?} takes a forged item");
        for reader in &ring {
            assert_eq!(
                reader.call("get", &address(&salt)).json()["v"],
                json!("six"),
                "put on {kind:?}, read on {:?}",
                reader.kind
            );
        }
    }
}

#[test]
fn conflicts_on_verifying_node() {
    conflicts(&[Kind::NodeVerifying, Kind::NodeVerifying]);
}

#[test]
fn conflicts_on_a_mixed_ring() {
    conflicts(&[Kind::NodeVerifying, Kind::Rust(1), Kind::Rust(2)]);
}

/// The link package's put and get, to and from every grape.
fn link_puts_and_gets(kinds: &[Kind]) {
    let ring = Grape::ring(kinds);
    let ports: Vec<u16> = ring.iter().map(|grape| grape.api.number).collect();
    let mut link = Process::node("link.js", &json!({"grapes": ports}));
    link.wait_for_event("ready");
    for from in 0..ring.len() {
        let v = format!("by link {from}");
        let key = link.ask(&json!({"grape": from, "call": "put", "args": [{"v": v}]}));
        assert_eq!(key, Ok(json!(hex(&immutable_key(&v)))));
        let salt = format!("link {from}");
        let signed =
            link.ask(&json!({"grape": from, "call": "put", "args": [mutable(&v, &salt, 1)]}));
        assert_eq!(signed, Ok(json!(hex(&mutable_key(&salt)))));
        for to in 0..ring.len() {
            let got =
                link.ask(&json!({"grape": to, "call": "get", "args": [key.clone().unwrap()]}));
            assert_eq!(
                got.expect("an item")["v"],
                json!(v),
                "{:?} to {:?}",
                ring[from].kind,
                ring[to].kind
            );
            let got = link.ask(&json!({"grape": to, "call": "get", "args": [address(&salt)]}));
            assert_eq!(
                got.expect("an item")["v"],
                json!(v),
                "{:?} to {:?}, signed",
                ring[from].kind,
                ring[to].kind
            );
        }
    }
}

#[test]
fn link_on_verifying_node() {
    link_puts_and_gets(&[Kind::NodeVerifying, Kind::NodeVerifying]);
}

#[test]
fn link_on_a_mixed_ring() {
    link_puts_and_gets(&[Kind::NodeVerifying, Kind::Rust(1), Kind::Rust(2)]);
}
