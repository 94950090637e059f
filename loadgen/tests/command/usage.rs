//! What the command line takes, and what it says to what it does not take.

use crate::process::{loadgen, run};

#[test]
fn wrong_usage_is_told_before_anything_is_sent() {
    for (arguments, words) in [
        ("rpc -S a", "--target"),
        ("rpc -t 127.0.0.1:1", "--service"),
        ("rpc -t 127.0.0.1:1 -S a --rate 0", "above 0"),
        ("rpc -t 127.0.0.1:1 -S a --rate x", "above 0"),
        ("rpc -t 127.0.0.1:1 -S a -c 0", "from 1"),
        ("rpc -t 127.0.0.1:1 -S a -d later", "a time such as"),
        ("rpc -t 127.0.0.1:1 -S a --size 1", "no size"),
        ("rpc -t 127.0.0.1:1 -S a --fail-if p99", "no condition"),
        ("rpc -t 127.0.0.1:1 -S a --fail-if p99>2", "no time"),
        ("rpc -t 127.0.0.1:1 -S a --find-knee", "--slo"),
        ("rpc -t 127.0.0.1:1 -S a --find-knee --slo p99=1ms --csv x", "--csv"),
        ("rpc -t 127.0.0.1:1 -S a --payload {", "not JSON"),
        ("rpc -t nowhere -S a", "no host:port"),
        ("rpc -t 127.0.0.1:1 -S a --server-pid 4000000000", "4000000000"),
        ("rpc -t 127.0.0.1:1 -S a=0", "no weight"),
        ("rpc -t 127.0.0.1:1 -S a --transport udp", "--transport"),
        ("rpc -t 127.0.0.1:1 -S a --zmq-form frames", "--transport zmq"),
        ("rpc -t 127.0.0.1:1 -S a --transport zmq --tls", "--curve-server"),
        ("rpc -t 127.0.0.1:1 -S a --transport zmq --curve-server x", "40 characters of Z85"),
        ("rpc -t 127.0.0.1:1 -S a --transport zmq --curve-key x", "--curve-server"),
        ("rpc -t 127.0.0.1:1 -S a --curve-server -----+++++-----+++++-----+++++-----+++++", "zmq"),
        ("sub -t 127.0.0.1:1 --curve-server -----+++++-----+++++-----+++++-----+++++", "zmq"),
        ("sub -t 127.0.0.1:1 --transport http", "--transport"),
        ("ws-echo -t 127.0.0.1:1 --size x", "a message has"),
        ("sub", "--target"),
        ("sub -g http://127.0.0.1:1", "--service"),
        ("sub -t 127.0.0.1:1 -n 5 --stalled 6", "only 5"),
        ("pub -S a", "--grape"),
        ("pub --rate 0", "above 0"),
        ("grape put --size 5000", "at most 990"),
        ("grape get 123", "40 hexadecimal"),
        ("http -t 127.0.0.1:1 --path x", "begins with '/'"),
        ("compare a.json", "FILE"),
        ("compare /nowhere/a.json /nowhere/b.json", "/nowhere/a.json"),
    ] {
        let ended = run(loadgen(arguments));
        assert_eq!((ended.code, ended.out.as_str()), (Some(2), ""), "{arguments}: {ended:?}");
        assert!(ended.err.contains(words), "{arguments}: {}", ended.err);
    }
}

#[test]
fn help_names_options_and_exit_codes() {
    let help = run(loadgen("--help"));
    assert_eq!(help.code, Some(0));
    for word in [
        "rpc",
        "grape",
        "dht",
        "http",
        "ws-echo",
        "sub",
        "pub",
        "self-check",
        "null-server",
        "compare",
        "schema",
        "Exit codes",
    ] {
        assert!(help.out.contains(word), "{word}: {}", help.out);
    }
    let help = run(loadgen("rpc --help"));
    for option in [
        "--target",
        "--grape",
        "--service",
        "--transport",
        "--zmq-form",
        "--curve-server",
        "--curve-key",
        "--tls",
        "--size",
        "--connections",
        "--in-flight",
        "--rate",
        "--arrivals",
        "--find-knee",
        "--slo",
        "--requests-per-connection",
        "--server-pid",
        "--self-check",
        "--json",
        "--csv",
        "--hlog",
        "--report",
        "--fail-if",
        "--cores",
    ] {
        assert!(help.out.contains(option), "{option}: {}", help.out);
    }
}
