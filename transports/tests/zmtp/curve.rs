//! CURVE: both sides, and somebody in between.

use bytes::BytesMut;
use grenache_transports::zmtp::curve::{KeyPair, PublicKey, SecretKey};
use grenache_transports::zmtp::{
    Config, Connection, Error, Insecure, Limit, Malformed, Mechanism, Phase, SocketType,
};

use crate::replay::{Ours, Out, message, ready};
use crate::wire;

fn keys(byte: u8) -> KeyPair {
    SecretKey::new([byte; 32]).into()
}

fn public(byte: u8) -> PublicKey {
    keys(byte).public
}

pub(crate) fn server() -> Mechanism {
    Mechanism::curve_server(keys(1), [3; 96])
}

fn client() -> Mechanism {
    Mechanism::curve_client(public(1), keys(2), [4; 96])
}

fn router() -> Ours {
    Ours::secured(SocketType::Router, server)
}

fn dealer() -> Ours {
    Ours::secured(SocketType::Dealer, client)
}

/// Both sides of a connection.
pub(crate) struct Pair {
    ours: [Ours; 2],
    connections: [Connection; 2],
    /// What each has still to be given.
    due: [BytesMut; 2],
    /// What each was given, and what has come of it.
    pub(crate) given: [Vec<u8>; 2],
    pub(crate) out: [Vec<Out>; 2],
}

impl Pair {
    pub(crate) fn new(ours: [Ours; 2]) -> Self {
        let mut due = [BytesMut::new(), BytesMut::new()];
        let connections = [0, 1].map(|side: usize| ours[side].connection(&mut due[1 - side]));
        let (given, out) = Default::default();
        Self { ours, connections, due, given, out }
    }

    /// Gives each what the other has written, until nobody writes any more.
    pub(crate) fn run(&mut self) {
        while self.due.iter().any(|due| !due.is_empty()) {
            for side in [0, 1] {
                let bytes = self.due[side].split();
                self.given[side].extend_from_slice(&bytes);
                let (connection, output) = (&mut self.connections[side], &mut self.due[1 - side]);
                self.ours[side].feed(connection, &bytes, output, &mut self.out[side]);
            }
        }
    }

    pub(crate) fn side(&mut self, side: usize) -> (&mut Connection, &mut BytesMut) {
        (&mut self.connections[side], &mut self.due[1 - side])
    }
}

/// A router and a dealer that have met and said something; the bytes each was given, and how much of them is the handshake.
fn conversation() -> ([Vec<u8>; 2], [usize; 2]) {
    let mut pair = Pair::new([router(), dealer()]);
    pair.run();
    let handshake = [0, 1].map(|side: usize| pair.given[side].len());
    for side in [0, 1] {
        let (connection, output) = pair.side(side);
        connection.send(&[b"", b"rid", &[b'p'; 300]], output).unwrap();
        connection.ping(core::time::Duration::from_secs(1), output).unwrap();
        connection.send(&[b"second"], output).unwrap();
    }
    pair.run();
    (pair.given, handshake)
}

#[test]
fn both_sides_however_it_is_cut() {
    let (given, _) = conversation();
    let said = [
        message(&[b"", b"rid", &[b'p'; 300]]),
        Out::Ping(core::time::Duration::from_secs(1)),
        message(&[b"second"]),
    ];
    let (out, _, phase) = router().everywhere(&given[0]);
    assert_eq!(out[..2], [Out::Key(public(2)), ready(SocketType::Dealer)]);
    assert_eq!((&out[2..], phase), (&said[..], Phase::Ready));
    let (out, _, phase) = dealer().everywhere(&given[1]);
    assert_eq!(out[0], ready(SocketType::Router));
    assert_eq!((&out[1..], phase), (&said[..], Phase::Ready));
    // Nothing of it can be read.
    for given in &given {
        for word in [&b"rid"[..], b"ppp", b"second", b"DEALER", b"ROUTER", b"PING"] {
            assert!(!given.windows(word.len()).any(|window| window == word));
        }
    }
}

#[test]
fn lengths_of_commands() {
    let (given, handshake) = conversation();
    // HELLO, then INITIATE with 27 bytes of metadata; WELCOME, then READY.
    let hello = [&b"\x04\xc8\x05HELLO\x01\x00"[..], &[0; 72]].concat();
    assert!(given[0][64..].starts_with(&hello));
    let metadata = wire::socket("DEALER").len();
    assert_eq!(handshake[0], 64 + 2 + 200 + 9 + 257 + metadata);
    assert!(given[1][64..].starts_with(b"\x04\xa8\x07WELCOME"));
    assert_eq!(handshake[1], 64 + 2 + 168 + 2 + 30 + metadata);
    // As libzmq sends messages: not as commands.
    assert!(given[0][handshake[0]..].starts_with(b"\x00\x21\x07MESSAGE\0\0\0\0\0\0\0\x03"));
    assert!(given[1][handshake[1]..].starts_with(b"\x00\x21\x07MESSAGE\0\0\0\0\0\0\0\x02"));
}

