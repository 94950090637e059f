//! ZeroMQ: calls in both forms, CURVE, and what goes wrong.

use std::net::TcpListener;
use std::path::PathBuf;

use grenache_peer::server::Reply;
use grenache_peer::{Worker, worker};
use grenache_transports::zmtp::curve::{KeyPair, SecretKey};
use serde_json::json;

use crate::process::{Alone, loadgen, measure, run};
use crate::server::{Act, Server, one_in_a_hundred};

/// The pair of `byte`, its secret key in a file.
fn keys(name: &str, byte: u8) -> (KeyPair, PathBuf) {
    let secret = SecretKey::new([byte; 32]);
    let file = std::env::temp_dir().join(format!("loadgen-{name}-{}", std::process::id()));
    std::fs::write(&file, format!("{}\n", secret.to_z85())).unwrap();
    (secret.into(), file)
}

#[test]
fn a_worker_is_called_on_one_connection_in_both_forms() {
    let server = Server::zmtp(None, |_, _| Act::Echo);
    for (form, name) in
        [("", "zmq"), ("--zmq-form array", "zmq"), ("--zmq-form frames", "zmq frames")]
    {
        let rpc = format!("rpc -t {} --transport zmq {form} -S echo", server.addr);
        let report = measure(&format!("{rpc} --requests 2000 -c 1 -n 64 --size 2-4096")).json(0);
        let (load, requests) = (&report["load"], &report["requests"]);
        assert_eq!((&requests["answered"], &load["connections"]), (&json!(2000), &json!(1)));
        assert_eq!((&load["transport"], &load["in_flight"]), (&json!(name), &json!(64)));
        assert_eq!(requests["connections"], 0, "none is made anew");
    }
}

#[test]
fn our_worker_is_called_on_the_port_of_http() {
    let listen = "127.0.0.1:0".parse().unwrap();
    let config = worker::Config { listen, ..worker::Config::default() };
    let worker = Worker::start(config, |_, services| {
        services.add("echo", |request| async move {
            Ok::<_, grenache_peer::Error>(Reply::from(request.payload().clone()))
        });
    });
    let worker = worker.unwrap();
    for form in ["array", "frames"] {
        let rpc = format!("rpc -t {} --transport zmq --zmq-form {form} -n 64", worker.addr());
        let report = measure(&format!("{rpc} -S echo --requests 2000 --size 2-4096")).json(0);
        assert_eq!(report["requests"]["answered"], 2000, "{report}");
        let missing = measure(&format!("{rpc} -S nobody --requests 2000")).json(1);
        assert_eq!(missing["requests"]["failed"], json!({ "remote": 2000 }), "{missing}");
    }
}

#[test]
fn an_answer_that_does_not_come_is_missed_alone() {
    let server = Server::zmtp(None, one_in_a_hundred(Act::Never));
    let rpc = "--transport zmq -S a --requests 2000 -c 2 -n 8 --timeout 500ms";
    let report = Alone::wait().measure(&format!("rpc -t {} {rpc}", server.addr)).json(5);
    let requests = &report["requests"];
    assert_eq!(requests["failed"], json!({ "timeout": 20 }), "{report}");
    // No connection was made anew for it.
    assert_eq!((&requests["answered"], &requests["connections"]), (&json!(1980), &json!(0)));
}

#[test]
fn faults_are_counted_as_what_they_are() {
    for (act, kind) in [(Act::Close, "closed"), (Act::Reset, "reset"), (Act::Garbage, "malformed")]
    {
        for form in ["array", "frames"] {
            let server = Server::zmtp(None, one_in_a_hundred(act));
            let rpc = format!("rpc -t {} --transport zmq --zmq-form {form} -S a", server.addr);
            let report = measure(&format!("{rpc} --requests 1000 -c 2")).json(5);
            assert_eq!(report["requests"]["failed"], json!({ kind: 10 }), "{form}: {report}");
            assert_eq!(report["requests"]["answered"], 990);
        }
    }
}

#[test]
fn calls_are_encrypted_with_the_right_key_alone() {
    let (ours, own_key) = keys("server", 1);
    let (_, client_key) = keys("client", 2);
    let server = Server::zmtp(Some(ours.clone()), |_, _| Act::Echo);
    let rpc = format!("rpc -t {} --transport zmq -S a", server.addr);
    for key in [String::new(), format!("--curve-key {}", client_key.display())] {
        let curve = format!("--curve-server {} {key}", ours.public);
        let report = measure(&format!("{rpc} {curve} --requests 500 -n 16 --size 1024")).json(0);
        assert_eq!(report["requests"]["answered"], 500, "{report}");
        assert_eq!(report["load"]["transport"], "zmq, curve");
    }
    let (other, other_key) = keys("other", 3);
    let wrong = run(loadgen(&format!("{rpc} --curve-server {} -d 60s", other.public)));
    let said = wrong.error(1);
    assert!(said.contains("it may have another key than --curve-server"), "{said}");
    let none = run(loadgen(&format!("{rpc} -d 60s")));
    let said = none.error(1);
    assert!(said.ends_with("the peer asks for another security mechanism"), "{said}");
    let missing =
        run(loadgen(&format!("{rpc} --curve-server {} --curve-key /nowhere", ours.public)));
    assert!(missing.error(2).starts_with("loadgen: /nowhere: No such file"), "{missing:?}");
    for file in [own_key, client_key, other_key] {
        std::fs::remove_file(file).unwrap();
    }
}

#[test]
fn a_server_without_zeromq_is_told_at_once() {
    let server = Server::start(|_, _| Act::Echo);
    for command in ["rpc --transport zmq -S a", "sub --transport zmq"] {
        let ended = run(loadgen(&format!("{command} -t {} -d 60s", server.addr)));
        let said = ended.error(1);
        assert!(
            said.starts_with(&format!("loadgen: no connection to {}: ", server.addr)),
            "{said}"
        );
    }
}

#[test]
fn a_handshake_that_never_ends_is_given_up() {
    // Connections are made by the kernel, and nobody takes them.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = silent.local_addr().unwrap();
    let ended = run(loadgen(&format!("rpc -t {addr} --transport zmq -S a -d 60s --timeout 200ms")));
    assert_eq!(ended.error(1), format!("loadgen: no connection to {addr}: not within 200ms"));
}

#[test]
fn the_generator_checks_itself_against_a_null_server() {
    let (ours, key) = keys("self-check", 4);
    let server = Server::zmtp(Some(ours.clone()), |_, _| Act::Echo);
    let rpc = format!("rpc -t {} --transport zmq --curve-server {}", server.addr, ours.public);
    for form in ["array", "frames"] {
        let checked = measure(&format!("{rpc} --zmq-form {form} -S a --self-check --requests 100"));
        let report = checked.json(0);
        assert!(report["generator"]["null_server_rate"].as_f64() > Some(1.0), "{report}");
    }
    std::fs::remove_file(key).unwrap();
}
