//! `announce`: from arguments and from standard input, once and for good.

use std::net::TcpListener;

use grenache_grape::{Config, Grape};
use serde_json::{Value, json};

use crate::network::Network;
use crate::process::{Process, command, run, run_with, signal};

#[test]
fn services_on_the_command_line() {
    let network = Network::start();
    let out = network.run(&["announce", "rest:a,1337", "größe:b,80"]).out();
    assert_eq!(out, "rest:a\t1337\t1\ngröße:b\t80\t1\n");
    assert_eq!(network.lookup("rest:a"), ["127.0.0.1:1337"]);
    assert_eq!(network.lookup("größe:b"), ["127.0.0.1:80"]);
    let out = network.run(&["announce", "-d", "//", "a,b//7"]).out();
    assert_eq!(out, "a,b\t7\t1\n");
    let out = network.run(&["announce", "--json", "c,8", r#"{"data":["d",9]}"#]).out();
    let lines: Vec<Value> = out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines[0], json!({"service": "c", "port": 8, "stored": 1}));
    assert_eq!(lines[1], json!({"service": "d", "port": 9, "stored": 1}));
}

#[test]
fn services_from_standard_input_one_by_one_as_they_come() {
    let network = Network::start();
    let mut process = Process::start(network.command(&["announce"]));
    for (port, line) in [(1, "a,1"), (2, "  a , 2 # the second"), (3, "a,3;")] {
        process.write("# a comment, and a blank line\n");
        process.write(line);
        // It is done before the next line is there.
        assert_eq!(process.line(), format!("a\t{port}\t1"));
        assert_eq!(network.lookup("a").len(), port);
    }
    let (status, rest) = process.end();
    assert_eq!((status.code(), rest.len()), (Some(0), 0));
}

#[test]
fn json_from_standard_input() {
    let network = Network::start();
    let mut process = Process::start(network.command(&["announce", "--json"]));
    process.write(r#"{"data":["a",1]}"#);
    assert_eq!(process.line(), r#"{"service":"a","port":1,"stored":1}"#);
    process.write("{\"data\":\n[\"a\",\"2\"]\n} [\"a\",3]");
    process.line();
    process.line();
    assert_eq!(network.lookup("a").len(), 3);
    assert_eq!(process.end().0.code(), Some(0));
}

#[test]
fn what_cannot_be_announced_is_told_and_the_rest_goes_on() {
    let network = Network::start();
    let ended = run_with(network.command(&["announce"]), "nope\na,0\n,5\nb,70000\ngood,1\n");
    assert_eq!((ended.code, ended.out.as_str()), (Some(5), "good\t1\t1\n"));
    let lines: Vec<&str> = ended.err.lines().collect();
    assert_eq!(lines.len(), 4, "{ended:?}");
    assert_eq!(lines[0], "grenache: warning: 'nope' is not service,port");
    assert!(lines[1].contains("'0' is not a port"), "{ended:?}");
    assert_eq!(network.run(&["announce", "nope", "a,x"]).code, Some(1));
    assert_eq!(run_with(network.command(&["announce"]), "").out(), "", "nothing to do is done");
}

#[test]
fn no_grape_is_an_error_with_a_hint() {
    let error = run("grenache", ["-g", "http://127.0.0.1:1", "announce", "a,1"]).error(1);
    assert!(error.contains("ERR_GRAPE_UNREACHABLE") && error.contains("--grape"), "{error}");
}

#[test]
fn kept_until_stopped_and_from_when_there_is_a_grape() {
    // The port of a grape that is not there yet.
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = listener.local_addr().unwrap();
    drop(listener);
    let mut command = command("grenache");
    command.args(["-g", &format!("http://{addr}"), "announce", "--keep", "a,1", "b,2"]);
    let mut process = Process::start(command);
    process.wait_for(|line| line.contains("warning: ERR_GRAPE_UNREACHABLE").then_some(()));
    let config = Config { dht_port: 0, api_port: addr.port(), ..Config::default() };
    let grape = Grape::start(config).expect("the port is still free");
    let mut lines = [process.wait_for(stored), process.wait_for(stored)];
    lines.sort();
    assert_eq!(lines, ["a\t1\t1", "b\t2\t1"]);
    assert_eq!(grape.lookup("a").wait().unwrap().len(), 1);
    // It is still at it.
    signal(process.id(), "TERM");
    assert_ne!(process.end().0.code(), Some(1));
}

fn stored(line: &str) -> Option<String> {
    line.contains('\t').then(|| line.to_string())
}
