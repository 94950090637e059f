//! Random answers written out, cut at random, and read back.

use grenache_transports::http::client::{Config, Expected};
use rand::{Rng, RngExt, SeedableRng, rngs::StdRng};

use crate::replay::{Out, replay};

/// An answer as bytes, what its request expected, and what should come out.
fn answer(rng: &mut StdRng) -> (Vec<u8>, Expected, Vec<Out>) {
    let expected = Expected { to_head: rng.random_ratio(1, 8), stream: rng.random_ratio(1, 2) };
    let status = [200, 204, 304, 404, 500][rng.random_range(0..5)];
    let mut body = vec![0; [0, 1, 60, 600][rng.random_range(0..4)]];
    rng.fill_bytes(&mut body);
    let mut bytes = b"HTTP/1.1 100 Continue\r\n\r\n".repeat(rng.random_range(0..2));
    let mut said = format!("{status} why Http11 keep");
    bytes.extend_from_slice(format!("HTTP/1.1 {status} why\r\n").as_bytes());
    let mut field = |name: &str, value: &str| {
        bytes.extend_from_slice(format!("{name}: {value}\r\n").as_bytes());
        said += &format!(" {name}={value}");
    };
    for at in 0..rng.random_range(0..6) {
        field("x-name", ["", "a", "some longer value, with a comma"][at % 3]);
    }
    let chunked = rng.random_ratio(1, 2);
    match chunked {
        true => field("transfer-encoding", "chunked"),
        false => field("content-length", &body.len().to_string()),
    }
    bytes.extend_from_slice(b"\r\n");
    if expected.to_head || matches!(status, 204 | 304) {
        body.clear();
    } else if chunked {
        let mut rest = &body[..];
        while !rest.is_empty() {
            let (chunk, after) = rest.split_at(rng.random_range(1..=rest.len()));
            bytes.extend_from_slice(format!("{:x};e\r\n", chunk.len()).as_bytes());
            bytes.extend_from_slice(chunk);
            bytes.extend_from_slice(b"\r\n");
            rest = after;
        }
        bytes.extend_from_slice(b"0\r\nt: u\r\n\r\n");
    } else {
        bytes.extend_from_slice(&body);
    }
    let out = match expected.stream {
        false => vec![Out::Response(said, body)],
        true if body.is_empty() => vec![Out::Head(said), Out::End],
        true => vec![Out::Head(said), Out::Data(body), Out::End],
    };
    (bytes, expected, out)
}

fn answers(rng: &mut StdRng, count: usize) -> (Vec<u8>, Vec<Expected>, Vec<Out>) {
    let (mut bytes, mut expected, mut out) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..count {
        let (b, e, o) = answer(rng);
        bytes.extend(b);
        expected.push(e);
        out.extend(o);
    }
    (bytes, expected, out)
}

#[test]
fn what_is_written_is_what_is_read() {
    let mut rng = StdRng::seed_from_u64(4);
    for round in 0..2000 {
        let count = rng.random_range(1..20);
        let (bytes, expected, out) = answers(&mut rng, count);
        let largest = [1, 3, 40, 400, 4000][rng.random_range(0..5)];
        let mut parts = Vec::new();
        let mut rest = &bytes[..];
        while !rest.is_empty() {
            let (part, after) = rest.split_at(rng.random_range(1..=largest.min(rest.len())));
            parts.push(part);
            rest = after;
        }
        assert_eq!(replay(Config::default(), &expected, parts, true).0, out, "round {round}");
    }
}

#[test]
fn a_broken_byte_gives_the_same_however_it_is_cut() {
    let mut rng = StdRng::seed_from_u64(5);
    for round in 0..3000 {
        let (mut bytes, expected, _) = answers(&mut rng, 3);
        for _ in 0..rng.random_range(1..4) {
            let at = rng.random_range(0..bytes.len());
            let byte = b"\r\n \t\0:;0a,\xff"[rng.random_range(0..11)];
            match rng.random_range(0..3) {
                0 => bytes[at] = byte,
                1 => bytes.insert(at, byte),
                _ => drop(bytes.remove(at)),
            }
        }
        let config = Config { max_head: 300, max_body: 500, max_headers: 7, ..Config::default() };
        let whole = replay(config, &expected, [&bytes[..]], true);
        assert_eq!(replay(config, &expected, bytes.chunks(1), true), whole, "round {round}");
        let (a, b) = bytes.split_at(rng.random_range(0..bytes.len()));
        assert_eq!(replay(config, &expected, [a, b], true), whole, "round {round}");
    }
}
