//! Answers of HTTP servers: bytes say the same however they are cut, and what we take another parser takes too.
#![no_main]

use grenache_transports::http::Version;
use grenache_transports::http::client::{Config, Connection, Event, Expected};
use libfuzzer_sys::fuzz_target;

#[path = "../../transports/tests/http_client/replay.rs"]
#[allow(dead_code)]
mod replay;

fuzz_target!(|input: &[u8]| {
    let [limits, kinds, cut, bytes @ ..] = input else { return };
    let config = Config {
        max_head: if limits & 1 == 0 { 16 * 1024 } else { 64 },
        max_headers: if limits & 2 == 0 { 100 } else { 2 },
        max_body: if limits & 4 == 0 { 8192 } else { 20 },
        max_chunk_extensions: if limits & 8 == 0 { 4096 } else { 5 },
        max_trailers: if limits & 16 == 0 { 8192 } else { 10 },
        max_informational: usize::from(limits >> 5 & 3),
        ..Config::default()
    };
    let end = limits & 0x80 == 0;
    // Two bits for each of the answers that are due; none at all is a case as well.
    let expected: Vec<_> = (0..kinds & 3)
        .map(|at| kinds >> (2 + 2 * at))
        .map(|kind| Expected { to_head: kind & 3 == 3, stream: kind & 1 == 1 })
        .collect();
    let whole = replay::replay(config, &expected, [bytes], end);
    let step = usize::from(cut % 32) + 1;
    assert_eq!(replay::replay(config, &expected, bytes.chunks(step), end), whole);
    let (front, back) = bytes.split_at(usize::from(*cut).min(bytes.len()));
    assert_eq!(replay::replay(config, &expected, [front, back], end), whole);

    let mut rest = bytes;
    let mut connection = Connection::new(Config { max_informational: 0, ..config });
    connection.expect(Expected { to_head: false, stream: true }).expect("room for one");
    let Ok(Some(Event::Head(head))) = connection.receive(&mut rest) else { return };
    let mut headers = [httparse::EMPTY_HEADER; 100];
    let mut other = httparse::Response::new(&mut headers);
    match other.parse(bytes) {
        Ok(status) => assert!(status.is_complete()),
        // Later minor versions are 1.1 to us and nothing to httparse.
        Err(httparse::Error::Version) => return,
        Err(error) => panic!("{error}"),
    }
    assert_eq!(other.code, Some(head.status));
    assert_eq!(other.version, Some(u8::from(head.version == Version::Http11)));
    if head.reason.is_ascii() {
        assert_eq!(other.reason.map(str::as_bytes), Some(head.reason));
    }
    assert!(other.headers.iter().map(|header| (header.name, header.value)).eq(head.headers));
});