#[test]
fn messages_may_be_commands_as_the_rfc_says() {
    let (mut given, handshake) = conversation();
    given[0][handshake[0]] = 4;
    let (out, ..) = router().everywhere(&given[0]);
    assert_eq!(out[2], message(&[b"", b"rid", &[b'p'; 300]]));
    given[0][handshake[0]] = 1;
    let (out, ..) = router().everywhere(&given[0]);
    assert_eq!(out[2..], [Out::Error(Malformed::Flags.into())]);
}

#[test]
fn a_client_that_is_not_let_in() {
    let mut pair = Pair::new([Ours { verdict: false, ..router() }, dealer()]);
    pair.run();
    assert_eq!(pair.out[0], [Out::Key(public(2))]);
    assert_eq!(pair.out[1], [Out::Refused(b"400".to_vec())]);
    assert_eq!(pair.side(0).0.phase(), Phase::Finished);
    assert_eq!(pair.side(1).0.phase(), Phase::Finished);
}

#[test]
fn keys_that_are_not_the_right_ones() {
    let insecure = |what| vec![Out::Error(Error::Insecure(what))];
    // The client was given another key for the server.
    let other = || Mechanism::curve_client(public(9), keys(2), [4; 96]);
    let mut pair = Pair::new([router(), Ours::secured(SocketType::Dealer, other)]);
    pair.run();
    assert_eq!(pair.out, [insecure(Insecure::Hello), vec![]]);
    // The client says that it has a key of which it does not have the secret.
    let thief = || {
        let keys = KeyPair { public: public(9), secret: SecretKey::new([2; 32]) };
        Mechanism::curve_client(public(1), keys, [4; 96])
    };
    let mut pair = Pair::new([router(), Ours::secured(SocketType::Dealer, thief)]);
    pair.run();
    assert_eq!(pair.out, [insecure(Insecure::Vouch), vec![]]);
    // A key that gives everybody the same secret.
    let weak = || Mechanism::curve_client(PublicKey([0; 32]), keys(2), [4; 96]);
    let mut pair = Pair::new([router(), Ours::secured(SocketType::Dealer, weak)]);
    pair.run();
    assert_eq!(pair.out[1], insecure(Insecure::Key));
}

#[test]
fn every_byte_counts() {
    let (given, handshake) = conversation();
    let sides = [(router(), &given[0], handshake[0]), (dealer(), &given[1], handshake[1])];
    for (ours, bytes, handshake) in sides {
        // The PONG at the end says nothing, broken or not.
        let bytes = bytes[..bytes.len() - 40].to_vec();
        let good = ours.replay([&bytes[..]]).0;
        for at in 64..bytes.len() {
            for bit in [1, 0x80] {
                // The top bit of a public key says nothing (RFC 7748 section 5): here HELLO's.
                if (ours.socket, at, bit) == (SocketType::Router, 66 + 80 + 31, 0x80) {
                    continue;
                }
                let mut bytes = bytes.clone();
                bytes[at] ^= bit;
                let (out, ..) = ours.replay([&bytes[..]]);
                let same = out.iter().zip(&good).take_while(|(a, b)| a == b).count();
                match out.get(same) {
                    // Frames that have become longer or shorter may leave it waiting.
                    None => assert!(out.len() < good.len(), "{at}"),
                    Some(Out::Error(_)) => assert_eq!(same + 1, out.len(), "{at}"),
                    Some(other) => panic!("byte {at} of {handshake}..: {other:?}"),
                }
            }
        }
    }
}

#[test]
fn what_was_sent_is_not_taken_again() {
    let (given, handshake) = conversation();
    let (before, messages) = given[0].split_at(handshake[0]);
    // The three parts of the first message, the PING, the second message, the PONG.
    let mut frames = Vec::new();
    let mut rest = messages;
    while !rest.is_empty() {
        let length = match rest[0] & 2 {
            0 => 2 + usize::from(rest[1]),
            _ => 9 + usize::from(u16::from_be_bytes([rest[7], rest[8]])),
        };
        let (frame, after) = rest.split_at(length);
        frames.push(frame);
        rest = after;
    }
    assert_eq!(frames.len(), 6);
    let refused = |frames: &[&[u8]]| {
        let bytes = [before, &frames.concat()].concat();
        router().everywhere(&bytes).0.last().cloned()
    };
    let again = Some(Out::Error(Insecure::Nonce.into()));
    assert_eq!(refused(&[&frames[..], &frames[5..]].concat()), again);
    assert_eq!(refused(&[frames[4], frames[3]]), again);
    assert_eq!(refused(&[frames[0], frames[0]]), again);
    // One that is missing is for nobody to see who does not count; TCP loses none.
    assert_eq!(refused(&frames[4..5]), Some(message(&[b"second"])));
    // Nor is what the client was sent taken by the server.
    let back = &given[1][handshake[1]..];
    let bytes = [before, back].concat();
    assert_eq!(
        router().replay([&bytes[..]]).0.last(),
        again.as_ref().filter(|_| false).or(Some(&Out::Error(Insecure::Nonce.into())))
    );
}

