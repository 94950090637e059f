//! Handshakes: bytes say the same however they are cut, and no answer says more than it should.
#![no_main]

use grenache_transports::ws::Deflate;
use grenache_transports::ws::handshake::{Agreed, Answer, Key};
use libfuzzer_sys::fuzz_target;

#[path = "../../transports/tests/ws/handshake/replay.rs"]
mod replay;

use replay::Asked;

/// The key that is made of 16 zeros, and the answer to it.
const KEY: &[u8] = b"AAAAAAAAAAAAAAAAAAAAAA==";
const ACCEPT: &[u8] = b"ICX+Yqv66kxgM0FcWaLWlFLwTAI=";

fuzz_target!(|input: &[u8]| {
    let [how, cut, bytes @ ..] = input else { return };
    let step = usize::from(cut % 32) + 1;
    // As it is, or as further fields of one that is good.
    let request = match how & 1 {
        0 => bytes.to_vec(),
        _ => [
            b"GET /ws HTTP/1.1\r\nhost: a\r\nupgrade: websocket\r\nconnection: upgrade\r\n\
              sec-websocket-version: 13\r\nsec-websocket-key: ",
            KEY,
            b"\r\n",
            bytes,
            b"\r\n\r\n",
        ]
        .concat(),
    };
    let cut = usize::from(*cut) * 2;
    let whole = replay::ask([&request[..]]);
    assert_eq!(replay::ask(request.chunks(step)), whole);
    let (front, back) = request.split_at(cut.min(request.len()));
    assert_eq!(replay::ask([front, back]), whole);
    if let Asked::Granted { protocols, deflate, answer } = whole.0 {
        granted(&protocols, deflate, answer.as_bytes());
    }

    let answer = match how & 2 {
        0 => bytes.to_vec(),
        _ => [
            b"HTTP/1.1 101 \r\nupgrade: websocket\r\nconnection: upgrade\r\nsec-websocket-accept: ",
            ACCEPT,
            b"\r\n",
            bytes,
            b"\r\n\r\n",
        ]
        .concat(),
    };
    let (protocol, deflate) = ((how & 4 != 0).then_some("chat"), how & 8 != 0);
    let answers = || Answer::new(&Key::new([0; 16]), protocol, deflate);
    let whole = replay::answer(&mut answers(), [&answer[..]]);
    assert_eq!(replay::answer(&mut answers(), answer.chunks(step)), whole);
    let (front, back) = answer.split_at(cut.min(answer.len()));
    assert_eq!(replay::answer(&mut answers(), [front, back]), whole);
    if let Ok(Some(Agreed { protocol: chosen, deflate: agreed })) = whole.0 {
        assert!(!chosen || protocol.is_some());
        assert!(agreed.is_none() || deflate);
    }
});

/// An answer has what it should, to another parser too, and the client that offered as much takes it.
fn granted(protocols: &[String], deflate: Option<Deflate>, answer: &[u8]) {
    let mut headers = [httparse::EMPTY_HEADER; 6];
    let mut other = httparse::Response::new(&mut headers);
    let status = other.parse(answer).expect("an answer");
    assert_eq!(status, httparse::Status::Complete(answer.len()));
    let values = |name: &str| {
        let of = |header: &&httparse::Header<'_>| header.name == name;
        other.headers.iter().filter(of).map(|header| header.value).collect::<Vec<_>>()
    };
    let said = deflate.map(|agreed| agreed.to_string());
    assert!(values("sec-websocket-extensions").into_iter().eq(said.iter().map(String::as_bytes)));
    // Those that are not text cannot be named.
    let chosen = protocols.last().filter(|name| !name.contains('\u{fffd}'));
    let named = values("sec-websocket-protocol");
    assert!(chosen.is_none() || named == chosen.map(|name| name.as_bytes()).as_slice());
    assert_eq!(other.headers.len(), 3 + named.len() + usize::from(deflate.is_some()));
    if values("sec-websocket-accept") == [ACCEPT] && named.is_empty() {
        let mut client = Answer::new(&Key::new([0; 16]), None, true);
        let (agreed, left) = replay::answer(&mut client, [answer]);
        // A window for the client that it cannot keep to is refused by ours, which does not offer it.
        let possible = deflate.is_none_or(|agreed| agreed.client_max_window_bits != Some(8));
        let expected = Agreed { protocol: false, deflate };
        assert!(!possible || (agreed, left) == (Ok(Some(expected)), 0));
    }
}
