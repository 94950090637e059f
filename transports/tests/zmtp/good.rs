//! What a peer may send, with NULL.

use bytes::BytesMut;
use core::time::Duration;
use grenache_transports::zmtp::{
    Config, Connection, Error, Event, Mechanism, Metadata, Misuse, Phase, Side, SocketType,
    Unsupported, Version, is_zmtp,
};

use crate::replay::{Ours, Out, message, ready};
use crate::wire;

#[test]
fn the_worked_example_of_the_rfc() {
    // RFC 37, "Worked Example": a DEALER with an empty identity connects to a ROUTER.
    let mut dealer = BytesMut::new();
    let metadata = Metadata::new(SocketType::Dealer);
    let mechanism = Mechanism::null(Side::Connect);
    let mut connection = Connection::new(metadata, mechanism, Config::default(), &mut dealer);
    assert_eq!(dealer.split()[..], {
        let mut greeting = wire::greeting(1, "NULL", 0);
        greeting[8] = 0;
        greeting
    });
    let mut input = &wire::greeting(1, "NULL", 0)[..];
    assert_eq!(connection.receive(&mut input, &mut dealer), Ok(None));
    assert_eq!(dealer[..], *b"\x04\x1c\x05READY\x0bSocket-Type\0\0\0\x06DEALER");

    let empty = b"\x04\x29\x05READY\x0bSocket-Type\0\0\0\x06DEALER\x08Identity\0\0\0\0";
    let bytes = [&wire::greeting(1, "NULL", 0)[..], empty].concat();
    let (out, output, phase) = Ours::bound(SocketType::Router).everywhere(&bytes);
    assert_eq!((&out[..], phase), (&[ready(SocketType::Dealer)][..], Phase::Ready));
    assert_eq!(output, b"\x04\x1c\x05READY\x0bSocket-Type\0\0\0\x06ROUTER");
}

#[test]
fn libzmq_says_its_greeting_in_three_pieces() {
    assert!(is_zmtp(0xff));
    assert!(!is_zmtp(b'G') && !is_zmtp(0x16));
    let hello = wire::hello("DEALER");
    let ours = Ours::bound(SocketType::Router);
    let pieces = [&hello[..10], &hello[10..11], &hello[11..64], &hello[64..]];
    assert_eq!(ours.replay(pieces), ours.everywhere(&hello));
    let (out, output, phase) = ours.replay([&hello[..10]]);
    assert_eq!((out, output, phase), (vec![], vec![], Phase::Greeting));
    assert_eq!(ours.replay([&hello[..64]]).2, Phase::Handshake);
}

#[test]
fn versions() {
    for (major, minor, version) in [
        (3, 0, Version::V3_0),
        (3, 1, Version::V3_1),
        (3, 9, Version::V3_1),
        (4, 0, Version::V3_1),
        (255, 255, Version::V3_1),
    ] {
        let mut bytes = wire::hello("SUB");
        (bytes[10], bytes[11]) = (major, minor);
        let (out, ..) = Ours::bound(SocketType::Pub).everywhere(&bytes);
        assert_eq!(out, [Out::Ready(version, SocketType::Sub, vec![])]);
    }
    // What is in the padding and in what fills the greeting is nobody's business.
    let mut bytes = wire::hello("SUB");
    bytes[1..9].fill(0xaa);
    bytes[33..64].fill(0xbb);
    let (out, ..) = Ours::bound(SocketType::Pub).everywhere(&bytes);
    assert_eq!(out, [ready(SocketType::Sub)]);
}

#[test]
fn metadata() {
    let properties = [
        wire::property("socket-TYPE", b"REQ"),
        wire::property("X-Grenache", b""),
        wire::property("identity", b"me\0"),
        wire::property("Resource", b"system/test"),
    ]
    .concat();
    let bytes = [wire::greeting(0, "NULL", 1), wire::command("READY", &properties)].concat();
    let (out, ..) = Ours::connected(SocketType::Router).everywhere(&bytes);
    assert_eq!(out, [Out::Ready(Version::V3_0, SocketType::Req, b"me\0".to_vec())]);

    let mut output = BytesMut::new();
    let mut connection = Ours::connected(SocketType::Router).connection(&mut output);
    assert_eq!(connection.peer(), None);
    let mut input = &bytes[..];
    let Ok(Some(Event::Ready(peer))) = connection.receive(&mut input, &mut output) else {
        panic!()
    };
    assert_eq!(peer.properties.get("x-GRENACHE"), Some(&b""[..]));
    assert_eq!(peer.properties.get("RESOURCE"), Some(&b"system/test"[..]));
    assert_eq!(peer.properties.get("Resourc"), None);
    let names: Vec<_> = peer.properties.map(|(name, _)| name).collect();
    assert_eq!(names, ["socket-TYPE", "X-Grenache", "identity", "Resource"]);
    assert_eq!(connection.peer().unwrap().identity, b"me\0");
}

