//! `pub` and `sub`: with each other, and with Node's publisher and subscriber.

use std::process::ExitStatus;

use serde_json::{Value, json};

use crate::network::Network;
use crate::node;
use crate::port;
use crate::process::{Process, run_with, signal};

/// A publisher, started and known to the network.
fn publisher(network: &Network, arguments: &[&str]) -> Process {
    let mut command = network.command(&["pub", "--bind", "127.0.0.1"]);
    let publisher = Process::start({
        command.args(arguments);
        command
    });
    publisher.wait_for(|line| line.contains(": publishing ").then_some(()));
    publisher
}

fn end(mut process: Process) -> (ExitStatus, Vec<String>) {
    process.end()
}

#[test]
fn every_line_arrives() {
    let network = Network::start();
    let sub = Process::start(network.command(&["sub", "news", "-n", "3"]));
    let lines = "first\n\ngröße \u{1f600}\n";
    let mut command = network.command(&["pub", "news", "--bind", "127.0.0.1", "--wait-for", "1"]);
    command.arg("--json");
    let ended = run_with(command, lines);
    let told: Value = serde_json::from_str(&ended.out).expect("JSON");
    assert_eq!(told, json!({"published": 3, "sent": 3, "dropped": 0, "disconnected": 0}));
    assert_eq!(ended.code, Some(0));
    let (status, said) = end(sub);
    assert!(status.success());
    assert_eq!(said, ["first", "", "größe \u{1f600}"]);
}

#[test]
fn topics() {
    let network = Network::start();
    let mut publisher = publisher(&network, &["ticker", "--topics", "--wait-for", "2"]);
    let wanted = ["--topic", "trades.BTC", "--topic", "news", "--show-topic", "-n", "2"];
    let some = Process::start(network.command(&[&["sub", "ticker"][..], &wanted].concat()));
    let all = Process::start(network.command(&["sub", "ticker", "--json", "-n", "3"]));
    for line in ["trades.BTCUSD 1", "trades.ETHUSD 2", "newsflash a b"] {
        publisher.write(line);
    }
    let (status, said) = end(some);
    assert!(status.success());
    assert_eq!(said, ["trades.BTCUSD 1", "newsflash a b"]);
    let (_, said) = end(all);
    let said: Vec<Value> = said.iter().map(|line| serde_json::from_str(line).unwrap()).collect();
    let topics: Vec<_> = said.iter().map(|came| came["topic"].as_str().unwrap()).collect();
    assert_eq!(topics, ["trades.BTCUSD", "trades.ETHUSD", "newsflash"]);
    assert_eq!(said[2]["message"], json!("a b"));
}

#[test]
fn a_publisher_ends_with_its_input_or_by_a_signal() {
    let network = Network::start();
    let (status, _) = end(publisher(&network, &["a"]));
    assert!(status.success());
    for name in ["INT", "TERM"] {
        let mut publisher = publisher(&network, &["b", "--keep"]);
        signal(publisher.id(), name);
        assert_eq!(publisher.end().0.code(), Some(0));
    }
}

#[test]
fn a_subscriber_says_when_nothing_comes() {
    let network = Network::start();
    let error = network.run(&["sub", "nobody", "--timeout", "50"]).error(4);
    assert!(error.contains("nobody publishes 'nobody'"), "{error}");
    let _publisher = publisher(&network, &["silent", "--keep"]);
    let error = network.run(&["sub", "silent", "--timeout", "500"]).error(4);
    assert!(error.contains("nothing was published by 'silent'"), "{error}");
    for command in ["pub", "sub"] {
        let ended = network.run(&[command, "a", "--topic", &"x".repeat(300)]);
        assert!(ended.code == Some(2) && ended.err.contains("255"), "{ended:?}");
    }
}

#[test]
fn a_subscriber_says_that_its_publisher_is_gone_and_finds_the_next() {
    let network = Network::start();
    let place = port::take().number.to_string();
    let arguments = ["news", "--port", &place, "--wait-for", "1"];
    let mut first = publisher(&network, &arguments);
    let sub = Process::start(network.command(&["sub", "news", "-n", "2"]));
    first.write("first");
    sub.wait_for(|line| (line == "first").then_some(()));
    drop(first);
    sub.wait_for(|line| line.contains("no publisher: ").then_some(()));
    let mut second = publisher(&network, &arguments);
    second.write("second");
    sub.wait_for(|line| (line == "second").then_some(()));
    assert!(end(sub).0.success());
}

#[test]
fn nodes_subscriber_hears_pub() {
    let network = Network::start();
    let mut publisher = publisher(&network, &["news", "--wait-for", "1", "--topic", "any"]);
    let port = network.grape.api_addr().port();
    let subscriber = node::start("subscriber.js", &json!({"grape": port, "service": "news"}));
    publisher.write("größe \u{1f600}");
    let message = subscriber.wait_for(|line| {
        let said: Value = serde_json::from_str(line).ok()?;
        (said["event"] == "message").then(|| said["message"].clone())
    });
    assert_eq!(message, json!("größe \u{1f600}"));
}

#[test]
fn sub_hears_nodes_publisher() {
    let network = Network::start();
    let port = port::take();
    let conf =
        json!({"grape": network.grape.api_addr().port(), "service": "news", "port": port.number});
    let mut publisher = node::start("publisher.js", &conf);
    publisher.wait_for(|line| line.contains("announced").then_some(()));
    let sub = Process::start(network.command(&["sub", "news", "-n", "2"]));
    publisher.wait_for(|line| line.contains("\"subscriber\"").then_some(()));
    for message in ["first", "größe"] {
        publisher.write(&json!({"message": message}).to_string());
    }
    let (status, said) = end(sub);
    assert!(status.success());
    assert_eq!(said, ["first", "größe"]);
}

#[test]
fn requests_go_over_websocket() {
    let network = Network::start();
    let (_both, _) = network.serve("both", &["--echo"]);
    let (_ws, _) = network.serve("ws", &["--echo", "--transport", "ws"]);
    let (_http, _) = network.serve("http", &["--echo", "--transport", "http"]);
    for service in ["both", "ws"] {
        let ws = ["request", service, "{\"a\": 1.50}", "--transport", "ws"];
        assert_eq!(network.run(&ws).out(), "{\"a\": 1.50}\n");
    }
    let map = network.run(&["map", "both", "1", "--transport", "ws"]);
    assert_eq!(map.code, Some(0), "{map:?}");
    let error = network.run(&["request", "ws", "1", "--retry", "0"]).error(1);
    assert!(error.contains("426"), "{error}");
    let error =
        network.run(&["request", "http", "1", "--transport", "ws", "--retry", "0"]).error(1);
    assert!(error.contains("instead of upgrading"), "{error}");
}

#[test]
fn requests_go_to_nodes_worker_over_websocket() {
    let network = Network::start();
    let port = network.grape.api_addr().port();
    let conf =
        json!({"transport": "ws", "grape": port, "prefix": "n", "services": ["echo"], "name": "a"});
    let worker = node::start("service.js", &conf);
    worker.wait_for(|line| line.contains("announced").then_some(()));
    let request = ["request", "n:echo", "[\"größe\"]", "--transport", "ws"];
    assert_eq!(network.run(&request).out(), "[\"größe\"]\n");
}
