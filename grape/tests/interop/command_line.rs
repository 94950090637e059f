//! The binary as people and scripts start, stop and read it.

use std::net::{TcpListener, UdpSocket};
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::json;

use crate::grape::{Grape, Kind, command, is_event};
use crate::http::{Connection, post};
use crate::port;
use crate::process::{Process, Stream, node_command};

/// Starts a grape with these arguments, `{dp}` and `{aph}` being free ports, and awaits that it listens.
#[track_caller]
fn start(kind: Kind, arguments: &str) -> (Process, u16, u16) {
    let (dp, aph) = (port::take().number, port::take().number);
    let arguments = arguments.replace("{dp}", &dp.to_string()).replace("{aph}", &aph.to_string());
    let mut command = command(kind);
    command
        .args(arguments.split_whitespace().map(|argument| argument.trim_matches('\'')))
        .env("DEBUG", "grenache:grape");
    let mut process = Process::start(&format!("{kind:?} {arguments}"), command);
    let listening = format!("{dp} listening");
    process.wait_for("listening", |line| line.ends_with(&listening).then_some(()));
    (process, dp, aph)
}

/// Runs a grape that ends by itself: exit code, standard output, standard error.
#[track_caller]
fn run(kind: Kind, arguments: &[&str]) -> (Option<i32>, Vec<String>, Vec<String>) {
    let mut command = command(kind);
    command.args(arguments);
    let mut process = Process::start(&format!("{kind:?} {arguments:?}"), command);
    let status = process.wait();
    (status.code(), process.lines(Stream::Out), process.lines(Stream::Err))
}

/// Every spelling of Node's options that yargs takes.
const SPELLINGS: [&str; 10] = [
    "--dp {dp} --aph {aph} --bn 127.0.0.1:1 -b 127.0.0.1",
    "--dp={dp} --aph={aph} --bn=127.0.0.1:1 -b=127.0.0.1",
    "--dht_port {dp} --api_port {aph} --bootstrap 127.0.0.1:1 --bind 127.0.0.1",
    "--dht_port={dp} --api_port={aph} --bootstrap=127.0.0.1:1,127.0.0.1:2 --bind=127.0.0.1",
    "--aph {aph} --b 127.0.0.1 --bn 127.0.0.1:1,127.0.0.1:2,127.0.0.1:3 --dp {dp}",
    "--dp {dp} --aph {aph} --bn '' --b=127.0.0.1",
    "--dp {dp} --aph {aph} --bn 127.0.0.1:1 --dc 32 --dht_maxTables 100 --dht_maxValues 100 --dpa 60000 --cache_maxAge 1000 --dnl 60000",
    "--dp {dp} --aph {aph} --bn 127.0.0.1:1 --dht_concurrency 32 --dht_peer_maxAge 60000 --dht_nodeLiveness 60000 --check_maxPayloadSize 100",
    "--dp={dp} --aph={aph} --bn=127.0.0.1:1 --dc=32 --dht_maxTables=100 --dht_maxValues=100 --dpa=60000 --cache_maxAge=1000 --dnl=60000",
    "--dp={dp} --aph={aph} --bn=127.0.0.1:1 --dht_concurrency=32 --dht_peer_maxAge=60000 --dht_nodeLiveness=60000 --check_maxPayloadSize=100",
];

