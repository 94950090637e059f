//! What goes wrong is reported by kind and by number, the exit code says so, and nothing hangs.

use serde_json::{Value, json};

use crate::process::{Alone, Running, loadgen, measure, run};
use crate::server::{Act, Server};

fn failed(report: &Value) -> &Value {
    &report["requests"]["failed"]
}

#[test]
fn one_answer_in_a_hundred_that_is_dropped_is_counted_exactly() {
    let server = Server::one_in_a_hundred(Act::Never);
    let run = Alone::wait().measure(&format!(
        "rpc -t {} -S a --requests 2000 --connections 4 --timeout 500ms",
        server.addr
    ));
    let report = run.json(5);
    assert_eq!(failed(&report), &json!({ "timeout": 20 }), "{report}");
    assert_eq!(report["requests"]["sent"], 2000);
    assert_eq!(report["requests"]["answered"], 1980);
    assert_eq!(report["requests"]["examples"]["timeout"], "none within 500ms");
}

#[test]
fn other_faults_are_counted_as_what_they_are() {
    for (act, kind) in [(Act::Close, "closed"), (Act::Reset, "reset"), (Act::Garbage, "malformed")]
    {
        let server = Server::one_in_a_hundred(act);
        let run = measure(&format!("rpc -t {} -S a --requests 1000 -c 2", server.addr));
        let report = run.json(5);
        assert_eq!(failed(&report), &json!({ kind: 10 }), "{act:?}: {report}");
        assert_eq!(report["requests"]["answered"], 990);
    }
}

#[test]
fn a_condition_on_errors_decides_whether_they_are_failures() {
    let server = Server::one_in_a_hundred(Act::Close);
    let command = format!("rpc -t {} -S a --requests 1000 -c 1 --fail-if", server.addr);
    let allowed = measure(&format!("{command} errors>1%"));
    assert_eq!(allowed.json(0)["thresholds"][0]["failed"], false);
    let missed = measure(&format!("{command} errors>0.9%"));
    let missed = missed.json(6);
    assert_eq!(missed["thresholds"][0]["failed"], true);
    assert_eq!(missed["thresholds"][0]["condition"], "errors>0.9%");
}

#[test]
fn a_server_that_refuses_is_told_at_once() {
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = nobody.local_addr().unwrap();
    drop(nobody);
    for pace in ["", "--rate 100"] {
        let ended = run(loadgen(&format!("rpc -t {addr} -S a -d 60s {pace}")));
        assert_eq!(ended.error(1), format!("loadgen: no connection to {addr}: connection refused"));
    }
}

#[test]
fn a_server_without_websocket_is_told_at_once() {
    let server = Server::start(|_, _| Act::Echo);
    for command in ["rpc --transport ws -S a", "ws-echo", "sub"] {
        let ended = run(loadgen(&format!("{command} -t {} -d 60s", server.addr)));
        let said = format!(
            "loadgen: no connection to {}: the server answers 200 instead of upgrading",
            server.addr
        );
        assert_eq!(ended.error(1), said);
    }
}

#[test]
fn a_server_that_stops_in_the_middle_is_reported() {
    // A condition on errors does not excuse it.
    for more in ["", "--rate 1000", "--fail-if errors>50%"] {
        let server = Server::start(|number, _| if number == 500 { Act::Stop } else { Act::Echo });
        let addr = server.addr;
        let run = measure(&format!("rpc -t {addr} -S a -d 2s -w 0s -c 8 --timeout 500ms {more}"));
        let report = run.json(5);
        let requests = &report["requests"];
        assert!(requests["answered"].as_u64() >= Some(500 - 8), "{more}: {requests}");
        assert!(requests["connect_failed"].as_u64() >= Some(1), "{more}: {requests}");
        if more.is_empty() {
            let failed = requests["failed"].as_object();
            assert!(failed.is_some_and(|failed| !failed.is_empty()), "{requests}");
        }
    }
}

#[test]
fn a_server_that_never_answers_is_no_reason_to_hang() {
    let server = Server::start(|_, _| Act::Never);
    let run = measure(&format!("rpc -t {} -S a -d 500ms -w 0s -c 3 --timeout 1s", server.addr));
    let report = run.json(1);
    assert_eq!(failed(&report), &json!({ "timeout": 3 }), "{report}");
    assert_eq!(report["requests"]["answered"], 0);
}

#[test]
fn sigint_prints_what_there_is() {
    let server = Server::start(|_, _| Act::Echo);
    for name in ["INT", "TERM"] {
        let mut running =
            Running::start(loadgen(&format!("rpc -t {} -S a -d 1h -w 0s", server.addr)));
        let second = running.line();
        assert!(second.contains("p99"), "{second}");
        running.signal(name);
        let ended = running.end();
        assert_eq!(ended.code, Some(130), "{ended:?}");
        assert!(
            ended.out.contains("right answers") && ended.out.contains("p99.9"),
            "{}",
            ended.out
        );
        assert!(ended.out.contains("interrupted"), "{}", ended.out);
    }
}
