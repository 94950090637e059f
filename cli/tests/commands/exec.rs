//! `serve --exec`: commands as handlers.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::home::Home;
use crate::network::Network;
use crate::process::{Process, await_that, run_with};

#[test]
fn the_payload_goes_in_and_json_comes_out() {
    let network = Network::start();
    let (_worker, _) = network.serve("cat", &["--exec", "cat"]);
    assert_eq!(network.run(&["request", "cat", "{\"a\": 1}"]).out(), "{\"a\": 1}\n");
    let long = format!("\"{}\"", "x".repeat(1_000_000));
    let ended = run_with(network.command(&["request", "cat", "-"]), &long);
    assert!(ended.code == Some(0) && ended.out.trim_end() == long, "more than a pipe holds");

    let show = r#"printf '["%s","%s","%s"]' "$GRENACHE_SERVICE" "${GRENACHE_PEER%:*}" "$GRENACHE_FINGERPRINT""#;
    let (_worker, _) = network.serve("show", &["--exec", show]);
    let out = network.run(&["request", "show", "0"]).out();
    assert_eq!(serde_json::from_str::<Value>(&out).unwrap(), json!(["show", "127.0.0.1", ""]));

    // It need not read its payload, nor say anything.
    let (_worker, _) = network.serve("silent", &["--exec", "exit 0"]);
    let ended = run_with(network.command(&["request", "silent", "-"]), &long);
    assert_eq!(ended.out(), "null\n");
}

#[test]
fn a_command_that_fails_is_an_error_with_its_last_words() {
    let network = Network::start();
    for (at, (command, error)) in [
        ("echo first >&2; echo 'ERR_X: last ' >&2; echo >&2; exit 1", "ERR_X: last"),
        ("exit 7", "ERR_EXEC: exit status: 7"),
        ("echo out; exit 7", "ERR_EXEC: exit status: 7"),
        ("kill -9 $$", "ERR_EXEC: signal: 9 (SIGKILL)"),
        ("echo nonsense", "ERR_EXEC: the output is not JSON"),
        ("no-such-command", "not found"),
    ]
    .into_iter()
    .enumerate()
    {
        let service = format!("fails:{at}");
        let (_worker, _) = network.serve(&service, &["--exec", command]);
        let told = network.run(&["request", &service, "1"]).error(1);
        assert!(told.contains(error), "{command}: {told}");
    }
}

/// A command that tells in a file that it has begun, and waits for another.
fn waiting(home: &Home) -> String {
    let path = home.path.display();
    format!("echo $$ >> {path}/begun; while [ ! -e {path}/go ]; do sleep 0.01; done; echo 1")
}

fn begun(home: &Home) -> usize {
    std::fs::read_to_string(home.path.join("begun")).unwrap_or_default().lines().count()
}

fn await_begun(home: &Home, count: usize) {
    await_that("commands have begun", || begun(home) >= count);
}

#[test]
fn only_so_many_run_at_a_time_and_the_rest_wait() {
    let (network, home) = (Network::start(), Home::new());
    let arguments = ["--children", "2", "--exec", &waiting(&home)];
    let (_worker, addr) = network.serve("wait", &arguments);
    // The next one behind them has a worker of its own, so that its answer tells that time has passed.
    let (_other, _) = network.serve("other", &["--echo"]);
    let mut requests: Vec<Process> =
        (0..4).map(|_| Process::start(network.command(&["request", "wait", "0"]))).collect();
    await_begun(&home, 2);
    for _ in 0..5 {
        network.run(&["request", "other", "0"]).out();
    }
    assert_eq!(begun(&home), 2, "{addr}");
    std::fs::write(home.path.join("go"), "").unwrap();
    for request in &mut requests {
        let (status, lines) = request.end();
        assert_eq!((status.code(), lines), (Some(0), vec!["1".to_string()]));
    }
    assert_eq!(begun(&home), 4);
}

/// Whether a process has ended.
fn is_gone(pid: &str) -> bool {
    // A zombie that nobody has waited for yet has ended, too.
    std::fs::read_to_string(format!("/proc/{}/stat", pid.trim()))
        .map_or(true, |stat| stat.rsplit(')').next().is_some_and(|rest| rest.starts_with(" Z")))
}

fn await_gone(pid: &str) {
    await_that("the command is gone", || is_gone(pid));
}

#[test]
fn a_command_that_takes_too_long_is_killed_with_all_it_has_started() {
    let (network, home) = (Network::start(), Home::new());
    let command = format!("sleep 1000 & echo $! > {}/child; wait", home.path.display());
    let (_worker, _) = network.serve("slow", &["--exec-timeout", "200", "--exec", &command]);
    let begun = Instant::now();
    let error = network.run(&["request", "slow", "0"]).error(1);
    assert!(error.contains("ERR_EXEC: the command was killed after 200ms"), "{error}");
    assert!(begun.elapsed() < Duration::from_secs(20));
    await_gone(&std::fs::read_to_string(home.path.join("child")).unwrap());
}

#[test]
fn a_caller_that_goes_away_takes_its_command_along() {
    let (network, home) = (Network::start(), Home::new());
    let (_worker, _) =
        network.serve("slow", &["--exec-timeout", "600000", "--exec", &waiting(&home)]);
    let request = Process::start(network.command(&["request", "slow", "0"]));
    await_begun(&home, 1);
    drop(request);
    await_gone(&std::fs::read_to_string(home.path.join("begun")).unwrap());
}
