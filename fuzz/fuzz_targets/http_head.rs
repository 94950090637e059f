//! Heads of HTTP requests: bytes say the same however they are cut, and what we take another parser takes too.
#![no_main]

use grenache_transports::http::{Bodies, Config, Connection, Event, Version};
use libfuzzer_sys::fuzz_target;

#[path = "../../transports/tests/http/replay.rs"]
#[allow(dead_code)]
mod replay;

fuzz_target!(|input: &[u8]| {
    let [limits, cut, bytes @ ..] = input else { return };
    let config = Config {
        max_head: if limits & 1 == 0 { 16 * 1024 } else { 64 },
        max_headers: if limits & 2 == 0 { 100 } else { 2 },
        max_target: if limits & 4 == 0 { 16 * 1024 } else { 8 },
        max_blank_lines: usize::from(limits >> 3 & 3),
        bodies: if limits & 0x20 == 0 { Bodies::Whole } else { Bodies::Stream },
        max_discard: u64::MAX,
        ..Config::default()
    };
    let whole = replay::replay(config, [bytes]);
    assert_eq!(replay::replay(config, bytes.chunks(usize::from(cut % 32) + 1)), whole);
    let (front, back) = bytes.split_at(usize::from(*cut).min(bytes.len()));
    assert_eq!(replay::replay(config, [front, back]), whole);

    let mut rest = bytes;
    let mut connection = Connection::new(config);
    let head = match connection.receive(&mut rest) {
        Ok(Some(Event::Request(request))) => request.head,
        Ok(Some(Event::Head(head) | Event::TooLarge(head))) => head,
        _ => return,
    };
    let mut headers = [httparse::EMPTY_HEADER; 100];
    let mut other = httparse::Request::new(&mut headers);
    match other.parse(bytes) {
        Ok(status) => assert!(status.is_complete()),
        // Later minor versions are 1.1 to us and nothing to httparse.
        Err(httparse::Error::Version) => return,
        Err(error) => panic!("{error}"),
    }
    assert_eq!((other.method, other.path), (Some(head.method), Some(head.target)));
    assert_eq!(other.version, Some(u8::from(head.version == Version::Http11)));
    assert!(other.headers.iter().map(|header| (header.name, header.value)).eq(head.headers));
});
