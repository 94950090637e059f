//! CURVE's commands put together here, from the layouts of RFC 26: what a proper client says, and one that is not.

use dryoc::classic::crypto_box::{
    crypto_box_beforenm, crypto_box_detached_afternm_inplace,
    crypto_box_open_detached_afternm_inplace,
};
use dryoc::classic::crypto_core::crypto_scalarmult_base;
use grenache_transports::zmtp::curve::{PublicKey, SecretKey};
use grenache_transports::zmtp::{Error, Insecure, Malformed, Mechanism, SocketType};

use crate::replay::{Ours, Out, message, ready};
use crate::wire;

/// The secret keys: the permanent ones, and the transient ones, of which the server's is the first of its random bytes.
const SERVER: [u8; 32] = [1; 32];
const CLIENT: [u8; 32] = [2; 32];
const S: [u8; 32] = [3; 32];
const C: [u8; 32] = [4; 32];

fn router() -> Ours {
    let mechanism = || Mechanism::curve_server(SecretKey::new(SERVER).into(), [3; 96]);
    Ours::secured(SocketType::Router, mechanism)
}

fn public(secret: [u8; 32]) -> [u8; 32] {
    let mut public = [0; 32];
    crypto_scalarmult_base(&mut public, &secret);
    public
}

/// Box [text](from->to), tag first.
fn seal(text: &[u8], from: [u8; 32], to: [u8; 32], nonce: &[&[u8]]) -> Vec<u8> {
    let key = crypto_box_beforenm(&to, &from).unwrap();
    let (mut tag, mut text) = ([0; 16], text.to_vec());
    let nonce = nonce.concat().try_into().unwrap();
    crypto_box_detached_afternm_inplace(&mut text, &mut tag, &nonce, &key);
    [&tag[..], &text].concat()
}

/// What a client may say otherwise than it should.
struct Said {
    version: [u8; 2],
    padding: [u8; 72],
    signed: [u8; 64],
    numbers: [u64; 3],
    /// The transient key and the server that are vouched for.
    vouched: [[u8; 32]; 2],
    metadata: Vec<u8>,
    flags: u8,
}

impl Said {
    fn properly() -> Self {
        Self {
            version: [1, 0],
            padding: [0; 72],
            signed: [0; 64],
            numbers: [1, 2, 3],
            vouched: [public(C), public(SERVER)],
            metadata: wire::socket("DEALER"),
            flags: 0,
        }
    }

    /// What comes of it at the server.
    fn to_server(&self) -> Vec<Out> {
        router().replay([&self.bytes()[..]]).0
    }

    fn bytes(&self) -> Vec<u8> {
        let numbers = self.numbers.map(u64::to_be_bytes);
        let signature = seal(&self.signed, C, public(SERVER), &[b"CurveZMQHELLO---", &numbers[0]]);
        let hello =
            [&self.version[..], &self.padding, &public(C), &numbers[0], &signature].concat();
        let before = [wire::greeting(1, "CURVE", 0), wire::command("HELLO", &hello)].concat();
        // The cookie is sealed with a key that only the server knows: take the one it gives.
        let welcome = router().replay([&before[..]]).1;
        let Some(cookie) = open_welcome(&welcome) else {
            return before;
        };
        let vouch = seal(&self.vouched.concat(), CLIENT, public(S), &[b"VOUCH---", &[5; 16]]);
        let text = [&public(CLIENT)[..], &[5; 16], &vouch, &self.metadata].concat();
        let sealed = seal(&text, C, public(S), &[b"CurveZMQINITIATE", &numbers[1]]);
        let initiate = wire::command("INITIATE", &[&cookie, &numbers[1][..], &sealed].concat());
        let text = [&[self.flags][..], b"hello"].concat();
        let sealed = seal(&text, C, public(S), &[b"CurveZMQMESSAGEC", &numbers[2]]);
        let said = wire::command("MESSAGE", &[&numbers[2][..], &sealed].concat());
        [before, initiate, said].concat()
    }
}

/// The cookie in a WELCOME.
fn open_welcome(welcome: &[u8]) -> Option<Vec<u8>> {
    let data = welcome.strip_prefix(b"\x04\xa8\x07WELCOME")?;
    let (nonce, sealed) = data.split_at(16);
    let key = crypto_box_beforenm(&public(SERVER), &C).unwrap();
    let nonce = [b"WELCOME-", nonce].concat().try_into().unwrap();
    let (tag, mut text) = (sealed[..16].try_into().unwrap(), sealed[16..].to_vec());
    crypto_box_open_detached_afternm_inplace(&mut text, &tag, &nonce, &key).unwrap();
    assert_eq!(text[..32], public(S));
    Some(text[32..].to_vec())
}

#[test]
fn a_proper_client() {
    let (out, ..) = router().everywhere(&Said::properly().bytes());
    let key = Out::Key(PublicKey(public(CLIENT)));
    assert_eq!(out, [key, ready(SocketType::Dealer), message(&[b"hello"])]);
}

#[test]
fn vouches_are_for_one_connection_to_one_server() {
    for vouched in [[public(S), public(SERVER)], [public(C), public(CLIENT)]] {
        let out = Said { vouched, ..Said::properly() }.to_server();
        assert_eq!(out, [Out::Error(Error::Insecure(Insecure::Vouch))]);
    }
}

#[test]
fn hellos_that_are_none() {
    let (mut padding, mut signed) = ([0; 72], [0; 64]);
    (padding[71], signed[63]) = (1, 1);
    for said in [
        Said { version: [1, 1], ..Said::properly() },
        Said { version: [2, 0], ..Said::properly() },
        Said { padding, ..Said::properly() },
        Said { signed, ..Said::properly() },
    ] {
        assert_eq!(said.to_server(), [Out::Error(Error::Malformed(Malformed::Hello))]);
    }
}

#[test]
fn numbers_grow_from_one_command_to_the_next() {
    let fine = Said { numbers: [7, 100, u64::MAX], ..Said::properly() };
    assert_eq!(fine.to_server().last(), Some(&message(&[b"hello"])));
    for (numbers, before) in [([2, 2, 3], 0), ([2, 1, 3], 0), ([1, 5, 5], 2), ([1, 5, 4], 2)] {
        let out = Said { numbers, ..Said::properly() }.to_server();
        assert_eq!(out[before..], [Out::Error(Error::Insecure(Insecure::Nonce))]);
    }
}

#[test]
fn metadata_and_flags_are_looked_at_inside_of_boxes() {
    let out = Said { metadata: vec![], ..Said::properly() }.to_server();
    assert_eq!(out, [Out::Error(Error::Malformed(Malformed::SocketType))]);
    for flags in 3..=255 {
        let out = Said { flags, ..Said::properly() }.to_server();
        assert_eq!(out[2..], [Out::Error(Error::Malformed(Malformed::Flags))], "{flags}");
    }
    let out = Said { flags: 1, ..Said::properly() }.to_server();
    assert_eq!(out.len(), 2);
    // "hello" is no command: there is no name of 104 letters.
    let out = Said { flags: 2, ..Said::properly() }.to_server();
    assert_eq!(out[2..], [Out::Error(Error::Malformed(Malformed::CommandName))]);
}
