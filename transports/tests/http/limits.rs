//! Every limit: at it is fine, one over is refused.

use grenache_transports::http::{Config, Error, Limit, Phase};

use crate::replay::{Out, everywhere, replay};

fn over(limit: Limit) -> Vec<Out> {
    vec![Out::Error(Error::OverLimit(limit))]
}

fn is_request(out: &[Out]) -> bool {
    matches!(out, [Out::Request(..)])
}

#[test]
fn head() {
    let head = b"GET / HTTP/1.1\r\nhost: a\r\nx: 0123456789\r\n\r\n";
    let config = Config { max_head: head.len(), ..Config::default() };
    assert!(is_request(&everywhere(config, head).0));
    let config = Config { max_head: head.len() - 1, ..config };
    assert_eq!(everywhere(config, head).0, over(Limit::Head));
    // Neither a line nor a head that never ends is waited for longer, nor is it judged.
    for start in
        [&b"GET /"[..], b"GET / HTTP/1.1\r\nhost: a\r\nx: ", b"G", b"GET / HTTP/1.1\r\nx:\r"]
    {
        let mut bytes = start.to_vec();
        bytes.resize(config.max_head - 1, b'a');
        assert_eq!(everywhere(config, &bytes), (vec![], Phase::Head));
        bytes.push(b'a');
        assert_eq!(everywhere(config, &bytes).0, over(Limit::Head));
        bytes.extend_from_slice(b" \r\n\r\n\0");
        assert_eq!(everywhere(config, &bytes).0, over(Limit::Head));
    }
}

#[test]
fn headers() {
    let head = b"GET / HTTP/1.1\r\nhost: a\r\nb: c\r\nd: e\r\n\r\n";
    let config = Config { max_headers: 3, ..Config::default() };
    assert!(is_request(&everywhere(config, head).0));
    let config = Config { max_headers: 2, ..config };
    assert_eq!(everywhere(config, head).0, over(Limit::Headers));
}

#[test]
fn target() {
    let head = b"GET /345 HTTP/1.1\r\nhost: a\r\n\r\n";
    let config = Config { max_target: 4, ..Config::default() };
    assert!(is_request(&everywhere(config, head).0));
    let config = Config { max_target: 3, ..config };
    let (out, _) = everywhere(config, head);
    assert_eq!(out, over(Limit::Target));
    let Out::Error(error) = out[0] else { panic!() };
    assert_eq!(error.status(), 414);
}

#[test]
fn blank_lines() {
    let config = Config { max_blank_lines: 2, ..Config::default() };
    let request = b"GET / HTTP/1.1\r\nhost: a\r\n\r\n";
    // They are counted anew for each request.
    let twice = [b"\r\n\r\n".as_slice(), request, b"\r\n\r\n", request].concat();
    assert!(matches!(everywhere(config, &twice).0[..], [Out::Request(..), Out::Request(..)]));
    let three = [b"\r\n\r\n\r\n".as_slice(), request].concat();
    assert_eq!(everywhere(config, &three).0, over(Limit::BlankLines));
}

#[test]
fn body() {
    let config = Config { max_body: 8, max_discard: 16, ..Config::default() };
    let request = |length: usize, more: &str| {
        let mut bytes =
            format!("POST / HTTP/1.1\r\nhost: a\r\n{more}content-length: {length}\r\n\r\n")
                .into_bytes();
        bytes.resize(bytes.len() + length, b'x');
        bytes.extend_from_slice(b"GET /next HTTP/1.1\r\nhost: a\r\n\r\n");
        bytes
    };
    let (out, _) = everywhere(config, &request(8, ""));
    assert!(matches!(&out[..], [Out::Request(..), Out::Request(..)]), "{out:?}");
    // One over is told at once; the body is thrown away and the connection goes on.
    for length in [9, 16] {
        let (out, phase) = everywhere(config, &request(length, ""));
        let [Out::TooLarge(head), Out::Request(next, _)] = &out[..] else { panic!("{out:?}") };
        assert!(head.starts_with("POST / Http11 Origin keep host=a"));
        assert!(next.starts_with("GET /next "));
        assert_eq!(phase, Phase::Idle);
    }
    let head = b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 9\r\n\r\n";
    let (out, phase) = everywhere(config, head);
    assert!(matches!(out[..], [Out::TooLarge(_)]));
    assert_eq!(phase, Phase::Body);
    // More than is thrown away, or from a client who closes or has asked first: the connection ends.
    assert_eq!(everywhere(config, &request(17, "")).0, over(Limit::Body));
    assert_eq!(everywhere(config, &request(9, "connection: close\r\n")).0, over(Limit::Body));
    assert_eq!(everywhere(config, &request(9, "expect: 100-continue\r\n")).0, over(Limit::Body));
    let huge = b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 18446744073709551615\r\n\r\n";
    assert_eq!(everywhere(config, huge).0, over(Limit::Body));
    let unlimited = Config { max_body: u64::MAX, ..config };
    assert_eq!(everywhere(unlimited, huge).0, over(Limit::Body));
}

