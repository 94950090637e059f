//! Calls over WebSocket, in every combination of workers, clients and grapes.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use grenache_peer::Transport::WebSocket;

use crate::caller::{Caller, Options};
use crate::certificates::TRUSTED;
use crate::grapes::{SIDES, Side, prefix};
use crate::secure::{ClientSide, Clients, ServerSide};
use crate::worker::Plan;

fn every_combination(server: Option<&ServerSide>, client: Option<&ClientSide>) {
    let combinations = || SIDES.into_iter().flat_map(|a| SIDES.into_iter().map(move |b| (a, b)));
    let mut callers: Vec<_> = combinations()
        .map(|(side, grape)| (side, grape, Caller::over(WebSocket, side, grape, client)))
        .collect();
    for (side, grape) in combinations() {
        let prefix = prefix("ws:größe");
        let plan = Plan::new(side, &prefix, &["echo", "name"]).transport(WebSocket);
        let _worker = plan.grape(grape).secure(server).name("the worker").start();
        for (caller_side, through, caller) in &mut callers {
            let which = format!("{caller_side:?} through {through:?} to {side:?} at {grape:?}");
            let payload = r#"{"a":[1,2.5,null,"größe 服务"]}"#;
            let echo = caller.request(&format!("{prefix}:echo"), payload, Options::default());
            assert_eq!(echo.as_deref(), Ok(payload), "{which}");
            let name = caller.request(&format!("{prefix}:name"), "null", Options::default());
            assert_eq!(name.as_deref(), Ok("\"the worker\""), "{which}");
        }
    }
}

#[test]
fn every_combination_plain() {
    every_combination(None, None);
}

#[test]
fn every_combination_with_mutual_tls() {
    let server = ServerSide::new(&TRUSTED.issue("worker"), Clients::Required);
    let client = ClientSide::new(&TRUSTED.issue("client"));
    every_combination(Some(&server), Some(&client));
}

#[test]
fn a_client_that_is_not_on_the_list_is_refused_before_the_upgrade() {
    let (known, unknown) = (TRUSTED.issue("known"), TRUSTED.issue("unknown"));
    let mut server = ServerSide::new(&TRUSTED.issue("worker"), Clients::Required);
    server.allow = vec![known.sha1()];
    for worker in SIDES {
        let prefix = prefix("ws:list");
        let plan = Plan::new(worker, &prefix, &["certificate"]).transport(WebSocket);
        let _worker = plan.secure(Some(&server)).start();
        for side in SIDES {
            let mut good =
                Caller::over(WebSocket, side, Side::Rust, Some(&ClientSide::new(&known)));
            let mut bad =
                Caller::over(WebSocket, side, Side::Rust, Some(&ClientSide::new(&unknown)));
            let (service, which) =
                (format!("{prefix}:certificate"), format!("{side:?} to {worker:?}"));
            let options = Options { timeout_ms: Some(5000), ..Options::default() };
            let seen = good.request(&service, "1", options).expect("it is let in");
            assert!(seen.contains(&known.sha1()), "{which}: {seen}");
            // Node's client dies of it, by an error that it does not handle.
            if side == Side::Rust {
                let refused = bad.request(&service, "1", options).expect_err("it is refused");
                assert!(refused.starts_with("ERR_REQUEST_GENERIC: "), "{which}: {refused}");
                assert!(good.request(&service, "1", options).is_ok(), "{which}");
            }
        }
    }
}

#[test]
fn answers_come_in_the_order_of_handlers_on_one_connection() {
    for worker in SIDES {
        let prefix = prefix("ws:order");
        let plan = Plan::new(worker, &prefix, &["echo", "slow"]).transport(WebSocket);
        let _worker = plan.start();
        for side in SIDES {
            let mut caller = Caller::over(WebSocket, side, Side::Rust, None);
            // The first is the slowest; those that do not wait are answered while it runs.
            let mut requests = vec![(format!("{prefix}:slow"), "400".to_string())];
            requests.push((format!("{prefix}:slow"), "200".to_string()));
            requests.extend((0..62).map(|n| (format!("{prefix}:echo"), format!("[{n}]"))));
            let order = caller.many(&requests);
            let which = format!("{side:?} to {worker:?}");
            assert_eq!(order.len(), 64, "{which}");
            for (number, answer) in &order {
                let expected = match requests[*number].0.ends_with("slow") {
                    true => "\"a\"".to_string(),
                    false => requests[*number].1.clone(),
                };
                assert_eq!(answer, &Ok(expected), "{which}");
            }
            let last: Vec<usize> = order[62..].iter().map(|(number, _)| *number).collect();
            assert_eq!(last, [1, 0], "{which}");
        }
    }
}

