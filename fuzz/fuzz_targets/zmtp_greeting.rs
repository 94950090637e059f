//! Greetings of ZMTP, and whatever comes instead: bytes say the same however they are cut.
#![no_main]

use grenache_transports::zmtp::curve::{KeyPair, SecretKey};
use grenache_transports::zmtp::{Mechanism, Phase, Side, SocketType};
use libfuzzer_sys::fuzz_target;

#[path = "../../transports/tests/zmtp/replay.rs"]
#[allow(dead_code)]
mod replay;

use replay::Ours;

fn keys(byte: u8) -> KeyPair {
    SecretKey::new([byte; 32]).into()
}

const MECHANISMS: [fn() -> Mechanism; 5] = [
    || Mechanism::null(Side::Bind),
    Mechanism::plain_server,
    || Mechanism::plain_client(b"user", b"password").expect("short"),
    || Mechanism::curve_server(keys(1), [3; 96]),
    || Mechanism::curve_client(keys(1).public, keys(2), [4; 96]),
];

fuzz_target!(|input: &[u8]| {
    let [mechanism, cut, bytes @ ..] = input else { return };
    let mechanism = MECHANISMS[usize::from(*mechanism) % MECHANISMS.len()];
    let ours = Ours::secured(SocketType::Dealer, mechanism);
    let whole = ours.replay([bytes]);
    assert_eq!(ours.replay(bytes.chunks(usize::from(cut % 80) + 1)), whole);
    if whole.2 != Phase::Greeting && whole.2 != Phase::Finished {
        assert!(bytes.len() >= 64 && bytes[0] == 0xff && bytes[10] >= 3);
        assert!(bytes[12..].starts_with(mechanism().name().as_bytes()));
    }
});
