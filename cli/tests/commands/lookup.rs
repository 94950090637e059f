//! `lookup`.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::network::Network;
use crate::process::run;

fn three() -> Network {
    let network = Network::start();
    for port in [1, 2, 3] {
        network.announce("three", port);
    }
    network.announce("one", 9);
    network
}

const ALL: [&str; 3] = ["127.0.0.1:1", "127.0.0.1:2", "127.0.0.1:3"];

fn sorted(line: &str) -> Vec<&str> {
    let mut peers: Vec<&str> = line.split(' ').collect();
    peers.sort_unstable();
    peers
}

#[test]
fn a_line_for_each_service() {
    let network = three();
    let out = network.run(&["lookup", "--all", "three", "one"]).out();
    let lines: Vec<&str> = out.lines().collect();
    assert_eq!(lines.len(), 2, "{out}");
    assert_eq!(sorted(lines[0]), ALL);
    assert_eq!(lines[1], "127.0.0.1:9");
    // One each, at random unless told otherwise.
    let mut seen = BTreeSet::new();
    while seen.len() < 3 {
        let out = network.run(&["lookup", "three"]).out();
        assert!(ALL.contains(&out.trim_end()), "{out}");
        seen.insert(out);
    }
    for option in ["--first", "--last", "--random", "-f", "-l", "-r"] {
        let out = network.run(&["lookup", option, "three", "one"]).out();
        let lines: Vec<&str> = out.lines().collect();
        assert!(ALL.contains(&lines[0]), "{out}");
        assert_eq!(lines[1..], ["127.0.0.1:9"]);
    }
    // Several options print a line each, in grenache-cli's order.
    let out = network.run(&["lookup", "-l", "-f", "-a", "three"]).out();
    let lines: Vec<&str> = out.lines().collect();
    let all: Vec<&str> = lines[0].split(' ').collect();
    assert_eq!(lines[1..], [all[0], all[2]]);
}

#[test]
fn json_is_one_object_a_service() {
    let network = three();
    let out = network.run(&["--json", "lookup", "-a", "three", "one"]).out();
    let lines: Vec<Value> = out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines[0]["service"], "three");
    assert_eq!(lines[0]["peers"].as_array().unwrap().len(), 3);
    assert_eq!(lines[1], json!({"service": "one", "peers": ["127.0.0.1:9"]}));
    let out = network.run(&["lookup", "-j", "three"]).out();
    let line: Value = serde_json::from_str(&out).unwrap();
    assert_eq!(line["peers"].as_array().unwrap().len(), 1);
}

#[test]
fn nobody_is_3_and_some_is_5() {
    let network = three();
    let error = network.run(&["lookup", "größe"]).error(3);
    assert!(error.contains("ERR_GRAPE_LOOKUP_EMPTY: nobody announces 'größe'"), "{error}");
    let ended = network.run(&["lookup", "nobody", "one", "nothing"]);
    assert_eq!((ended.code, ended.out.as_str()), (Some(5), "127.0.0.1:9\n"));
    let lines: Vec<&str> = ended.err.lines().collect();
    assert_eq!(lines.len(), 2, "{ended:?}");
    assert!(lines[0].starts_with("grenache: warning: ERR_GRAPE_LOOKUP_EMPTY: nobody"), "{ended:?}");
    let ended = network.run(&["lookup", "nobody", "nothing"]);
    assert_eq!((ended.code, ended.out.as_str()), (Some(3), ""));
}

#[test]
fn no_grape_is_1_and_says_where_it_was_looked_for() {
    let error = run("grenache", ["-g", "http://127.0.0.1:1", "lookup", "a", "b"]).error(1);
    assert!(error.contains("ERR_GRAPE_UNREACHABLE") && error.contains("127.0.0.1:1"), "{error}");
    assert!(error.contains("--grape"), "it says what to do: {error}");
}
