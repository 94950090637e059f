//! Every limit: at it is fine, one over is refused, as soon as the length is known.

use grenache_transports::zmtp::{Config, Error, Limit, SocketType};

use crate::replay::{Ours, Out, message};
use crate::wire;

fn over(limit: Limit) -> Out {
    Out::Error(Error::OverLimit(limit))
}

/// What comes of `bytes` after the handshake.
fn traffic(config: Config, bytes: &[u8]) -> Vec<Out> {
    let ours = Ours::bound(SocketType::Router).with(config);
    ours.everywhere(&[&wire::hello("DEALER"), bytes].concat()).0.split_off(1)
}

#[test]
fn frame() {
    let config = Config { max_frame: 10, ..Config::default() };
    assert_eq!(traffic(config, &wire::message(&[&[1; 10], b"a"])), [message(&[&[1; 10], b"a"])]);
    for (flags, before) in [(0, &[][..]), (1, &[]), (0, b"\x01\x01a"), (1, b"\x01\x01a")] {
        assert_eq!(traffic(config, &[before, &[flags, 11]].concat()), [over(Limit::Frame)]);
        let long = [before, &[flags | 2], &(1u64 << 62).to_be_bytes()].concat();
        assert_eq!(traffic(config, &long), [over(Limit::Frame)]);
    }
}

#[test]
fn parts() {
    let config = Config { max_parts: 3, ..Config::default() };
    assert_eq!(traffic(config, &wire::message(&[&b"a"[..]; 3])), [message(&[&b"a"[..]; 3])]);
    let twice = [wire::message(&[&b"a"[..]; 3]), wire::message(&[&b"a"[..]; 3])].concat();
    assert_eq!(traffic(config, &twice), [message(&[&b"a"[..]; 3]), message(&[&b"a"[..]; 3])]);
    assert_eq!(traffic(config, &wire::message(&[&b"a"[..]; 4])), [over(Limit::Parts)]);
}

#[test]
fn message_size() {
    let config = Config { max_message: 10, ..Config::default() };
    assert_eq!(traffic(config, &wire::message(&[&[1, 2][..]; 4])), [message(&[&[1, 2][..]; 4])]);
    assert_eq!(traffic(config, &wire::message(&[&[1; 10]])), [message(&[&[1; 10]])]);
    assert_eq!(traffic(config, b"\0\x0b"), [over(Limit::Message)]);
    assert_eq!(traffic(config, b"\x01\x04aaaa\x01\x04aaaa\0\x03"), [over(Limit::Message)]);
}

#[test]
fn command() {
    let config = Config { max_command: 40, ..Config::default() };
    assert_eq!(traffic(config, &wire::command("Other", &[0; 34])), []);
    assert_eq!(traffic(config, b"\x04\x29"), [over(Limit::Command)]);
    assert_eq!(traffic(config, b"\x01\x01a\x04\x29"), [over(Limit::Command)]);
    let ours = Ours::bound(SocketType::Router).with(config);
    let bytes = [&wire::greeting(1, "NULL", 0)[..], b"\x04\x29"].concat();
    assert_eq!(ours.everywhere(&bytes).0, [over(Limit::Command)]);
}

#[test]
fn subscription() {
    let config = Config { max_command: 40, ..Config::default() };
    let ours = Ours::bound(SocketType::Pub).with(config);
    let told = |bytes: &[u8]| ours.everywhere(&[&wire::hello("SUB"), bytes].concat()).0;
    for form in 0..3 {
        let prefix = |longest: &[usize; 3]| vec![b'p'; longest[form]];
        let say = |prefix: &[u8]| match form {
            0 => wire::message(&[&[b"\x01", prefix].concat()]),
            1 => wire::message(&[&[b"\x00", prefix].concat()]),
            _ => wire::command("SUBSCRIBE", prefix),
        };
        let fine = told(&say(&prefix(&[39, 39, 30])));
        assert!(matches!(fine[1..], [Out::Subscribe(_) | Out::Cancel(_)]), "{fine:?}");
        assert_eq!(told(&say(&prefix(&[40, 40, 31])))[1..], [over(Limit::Command)]);
    }
}

#[test]
fn properties() {
    let config = Config { max_properties: 3, ..Config::default() };
    let ours = Ours::bound(SocketType::Router).with(config);
    let told = |count: usize| {
        let more = wire::property("X-a", b"").repeat(count - 1);
        let ready = wire::command("READY", &[wire::socket("REQ"), more].concat());
        ours.everywhere(&[wire::greeting(1, "NULL", 0), ready].concat()).0
    };
    assert!(matches!(told(3)[..], [Out::Ready(..)]));
    assert_eq!(told(4), [over(Limit::Properties)]);
}

#[test]
fn no_memory_for_promises() {
    // Parts that say they are large cost what has come of them.
    let ours = Ours::bound(SocketType::Router);
    let mut output = bytes::BytesMut::new();
    let mut connection = ours.connection(&mut output);
    ours.feed(&mut connection, &wire::hello("DEALER"), &mut output, &mut vec![]);
    let length = (60_u64 << 20).to_be_bytes();
    let begun = [&wire::frame(1, &[7; 100], false), &[2][..], &length, b"abc"].concat();
    ours.feed(&mut connection, &begun, &mut output, &mut vec![]);
    assert_eq!(connection.buffered(), begun.len());
}