#[test]
fn what_we_say_of_ourselves() {
    let dealer = Metadata::new(SocketType::Dealer);
    let named = dealer.clone().with_identity(b"me").unwrap().with("X-Form", b"2").unwrap();
    let mut output = BytesMut::new();
    let mechanism = Mechanism::null(Side::Connect);
    let mut connection = Connection::new(named, mechanism, Config::default(), &mut output);
    output.clear();
    connection.receive(&mut &wire::greeting(1, "NULL", 0)[..], &mut output).unwrap();
    let said =
        [wire::socket("DEALER"), wire::property("Identity", b"me"), wire::property("X-Form", b"2")];
    assert_eq!(output[..], wire::command("READY", &said.concat()));

    for bad in [&b""[..], b"\0a", &[b'a'; 256]] {
        assert_eq!(dealer.clone().with_identity(bad), Err(Misuse::Identity));
    }
    assert!(dealer.clone().with_identity(&[b'a'; 255]).is_ok());
    for bad in ["", "a b", "a:b", "ä", "identity", "SOCKET-TYPE", &"a".repeat(256)] {
        assert_eq!(dealer.clone().with(bad, b""), Err(Misuse::Property), "{bad}");
    }
    assert!(dealer.with(&"a".repeat(255), b"").is_ok());
}

#[test]
fn messages() {
    let (one, many) = (vec![b'x'; 255], vec![b'y'; 256]);
    let said: [&[&[u8]]; 5] = [
        &[b""],
        &[b"", b"", b""],
        &[b"rid", b"key", b"payload"],
        &[&one, &many, b""],
        &[b"\x01abc"],
    ];
    let mut bytes = wire::hello("DEALER");
    bytes.extend(said.iter().flat_map(|parts| wire::message(parts)));
    let (out, ..) = Ours::bound(SocketType::Router).everywhere(&bytes);
    let expected: Vec<_> = said.iter().map(|parts| message(parts)).collect();
    assert_eq!(out[1..], expected);
    // A length may be longer than it needs to be.
    let bytes = [wire::hello("REQ"), wire::frame(1, b"", true), wire::frame(0, b"q", true)];
    let (out, ..) = Ours::bound(SocketType::Rep).everywhere(&bytes.concat());
    assert_eq!(out[1..], [message(&[b"", b"q"])]);
}

#[test]
fn a_message_that_is_whole_is_not_copied() {
    let mut output = BytesMut::new();
    let ours = Ours::bound(SocketType::Router);
    let mut connection = ours.connection(&mut output);
    let mut input = &wire::hello("DEALER")[..];
    assert!(matches!(connection.receive(&mut input, &mut output), Ok(Some(Event::Ready(_)))));
    let bytes = [wire::message(&[b"a", b"b"]), wire::message(&[b"c"])].concat();
    let mut input = &bytes[..];
    for at in [2, 8] {
        let event = connection.receive(&mut input, &mut output);
        let Ok(Some(Event::Message(message))) = event else { panic!() };
        assert!(!message.assembled);
        let part = message.parts().next().unwrap();
        assert!(core::ptr::eq(part, &bytes[at..at + 1]));
        assert_eq!(connection.buffered(), 0);
        assert!(connection.take_message().is_empty());
    }
    // Its tail alone is kept, and given as what it is.
    let mut input = &[&bytes[..6], b"\0"].concat()[..];
    let whole = connection.receive(&mut input, &mut output);
    assert!(matches!(whole, Ok(Some(Event::Message(message))) if !message.assembled));
    assert_eq!(connection.receive(&mut input, &mut output), Ok(None));
    assert_eq!(connection.buffered(), 1);
    assert!(connection.take_message().is_empty());
    let mut input = &b"\x01c"[..];
    let event = connection.receive(&mut input, &mut output);
    assert!(matches!(event, Ok(Some(Event::Message(message))) if message.assembled));
    assert_eq!(connection.take_message()[..], *b"\0\x01c");
    assert!(connection.take_message().is_empty());
    assert_eq!(connection.receive(&mut input, &mut output), Ok(None));
    assert_eq!(connection.buffered(), 0);
}

