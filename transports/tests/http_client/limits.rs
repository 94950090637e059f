//! Every limit: at it is fine, one over is refused.

use grenache_transports::http::client::{Config, Connection, Error, Full, Phase};
use grenache_transports::http::{self, Limit};

use crate::replay::{Out, STREAM, WHOLE, everywhere};

fn over(limit: Limit) -> Vec<Out> {
    vec![Out::Error(Error::Message(http::Error::OverLimit(limit)))]
}

fn whole(config: Config, bytes: &[u8]) -> Vec<Out> {
    everywhere(config, &[WHOLE], bytes, false).0
}

fn is_response(out: &[Out]) -> bool {
    matches!(out, [Out::Response(..)])
}

#[test]
fn head_and_headers() {
    let head = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nx: 0123456789\r\n\r\n";
    let config = Config { max_head: head.len(), max_headers: 2, ..Config::default() };
    assert!(is_response(&whole(config, head)));
    let short = Config { max_head: head.len() - 1, ..config };
    assert_eq!(whole(short, head), over(Limit::Head));
    assert_eq!(whole(Config { max_headers: 1, ..config }, head), over(Limit::Headers));
    // Neither a line nor a head that never ends is waited for longer.
    for start in [&b"HTTP/1.1 200 "[..], b"HTTP/1.1 200 OK\r\nx: "] {
        let mut bytes = start.to_vec();
        bytes.resize(config.max_head - 1, b'a');
        assert_eq!(whole(config, &bytes), []);
        bytes.push(b'a');
        assert_eq!(whole(config, &bytes), over(Limit::Head));
    }
}

#[test]
fn body() {
    let config = Config { max_body: 8, ..Config::default() };
    let answer = |framing: &str| format!("HTTP/1.1 200 OK\r\n{framing}").into_bytes();
    for (fine, bad) in [
        ("content-length: 8\r\n\r\n12345678", "content-length: 9\r\n\r\n"),
        ("content-length: 0\r\n\r\n", "content-length: 18446744073709551615\r\n\r\n"),
        (
            "transfer-encoding: chunked\r\n\r\n5\r\n12345\r\n3\r\n678\r\n0\r\n\r\n",
            "transfer-encoding: chunked\r\n\r\n5\r\n12345\r\n4\r\n",
        ),
        (
            "content-length: 8\r\n\r\n12345678",
            "transfer-encoding: chunked\r\n\r\nffffffffffffffff\r\n",
        ),
        ("content-length: 8\r\n\r\n12345678", "\r\n123456789"),
    ] {
        assert!(is_response(&whole(config, &answer(fine))), "{fine}");
        assert_eq!(whole(config, &answer(bad)), over(Limit::Body), "{bad}");
        // Streamed ones are the caller's to bound.
        let (out, phase) = everywhere(config, &[STREAM], &answer(bad), false);
        assert!(matches!(out[0], Out::Head(_)) && phase == Phase::Body, "{bad}");
    }
    let (out, _) = everywhere(config, &[WHOLE], &answer("\r\n12345678"), true);
    assert!(is_response(&out));
}

#[test]
fn chunk_extensions_and_trailers() {
    let config = Config { max_chunk_extensions: 5, max_trailers: 12, ..Config::default() };
    let chunked = |body: &str| {
        let head = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n";
        whole(config, format!("{head}{body}").as_bytes())
    };
    assert!(is_response(&chunked("1;a\r\nx\r\n1;bc\r\ny\r\n0\r\n\r\n")));
    assert_eq!(chunked("1;a\r\nx\r\n1;bc\r\ny\r\n0;\r\n\r\n"), over(Limit::ChunkExtensions));
    assert!(is_response(&chunked("0\r\na: b\r\nc: d\r\n\r\n")));
    assert_eq!(chunked("0\r\na: b\r\nc: de\r\n\r\n"), over(Limit::Trailers));
}

#[test]
fn informational_answers_count_per_request() {
    let config = Config { max_informational: 2, ..Config::default() };
    let info = "HTTP/1.1 100 Continue\r\n\r\n";
    let last = "HTTP/1.1 204 x\r\n\r\n";
    let fine = format!("{info}{info}{last}{info}{info}{last}");
    let (out, _) = everywhere(config, &[WHOLE, WHOLE], fine.as_bytes(), false);
    assert!(matches!(out[..], [Out::Response(..), Out::Response(..)]));
    let bad = format!("{info}{info}{info}{last}");
    assert_eq!(whole(config, bad.as_bytes()), [Out::Error(Error::Informational)]);
}

#[test]
fn outstanding() {
    let mut connection = Connection::new(Config { max_outstanding: 2, ..Config::default() });
    assert_eq!(connection.expect(WHOLE), Ok(()));
    assert_eq!(connection.expect(WHOLE), Ok(()));
    assert_eq!(connection.expect(WHOLE), Err(Full));
    let mut input: &[u8] = b"HTTP/1.1 204 x\r\n\r\n";
    assert!(connection.receive(&mut input).is_ok_and(|event| event.is_some()));
    assert_eq!(connection.expect(WHOLE), Ok(()));
}
