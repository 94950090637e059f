//! `serve`: announced, answering, and polite when stopped.

use std::net::TcpStream;

use serde_json::{Value, json};

use crate::home::Home;
use crate::network::Network;
use crate::process::{Process, await_that, signal};

#[test]
fn it_is_announced_when_it_says_so() {
    let network = Network::start();
    let (_worker, addr) = network.serve("a:größe", &["--echo"]);
    assert_eq!(network.lookup("a:größe"), [addr.to_string()]);
    let mut command = network.command(&["serve", "b", "--port", "0", "--reply", "1", "--json"]);
    command.args(["--bind", "127.0.0.1", "--cores", "2"]);
    let worker = Process::start(command);
    let said: Value = serde_json::from_str(&worker.line()).unwrap();
    assert_eq!(said, json!({"service": "b", "address": network.lookup("b")[0]}));
    assert_eq!(network.run(&["request", "b", "null"]).out(), "1\n");
}

#[test]
fn it_waits_for_a_grape_that_is_not_there_yet() {
    let addr = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let mut command = crate::process::command("grenache");
    command.args(["-g", &format!("http://{addr}"), "serve", "a", "--port", "0", "--echo"]);
    let worker = Process::start(command);
    worker.wait_for(|line| line.contains("ERR_GRAPE_UNREACHABLE").then_some(()));
    let config = grenache_grape::Config {
        dht_port: 0,
        api_port: addr.port(),
        ..grenache_grape::Config::default()
    };
    let _grape = grenache_grape::Grape::start(config).expect("the port is still free");
    worker.wait_for(|line| line.starts_with("serving a on ").then_some(()));
}

#[test]
fn a_port_that_is_taken_is_an_error() {
    let network = Network::start();
    let (_worker, addr) = network.serve("a", &["--echo"]);
    let port = addr.port().to_string();
    let bind = ["serve", "b", "--bind", "127.0.0.1", "--port", &port, "--echo"];
    let error = network.run(&bind).error(1);
    assert!(error.contains("ERR_START") && error.contains(&port), "{error}");
}

#[test]
fn a_service_that_it_does_not_serve_is_an_error() {
    let network = Network::start();
    let (_worker, addr) = network.serve("a", &["--echo"]);
    network.announce("b", addr.port());
    let error = network.run(&["request", "b", "1"]).error(1);
    assert!(error.contains("ERR_SERVICE_NOTFOUND"), "{error}");
}

#[test]
fn stopping_finishes_what_runs() {
    for name in ["INT", "TERM"] {
        let (network, home) = (Network::start(), Home::new());
        let path = home.path.display();
        let command =
            format!("echo > {path}/begun; while [ ! -e {path}/go ]; do sleep 0.01; done; echo 1");
        let (mut worker, addr) = network.serve("slow", &["--exec", &command]);
        let mut request = Process::start(network.command(&["request", "slow", "0"]));
        await_that("the command has begun", || home.path.join("begun").exists());
        signal(worker.id(), name);
        // It has stopped when it listens no more; the request is still there.
        await_that("it listens no more", || TcpStream::connect(addr).is_err());
        std::fs::write(home.path.join("go"), "").unwrap();
        let (status, lines) = request.end();
        assert_eq!((status.code(), lines), (Some(0), vec!["1".to_string()]), "{name}");
        assert_eq!(worker.end().0.code(), Some(0), "{name}");
    }
}

#[test]
fn a_second_signal_ends_it_at_once() {
    let (network, home) = (Network::start(), Home::new());
    let command = format!("echo > {}/begun; sleep 30", home.path.display());
    let (mut worker, addr) = network.serve("slow", &["--exec", &command]);
    let _request = Process::start(network.command(&["request", "slow", "0"]));
    await_that("the command has begun", || home.path.join("begun").exists());
    signal(worker.id(), "TERM");
    await_that("it listens no more", || TcpStream::connect(addr).is_err());
    signal(worker.id(), "TERM");
    assert_eq!(worker.end().0.code(), Some(1));
}

#[test]
fn it_goes_on_when_nobody_reads_what_it_prints() {
    let network = Network::start();
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let mut command = network.command(&["serve", "a", "--port", "0", "--bind", "127.0.0.1"]);
    let mut worker = command.arg("--echo").stdout(writer).spawn().unwrap();
    assert_eq!(network.run(&["request", "a", "1", "--wait"]).out(), "1\n");
    assert_eq!(worker.try_wait().unwrap(), None);
    worker.kill().unwrap();
    worker.wait().unwrap();
}
