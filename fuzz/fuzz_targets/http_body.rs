//! Bodies of HTTP requests: chunks say the same however they are cut, and a body that came through comes through again.
#![no_main]

use grenache_transports::http::{Bodies, Config};
use libfuzzer_sys::fuzz_target;

#[path = "../../transports/tests/http/replay.rs"]
#[allow(dead_code)]
mod replay;

use replay::Out;

const CHUNKED: &[u8] = b"POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n";
const NEXT: &[u8] = b"GET /next HTTP/1.1\r\nhost: a\r\n\r\n";

fuzz_target!(|input: &[u8]| {
    let [limits, cut, body @ ..] = input else { return };
    let config = Config {
        max_body: if limits & 1 == 0 { 8192 } else { 20 },
        max_chunk_extensions: if limits & 2 == 0 { 4096 } else { 5 },
        max_trailers: if limits & 4 == 0 { 8192 } else { 10 },
        max_discard: if limits & 8 == 0 { 64 } else { u64::MAX },
        ..Config::default()
    };
    let step = usize::from(cut % 32) + 1;
    for (bodies, head) in [
        (Bodies::Whole, CHUNKED.to_vec()),
        (Bodies::Stream, CHUNKED.to_vec()),
        (Bodies::Whole, length(u64::from(*limits))),
        (Bodies::Stream, length(u64::from(*limits))),
    ] {
        let config = Config { bodies, ..config };
        let bytes = [&head, body].concat();
        let (out, _) = replay::replay(config, [&bytes[..]]);
        assert_eq!(replay::replay(config, bytes.chunks(step)).0, out);
        let (front, back) = bytes.split_at(head.len() + usize::from(*cut).min(body.len()));
        assert_eq!(replay::replay(config, [front, back]).0, out);
        let Some(Out::Request(_, body)) = out.first() else { continue };
        let config = Config { max_chunk_extensions: usize::MAX, ..Config::default() };
        for again in [[length(body.len() as u64), body.clone()].concat(), chunks(body, step)] {
            let bytes = [&again[..], NEXT].concat();
            let (out, _) = replay::replay(config, bytes.chunks(step));
            let [Out::Request(_, first), Out::Request(next, _)] = &out[..] else {
                panic!("{out:?}")
            };
            assert!(first == body && next.starts_with("GET /next "));
        }
    }
});

fn length(length: u64) -> Vec<u8> {
    format!("POST / HTTP/1.1\r\nhost: a\r\ncontent-length: {length}\r\n\r\n").into_bytes()
}

fn chunks(body: &[u8], step: usize) -> Vec<u8> {
    let mut bytes = CHUNKED.to_vec();
    for chunk in body.chunks(step) {
        bytes.extend_from_slice(format!("{:X};e=\"x\"\r\n", chunk.len()).as_bytes());
        bytes.extend_from_slice(chunk);
        bytes.extend_from_slice(b"\r\n");
    }
    bytes.extend_from_slice(b"0\r\nt: u\r\n\r\n");
    bytes
}