fn takes_every_spelling(kind: Kind) {
    for arguments in SPELLINGS {
        let (_grape, _, aph) = start(kind, arguments);
        let until = Instant::now() + Duration::from_secs(10);
        while std::net::TcpStream::connect(("127.0.0.1", aph)).is_err() {
            assert!(Instant::now() < until, "{kind:?} {arguments}: no API on {aph}");
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

#[test]
fn node_takes_every_spelling() {
    takes_every_spelling(Kind::Node);
}

#[test]
fn ours_takes_every_spelling() {
    takes_every_spelling(Kind::Rust(1));
}

#[test]
fn help_and_version() {
    for kind in [Kind::Node, Kind::Rust(1)] {
        let (code, out, err) = run(kind, &["--help"]);
        let text = out.join("\n");
        assert_eq!((code, err.len()), (Some(0), 0), "{err:?}");
        for option in [
            "-b",
            "--bind",
            "--dp",
            "--dc",
            "--dht_maxTables",
            "--dht_maxValues",
            "--bn",
            "--aph",
            "--dpa",
            "--cache_maxAge",
            "--dnl",
            "--check_maxPayloadSize",
            "--version",
        ] {
            assert!(text.contains(option), "{kind:?}: --help does not name {option}:\n{text}");
        }
        let (code, out, err) = run(kind, &["--version"]);
        assert_eq!((code, out.len(), err.len()), (Some(0), 1, 0), "{out:?} {err:?}");
    }
}

/// Limits given on the command line are in force.
#[test]
fn payload_size_option() {
    for kind in [Kind::Node, Kind::Rust(1)] {
        let grape = Grape::start_with(kind, &[], &["--check_maxPayloadSize", "100"]);
        for (length, status) in [(100, 500), (101, 413)] {
            let mut connection = Connection::open(grape.api.number);
            connection.send(&post("lookup", &vec![b'x'; length]));
            assert_eq!(
                connection.answer(false).expect("an answer").status,
                status,
                "{kind:?}, {length} bytes"
            );
        }
    }
}

/// What cannot be understood is refused with a line that names it, and nothing listens.
#[test]
fn senseless_options() {
    let senseless: [(&[&str], &str); 7] = [
        (&["--dp", "abc"], "abc"),
        (&["--dp", "70000"], "70000"),
        (&["--aph", "-1"], "-1"),
        (&["--bn", "garbage"], "garbage"),
        (&["--driver", "magic"], "magic"),
        (&["--cores", "x"], "x"),
        (&["--idle", "sleep"], "sleep"),
    ];
    for (arguments, named) in senseless {
        let mut command = Command::new(env!("CARGO_BIN_EXE_grape"));
        command.args(arguments);
        let mut process = Process::start(&format!("{arguments:?}"), command);
        let status = process.wait();
        let err = process.lines(Stream::Err).join("\n");
        assert!(matches!(status.code(), Some(1 | 2)), "{arguments:?}: {status:?}");
        assert!(err.contains(named), "{arguments:?}: {err}");
    }
}

/// `2026-11-22T15:29:26.047Z grenache:grape 22101 listening`: a date without local time, the name, the text.
fn is_debug_line(line: &str) -> bool {
    let Some((date, rest)) = line.split_once(' ') else { return false };
    let shape: String = date.chars().map(|c| if c.is_ascii_digit() { '0' } else { c }).collect();
    shape == "0000-00-00T00:00:00.000Z" && rest.starts_with("grenache:grape ")
}

fn prints_debug_lines(kind: Kind, by_option: bool) {
    let first = Grape::start(kind, &[]);
    let mut second = if by_option {
        let (dp, aph) = (port::take().number, port::take().number);
        let mut command = command(kind);
        let bootstrap = format!("127.0.0.1:{}", first.dht.number);
        command.args([
            "--verbose",
            "--dp",
            &dp.to_string(),
            "--aph",
            &aph.to_string(),
            "--bn",
            &bootstrap,
        ]);
        let mut process = Process::start("--verbose", command);
        process.wait_for("ready", |line| is_event(line, "ready").then_some(()));
        process
    } else {
        Grape::start(kind, &[&first]).process
    };
    first.call("announce", &json!(["debug:größe", 1]));
    second.wait_for("announce", |line| {
        is_debug_line(line).then_some(()).filter(|()| line.ends_with(" announce debug:größe"))
    });
    UdpSocket::bind("127.0.0.1:0")
        .unwrap()
        .send_to(b"garbage", ("127.0.0.1", first.dht.number))
        .unwrap();
    let Grape { mut process, .. } = first;
    process.wait_for("warning", |line| is_event(line, "warning").then_some(()));
    for process in [&process, &second] {
        assert_eq!(process.lines(Stream::Out), [""; 0], "nothing goes to standard output");
        let lines = process.lines(Stream::Err);
        for event in ["listening", "ready", "node"] {
            assert!(
                lines.iter().any(|line| is_debug_line(line) && is_event(line, event)),
                "{kind:?} has no line {event}: {lines:#?}"
            );
        }
    }
}

#[test]
fn debug_lines_of_node() {
    prints_debug_lines(Kind::Node, false);
}

#[test]
fn debug_lines_of_ours() {
    prints_debug_lines(Kind::Rust(1), false);
    prints_debug_lines(Kind::Rust(3), true);
}

/// A port that is taken, by whomever: one line that names it, exit code 1.
#[test]
fn taken_port() {
    let other = Grape::start(Kind::Rust(2), &[]);
    let tcp = TcpListener::bind("127.0.0.1:0").unwrap();
    let udp = UdpSocket::bind("0.0.0.0:0").unwrap();
    let (tcp, udp) = (
        tcp.local_addr().map(|of| (of.port(), tcp)).unwrap(),
        udp.local_addr().map(|of| (of.port(), udp)).unwrap(),
    );
    let free = || port::take().number;
    for (dp, aph, taken) in [
        (free(), tcp.0, tcp.0),
        (udp.0, free(), udp.0),
        (free(), other.api.number, other.api.number),
        (other.dht.number, free(), other.dht.number),
    ] {
        let arguments = [
            "--dp",
            &dp.to_string(),
            "--aph",
            &aph.to_string(),
            "--bn",
            "127.0.0.1:1",
            "-b",
            "127.0.0.1",
        ];
        let (code, out, err) = run(Kind::Rust(2), &arguments);
        assert_eq!((code, out.len(), err.len()), (Some(1), 0, 1), "{arguments:?}: {err:#?}");
        assert!(err[0].contains(&taken.to_string()), "the line names {taken}: {}", err[0]);
        if taken != other.api.number && taken != other.dht.number {
            // Node's grape ends with the same code, after a stack trace.
            assert_eq!(run(Kind::Node, &arguments).0, Some(1));
        }
    }
}

/// SIGTERM and SIGINT end a grape at once and cleanly, also with connections open and a ring around it.
#[test]
fn signals() {
    for signal in ["TERM", "INT"] {
        for cores in [1, 4] {
            let mut ring = Grape::ring(&[Kind::Rust(cores), Kind::Rust(1)]);
            let mut idle = Connection::open(ring[0].api.number);
            assert_eq!(idle.call("lookup", &json!("x")).status, 200);
            let mut unfinished = Connection::open(ring[0].api.number);
            unfinished.send(b"POST /lookup HTTP/1.1\r\nContent-Le");
            let began = Instant::now();
            ring[0].process.signal(signal);
            let status = ring[0].process.wait();
            assert_eq!(status.code(), Some(0), "{signal} with {cores} cores");
            assert!(
                began.elapsed() < Duration::from_secs(1),
                "{signal} took {:?}",
                began.elapsed()
            );
        }
    }
}

/// Both drivers and more cores than the machine has do the same.
#[test]
fn drivers_and_cores() {
    for options in [
        &["--driver", "epoll"][..],
        &["--driver", "uring"],
        &["--driver", "auto"],
        &["--idle", "spin:50"],
        &["--driver", "epoll", "--idle", "spin:50"],
    ] {
        for cores in [1, 4] {
            let first = Grape::start_with(Kind::Rust(cores), &[], options);
            let second = Grape::start_with(Kind::Rust(cores), &[&first], options);
            for at in 0..40 {
                let (announcer, reader) =
                    if at % 2 == 0 { (&first, &second) } else { (&second, &first) };
                let service = format!("service {at}");
                assert_eq!(
                    announcer.call("announce", &json!([service, 1000 + at])).json(),
                    json!(1),
                    "{options:?}"
                );
                assert_eq!(
                    reader.lookup(&service),
                    [format!("127.0.0.1:{}", 1000 + at)],
                    "{options:?}, {cores} cores"
                );
            }
        }
    }
}

/// An announced peer is gone when its time is up, and not long before.
#[test]
fn peers_expire() {
    let first = Grape::start_with(Kind::Rust(2), &[], &["--dpa", "1500"]);
    let second = Grape::start_with(Kind::Rust(1), &[&first], &["--dpa", "1500"]);
    let began = Instant::now();
    first.call("announce", &json!(["short", 1]));
    assert_eq!(second.lookup("short"), ["127.0.0.1:1"]);
    let gone = loop {
        let asked = Instant::now();
        if first.lookup("short").is_empty() && second.lookup("short").is_empty() {
            break asked.elapsed() + asked.duration_since(began);
        }
        assert!(began.elapsed() < Duration::from_secs(20), "it never expires");
    };
    assert!(gone >= Duration::from_millis(1400), "gone after {gone:?}");
    assert!(gone < Duration::from_millis(3000), "gone only after {gone:?}");
}

/// Without arguments: a lone, working grape on 127.0.0.1, DHT 20001, API 30001.
#[test]
fn without_arguments() {
    let argument = json!({"grape": env!("CARGO_BIN_EXE_grape")}).to_string();
    let node = node_command("lone.js", &[argument]);
    // The ports are fixed, so it gets a network of its own where the machine allows that; where it does not, the ports are
    // locked against our other tests.
    let mut own_network = Command::new("unshare");
    own_network.args([
        "--map-root-user",
        "--net",
        "sh",
        "-c",
        "ip link set lo up && exec \"$@\"",
        "sh",
    ]);
    own_network.arg(node.get_program()).args(node.get_args());
    let possible = Command::new("unshare")
        .args(["--map-root-user", "--net", "ip", "link", "set", "lo", "up"])
        .output();
    let _locks = (port::lock(20001), port::lock(30001));
    let command =
        if possible.is_ok_and(|output| output.status.success()) { own_network } else { node };
    let mut process = Process::start("a grape without arguments", command);
    let done = process.wait_for_event("done");
    assert_eq!(done["found"], json!(["127.0.0.1:1337"]), "{done}");
    assert_eq!(done["own"], json!(["127.0.0.1:20001"]), "{done}");
    assert_eq!(done["code"], json!(0), "{done}");
}