#[test]
fn subscriptions_come_in_both_forms() {
    let long = [&[1][..], &[b'p'; 300]].concat();
    let said = [
        wire::command("SUBSCRIBE", b"abc"),
        wire::command("SUBSCRIBE", b""),
        wire::command("CANCEL", b"abc"),
        wire::message(&[b"\x01abc"]),
        wire::message(&[b"\x01"]),
        wire::message(&[b"\x00abc"]),
        wire::message(&[&long]),
    ]
    .concat();
    let subscribe = |prefix: &[u8]| Out::Subscribe(prefix.to_vec());
    let cancel = |prefix: &[u8]| Out::Cancel(prefix.to_vec());
    let expected = [
        subscribe(b"abc"),
        subscribe(b""),
        cancel(b"abc"),
        subscribe(b"abc"),
        subscribe(b""),
        cancel(b"abc"),
        subscribe(&long[1..]),
    ];
    for (ours, peer) in [(SocketType::Pub, "SUB"), (SocketType::Xpub, "XSUB")] {
        for minor in [0, 1] {
            let hello = wire::command("READY", &wire::socket(peer));
            let bytes = [wire::greeting(minor, "NULL", 0), hello, said.clone()].concat();
            assert_eq!(Ours::bound(ours).everywhere(&bytes).0[1..], expected);
        }
    }
    // Others take it for what it looks like: a command that is not theirs, and a message.
    let bytes = [wire::hello("PUB"), said].concat();
    let (out, ..) = Ours::bound(SocketType::Sub).everywhere(&bytes);
    assert_eq!(out[1..].len(), 4);
    assert_eq!(out[1], message(&[b"\x01abc"]));
}

#[test]
fn what_a_publisher_is_told_otherwise() {
    let said = [
        wire::message(&[b"\x02abc"]),
        wire::message(&[b""]),
        wire::message(&[b"\x01abc", b"more"]),
        wire::message(&[b"\x01x"]),
    ];
    let bytes = [wire::hello("XSUB"), said.concat()].concat();
    let subscribed = Out::Subscribe(b"x".to_vec());
    let (out, ..) = Ours::bound(SocketType::Pub).everywhere(&bytes);
    assert_eq!(out[1..], core::slice::from_ref(&subscribed)[..]);
    let (out, ..) = Ours::bound(SocketType::Xpub).everywhere(&bytes);
    let messages = [message(&[b"\x02abc"]), message(&[b""]), message(&[b"\x01abc", b"more"])];
    assert_eq!(out[1..4], messages);
    assert_eq!(out[4..], [subscribed]);
}

#[test]
fn subscriptions_go_in_the_form_the_peer_knows() {
    for (minor, subscribe, cancel) in [
        (0, wire::message(&[b"\x01abc"]), wire::message(&[b"\x00abc"])),
        (1, wire::command("SUBSCRIBE", b"abc"), wire::command("CANCEL", b"abc")),
    ] {
        let ours = Ours::connected(SocketType::Sub);
        let mut output = BytesMut::new();
        let mut connection = ours.connection(&mut output);
        assert_eq!(connection.subscribe(b"abc", &mut output), Err(Misuse::NotReady));
        assert_eq!(connection.send(&[b"a"], &mut output), Err(Misuse::NotReady));
        assert_eq!(connection.ping(Duration::ZERO, &mut output), Err(Misuse::NotReady));
        let ready = wire::command("READY", &wire::socket("PUB"));
        let hello = [wire::greeting(minor, "NULL", 0), ready].concat();
        ours.feed(&mut connection, &hello, &mut output, &mut vec![]);
        output.clear();
        connection.subscribe(b"abc", &mut output).unwrap();
        connection.cancel(b"abc", &mut output).unwrap();
        assert_eq!(output.split()[..], [subscribe, cancel].concat());
        // Nor does a peer of 3.0 know heartbeats.
        assert_eq!(connection.ping(Duration::from_millis(1), &mut output), Ok(minor == 1));
        let ping = wire::command("PING", &[0, 1]);
        assert_eq!(output[..], *if minor == 1 { &ping[..] } else { b"" });
        assert_eq!(connection.pongs(), 0);
        ours.feed(&mut connection, &wire::command("PONG", b""), &mut output, &mut vec![]);
        assert_eq!(connection.pongs(), 1);
        assert!(!connection.is_encrypted());
    }
}

