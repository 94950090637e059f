//! Publishers and subscribers, ours and Node's.

use std::io::{BufRead, BufReader, Write};
use std::path::PathBuf;
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use crate::process::{Running, loadgen, measure};

/// `pub` with these arguments, and where it listens.
fn publisher(arguments: &str) -> (Running, String) {
    let mut running = Running::start(loadgen(&format!("pub {arguments} --quiet --json -")));
    let line = running.line();
    let addr = line.trim().strip_prefix("listening on ").expect("where it listens").to_owned();
    (running, addr)
}

#[test]
fn what_is_published_is_heard_by_all_that_read() {
    let (publishing, addr) = publisher("-n 20 --size 100 --rate 500 -d 3s -w 500ms");
    let report = measure(&format!("sub -t {addr} -n 20 --stalled 2 -d 1s -w 500ms")).json(0);
    let heard = &report["heard"];
    let messages = heard["messages"].as_u64().unwrap();
    assert_eq!(heard["bytes"], messages * 100, "{report}");
    assert_eq!((&heard["stalled"], &report["load"]["connections"]), (&json!(2), &json!(20)));
    // 18 x 500, as far as the machine keeps time.
    assert!((6_000..=11_000).contains(&messages), "{report}");
    let [fewest, most] = ["fewest", "most"].map(|key| heard[key].as_u64().unwrap());
    assert!(fewest > 0 && fewest <= messages / 18 && messages / 18 <= most, "{report}");
    let ended = publishing.end();
    let report = ended.json(0);
    let published = &report["published"];
    assert!((1_300..=1_600).contains(&published["messages"].as_u64().unwrap()), "{report}");
    assert_eq!((&published["refused"], &published["disconnected"]), (&json!(0), &json!(0)));
    assert!(published["sent"].as_u64() > Some(messages / 2), "{report}");
    assert!(report["server"]["cpu_us_per_request"].as_f64() > Some(0.0), "{report}");
}

#[test]
fn subscribers_are_given_what_they_take_and_nothing_is_dropped() {
    let (publishing, addr) = publisher("-n 10 --topic trades.BTCUSD -d 1s -w 200ms");
    // They go on listening when all is published: what waits for those that go counts as dropped.
    let sub = format!("sub -t {addr} -n 10 --topic trades. -d 1h -w 0s --quiet --json -");
    let listening = Running::start(loadgen(&sub));
    let report = publishing.end().json(0);
    let published = &report["published"];
    assert_eq!((&published["dropped"], &published["subscribers"]), (&json!(0), &json!(10)));
    listening.signal("INT");
    let report = listening.end().json(130);
    let [messages, bytes, fewest] =
        ["messages", "bytes", "fewest"].map(|key| report["heard"][key].as_u64().unwrap());
    assert!(fewest > 100, "{report}");
    // A message is its topic, a 0, and 100 bytes.
    assert_eq!(bytes, messages * (100 + 14), "{report}");
}

#[test]
fn subscribers_over_zeromq_hear_the_same() {
    let (publishing, addr) = publisher("-n 10 --topic trades.BTCUSD -d 1h -w 0s");
    let sub = |topic: &str| {
        let options = "--transport zmq -n 5 -d 1h -w 0s --quiet --json -";
        Running::start(loadgen(&format!("sub -t {addr} --topic {topic} --topic quotes. {options}")))
    };
    let (listening, others) = (sub("trades."), sub("news."));
    let report = measure(&format!("sub -t {addr} -n 5 --topic trades. -d 500ms -w 100ms")).json(0);
    assert!(report["heard"]["fewest"].as_u64() > Some(10), "over WebSocket: {report}");
    drop(publishing);
    listening.signal("INT");
    let report = listening.end().json(130);
    let [messages, bytes, fewest] =
        ["messages", "bytes", "fewest"].map(|key| report["heard"][key].as_u64().unwrap());
    assert!(fewest > 100, "{report}");
    // A message is its topic and 100 bytes, a part each.
    assert_eq!((bytes, &report["load"]["transport"]), (messages * (100 + 13), &json!("zmq")));
    others.signal("INT");
    assert_eq!(others.end().json(130)["heard"]["messages"], 0);
}

#[test]
fn the_summary_says_what_was_heard() {
    let (publishing, addr) = publisher("-n 3 --rate 100 -d 2s -w 0s");
    let ended = crate::process::run(loadgen(&format!("sub -t {addr} -n 3 -d 1s -w 0s")));
    assert_eq!(ended.code, Some(0), "{ended:?}");
    for words in ["3 subscribers", "messages heard", "the subscriber with the fewest"] {
        assert!(ended.out.contains(words), "{words}: {}", ended.out);
    }
    assert!(!ended.out.contains("corrected"), "{}", ended.out);
    assert!(ended.err.contains("3 connections"), "{}", ended.err);
    drop(publishing);
}

#[test]
fn nodes_publisher_is_heard() {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    let modules = folder.join("../grape/tests/node/node_modules");
    assert!(
        modules.join("grenache-nodejs-ws").exists(),
        "Node's packages are not installed: run `cargo xtask setup`"
    );
    // It asks no grape for anything.
    let conf = json!({ "modules": modules, "grape": "127.0.0.1:1", "transport": "ws" });
    let mut command = Command::new("node");
    command.arg(folder.join("../bench/node/publisher.js")).arg(conf.to_string());
    command.stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut node = command.spawn().expect("Node starts");
    let mut orders = node.stdin.take().expect("a pipe");
    let mut said = String::new();
    BufReader::new(node.stdout.take().expect("a pipe")).read_line(&mut said).expect("a line");
    let said: Value = serde_json::from_str(&said).expect("JSON");
    let addr = said["listening"].as_str().expect("where it listens");
    orders.write_all(b"publish 60000 50\n").expect("it takes orders");
    let report = measure(&format!("sub -t {addr} -n 5 -d 500ms -w 200ms"));
    drop(orders);
    node.kill().and_then(|()| node.wait()).expect("it ends");
    let report = report.json(0);
    let heard = &report["heard"];
    assert!(heard["fewest"].as_u64() > Some(10), "{report}");
    assert_eq!(heard["bytes"].as_u64(), heard["messages"].as_u64().map(|count| count * 50));
}
