//! One request and its reply, in every combination of workers, clients and grapes.

use std::time::{Duration, Instant};

use crate::caller::{Caller, Options};
use crate::certificates::TRUSTED;
use crate::grapes::{SIDES, Side, prefix};
use crate::secure::{ClientSide, Clients, ServerSide};
use crate::worker::Plan;

/// Workers of both sides announced at grapes of both sides, asked by clients of both sides through grapes of both sides.
fn every_combination(server: Option<&ServerSide>, client: Option<&ClientSide>) {
    let combinations = || SIDES.into_iter().flat_map(|a| SIDES.into_iter().map(move |b| (a, b)));
    let mut callers: Vec<_> = combinations()
        .map(|(side, grape)| (side, grape, Caller::start(side, grape, client)))
        .collect();
    for (side, grape) in combinations() {
        let prefix = prefix("request:größe");
        let services = ["echo", "name"];
        let plan = Plan::new(side, &prefix, &services).grape(grape).secure(server);
        let _worker = plan.name("the worker").start();
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
fn many_on_the_same_connections() {
    for worker in SIDES {
        let prefix = prefix("many");
        let _worker = Plan::new(worker, &prefix, &["echo"]).start();
        for caller in SIDES {
            let mut caller = Caller::start(caller, Side::Rust, None);
            for number in 0..200 {
                let payload = format!("[{number}]");
                let echo = caller.request(&format!("{prefix}:echo"), &payload, Options::default());
                assert_eq!(echo, Ok(payload));
            }
        }
    }
}

#[test]
fn nobody_announces_it() {
    for caller in SIDES {
        for grape in SIDES {
            let mut caller = Caller::start(caller, grape, None);
            let failed = caller.request(&prefix("nobody"), "1", Options::default()).unwrap_err();
            assert!(failed.starts_with("ERR_GRAPE_LOOKUP_EMPTY"), "{failed}");
            let failed = caller.map(&prefix("nobody"), "1", Options::default()).unwrap_err();
            assert!(failed.starts_with("ERR_GRAPE_LOOKUP_EMPTY"), "{failed}");
        }
    }
}

#[test]
fn a_slow_worker_meets_the_deadline() {
    for worker in SIDES {
        let prefix = prefix("slow");
        let _worker = Plan::new(worker, &prefix, &["slow"]).name("slow one").start();
        let service = format!("{prefix}:slow");
        for caller in SIDES {
            let mut client = Caller::start(caller, Side::Rust, None);
            let options = Options { timeout_ms: Some(300), ..Options::default() };
            // Whoever is quick enough gets its reply.
            assert_eq!(client.request(&service, "5", options).as_deref(), Ok("\"slow one\""));
            let start = Instant::now();
            let failed = client.request(&service, "60000", options).unwrap_err();
            let took = start.elapsed();
            let expected = match caller {
                Side::Rust => "ERR_TIMEOUT",
                Side::Node => "ERR_REQUEST_GENERIC: network timeout at",
            };
            assert!(failed.starts_with(expected), "{failed}");
            assert!(took >= Duration::from_millis(300), "{took:?}");
            assert!(took < Duration::from_secs(5), "{took:?}");
            assert_eq!(client.request(&service, "5", options).as_deref(), Ok("\"slow one\""));
        }
    }
}

/// Node's `retry` also repeats what the handler has refused; ours does not unless told so.
#[test]
fn retry() {
    for worker in SIDES {
        for caller in SIDES {
            let prefix = prefix("retry");
            let _worker = Plan::new(worker, &prefix, &["flaky"]).start();
            let mut client = Caller::start(caller, Side::Rust, None);
            let options = Options { attempts: Some(3), ..Options::default() };
            let answer = client.request(&format!("{prefix}:flaky"), "3", options);
            match caller {
                Side::Rust => assert_eq!(answer, Err("ERR_FLAKY 1".into())),
                Side::Node => assert_eq!(answer.as_deref(), Ok("3")),
            }
        }
    }
}
