//! Streamed bodies, both at once.

use grenache_peer::bridge::{self, Bridge, Route};
use grenache_peer::worker;
use serde_json::{Value, json};

use crate::caller::{Caller, Download, Upload};
use crate::certificates::TRUSTED;
use crate::grapes::{self, SIDES, Side, prefix};
use crate::pattern;
use crate::secure::{ClientSide, Clients, ServerSide};
use crate::worker::{Plan, Worker};

const TEN_MB: usize = 10_000_000;

/// Runs all scenarios with every worker and every client.
fn every_pair(server: Option<&ServerSide>, client: Option<&ClientSide>) {
    let mut callers = SIDES.map(|side| (side, Caller::start(side, Side::Rust, client)));
    for side in SIDES {
        let prefix = prefix("größe");
        let mut worker = Plan::new(side, &prefix, &["files"]).secure(server).start();
        let service = format!("{prefix}:files");
        for (caller_side, caller) in &mut callers {
            let which = format!("{caller_side:?} to {side:?}");
            every_scenario(&mut worker, caller, &service, &which);
            an_answer_that_breaks_off_is_an_error(caller, &service, &which);
        }
    }
}

fn every_scenario(worker: &mut Worker, caller: &mut Caller, service: &str, which: &str) {
    ten_megabytes_there_and_back(worker, caller, service, which);
    headers_and_arguments_arrive(caller, service, which);
    // A piece comes back before the next is sent: nobody collects whole bodies.
    caller.turns(service, 30).unwrap_or_else(|error| panic!("{which}: {error}"));
    replies_by_the_usual_array(caller, service, which);
}

#[test]
fn streams() {
    every_pair(None, None);
}

#[test]
fn streams_over_mutual_tls() {
    let server = ServerSide::new(&TRUSTED.issue("worker"), Clients::Required);
    let client = ClientSide::new(&TRUSTED.issue("client"));
    every_pair(Some(&server), Some(&client));
}

#[test]
fn streams_through_a_bridge() {
    let mut callers = SIDES.map(|side| (side, Caller::start(side, Side::Rust, None)));
    for side in SIDES {
        let prefix = prefix("bridged");
        let mut worker = Plan::new(side, &prefix, &["files"]).start();
        let route = Route::new(format!("{prefix}:files"));
        let name = route.name.clone();
        let bridge = Bridge::new(bridge::Config { routes: vec![route], ..Default::default() });
        let bridge = bridge.expect("it can be");
        let config = worker::Config {
            listen: "127.0.0.1:0".parse().unwrap(),
            grapes: vec![format!("http://127.0.0.1:{}", grapes::api(Side::Rust))],
            ..worker::Config::default()
        };
        let bridge = worker::Worker::start(config, move |context, services| {
            bridge.carry_requests(context, services);
        });
        assert!(bridge.as_ref().expect("it starts").announced());
        for (caller_side, caller) in &mut callers {
            let which = format!("{caller_side:?} over a bridge to {side:?}");
            every_scenario(&mut worker, caller, &name, &which);
            // If the bridge has nothing of the answer when it breaks off, it can tell what has happened.
            let cut = Upload { action: "cut", seed: 1, length: 10, ..Upload::default() };
            if let Ok(told) = caller.stream(&name, &cut) {
                let error = envelope(&told).0;
                assert!(error.as_str().is_some_and(|text| text.starts_with("ERR_")), "{error}");
            }
            caller.turns(&name, 1).unwrap_or_else(|error| panic!("{which}: {error}"));
        }
    }
}

fn expect(download: &Download, seed: u32, length: usize, which: &str) {
    assert_eq!((download.length, download.sha256.clone()), Download::of(seed, length), "{which}");
}

/// The usual array.
fn envelope(download: &Download) -> (Value, Value) {
    let text = download.text.as_deref().expect("a short answer");
    let array: [Value; 3] = serde_json::from_str(text).unwrap_or_else(|_| panic!("{text}"));
    let [rid, error, result] = array;
    assert_eq!(rid.as_str().map(str::len), Some(36), "a UUID: {text}");
    (error, result)
}

fn ten_megabytes_there_and_back(
    worker: &mut Worker,
    caller: &mut Caller,
    service: &str,
    which: &str,
) {
    let echo = Upload { action: "echo", seed: 1, length: TEN_MB, ..Upload::default() };
    expect(&caller.stream(service, &echo).unwrap(), 1, TEN_MB, which);

    let args = json!({"seed": 3, "length": TEN_MB});
    let download = Upload { action: "download", args: args.clone(), ..Upload::default() };
    expect(&caller.stream(service, &download).unwrap(), 3, TEN_MB, which);

    let both = Upload { action: "both", args, seed: 2, length: TEN_MB, ..Upload::default() };
    expect(&caller.stream(service, &both).unwrap(), 3, TEN_MB, which);
    assert_eq!(worker.uploaded(), Download::of(2, TEN_MB), "{which}");
}

fn headers_and_arguments_arrive(caller: &mut Caller, service: &str, which: &str) {
    // Node's client cannot put more than Latin-1 into a header.
    let name =
        if caller.side() == Side::Node { "größe.pdf" } else { "größe 服务 \u{1f600}.pdf" };
    let args = json!({"name": name, "of": [1, null, {"x": 2.5}], "quote": "\"\\\u{1}"});
    for length in [0, 1, 100_000] {
        let upload = Upload {
            action: "upload",
            args: args.clone(),
            header: Some(("x-test", "application/pdf")),
            seed: 5,
            length,
        };
        let answer = caller.stream(service, &upload).unwrap_or_else(|e| panic!("{which}: {e}"));
        let (error, result) = envelope(&answer);
        assert_eq!(error, Value::Null, "{which}");
        assert_eq!(result["args"], args, "{which}");
        assert_eq!(result["header"], json!("application/pdf"), "{which}");
        let sha256 = pattern::digest(&pattern::bytes(5, length));
        assert_eq!((&result["length"], &result["sha256"]), (&json!(length), &json!(sha256)));
    }
}

fn replies_by_the_usual_array(caller: &mut Caller, service: &str, which: &str) {
    let mut ask = |action: &str| {
        let upload = Upload { action, seed: 1, length: 10, ..Upload::default() };
        envelope(&caller.stream(service, &upload).unwrap_or_else(|e| panic!("{which}: {e}")))
    };
    assert_eq!(ask("early"), (Value::Null, json!("world")), "{which}");
    assert_eq!(ask("fail"), (json!("ERR_STREAM_REFUSED"), Value::Null), "{which}");
    assert_eq!(ask("unheard"), (json!("ERR_ACTION unheard"), Value::Null), "{which}");
}

fn an_answer_that_breaks_off_is_an_error(caller: &mut Caller, service: &str, which: &str) {
    let upload = Upload { action: "cut", seed: 1, length: 10, ..Upload::default() };
    let came = caller.stream(service, &upload);
    assert!(came.is_err(), "{which}: {came:?}");
    // The worker lives.
    caller.turns(service, 1).unwrap_or_else(|error| panic!("{which}: {error}"));
}
