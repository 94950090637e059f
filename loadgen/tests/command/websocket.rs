//! WebSocket: many requests on one connection, echoes, and what goes wrong there.

use grenache_peer::server::Reply;
use grenache_peer::{Worker, worker};
use serde_json::json;

use crate::process::{Alone, measure};
use crate::server::{Act, Server, one_in_a_hundred};

#[test]
fn a_worker_is_called_on_one_connection() {
    let listen = "127.0.0.1:0".parse().unwrap();
    let config = worker::Config { listen, ..worker::Config::default() };
    let worker = Worker::start(config, |_, services| {
        services.add("echo", |request| async move {
            Ok::<_, grenache_peer::Error>(Reply::from(request.payload().clone()))
        });
    });
    let worker = worker.unwrap();
    let rpc = format!("rpc -t {} --transport ws --requests 2000 -c 1 -n 64", worker.addr());
    let report = measure(&format!("{rpc} -S echo --size 2-4096")).json(0);
    let (load, requests) = (&report["load"], &report["requests"]);
    assert_eq!((&requests["answered"], &load["connections"]), (&json!(2000), &json!(1)));
    assert_eq!((&load["transport"], &load["in_flight"]), (&json!("ws"), &json!(64)));
    assert_eq!(requests["connections"], 0, "none is made anew");
    let missing = measure(&format!("{rpc} -S nobody")).json(1);
    assert_eq!(missing["requests"]["failed"], json!({ "remote": 2000 }), "{missing}");
}

#[test]
fn a_server_sends_back_what_it_is_sent() {
    let server = Server::websocket(|_, _| Act::Echo);
    for bytes in [0, 20, 16 * 1024] {
        let echo = format!("ws-echo -t {} --size {bytes} --requests 500 -c 2 -n 16", server.addr);
        let report = measure(&echo).json(0);
        assert_eq!(report["requests"]["answered"], 500, "{report}");
        assert_eq!(report["load"]["payload"], format!("{bytes} bytes"));
    }
}

#[test]
fn an_answer_that_does_not_come_is_missed_alone() {
    let server = Server::websocket(one_in_a_hundred(Act::Never));
    let rpc = "--transport ws -S a --requests 2000 -c 2 -n 8 --timeout 500ms";
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
        for command in ["rpc --transport ws -S a", "ws-echo"] {
            let server = Server::websocket(one_in_a_hundred(act));
            let ended = measure(&format!("{command} -t {} --requests 1000 -c 2", server.addr));
            let report = ended.json(5);
            assert_eq!(report["requests"]["failed"], json!({ kind: 10 }), "{command}: {report}");
            assert_eq!(report["requests"]["answered"], 990);
        }
    }
}