#[test]
fn heartbeats() {
    let context = b"0123456789abcdef";
    let said = [
        wire::command("PING", b"\0\0"),
        wire::command("PING", &[&b"\x01\x2c"[..], context].concat()),
        wire::command("PONG", b"whatever"),
        wire::command("PING", b"\xff\xffx"),
    ];
    let bytes = [wire::hello("DEALER"), said.concat()].concat();
    let (out, output, _) = Ours::connected(SocketType::Dealer).everywhere(&bytes);
    let pings = [0, 30_000, 6_553_500].map(|ms| Out::Ping(Duration::from_millis(ms)));
    assert_eq!(out[1..], pings);
    let written = [
        wire::command("READY", &wire::socket("DEALER")),
        wire::command("PONG", b""),
        wire::command("PONG", context),
        wire::command("PONG", b"x"),
    ];
    assert_eq!(output, written.concat());
}

#[test]
fn commands_may_come_between_the_parts_of_a_message() {
    let said = [
        wire::frame(1, b"a", false),
        wire::command("PING", b"\0\0"),
        wire::frame(1, &[b'b'; 300], false),
        wire::command("PONG", b""),
        wire::command("Unknown", b"whatever"),
        wire::command("PING", b"\0\x01"),
        wire::frame(0, b"c", false),
        wire::message(&[b"d"]),
    ];
    let bytes = [wire::hello("DEALER"), said.concat()].concat();
    let (out, output, _) = Ours::bound(SocketType::Router).everywhere(&bytes);
    let pings = [0, 100].map(|ms| Out::Ping(Duration::from_millis(ms)));
    assert_eq!(out[1..3], pings);
    assert_eq!(out[3..], [message(&[b"a", &[b'b'; 300], b"c"]), message(&[b"d"])]);
    assert!(output.ends_with(&[wire::command("PONG", b""), wire::command("PONG", b"")].concat()));
}

#[test]
fn who_is_refused_is_told_why() {
    let refusals = [
        [wire::greeting(1, "NULL", 0), wire::command("ERROR", b"\x03no!")].concat(),
        [wire::hello("DEALER"), wire::command("ERROR", b"\x03no!"), vec![0xff; 9]].concat(),
    ];
    for (before, bytes) in refusals.iter().enumerate() {
        let (out, _, phase) = Ours::connected(SocketType::Router).everywhere(bytes);
        assert_eq!(out[before..], [Out::Refused(b"no!".to_vec())]);
        assert_eq!(phase, Phase::Finished);
    }
}

#[test]
fn one_port_can_be_a_router_and_a_pub() {
    let open = |output: &mut BytesMut| {
        let (router, publisher) =
            (Metadata::new(SocketType::Router), Metadata::new(SocketType::Pub));
        let mechanism = Mechanism::null(Side::Bind);
        Connection::new(router, mechanism, Config::default(), output).or(publisher)
    };
    for (peer, ours) in [("DEALER", "ROUTER"), ("REQ", "ROUTER"), ("SUB", "PUB"), ("XSUB", "PUB")] {
        let mut output = BytesMut::new();
        let mut connection = open(&mut output);
        output.clear();
        let hello = wire::hello(peer);
        let mut input = &hello[..];
        let Ok(Some(Event::Ready(met))) = connection.receive(&mut input, &mut output) else {
            panic!("{peer}")
        };
        assert_eq!(met.socket.name(), peer);
        assert_eq!(output[..], wire::command("READY", &wire::socket(ours)), "{peer}");
    }
    let mut output = BytesMut::new();
    let mut connection = open(&mut output);
    let error = Error::from(Unsupported::SocketType);
    assert_eq!(connection.receive(&mut &wire::hello("PUB")[..], &mut output), Err(error));
}
