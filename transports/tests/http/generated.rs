//! Random requests written out, cut at random, and read back.

use grenache_transports::http::Config;
use rand::{Rng, RngExt, SeedableRng, rngs::StdRng};

use crate::replay::{Out, replay};

const TOKEN: &[u8] = b"abcXYZ019!#$%&'*+-.^_`|~";

fn pick(rng: &mut StdRng, from: &[u8], lengths: core::ops::Range<usize>) -> String {
    let len = rng.random_range(lengths);
    (0..len).map(|_| from[rng.random_range(0..from.len())] as char).collect()
}

/// A request as bytes, and as what should come out.
fn request(rng: &mut StdRng) -> (Vec<u8>, Out) {
    let method = pick(rng, TOKEN, 1..10);
    let target = format!("/{}", pick(rng, b"abc/?=&%20#[]{}\"", 0..40));
    let mut fields = vec![("host".to_owned(), "a.example:80".to_owned())];
    for _ in 0..rng.random_range(0..8) {
        let value = pick(rng, b"abc \t,;=\"'(){}[]:/", 0..40).trim_matches([' ', '\t']).to_owned();
        fields.push((format!("x-{}", pick(rng, TOKEN, 1..12)), value));
    }
    let mut body = vec![0; [0, 1, 60, 600][rng.random_range(0..4)]];
    rng.fill_bytes(&mut body);
    let mut wire = Vec::new();
    match rng.random_range(0..3) {
        0 => {
            let digits = rng.random_range(0..4);
            fields.push(("Content-Length".into(), format!("{:0digits$}", body.len())));
            wire.clone_from(&body);
        }
        1 => {
            fields.push(("TRANSFER-encoding".into(), "chunked".into()));
            let mut rest = &body[..];
            while !rest.is_empty() {
                let (chunk, after) = rest.split_at(rng.random_range(1..=rest.len()));
                let digits = rng.random_range(0..5);
                let extension = ["", ";", ";a=b", ";a=\"\tb\"; c"][rng.random_range(0..4)];
                wire.extend_from_slice(
                    format!("{:0digits$x}{extension}\r\n", chunk.len()).as_bytes(),
                );
                wire.extend_from_slice(chunk);
                wire.extend_from_slice(b"\r\n");
                rest = after;
            }
            wire.extend_from_slice(
                ["0\r\n\r\n", "00;z\r\na: b\r\n\r\n"][rng.random_range(0..2)].as_bytes(),
            );
        }
        _ => body.clear(),
    }
    let at = rng.random_range(0..fields.len());
    fields.rotate_left(at);
    let mut head = format!("{method} {target} HTTP/1.1\r\n");
    let mut said = format!("{method} {target} Http11 Origin keep");
    for (name, value) in &fields {
        let blanks = |rng: &mut StdRng| ["", " ", "\t", "  \t"][rng.random_range(0..4)];
        head += &format!("{name}:{}{value}{}\r\n", blanks(rng), blanks(rng));
        said += &format!(" {name}={}", value.as_bytes().escape_ascii());
    }
    head += "\r\n";
    ([head.as_bytes(), &wire].concat(), Out::Request(said, body))
}

#[test]
fn what_is_written_is_what_is_read() {
    let mut rng = StdRng::seed_from_u64(2);
    for round in 0..2000 {
        let mut bytes = Vec::new();
        let mut expected = Vec::new();
        for _ in 0..rng.random_range(1..20) {
            let (request, out) = request(&mut rng);
            bytes.extend_from_slice(&request);
            expected.push(out);
        }
        let largest = [1, 3, 40, 400, 4000][rng.random_range(0..5)];
        let mut parts = Vec::new();
        let mut rest = &bytes[..];
        while !rest.is_empty() {
            let (part, after) = rest.split_at(rng.random_range(1..=largest.min(rest.len())));
            parts.push(part);
            rest = after;
        }
        assert_eq!(replay(Config::default(), parts).0, expected, "round {round}");
    }
}

#[test]
fn a_broken_byte_gives_the_same_however_it_is_cut() {
    let mut rng = StdRng::seed_from_u64(3);
    for round in 0..3000 {
        let mut bytes = Vec::new();
        for _ in 0..3 {
            bytes.extend_from_slice(&request(&mut rng).0);
        }
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
        let whole = replay(config, [&bytes[..]]);
        assert_eq!(replay(config, bytes.chunks(1)), whole, "round {round}");
        let at = rng.random_range(0..bytes.len());
        assert_eq!(replay(config, [&bytes[..at], &bytes[at..]]), whole, "round {round}");
    }
}
