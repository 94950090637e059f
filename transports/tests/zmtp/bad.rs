//! What a peer may not send.

use grenache_transports::zmtp::{Config, Error, Limit, Malformed, Phase, SocketType, Unsupported};

use crate::replay::{Ours, Out};
use crate::wire;

#[track_caller]
fn refused(ours: &Ours, bytes: &[u8], error: impl Into<Error>) -> Vec<u8> {
    let (out, output, phase) = ours.everywhere(bytes);
    assert_eq!(out.last(), Some(&Out::Error(error.into())), "{}", bytes.escape_ascii());
    assert_eq!(phase, Phase::Finished);
    // What comes after is neither judged nor kept.
    let more = ours.everywhere(&[bytes, b"\xff\xff\xff"].concat());
    assert_eq!(more, (out, output.clone(), phase));
    output
}

fn router() -> Ours {
    Ours::bound(SocketType::Router)
}

#[test]
fn no_greeting() {
    for other in [&b"GET / HTTP/1.1\r\n"[..], b"\x16\x03\x01", b"\0", b"\x01\0", b"\xfe"] {
        assert!(refused(&router(), other, Malformed::Signature).is_empty());
    }
    let mut bytes = wire::greeting(1, "NULL", 0);
    bytes[9] = 0x7d;
    refused(&router(), &bytes[..10], Malformed::Signature);
}

#[test]
fn older_versions_are_told_without_waiting_for_what_they_do_not_send() {
    // ZMTP 1.0: the length of an identity of 300 bytes, and flags.
    refused(&router(), b"\xff\0\0\0\0\0\0\x01\x2d\0", Unsupported::Version1);
    // ZMTP 2.0: revision and socket type.
    for revision in [0, 1, 2] {
        let bytes = [&wire::greeting(1, "NULL", 0)[..10], &[revision]].concat();
        refused(&router(), &bytes, Unsupported::Version2);
    }
}

#[test]
fn mechanisms_must_be_the_same() {
    for name in ["PLAIN", "CURVE", "GSSAPI", "NUL", "NULLX", "null", "", "NULL\0X"] {
        refused(&router(), &wire::greeting(1, name, 0), Unsupported::Mechanism);
    }
    let downgraded = wire::hello("DEALER");
    for mechanism in [crate::curve::server, crate::plain::server] {
        let ours = Ours::secured(SocketType::Router, mechanism);
        assert!(refused(&ours, &downgraded, Unsupported::Mechanism).is_empty());
    }
    for (mechanism, name) in
        [(crate::curve::server as fn() -> _, "CURVE"), (crate::plain::server, "PLAIN")]
    {
        let ours = Ours::secured(SocketType::Router, mechanism);
        refused(&ours, &wire::greeting(1, name, 1), Unsupported::BothServers);
    }
}

#[test]
fn handshakes() {
    let after = |bytes: &[u8]| [&wire::greeting(1, "NULL", 0), bytes].concat();
    for (bytes, error) in [
        (wire::message(&[b"early"]), Malformed::EarlyMessage),
        (wire::frame(5, b"\x05READY", false), Malformed::Flags),
        (wire::frame(8, b"\x05READY", false), Malformed::Flags),
        (wire::frame(4, b"", false), Malformed::CommandName),
        (wire::frame(4, b"\0", false), Malformed::CommandName),
        (wire::frame(4, b"\x06READY", false), Malformed::CommandName),
        (wire::command("RE DY", b""), Malformed::CommandName),
        (wire::command("ready", b""), Malformed::UnexpectedCommand),
        (wire::command("HELLO", b""), Malformed::UnexpectedCommand),
        (wire::command("PING", b"\0\0"), Malformed::UnexpectedCommand),
        (wire::command("SUBSCRIBE", b""), Malformed::UnexpectedCommand),
        (wire::command("ERROR", b""), Malformed::Error),
        (wire::command("ERROR", b"\x02a"), Malformed::Error),
        (wire::command("ERROR", b"\x01ab"), Malformed::Error),
    ] {
        assert!(refused(&router(), &after(&bytes), error).is_empty());
    }
    let long = [&[6][..], &(1u64 << 63).to_be_bytes()].concat();
    refused(&router(), &after(&long), Malformed::Length);
}

