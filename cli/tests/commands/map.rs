//! `map`: every worker, each with its own outcome.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::network::{Network, closed_port};

#[test]
fn a_line_for_each_worker() {
    let network = Network::start();
    let (_a, a) = network.serve("all", &["--reply", "\"a\""]);
    let (_b, b) = network.serve("all", &["--reply", "{\n\"b\": \"\\n\"\n}"]);
    let out = network.run(&["map", "all", "null"]).out();
    let lines: BTreeSet<&str> = out.lines().collect();
    let (a, b) = (format!("{a}\t\"a\""), format!("{b}\t{{ \"b\": \"\\n\" }}"));
    assert_eq!(lines, BTreeSet::from([a.as_str(), b.as_str()]));
    let out = network.run(&["map", "all", "null", "--limit", "1"]).out();
    assert!([a, b].contains(&out.trim_end().to_string()), "{out}");
}

#[test]
fn the_failure_of_some_is_5_and_loses_nothing() {
    let network = Network::start();
    let (_worker, addr) = network.serve("some", &["--echo"]);
    let port = closed_port();
    network.announce("some", port);
    let ended = network.run(&["map", "some", "[1]"]);
    assert_eq!((ended.code, ended.out.as_str()), (Some(5), format!("{addr}\t[1]\n").as_str()));
    let start = format!("grenache: warning: 127.0.0.1:{port}: ERR_REQUEST_GENERIC");
    assert!(ended.err.starts_with(&start) && ended.err.lines().count() == 1, "{ended:?}");

    let ended = network.run(&["map", "--json", "some", "[1]"]);
    assert_eq!((ended.code, ended.err.as_str()), (Some(5), ""));
    let lines: Vec<Value> = ended.out.lines().map(|l| serde_json::from_str(l).unwrap()).collect();
    assert_eq!(lines.len(), 2);
    assert!(lines.contains(&json!({"worker": addr.to_string(), "reply": [1]})), "{lines:?}");
    let failed = lines.iter().find(|line| line.get("error").is_some()).unwrap();
    assert_eq!(failed["worker"], format!("127.0.0.1:{port}"));
}

#[test]
fn the_failure_of_all_is_1_and_nobody_is_3() {
    let network = Network::start();
    network.announce("dead", closed_port());
    let ended = network.run(&["map", "dead", "1"]);
    assert_eq!((ended.code, ended.out.as_str()), (Some(1), ""));
    let error = network.run(&["map", "nobody", "1"]).error(3);
    assert!(error.contains("ERR_GRAPE_LOOKUP_EMPTY: nobody announces 'nobody'"), "{error}");
}