#[test]
fn chunked_body() {
    let config = Config { max_body: 8, ..Config::default() };
    let request = |body: &str| {
        format!("POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n{body}")
            .into_bytes()
    };
    for fine in ["8\r\n12345678\r\n0\r\n\r\n", "5\r\n12345\r\n3\r\n678\r\n0\r\n\r\n"] {
        assert!(is_request(&everywhere(config, &request(fine)).0), "{fine}");
    }
    // The size alone is enough.
    for bad in ["9\r\n", "5\r\n12345\r\n4\r\n", "8\r\n12345678\r\n1\r\n", "ffffffffffffffff\r\n"] {
        assert_eq!(everywhere(config, &request(bad)).0, over(Limit::Body), "{bad}");
    }
}

#[test]
fn chunk_extensions_and_trailers() {
    let config = Config { max_chunk_extensions: 5, max_trailers: 12, ..Config::default() };
    let request = |body: &str| {
        format!("POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n{body}")
            .into_bytes()
    };
    // Extensions of all chunks count together, or a body of one-byte chunks could be mostly extension.
    for fine in ["1;abcd\r\nx\r\n0\r\n\r\n", "1;a\r\nx\r\n1;bc\r\ny\r\n0\r\n\r\n"] {
        assert!(is_request(&everywhere(config, &request(fine)).0), "{fine}");
    }
    for bad in ["1;abcde\r\nx\r\n0\r\n\r\n", "1;a\r\nx\r\n1;bc\r\ny\r\n0;\r\n\r\n"] {
        assert_eq!(everywhere(config, &request(bad)).0, over(Limit::ChunkExtensions), "{bad}");
    }
    assert!(is_request(&everywhere(config, &request("0\r\na: b\r\nc: d\r\n\r\n")).0));
    for bad in ["0\r\na: b\r\nc: de\r\n\r\n", "0\r\na: 0123456789", "0\r\n0123456789abc"] {
        assert_eq!(everywhere(config, &request(bad)).0, over(Limit::Trailers), "{bad}");
    }
}

#[test]
fn what_comes_after_the_end_is_counted_and_dropped() {
    let config = Config { max_discard: 10, ..Config::default() };
    let phase = |after: &[u8]| {
        let bytes = [b"GET / HTTP/1.0\r\n\r\n", after].concat();
        let phase = replay(config, [&bytes[..]]).1;
        assert_eq!(replay(config, bytes.chunks(1)).1, phase);
        phase
    };
    assert_eq!(phase(b""), Phase::Closing);
    assert_eq!(phase(b"0123456789"), Phase::Closing);
    assert_eq!(phase(b"0123456789a"), Phase::Exhausted);
    let error = |parts: &[&[u8]]| replay(config, parts.iter().copied()).1;
    assert_eq!(error(&[b"\0", b"0123456789"]), Phase::Closing);
    assert_eq!(error(&[b"\0", b"01234", b"56789a"]), Phase::Exhausted);
}

#[test]
fn the_defaults() {
    // Node: 16 KiB of head, and the grape's 8192 bytes of body.
    let config = Config::default();
    let head = |len: usize| {
        let mut head = b"GET / HTTP/1.1\r\nhost: a\r\nx: ".to_vec();
        head.resize(len - 4, b'y');
        head.extend_from_slice(b"\r\n\r\n");
        head
    };
    assert!(is_request(&replay(config, [&head(16384)[..]]).0));
    assert_eq!(replay(config, [&head(16385)[..]]).0, over(Limit::Head));
    assert_eq!(config.max_body, 8192);
}