#[test]
fn metadata() {
    let socket = wire::socket("DEALER");
    let with = |more: Vec<u8>| [socket.clone(), more].concat();
    for (metadata, error) in [
        (vec![], Malformed::SocketType),
        (wire::property("X-Other", b"DEALER"), Malformed::SocketType),
        (with(wire::socket("DEALER")), Malformed::SocketType),
        (with(wire::property("IDENTITY", &[b'x'; 256])), Malformed::Identity),
        (with(wire::property("Identity", b"\0x")), Malformed::Identity),
        (
            with([wire::property("Identity", b"x"), wire::property("identity", b"y")].concat()),
            Malformed::Identity,
        ),
        (with(b"\0\0\0\0\0".to_vec()), Malformed::Metadata),
        (with(b"\x03X-".to_vec()), Malformed::Metadata),
        (with(b"\x03X-A".to_vec()), Malformed::Metadata),
        (with(b"\x03X-A\0\0\0".to_vec()), Malformed::Metadata),
        (with(b"\x03X-A\0\0\0\x02a".to_vec()), Malformed::Metadata),
        (with(b"\x03X-A\xff\xff\xff\xffa".to_vec()), Malformed::Metadata),
        (with(wire::property("X A", b"")), Malformed::Metadata),
        (with(wire::property("X\u{e4}", b"")), Malformed::Metadata),
        (with(b"\0".to_vec()), Malformed::Metadata),
    ] {
        let ready = wire::command("READY", &metadata);
        let bytes = [wire::greeting(1, "NULL", 0), ready].concat();
        assert!(refused(&router(), &bytes, error).is_empty());
    }
}

#[test]
fn sockets_that_do_not_go_together_are_told_so() {
    let types = ["REQ", "REP", "DEALER", "ROUTER", "PUB", "XPUB", "SUB", "XSUB", "PUSH", "X", ""];
    // RFC 37, "The Socket-Type Property", row by row.
    for (ours, fitting) in [
        (SocketType::Req, &["REP", "ROUTER"][..]),
        (SocketType::Rep, &["REQ", "DEALER"]),
        (SocketType::Dealer, &["REP", "DEALER", "ROUTER"]),
        (SocketType::Router, &["REQ", "DEALER", "ROUTER"]),
        (SocketType::Pub, &["SUB", "XSUB"]),
        (SocketType::Xpub, &["SUB", "XSUB"]),
        (SocketType::Sub, &["PUB", "XPUB"]),
        (SocketType::Xsub, &["PUB", "XPUB"]),
    ] {
        for peer in types {
            let bytes = wire::hello(peer);
            if fitting.contains(&peer) {
                let (out, ..) = Ours::bound(ours).everywhere(&bytes);
                assert!(matches!(out[..], [Out::Ready(..)]), "{ours} {peer}");
            } else {
                let told = refused(&Ours::bound(ours), &bytes, Unsupported::SocketType);
                assert_eq!(told, wire::command("ERROR", b"\x13Invalid socket type"));
            }
        }
    }
}

#[test]
fn traffic() {
    let after = |bytes: &[u8]| [&wire::hello("DEALER"), bytes].concat();
    for (bytes, error) in [
        (wire::frame(8, b"", false), Malformed::Flags),
        (wire::frame(0x80, b"", false), Malformed::Flags),
        (wire::frame(5, b"\x04PING\0\0", false), Malformed::Flags),
        (wire::command("PING", b"\0"), Malformed::Ping),
        (wire::command("PING", &[0; 19]), Malformed::Ping),
        (wire::command("READY", &wire::socket("DEALER")), Malformed::UnexpectedCommand),
        (wire::command("HELLO", b""), Malformed::UnexpectedCommand),
        (wire::command("ERROR", b"\x01"), Malformed::Error),
        (wire::frame(4, b"\x09PING", false), Malformed::CommandName),
        ([&[2][..], &[0xff; 8]].concat(), Malformed::Length),
    ] {
        refused(&router(), &after(&bytes), error);
        // The same in the middle of a message.
        refused(&router(), &after(&[wire::frame(1, b"a", false), bytes].concat()), error);
    }
}

#[test]
fn a_message_without_end_ends() {
    let config = Config { max_parts: 1000, ..Config::default() };
    let ours = router().with(config);
    let mut bytes = wire::hello("DEALER");
    bytes.extend_from_slice(&b"\x01\0".repeat(1000));
    let whole = ours.replay([&bytes[..]]);
    assert!(matches!(whole.0[..], [Out::Ready(..)]));
    bytes.extend_from_slice(b"\x01\0");
    for step in [1, 7, bytes.len()] {
        let (out, ..) = ours.replay(bytes.chunks(step));
        assert_eq!(out[1..], [Out::Error(Limit::Parts.into())]);
    }
}
