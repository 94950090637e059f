//! Announcements that are repeated, ours and those of Node's `startAnnouncing`.

use std::time::Duration;

use grenache_grape::Grape;
use grenache_peer::Handle;
use grenache_peer::handle::Config;
use serde_json::json;

use crate::caller::{Caller, Options};
use crate::grapes::{self, SIDES, Side, knows, prefix, until};
use crate::process::Process;
use crate::worker::Plan;

/// How long the grape of the test remembers a peer.
const AGE: Duration = Duration::from_secs(2);

fn handle(api: u16) -> Handle {
    let mut config =
        Config { grapes: vec![format!("http://127.0.0.1:{api}")], ..Config::default() };
    config.link.announce_interval = AGE / 10;
    Handle::start(config).expect("a handle")
}

/// A grape that forgets: what is announced once is gone, what is announced again and again stays, until it is stopped.
#[test]
fn repeated_announcements_outlive_the_memory_of_a_grape() {
    let config = grenache_grape::Config {
        dht_port: 0,
        api_port: 0,
        peer_max_age: AGE,
        ..Default::default()
    };
    let grape = Grape::start(config).expect("a grape");
    let api = grape.api_addr().port();
    let handle = handle(api);
    let conf = json!({"grape": api, "prefix": "kept", "services": ["node"], "keep": AGE.as_millis() as u64 / 10});
    let mut node = Process::node("service.js", &conf);
    let port = node.wait_for_event("announced")["port"].as_u64().expect("a port") as u16;
    let ours = handle.start_announcing("kept:rust", 4321).wait().expect("announced");

    handle.announce("kept:once", 1234).wait().expect("announced");
    assert!(knows(api, "kept:once", 1234));
    until("end of the single announcement", || !knows(api, "kept:once", 1234));
    assert!(knows(api, "kept:node", port) && knows(api, "kept:rust", 4321));
    drop(ours);
    node.ask(&json!({"call": "stop"})).expect("it stops");
    until("end of ours", || !knows(api, "kept:rust", 4321));
    until("end of Node's", || !knows(api, "kept:node", port));
}

/// What ours announces on behalf of Node's worker, clients of both find, through either grape.
#[test]
fn announcements_of_ours_at_both_grapes() {
    for grape in SIDES {
        let prefix = prefix("announcing");
        let worker = Plan::new(Side::Node, &prefix, &[]).start();
        let service = format!("{prefix}:echo");
        let handle = handle(grapes::api(grape));
        let _announcing = handle.start_announcing(&service, worker.port).wait().expect("announced");
        for caller in SIDES {
            for through in SIDES {
                let mut caller = Caller::start(caller, through, None);
                let answer = caller.request(&service, "1", Options::default());
                assert_eq!(answer.as_deref(), Ok("1"), "{grape:?} to {through:?}");
            }
        }
    }
}
