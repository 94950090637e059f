//! Commands of ZMTP, in a handshake and after it: they say the same however they are cut, and cost no more than they have bytes.
#![no_main]

use grenache_transports::zmtp::{Config, Mechanism, Side, SocketType};
use libfuzzer_sys::fuzz_target;

#[path = "../../transports/tests/zmtp/replay.rs"]
#[allow(dead_code)]
mod replay;
#[path = "../../transports/tests/zmtp/wire.rs"]
#[allow(dead_code)]
mod wire;

use replay::Ours;

const NAMES: [&str; 10] = [
    "READY",
    "ERROR",
    "HELLO",
    "WELCOME",
    "INITIATE",
    "PING",
    "PONG",
    "SUBSCRIBE",
    "CANCEL",
    "Other",
];

const MECHANISMS: [fn() -> Mechanism; 4] = [
    || Mechanism::null(Side::Bind),
    || Mechanism::null(Side::Connect),
    Mechanism::plain_server,
    || Mechanism::plain_client(b"user", b"password").expect("short"),
];

fuzz_target!(|input: &[u8]| {
    let [kind, limits, cut, rest @ ..] = input else { return };
    let mechanism = MECHANISMS[usize::from(kind & 3)];
    let (socket, peer) = match kind >> 2 & 3 {
        0 => (SocketType::Router, "DEALER"),
        1 => (SocketType::Pub, "SUB"),
        2 => (SocketType::Xpub, "XSUB"),
        _ => (SocketType::Sub, "PUB"),
    };
    let config = Config {
        max_command: if limits & 1 == 0 { 8192 } else { 40 },
        max_properties: if limits & 2 == 0 { 32 } else { 2 },
        ..Config::default()
    };
    let ours = Ours { verdict: limits & 4 == 0, ..Ours::secured(socket, mechanism).with(config) };
    let mut bytes = wire::greeting(kind >> 4 & 1, mechanism().name(), 0);
    if kind & 0x20 != 0 {
        let metadata = wire::socket(peer);
        bytes.extend(match kind & 3 {
            0 | 1 => wire::command("READY", &metadata),
            2 => [wire::command("HELLO", b"\x01u\x01p"), wire::command("INITIATE", &metadata)]
                .concat(),
            _ => [wire::command("WELCOME", b""), wire::command("READY", &metadata)].concat(),
        });
    }
    // A byte for the name, one for how much of the rest is its data.
    let mut rest = rest;
    while let [name, length, after @ ..] = rest {
        let (data, after) = after.split_at(usize::from(*length).min(after.len()));
        rest = after;
        match NAMES.get(usize::from(*name)) {
            Some(name) => bytes.extend(wire::command(name, data)),
            None => bytes.extend(wire::frame(name & 7, data, false)),
        }
    }
    let whole = ours.replay([&bytes[..]]);
    assert!(whole.1.len() <= bytes.len() + 100, "more is written than was asked for");
    assert_eq!(ours.replay(bytes.chunks(usize::from(*cut) + 1)), whole);
    assert_eq!(ours.replay(bytes.chunks(1)), whole);
});
