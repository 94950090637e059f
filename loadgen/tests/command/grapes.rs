//! Grapes, ours and Node's: their API over HTTP, and KRPC over UDP.

use grenache_grape::{Config, Grape};
use serde_json::Value;

use crate::process::{loadgen, measure, run};

fn grape() -> Grape {
    Grape::start(Config { dht_port: 0, api_port: 0, ..Config::default() }).expect("a grape")
}

/// All of so many requests were answered, and so many answers were empty.
#[track_caller]
fn answered(report: &Value, count: u64, empty: u64) {
    let requests = &report["requests"];
    assert_eq!(requests["failed"], serde_json::json!({}), "{report}");
    assert_eq!(
        (requests["answered"].as_u64(), requests["empty"].as_u64()),
        (Some(count), Some(empty))
    );
}

#[test]
fn the_api_of_a_grape() {
    let grape = grape();
    let url = format!("http://{}", grape.api_addr());
    let measure = |arguments: &str| measure(&format!("grape {arguments} -g {url} --requests 500"));
    // Nobody is announced yet: answers are empty, and the reader is told.
    let nothing = measure("lookup -S rest:a").json(0);
    answered(&nothing, 500, 500);
    assert!(nothing["notes"].to_string().contains("nothing was found"), "{nothing}");

    answered(&measure("announce -S rest:a --spread 4 --port 1337").json(0), 500, 0);
    answered(&measure("lookup -S rest:a --spread 4").json(0), 500, 0);
    let mixed = measure("lookup -S rest:a:1=9 -S rest:b=1 -n 8").json(0);
    let empty = mixed["requests"]["empty"].as_u64().unwrap();
    assert!((20..=85).contains(&empty), "one in ten asks for nobody: {empty}");
    answered(&measure("put --size 32-900").json(0), 500, 0);
    answered(&measure(&format!("get {}", "0".repeat(40))).json(0), 500, 500);
}

#[test]
fn krpc_as_other_nodes_speak_it() {
    let grape = grape();
    let node = grape.dht_addr();
    let measure = |arguments: &str| measure(&format!("dht {arguments} -t {node} --requests 500"));
    answered(&measure("get-peers -S rest:a").json(0), 500, 500);
    answered(&measure("announce -S rest:a --spread 3").json(0), 500, 0);
    answered(&measure("get-peers -S rest:a --spread 3 -n 16").json(0), 500, 0);
    answered(&measure("get-peers -S rest:a:0 --rate 2000").json(0), 500, 0);
}

#[test]
fn services_are_found_by_a_grape() {
    // The variable names grapes for those who name no target.
    let server = crate::server::Server::start(|_, _| crate::server::Act::Echo);
    let mut named = loadgen(&format!("rpc -t {} -S a --requests 10 -q", server.addr));
    named.env("GRENACHE_GRAPE", "http://127.0.0.1:1");
    assert_eq!(run(named).code, Some(0));

    let grape = grape();
    let url = format!("http://{}", grape.api_addr());
    let nobody = run(loadgen(&format!("rpc -g {url} -S rest:nobody")));
    assert!(nobody.error(3).contains("rest:nobody"), "{nobody:?}");

    let worker = grenache_peer::worker::Config {
        listen: "127.0.0.1:0".parse().unwrap(),
        grapes: vec![url.clone()],
        ..Default::default()
    };
    let worker = grenache_peer::Worker::start(worker, |_, services| {
        services.add("rest:echo", |request| async move {
            Ok::<_, grenache_peer::Error>(grenache_peer::server::Reply::from(
                request.payload().clone(),
            ))
        });
    });
    let _worker = worker.expect("a worker");
    let call = grenache_peer::Handle::start(grenache_peer::handle::Config {
        grapes: vec![url.clone()],
        ..Default::default()
    });
    let until = std::time::Duration::from_secs(30);
    call.unwrap().wait_for_service("rest:echo", until).wait().expect("the worker announces itself");
    for payload in ["--size 20", "--size 64=9,20000=1", "--payload {\"a\":[1.50]}"] {
        let report = measure(&format!("rpc -g {url} -S rest:echo {payload} --requests 300 -n 4"));
        answered(&report.json(0), 300, 0);
    }
}