#[test]
fn out_of_order() {
    let (given, handshake) = conversation();
    let (greeting, hello) = (&given[0][..64], &given[0][64..266]);
    let initiate = &given[0][266..handshake[0]];
    let messages = &given[0][handshake[0]..];
    let (welcome, answer) = (&given[1][64..234], &given[1][234..handshake[1]]);
    let ready = wire::command("READY", &wire::socket("DEALER").repeat(2));
    for (ours, said, error) in [
        (router(), vec![initiate], Malformed::UnexpectedCommand.into()),
        (router(), vec![&ready], Malformed::UnexpectedCommand.into()),
        (router(), vec![hello, hello], Malformed::UnexpectedCommand.into()),
        (router(), vec![messages], Error::from(Malformed::EarlyMessage)),
        (router(), vec![hello, messages], Malformed::EarlyMessage.into()),
        (router(), vec![hello, initiate, initiate], Malformed::UnexpectedCommand.into()),
        (router(), vec![hello, initiate, b"\0\x01a"], Malformed::UnexpectedCommand.into()),
        (router(), vec![hello, initiate, &ready], Malformed::UnexpectedCommand.into()),
        (router(), vec![b"\x04\x06\x05HELLO"], Malformed::Hello.into()),
        (router(), vec![hello, b"\x04\x09\x08INITIATE"], Malformed::Initiate.into()),
        (dealer(), vec![&ready], Malformed::UnexpectedCommand.into()),
        (dealer(), vec![answer], Malformed::UnexpectedCommand.into()),
        (dealer(), vec![welcome, welcome], Malformed::UnexpectedCommand.into()),
        (dealer(), vec![welcome, b"\x04\x06\x05READY"], Malformed::Ready.into()),
        (dealer(), vec![welcome, &ready], Insecure::Ready.into()),
        (dealer(), vec![b"\x04\x08\x07WELCOME"], Malformed::Welcome.into()),
        (dealer(), vec![hello], Malformed::UnexpectedCommand.into()),
    ] {
        let bytes = [&[greeting][..], &said].concat().concat();
        let (out, ..) = ours.everywhere(&bytes);
        assert_eq!(out.last(), Some(&Out::Error(error)), "{}", said.concat().escape_ascii());
    }
    // The cookie of another connection.
    let elsewhere = || Mechanism::curve_server(keys(1), [5; 96]);
    let ours = Ours::secured(SocketType::Router, elsewhere);
    let (out, ..) = ours.everywhere(&given[0]);
    assert_eq!(out, [Out::Error(Insecure::Cookie.into())]);
}

#[test]
fn limits_hold_inside_of_boxes() {
    let config = Config {
        max_frame: 300,
        max_parts: 3,
        max_message: 303,
        max_command: 400,
        ..Config::default()
    };
    let (given, handshake) = conversation();
    assert_eq!(router().with(config).everywhere(&given[0]).0.len(), 5);
    for (config, limit) in [
        (Config { max_frame: 299, ..config }, Limit::Frame),
        (Config { max_parts: 2, ..config }, Limit::Parts),
        (Config { max_message: 302, ..config }, Limit::Message),
    ] {
        let (out, ..) = router().with(config).everywhere(&given[0]);
        assert_eq!(out[2..], [Out::Error(limit.into())]);
    }
    // What could be neither is not waited for.
    let begun = [&given[0][..handshake[0]], &[2], &434u64.to_be_bytes()].concat();
    let (out, ..) = router().with(config).everywhere(&begun);
    assert_eq!(out[2..], [Out::Error(Limit::Frame.into())]);
    // A subscription, in a box, is a command like any other.
    let subscribed = |length: usize| {
        let publisher =
            Ours::secured(SocketType::Pub, server).with(Config { max_frame: 500, ..config });
        let mut pair = Pair::new([publisher, Ours::secured(SocketType::Sub, client)]);
        pair.run();
        let (connection, output) = pair.side(1);
        connection.subscribe(&vec![b'p'; length], output).unwrap();
        pair.run();
        pair.out[0].pop()
    };
    assert_eq!(subscribed(390), Some(Out::Subscribe(vec![b'p'; 390])));
    assert_eq!(subscribed(391), Some(Out::Error(Limit::Command.into())));
}