#[test]
fn large_payloads_and_errors_arrive() {
    let large = format!("\"{}\"", "größe".repeat(200_000));
    let error = "größe \u{1f600} \"quoted\"\n".repeat(10_000);
    for worker in SIDES {
        let prefix = prefix("ws:large");
        let plan = Plan::new(worker, &prefix, &["echo", "fail", "gone"]).transport(WebSocket);
        let _worker = plan.start();
        for side in SIDES {
            let mut caller = Caller::over(WebSocket, side, Side::Rust, None);
            for _ in 0..3 {
                let echo = caller.request(&format!("{prefix}:echo"), &large, Options::default());
                assert!(echo.as_deref() == Ok(&large), "{side:?} to {worker:?}");
            }
            let payload = serde_json::to_string(&error).unwrap();
            let failed = caller.request(&format!("{prefix}:fail"), &payload, Options::default());
            assert!(failed == Err(error.clone()), "{side:?} to {worker:?}");
            let gone = caller.request(&format!("{prefix}:gone"), "1", Options::default());
            assert_eq!(gone, Err("ERR_SERVICE_NOTFOUND".into()));
        }
    }
}

#[test]
fn map_asks_all_workers() {
    let prefix = prefix("ws:map");
    let start =
        |side, name| Plan::new(side, &prefix, &["name"]).transport(WebSocket).name(name).start();
    let _workers = [start(Side::Node, "a"), start(Side::Rust, "b"), start(Side::Node, "c")];
    for side in SIDES {
        let mut caller = Caller::over(WebSocket, side, Side::Rust, None);
        let all = caller.map(&format!("{prefix}:name"), "1", Options::default()).unwrap();
        let names: BTreeSet<_> = all.iter().flatten().map(|name| name.trim_matches('"')).collect();
        assert_eq!(names, BTreeSet::from(["a", "b", "c"]), "{side:?}: {all:?}");
    }
}

#[test]
fn a_call_ends_at_once_when_the_worker_dies() {
    let prefix = prefix("ws:death");
    let worker = Plan::new(Side::Node, &prefix, &["never", "echo"]).transport(WebSocket).start();
    let mut caller = Caller::over(WebSocket, Side::Rust, Side::Rust, None);
    assert!(caller.request(&format!("{prefix}:echo"), "1", Options::default()).is_ok());
    let began = Instant::now();
    let ending = std::thread::scope(|scope| {
        let ending = scope.spawn(|| {
            let options = Options { timeout_ms: Some(60_000), ..Options::default() };
            caller.request(&format!("{prefix}:never"), "1", options)
        });
        // It has certainly been sent once another one is answered after it.
        let mut other = Caller::over(WebSocket, Side::Rust, Side::Rust, None);
        assert!(other.request(&format!("{prefix}:echo"), "1", Options::default()).is_ok());
        worker.kill();
        ending.join().unwrap()
    });
    let error = ending.expect_err("nobody answers");
    assert!(
        error.starts_with("ERR_TRANSPORT_CLOSE") || error.starts_with("ERR_REQUEST_GENERIC"),
        "{error}"
    );
    assert!(began.elapsed() < Duration::from_secs(20));
}

#[test]
fn what_belongs_to_http_is_said_so() {
    let prefix = prefix("ws:http");
    let _worker = Plan::new(Side::Rust, &prefix, &["echo"]).start();
    let mut caller = Caller::over(WebSocket, Side::Rust, Side::Rust, None);
    let options = Options { compress: true, ..Options::default() };
    let refused = caller.request(&format!("{prefix}:echo"), "1", options).unwrap_err();
    assert!(refused.starts_with("ERR_CONFIG: "), "{refused}");
    let refused = caller.stream(&format!("{prefix}:echo"), &Default::default()).unwrap_err();
    assert!(refused.starts_with("ERR_CONFIG: "), "{refused}");
}
