//! grenache-cli's commands: what its own scripts print and how they end, noted from running them (0.7.1) against a grape.

use serde_json::{Value, json};

use crate::home::{Home, PUBLIC};
use crate::liar::Liar;
use crate::network::Network;
use crate::process::{Ended, Process, await_that, command, run, run_with, signal};

fn call(network: &Network, program: &str, arguments: &[&str]) -> Ended {
    run_with(network.compatible(program, arguments), "")
}

#[test]
fn announcing_says_nothing_unless_something_is_wrong() {
    let network = Network::start();
    assert_eq!(call(&network, "grenache-announce", &["svc,1337", "svc,1338"]).out(), "");
    assert_eq!(call(&network, "grenache-announce", &["-d", "/", "a/1"]).out(), "");
    assert_eq!(call(&network, "grenache-announce", &["-d/", "a/2"]).out(), "");
    assert_eq!(call(&network, "grenache-announce", &["-j", r#"{"data":["a",3]}"#]).out(), "");
    assert_eq!(network.lookup("svc"), ["127.0.0.1:1337", "127.0.0.1:1338"]);
    assert_eq!(network.lookup("a"), ["127.0.0.1:1", "127.0.0.1:2", "127.0.0.1:3"]);
    let input = "# comment\n\nsvc2,1 ; note\n  svc2,2\n";
    assert_eq!(run_with(network.compatible("grenache-announce", &[]), input).out(), "");
    assert_eq!(network.lookup("svc2").len(), 2);
    let input = "{\"data\":[\"js\",77]}\n{\"data\":[\"js\",\"78\"]} {\"data\":[\"js\",79]}\n";
    assert_eq!(run_with(network.compatible("grenache-announce", &["--json"]), input).out(), "");
    assert_eq!(network.lookup("js").len(), 3);
    // One of several is enough; none is not.
    let ended = call(&network, "grenache-announce", &["bad,0", "good,1"]);
    assert_eq!((ended.code, ended.out.as_str()), (Some(0), ""));
    assert!(ended.err.starts_with("grenache-announce: warning: "), "{ended:?}");
    assert_eq!(call(&network, "grenache-announce", &["nothing"]).code, Some(1));
}

#[test]
fn announcing_from_a_pipe_as_lines_come() {
    let network = Network::start();
    let mut process = Process::start(network.compatible("grenache-announce", &[]));
    for port in 1..=3_u8 {
        process.write(&format!("a,{port}"));
        // It prints nothing, so the grape has to be asked.
        await_that("it is announced", || network.lookup("a").len() == usize::from(port));
    }
    assert_eq!(process.end().0.code(), Some(0));
}

#[test]
fn lookups_print_a_line_for_each_pick() {
    let network = Network::start();
    network.announce("svc", 1337);
    network.announce("js", 77);
    let ended = call(&network, "grenache-lookup", &["-a", "svc", "nobody", "js"]);
    assert_eq!((ended.code, ended.out.as_str()), (Some(0), "127.0.0.1:1337\n127.0.0.1:77\n"));
    assert!(ended.err.contains("nobody"), "{ended:?}");
    let out = call(&network, "grenache-lookup", &["-a", "-f", "-l", "js"]).out();
    assert_eq!(out, "127.0.0.1:77\n127.0.0.1:77\n127.0.0.1:77\n");
    assert_eq!(call(&network, "grenache-lookup", &["js"]).out(), "127.0.0.1:77\n");
    assert_eq!(call(&network, "grenache-lookup", &["nobody"]).error(1).lines().count(), 1);
}

#[test]
fn items() {
    let (network, home) = (Network::start(), Home::with_key());
    let call = |program: &str, arguments: &[&str]| {
        let mut command = network.compatible(program, arguments);
        command.env("HOME", &home.path);
        run_with(command, "")
    };
    // sha1("11:hello world") and so on, as grenache-cli prints them.
    let hash = call("grenache-put", &["hello", "world"]).out();
    assert_eq!(hash, "6d33adc2b6b2c14c3036feefb7fedbca1a880527\n");
    assert_eq!(call("grenache-put", &[""]).out(), "b44b82a4bc6c35f6ad5e9fceefef9509c17fba74\n");
    assert_eq!(call("grenache-get", &["-v", hash.trim_end()]).out(), "hello world\n");
    let raw = call("grenache-get", &["-r", hash.trim_end()]).out();
    let id = call("grenache-get", &["-i", hash.trim_end()]).out();
    let id = id.trim_end();
    assert_eq!(raw, format!("{{\"id\":\"{id}\",\"token\":null,\"v\":\"hello world\"}}\n"));
    assert_eq!(call("grenache-get", &["-w", hash.trim_end()]).out(), "");

    let hash = call("grenache-put", &["-m", "-n", "9", "-s", "salty", "mut \"x\""]).out();
    let hash = hash.trim_end();
    assert_eq!(call("grenache-get", &["-s", "salty", hash]).out(), "mut \"x\"\n");
    let raw: Value =
        serde_json::from_str(&call("grenache-get", &["-s", "salty", "-r", hash]).out()).unwrap();
    assert_eq!((&raw["k"], &raw["seq"]), (&json!(PUBLIC), &json!(9)));
    for (arguments, what) in [
        (&["-m", "-n", "8", "-s", "salty", "older"][..], "302 sequence number less than current"),
        (&["-m", "-n", "10", "-c", "1", "-s", "salty", "x"], "301 CAS mismatch"),
        (&["-s", "", "x"], "empty salt"),
    ] {
        let ended = call("grenache-put", arguments);
        assert_eq!((ended.code, ended.out.as_str()), (Some(1), ""), "{ended:?}");
        assert!(ended.err.contains(what), "{ended:?}");
    }
    for arguments in [&[hash][..], &["-s", "no", hash], &["xx"], &[&"0".repeat(40)]] {
        let ended = call("grenache-get", arguments);
        assert_eq!((ended.code, ended.out.as_str()), (Some(1), ""), "{ended:?}");
    }
}

#[test]
fn the_keys_of_one_are_the_keys_of_the_other() {
    let home = Home::new();
    let keygen = |arguments: &[&str]| {
        let mut command = command("grenache-keygen");
        command.args(arguments).env("HOME", &home.path);
        run_with(command, "")
    };
    let said = "grenache-keygen: keypair generated successfully.\n";
    assert_eq!(keygen(&[]).out(), said);
    let first = home.read("key");
    assert!(keygen(&[]).error(1).starts_with("grenache-keygen: error: "));
    assert_eq!(home.read("key"), first);
    assert_eq!(keygen(&["--force"]).out(), said);
    assert_ne!(home.read("key"), first);
}

#[test]
fn the_grape_is_on_30002_of_this_host_and_usage_errors_are_1() {
    let help = run("grenache-lookup", ["--help"]).out();
    assert!(help.contains("127.0.0.1") && help.contains("30002"), "{help}");
    for (program, arguments) in [
        ("grenache-lookup", &[][..]),
        ("grenache-put", &[]),
        ("grenache-get", &[]),
        ("grenache-lookup", &["-p", "0", "a"]),
        ("grenache-lookup", &["-p", "65536", "a"]),
        ("grenache-lookup", &["-g", "", "a"]),
        ("grenache-announce", &["-d", "", "a,1"]),
        ("grenache-keygen", &["-x"]),
        ("grenache-get", &["-p", "1", &"0".repeat(40)]),
        ("grenache-put", &["-p", "1", "x"]),
        ("grenache-lookup", &["-p", "1", "x"]),
        ("grenache-announce", &["-p", "1", "x,1"]),
    ] {
        let ended = run(program, arguments);
        assert_eq!((ended.code, ended.out.as_str()), (Some(1), ""), "{program} {arguments:?}");
        assert!(!ended.err.is_empty());
    }
}

#[test]
fn what_a_lying_grape_gives_out_is_not_printed() {
    let liar = Liar::start(r#"{"id":"00","token":"00","v":"Hello world!"}"#);
    let port = liar.url().rsplit_once(':').unwrap().1.to_string();
    let hash = "e5f96f6f38320f0f33959cb4d3d656452117aadb";
    for option in ["-v", "-r", "-i", "-w"] {
        run("grenache-get", ["-p", &port, option, hash]).error(1);
    }
}

#[test]
fn a_signal_ends_a_stream() {
    let network = Network::start();
    let mut process = Process::start(network.compatible("grenache-announce", &[]));
    process.write("a,1");
    await_that("it is announced", || !network.lookup("a").is_empty());
    // Not INT: whoever runs the tests in the background of a shell has it ignored.
    signal(process.id(), "TERM");
    assert_eq!(process.end().0.code(), None, "it dies of the signal, as scripts expect");
}
