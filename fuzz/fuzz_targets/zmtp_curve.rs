//! CURVE: what goes through the handshake, changed on its way; and what a peer with proper keys puts into its boxes. It says the
//! same however it is cut, and nothing that was changed comes through.
#![no_main]

use std::sync::LazyLock;

use bytes::BytesMut;
use dryoc::classic::crypto_box::{crypto_box_beforenm, crypto_box_detached_afternm_inplace};
use grenache_transports::zmtp::curve::{KeyPair, SecretKey};
use grenache_transports::zmtp::{Config, Mechanism, SocketType};
use libfuzzer_sys::fuzz_target;

#[path = "../../transports/tests/zmtp/replay.rs"]
#[allow(dead_code)]
mod replay;
#[path = "../../transports/tests/zmtp/wire.rs"]
#[allow(dead_code)]
mod wire;

use replay::{Ours, Out};

fn keys(byte: u8) -> KeyPair {
    SecretKey::new([byte; 32]).into()
}

// The first 32 bytes of what is random make the key pair of the connection.
fn server() -> Mechanism {
    Mechanism::curve_server(keys(1), [3; 96])
}

fn client() -> Mechanism {
    Mechanism::curve_client(keys(1).public, keys(2), [4; 96])
}

fn sides() -> [Ours; 2] {
    let config = Config {
        max_frame: 200,
        max_parts: 4,
        max_message: 300,
        max_command: 500,
        ..Config::default()
    };
    [(SocketType::Router, server as fn() -> _), (SocketType::Dealer, client)]
        .map(|(socket, mechanism)| Ours::secured(socket, mechanism).with(config))
}

/// What each side is given in a handshake, and what comes of it: the server first.
static HANDSHAKE: LazyLock<[(Vec<u8>, Vec<Out>); 2]> = LazyLock::new(|| {
    let [router, dealer] = sides();
    let (mut to_router, mut to_dealer) = (BytesMut::new(), BytesMut::new());
    let mut dealing = dealer.connection(&mut to_router);
    let mut routing = router.connection(&mut to_dealer);
    let mut given = [vec![], vec![]];
    for _ in 0..3 {
        let (mut input, out) = (to_router.split(), &mut vec![]);
        given[0].extend_from_slice(&input);
        router.feed(&mut routing, &input, &mut to_dealer, out);
        input = to_dealer.split();
        given[1].extend_from_slice(&input);
        dealer.feed(&mut dealing, &input, &mut to_router, out);
    }
    let [to_router, to_dealer] = given;
    let (first, second) = (router.replay([&to_router[..]]).0, dealer.replay([&to_dealer[..]]).0);
    [(to_router, first), (to_dealer, second)]
});

/// A box as the owner of a secret key makes it.
fn seal(purpose: &[u8], number: u64, text: &[u8]) -> Vec<u8> {
    let key = crypto_box_beforenm(&keys(4).public.0, &[3; 32]).expect("proper keys");
    let nonce = [purpose, &number.to_be_bytes()].concat().try_into().expect("24 bytes");
    let (mut tag, mut text) = ([0; 16], text.to_vec());
    crypto_box_detached_afternm_inplace(&mut text, &mut tag, &nonce, &key);
    [&number.to_be_bytes()[..], &tag, &text].concat()
}

fuzz_target!(|input: &[u8]| {
    let [kind, cut, rest @ ..] = input else { return };
    let side = usize::from(kind & 1);
    let ours = &sides()[side];
    let (given, good) = &HANDSHAKE[side];
    let mut bytes = given.clone();
    if kind & 2 == 0 {
        // Changes: where, and what is to be there.
        for change in rest.chunks_exact(3) {
            let at = usize::from(u16::from_be_bytes([change[0], change[1]]));
            let at = 64 + at % (bytes.len() - 64);
            bytes[at] = change[2];
        }
        let out = ours.replay([&bytes[..]]).0;
        let same = out.iter().zip(good).take_while(|(a, b)| a == b).count();
        // Without a word from the server a client may be made to believe that it is refused, but nothing else.
        assert!(matches!(out[same..], [] | [Out::Error(_)] | [Out::Refused(_)]), "{out:?}");
    } else {
        let (name, purpose, mut number) = match side {
            0 => ("MESSAGE", b"CurveZMQMESSAGEC", 3),
            _ if kind & 4 == 0 => ("MESSAGE", b"CurveZMQMESSAGES", 2),
            // Metadata of the server's choice.
            _ => {
                bytes.truncate(64 + 2 + 168);
                ("READY", b"CurveZMQREADY---", 1)
            }
        };
        let mut rest = rest;
        while let [length, after @ ..] = rest {
            let (text, after) = after.split_at(usize::from(*length).min(after.len()));
            bytes.extend(wire::command(name, &seal(purpose, number, text)));
            rest = after;
            number += 1;
        }
    }
    let whole = ours.replay([&bytes[..]]);
    assert_eq!(ours.replay(bytes.chunks(usize::from(*cut) + 1)), whole);
});
