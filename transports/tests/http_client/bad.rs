//! Answers that are to be refused.

use grenache_transports::http::client::{Config, Error, Phase};
use grenache_transports::http::{
    self,
    Malformed::{self, *},
    Unsupported,
};

use crate::replay::{Out, STREAM, WHOLE, everywhere, replay};

const fn bad(kind: Malformed) -> Error {
    Error::Message(http::Error::Malformed(kind))
}

const fn unsupported(what: Unsupported) -> Error {
    Error::Message(http::Error::Unsupported(what))
}

const BAD: &[(&str, &[u8], Error)] = &[
    // Other protocols.
    ("TLS alert", b"\x15\x03\x03\x00\x02\x02\x46", bad(TlsAlert)),
    ("SSH", b"SSH-2.0-OpenSSH_9.9", bad(StatusLine)),
    ("a request", b"POST / HTTP/1.1\r\n", bad(StatusLine)),
    ("NUL", b"\0", bad(StatusLine)),
    ("HTTP/0.9", b"<html>", bad(StatusLine)),
    ("an empty line first", b"\r\nHTTP/1.1 200 OK\r\n\r\n", bad(StatusLine)),
    ("almost", b"HTTPHTTP/1.1 200", bad(StatusLine)),
    ("small letters", b"http/1.1 200 OK\r\n\r\n", bad(StatusLine)),
    // Status line.
    ("HTTP/2", b"HTTP/2.0 200 OK\r\n\r\n", unsupported(Unsupported::Version)),
    ("HTTP/2 as curl prints it", b"HTTP/2 200 OK\r\n\r\n", bad(Version)),
    ("no minor version", b"HTTP/1 200 OK\r\n\r\n", bad(Version)),
    ("version alone", b"HTTP/1.1\r\n\r\n", bad(StatusLine)),
    ("half a version", b"HTTP/1\r\n\r\n", bad(Version)),
    ("next to nothing", b"HTTP/\r\n", bad(Version)),
    ("two spaces", b"HTTP/1.1  200 OK\r\n\r\n", bad(StatusLine)),
    ("a tab", b"HTTP/1.1\t200 OK\r\n\r\n", bad(StatusLine)),
    ("two digits", b"HTTP/1.1 20 OK\r\n\r\n", bad(StatusLine)),
    ("two digits alone", b"HTTP/1.1 20\r\n\r\n", bad(StatusLine)),
    ("four digits", b"HTTP/1.1 2000 OK\r\n\r\n", bad(StatusLine)),
    ("a small code", b"HTTP/1.1 099 OK\r\n\r\n", bad(StatusLine)),
    ("no code", b"HTTP/1.1 OK\r\n\r\n", bad(StatusLine)),
    ("a sign", b"HTTP/1.1 +20 OK\r\n\r\n", bad(StatusLine)),
    ("NUL in the reason", b"HTTP/1.1 200 O\0K\r\n\r\n", bad(StatusLine)),
    ("CR in the reason", b"HTTP/1.1 200 O\rK\r\n\r\n", bad(BareCr)),
    ("LF alone", b"HTTP/1.1 200 OK\ncontent-length: 0\r\n\r\n", bad(BareLf)),
    ("LF after the code", b"HTTP/1.1 200\ncontent-length: 0\r\n\r\n", bad(BareLf)),
    // Header fields.
    ("folded", b"HTTP/1.1 200 OK\r\na: b\r\n c\r\n\r\n", bad(Folded)),
    ("space before the colon", b"HTTP/1.1 200 OK\r\na : b\r\n\r\n", bad(SpaceBeforeColon)),
    ("no colon", b"HTTP/1.1 200 OK\r\na\r\n\r\n", bad(HeaderName)),
    ("no name", b"HTTP/1.1 200 OK\r\n: a\r\n\r\n", bad(HeaderName)),
    ("control byte", b"HTTP/1.1 200 OK\r\na: \x01\r\n\r\n", bad(HeaderValue)),
    ("LF ends a field", b"HTTP/1.1 200 OK\r\na: b\nc: d\r\n\r\n", bad(BareLf)),
    ("LF ends the head", b"HTTP/1.1 200 OK\r\na: b\r\n\n", bad(BareLf)),
    // Where the body ends.
    (
        "length twice",
        b"HTTP/1.1 200 OK\r\ncontent-length: 1\r\ncontent-length: 1\r\n\r\na",
        bad(ContentLengthRepeated),
    ),
    ("length list", b"HTTP/1.1 200 OK\r\ncontent-length: 1, 1\r\n\r\na", bad(ContentLength)),
    ("negative length", b"HTTP/1.1 200 OK\r\ncontent-length: -1\r\n\r\n", bad(ContentLength)),
    ("no length", b"HTTP/1.1 200 OK\r\ncontent-length:\r\n\r\n", bad(ContentLength)),
    (
        "length over 64 bits",
        b"HTTP/1.1 200 OK\r\ncontent-length: 18446744073709551616\r\n\r\n",
        bad(ContentLength),
    ),
    (
        "both",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\ncontent-length: 1\r\n\r\n",
        bad(LengthAndEncoding),
    ),
    (
        "both, without a body",
        b"HTTP/1.1 304 x\r\ncontent-length: 1\r\ntransfer-encoding: chunked\r\n\r\n",
        bad(LengthAndEncoding),
    ),
    (
        "chunked twice",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked, chunked\r\n\r\n",
        bad(TransferEncoding),
    ),
    ("not chunked", b"HTTP/1.1 200 OK\r\ntransfer-encoding: gzip\r\n\r\n", bad(TransferEncoding)),
    (
        "gzip, chunked",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: gzip, chunked\r\n\r\n",
        unsupported(Unsupported::TransferCoding),
    ),
    (
        "chunked in 1.0",
        b"HTTP/1.0 200 OK\r\ntransfer-encoding: chunked\r\n\r\n",
        bad(EncodingInHttp10),
    ),
    ("chunk size", b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nx\r\n", bad(ChunkSize)),
    (
        "chunk size with a blank",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3 \r\n",
        bad(ChunkSize),
    ),
    ("chunk end", b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1\r\nab", bad(ChunkEnd)),
    ("trailer", b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n0\r\na b\r\n", bad(Trailer)),
    // What nobody asked for.
    ("upgrade", b"HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\n\r\n", Error::Upgrade),
];

/// The last event of what ends in an error, however it is cut; there may be others before it.
fn last(expected: usize, bytes: &[u8], end: bool) -> Vec<Out> {
    let (out, phase) = everywhere(Config::default(), &vec![WHOLE; expected], bytes, end);
    assert_eq!(phase, Phase::Finished, "{}", bytes.escape_ascii());
    let _ = everywhere(Config::default(), &vec![STREAM; expected], bytes, end);
    out
}

#[test]
fn bad_answers_are_refused() {
    for (name, bytes, error) in BAD {
        assert_eq!(last(1, bytes, false), [Out::Error(*error)], "{name}");
        // Also after a good one, which stays good; and the end of input adds no second error.
        let after = [b"HTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\na".as_slice(), bytes].concat();
        let out = last(2, &after, true);
        assert!(matches!(&out[..], [Out::Response(..), Out::Error(e)] if e == error), "{name}");
        assert!(!error.text().is_empty() && error.text().len() < 60);
    }
}

#[test]
fn nothing_comes_unasked() {
    assert_eq!(last(0, b"H", false), [Out::Error(Error::Unasked)]);
    let twice = b"HTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\na".repeat(2);
    let out = last(1, &twice, false);
    assert!(matches!(out[..], [Out::Response(..), Out::Error(Error::Unasked)]), "{out:?}");
    // A line end too many is a byte too many.
    let out = last(1, b"HTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\na\r\n", false);
    assert!(matches!(out[..], [Out::Response(..), Out::Error(Error::Unasked)]), "{out:?}");
    // A body where none may be.
    let out = last(1, b"HTTP/1.1 204 x\r\ncontent-length: 1\r\n\r\na", false);
    assert!(matches!(out[..], [Out::Response(..), Out::Error(Error::Unasked)]), "{out:?}");
}

#[test]
fn the_end_of_input_is_an_error_but_between_answers() {
    let end = |expected: usize, bytes: &[u8]| last(expected, bytes, true);
    assert_eq!(end(0, b""), []);
    assert_eq!(end(1, b""), [Out::Error(Error::Unanswered)]);
    for framing in
        ["content-length: 3\r\n\r\nab", "transfer-encoding: chunked\r\n\r\n2\r\nab\r\n0\r\n"]
    {
        let bytes = format!("HTTP/1.1 200 OK\r\n{framing}");
        for len in 1..=bytes.len() {
            assert_eq!(end(1, &bytes.as_bytes()[..len]), [Out::Error(Error::Cut)], "{len}");
        }
    }
    assert_eq!(end(1, b"HTTP/1.1 100 x\r\n\r\n"), [Out::Error(Error::Cut)]);
    let one = b"HTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\na";
    assert!(matches!(end(1, one)[..], [Out::Response(..)]));
    assert!(matches!(end(2, one)[..], [Out::Response(..), Out::Error(Error::Unanswered)]));
    // Who said that the connection ends with this answer may end it; the others are not answered, and the caller knows which.
    let close = b"HTTP/1.1 200 OK\r\ncontent-length: 1\r\nconnection: close\r\n\r\na";
    assert!(matches!(end(2, close)[..], [Out::Response(..)]));
}

#[test]
fn every_control_byte_is_refused_wherever_it_stands() {
    let answer = b"HTTP/1.1 200 OK\r\nname: value\r\ntransfer-encoding: chunked\r\n\r\n3;ext\r\nabc\r\n0\r\ntrailer: x\r\n\r\n";
    let data = answer.windows(3).position(|w| w == b"abc").unwrap();
    for byte in (0..0x20).chain([0x7f]) {
        for at in 0..answer.len() {
            if (data..data + 3).contains(&at) || answer[at] == byte {
                continue;
            }
            let mut bytes = answer.to_vec();
            bytes[at] = byte;
            let (out, _) = replay(Config::default(), &[WHOLE], [&bytes[..]], false);
            // A tab may stand in reasons, values and extensions. Where a CR or LF is broken the line goes on.
            let value = byte == b'\t' && !matches!(answer[at], b'\r' | b'\n');
            assert!(value || !matches!(out[..], [Out::Response(..)]), "{}", bytes.escape_ascii());
        }
    }
}
