//! `request`: one call, its reply and every way it can fail.

use std::time::{Duration, Instant};

use crate::network::{Network, closed_port, deaf};
use crate::process::{Process, run, run_with};

#[test]
fn the_reply_is_printed_as_it_came() {
    let network = Network::start();
    let (_worker, _) = network.serve("echo", &["--echo"]);
    for payload in [
        "null",
        "0",
        "-1",
        "\"\"",
        "[]",
        "{ \"a\" : [ 1 , 2.50, null ] }",
        "123456789012345678901234567890",
        "\"größe 服务 \\ud83d\\ude00\"",
    ] {
        let out = network.run(&["request", "echo", payload]).out();
        assert_eq!(out, format!("{payload}\n"));
        let out = network.run(&["request", "echo", payload, "--gzip", "--retry", "0"]).out();
        assert_eq!(out, format!("{payload}\n"));
    }
    let long = format!("\"{}\"", "x".repeat(5_000_000));
    let ended = run_with(network.command(&["request", "echo", "-", "--transport", "http"]), &long);
    assert_eq!(ended.code, Some(0));
    assert!(ended.out.trim_end() == long, "5 MB come back as they went");
}

#[test]
fn nobody_is_3() {
    let network = Network::start();
    let error = network.run(&["request", "nobody", "1"]).error(3);
    assert_eq!(
        error,
        "grenache: error: ERR_GRAPE_LOOKUP_EMPTY: nobody announces 'nobody'; is its worker running, \
         and on the same grapes?"
    );
}

#[test]
fn a_worker_that_comes_later_can_be_waited_for() {
    let network = Network::start();
    let mut process = Process::start(network.command(&["request", "late", "7", "--wait"]));
    let (_worker, _) = network.serve("late", &["--echo"]);
    let (status, lines) = process.end();
    assert_eq!((status.code(), lines), (Some(0), vec!["7".to_string()]));
}

#[test]
fn time_that_is_up_is_4() {
    let network = Network::start();
    let (_listener, port) = deaf();
    network.announce("deaf", port);
    let begun = Instant::now();
    let error = network.run(&["request", "deaf", "1", "--timeout", "200"]).error(4);
    assert!(begun.elapsed() < Duration::from_secs(5));
    assert!(error.contains("ERR_TIMEOUT") && error.contains("200ms"), "{error}");
    assert!(error.contains("--timeout"), "it says what to do: {error}");
}

#[test]
fn other_failures_are_1_and_name_the_worker() {
    let network = Network::start();
    let port = closed_port();
    network.announce("dead", port);
    let error = network.run(&["request", "dead", "1", "--retry", "1"]).error(1);
    assert!(error.contains(&format!("ERR_REQUEST_GENERIC: 127.0.0.1:{port}")), "{error}");
    let error = run("grenache", ["-g", "http://127.0.0.1:1", "request", "a", "1"]).error(1);
    assert!(error.contains("ERR_GRAPE_UNREACHABLE"), "{error}");
    let (_worker, _) = network.serve("fails", &["--exec", "echo 'ERR_NO: not today' >&2; exit 3"]);
    let error = network.run(&["request", "fails", "1"]).error(1);
    assert_eq!(error, "grenache: error: ERR_NO: not today");
}

#[test]
fn another_worker_is_tried_when_one_is_dead() {
    let network = Network::start();
    network.announce("half", closed_port());
    let (_worker, _) = network.serve("half", &["--echo"]);
    for _ in 0..8 {
        assert_eq!(network.run(&["request", "half", "1"]).out(), "1\n");
    }
}

#[test]
fn a_pretty_reply_stays_as_it_is() {
    let network = Network::start();
    let (_worker, _) = network.serve("pretty", &["--reply", "{\n  \"a\": 1\n}"]);
    assert_eq!(network.run(&["request", "pretty", "null"]).out(), "{\n  \"a\": 1\n}\n");
}
