//! Bodies in pieces.

use grenache_transports::http::{Bodies, Config, Error, Malformed, Phase};

use crate::replay::{Out, everywhere};

const MIX: &[u8] = b"GET /1 HTTP/1.1\r\nhost: a\r\n\r\n\
    POST /2 HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n_gr: [\"rid\",\"key\"]\r\n\r\n3\r\nabc\r\n4;x\r\ndefg\r\n0\r\nt: u\r\n\r\n\
    POST /3 HTTP/1.1\r\nhost: a\r\ncontent-length: 5\r\n\r\nhello\
    POST /4 HTTP/1.1\r\nhost: a\r\ncontent-length: 0\r\n\r\n\
    POST /5 HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\nconnection: close\r\n\r\n0\r\n\r\nGET";

/// One word for each event.
fn brief(out: &[Out]) -> Vec<String> {
    let target = |head: &str| head.split(' ').nth(1).unwrap_or_default().to_owned();
    out.iter()
        .map(|event| match event {
            Out::Request(head, body) => format!("request {} {}", target(head), body.escape_ascii()),
            Out::Head(head) => format!("head {}", target(head)),
            Out::Data(data) => data.escape_ascii().to_string(),
            other => format!("{other:?}"),
        })
        .collect()
}

#[test]
fn chunked_bodies_in_pieces_and_others_whole() {
    let config = Config { bodies: Bodies::StreamChunked, max_body: 5, ..Config::default() };
    let (out, phase) = everywhere(config, MIX);
    assert_eq!(
        brief(&out),
        [
            "request /1 ",
            "head /2",
            "abcdefg",
            "End",
            "request /3 hello",
            "request /4 ",
            "head /5",
            "End"
        ]
    );
    assert_eq!(phase, Phase::Closing);
}

#[test]
fn all_bodies_in_pieces() {
    let config = Config { bodies: Bodies::Stream, max_body: 0, ..Config::default() };
    let (out, _) = everywhere(config, MIX);
    assert_eq!(
        brief(&out),
        [
            "request /1 ",
            "head /2",
            "abcdefg",
            "End",
            "head /3",
            "hello",
            "End",
            "request /4 ",
            "head /5",
            "End"
        ]
    );
}

#[test]
fn a_stream_that_breaks_says_so() {
    let config = Config { bodies: Bodies::Stream, ..Config::default() };
    let bytes = b"POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabcd";
    let (out, phase) = everywhere(config, bytes);
    assert!(matches!(&out[..], [Out::Head(_), Out::Data(_), Out::Error(_)]), "{out:?}");
    assert_eq!(out[2], Out::Error(Error::Malformed(Malformed::ChunkEnd)));
    assert_eq!(phase, Phase::Closing);
}

#[test]
fn the_caller_of_a_stream_answers_the_expectation() {
    use grenache_transports::http::{Connection, Event};
    let config = Config { bodies: Bodies::Stream, ..Config::default() };
    let mut input: &[u8] =
        b"POST / HTTP/1.1\r\nhost: a\r\nexpect: 100-continue\r\ncontent-length: 18446744073709551615\r\n\r\nab";
    let mut connection = Connection::new(config);
    let Ok(Some(Event::Head(head))) = connection.receive(&mut input) else { panic!() };
    assert!(head.expects_continue);
    assert_eq!(connection.receive(&mut input), Ok(Some(Event::Data(b"ab"))));
    assert_eq!(connection.receive(&mut input), Ok(None));
    assert_eq!(connection.phase(), Phase::Body);
}
