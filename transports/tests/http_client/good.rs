//! Answers that are to be taken, and what they say.

use grenache_transports::http::client::{Config, Connection, Event, Expected, Phase};

use crate::replay::{Out, STREAM, TO_HEAD, WHOLE, everywhere};

/// Name, bytes, and per answer its head as `replay::head` writes it and its body. All are expected whole; an answer that says
/// "close" is followed by the end of input.
type Good = (&'static str, &'static [u8], &'static [(&'static str, &'static [u8])]);

const GOOD: &[Good] = &[
    (
        "plain",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n[]",
        &[("200 OK Http11 keep Content-Length=2", b"[]")],
    ),
    (
        "what Node's server sends",
        b"HTTP/1.1 200 OK\r\nDate: Sun, 22 Nov 2026 18:00:00 GMT\r\nConnection: keep-alive\r\nKeep-Alive: timeout=5\r\n\
          Transfer-Encoding: chunked\r\n\r\n17\r\n[\"rid\",null,\"hello !!\"]\r\n0\r\n\r\n",
        &[(
            "200 OK Http11 keep Date=Sun, 22 Nov 2026 18:00:00 GMT Connection=keep-alive Keep-Alive=timeout=5 \
             Transfer-Encoding=chunked",
            b"[\"rid\",null,\"hello !!\"]",
        )],
    ),
    (
        "pipelined mix",
        b"HTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\naHTTP/1.1 404 Not Found\r\ntransfer-encoding: chunked\r\n\r\n1\r\nb\r\n0\r\n\r\n\
          HTTP/1.1 204 No Content\r\n\r\nHTTP/1.1 500 x y\r\ncontent-length: 0\r\n\r\n",
        &[
            ("200 OK Http11 keep content-length=1", b"a"),
            ("404 Not Found Http11 keep transfer-encoding=chunked", b"b"),
            ("204 No Content Http11 keep", b""),
            ("500 x y Http11 keep content-length=0", b""),
        ],
    ),
    (
        "no reason, with and without its space",
        b"HTTP/1.1 200 \r\ncontent-length: 0\r\n\r\nHTTP/1.1 200\r\ncontent-length: 0\r\n\r\n",
        &[
            ("200  Http11 keep content-length=0", b""),
            ("200  Http11 keep content-length=0", b""),
        ],
    ),
    (
        "a reason with tabs, spaces and the upper half",
        b"HTTP/1.1 299  \tcaf\xc3\xa9 \r\ncontent-length: 0\r\n\r\n",
        &[("299  \\tcaf\\xc3\\xa9  Http11 keep content-length=0", b"")],
    ),
    (
        "informational answers are skipped",
        b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nlink: </a>\r\nconnection: close\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\na",
        &[("200 OK Http11 keep content-length=1", b"a")],
    ),
    (
        "statuses without a body, whatever they say",
        b"HTTP/1.1 304 Not Modified\r\ncontent-length: 5\r\n\r\nHTTP/1.1 204 No Content\r\ntransfer-encoding: chunked\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n",
        &[
            ("304 Not Modified Http11 keep content-length=5", b""),
            ("204 No Content Http11 keep transfer-encoding=chunked", b""),
            ("200 OK Http11 keep content-length=0", b""),
        ],
    ),
    (
        "until the connection closes",
        b"HTTP/1.1 200 OK\r\nserver: x\r\n\r\nall of this\r\nHTTP/1.1 200 OK\r\n\r\n",
        &[("200 OK Http11 close server=x", b"all of this\r\nHTTP/1.1 200 OK\r\n\r\n")],
    ),
    ("nothing until the connection closes", b"HTTP/1.1 200 OK\r\n\r\n", &[("200 OK Http11 close", b"")]),
    (
        "close, and what comes after it is nobody's",
        b"HTTP/1.1 200 OK\r\nConnection: Close\r\ncontent-length: 1\r\n\r\naHTTP/1.1 200 OK\r\n\r\n",
        &[("200 OK Http11 close Connection=Close content-length=1", b"a")],
    ),
    (
        "close in a list",
        b"HTTP/1.1 200 OK\r\nconnection: keep-alive , close\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
        &[("200 OK Http11 close connection=keep-alive , close transfer-encoding=chunked", b"")],
    ),
    (
        "1.0 closes",
        b"HTTP/1.0 200 OK\r\ncontent-length: 1\r\n\r\na",
        &[("200 OK Http10 close content-length=1", b"a")],
    ),
    (
        "1.0 that stays",
        b"HTTP/1.0 200 OK\r\nconnection: Keep-Alive\r\ncontent-length: 1\r\n\r\naHTTP/1.0 200 OK\r\n\r\nb",
        &[
            ("200 OK Http10 keep connection=Keep-Alive content-length=1", b"a"),
            ("200 OK Http10 close", b"b"),
        ],
    ),
    (
        "a later minor version is 1.1",
        b"HTTP/1.9 200 OK\r\ncontent-length: 0\r\n\r\n",
        &[("200 OK Http11 keep content-length=0", b"")],
    ),
    (
        "chunks, extensions, trailers, sizes in any case and with zeros",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding:  Chunked \r\n\r\n\
          5;a=b;c=\"d e\"\r\nhello\r\n00A\r\n0123456789\r\n0;last\r\nx-a: b\r\ncontent-length: 9\r\n\r\n",
        &[("200 OK Http11 keep Transfer-Encoding=Chunked", b"hello0123456789")],
    ),
    (
        "blanks around values, the upper half, empty values, odd names",
        b"HTTP/1.1 200 OK\r\nx:\ta\tb \r\ny: \xff\r\nz:\r\n!#$%&'*+-.^_`|~0:q\r\ncontent-length:0\r\n\r\n",
        &[("200 OK Http11 keep x=a\\tb y=\\xff z= !#$%&'*+-.^_`|~0=q content-length=0", b"")],
    ),
    (
        "any code of three digits",
        b"HTTP/1.1 999 ?\r\ncontent-length: 0\r\n\r\nHTTP/1.1 600 ?\r\ncontent-length: 0\r\n\r\n",
        &[
            ("999 ? Http11 keep content-length=0", b""),
            ("600 ? Http11 keep content-length=0", b""),
        ],
    ),
];

#[test]
fn good_answers_are_taken_however_they_are_cut() {
    for (name, bytes, answers) in GOOD {
        let closes = answers.last().is_some_and(|(head, _)| head.contains(" close"));
        let expected = vec![WHOLE; answers.len()];
        let (out, phase) = everywhere(Config::default(), &expected, bytes, closes);
        let owned = |(head, body): &(&str, &[u8])| Out::Response((*head).into(), body.to_vec());
        assert_eq!(out, answers.iter().map(owned).collect::<Vec<_>>(), "{name}");
        assert_eq!(phase, if closes { Phase::Finished } else { Phase::Idle }, "{name}");
    }
}

#[test]
fn streamed_they_say_the_same() {
    for (name, bytes, answers) in GOOD {
        let closes = answers.last().is_some_and(|(head, _)| head.contains(" close"));
        let config = Config { max_body: 0, ..Config::default() };
        let expected = vec![STREAM; answers.len()];
        let (out, phase) = everywhere(config, &expected, bytes, closes);
        let mut same = Vec::new();
        for (head, body) in *answers {
            same.push(Out::Head((*head).into()));
            same.extend((!body.is_empty()).then(|| Out::Data(body.to_vec())));
            same.push(Out::End);
        }
        assert_eq!(out, same, "{name}");
        assert_eq!(phase, if closes { Phase::Finished } else { Phase::Idle }, "{name}");
    }
}

#[test]
fn heads_say_the_same_to_another_parser() {
    for (name, bytes, answers) in GOOD {
        if bytes.starts_with(b"HTTP/1.1 100") || bytes.starts_with(b"HTTP/1.9") {
            continue; // We skip the former, httparse takes 1.0 and 1.1 only.
        }
        let mut headers = [httparse::EMPTY_HEADER; 16];
        let mut other = httparse::Response::new(&mut headers);
        assert!(other.parse(bytes).is_ok_and(|status| status.is_complete()), "{name}");
        let head = answers[0].0;
        assert!(head.starts_with(&other.code.unwrap().to_string()), "{name}");
        // It gives no reason at all that is not ASCII.
        if head.is_ascii() && !head.contains("\\x") {
            let code = other.code.unwrap();
            assert!(head.starts_with(&format!("{code} {} ", other.reason.unwrap())), "{name}");
        }
        let fields: String = other
            .headers
            .iter()
            .map(|h| format!(" {}={}", h.name, h.value.escape_ascii()))
            .collect();
        assert!(head.ends_with(&fields), "{name}: {head} but {fields}");
    }
}

#[test]
fn answers_to_head_have_no_body() {
    for framing in ["content-length: 18446744073709551615", "transfer-encoding: chunked", "x: y"] {
        let bytes = format!(
            "HTTP/1.1 200 OK\r\n{framing}\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\na"
        );
        for stream in [false, true] {
            let to_head = Expected { stream, ..TO_HEAD };
            let (out, phase) =
                everywhere(Config::default(), &[to_head, WHOLE], bytes.as_bytes(), false);
            let Some(Out::Response(_, body)) = out.last() else { panic!("{out:?}") };
            assert_eq!((&body[..], phase), (&b"a"[..], Phase::Idle));
            assert!(!out.iter().any(|event| matches!(event, Out::Data(_))));
        }
    }
}

#[test]
fn a_whole_answer_is_borrowed_from_the_receive_buffer() {
    let bytes = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}".repeat(3);
    let inside = bytes.as_ptr_range();
    let mut connection = Connection::new(Config::default());
    for _ in 0..3 {
        connection.expect(WHOLE).unwrap();
    }
    let mut input = &bytes[..];
    for _ in 0..3 {
        let Ok(Some(Event::Response(answer))) = connection.receive(&mut input) else { panic!() };
        assert!(inside.contains(&answer.body.as_ptr()) && !answer.assembled);
        assert!(inside.contains(&answer.headers.get("Content-Length").unwrap().as_ptr()));
    }
    assert_eq!(connection.receive(&mut input), Ok(None));
}

#[test]
fn an_assembled_body_is_taken_without_a_copy() {
    let mut connection = Connection::new(Config::default());
    connection.expect(WHOLE).unwrap();
    let mut head: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 1000000\r\n\r\n";
    assert_eq!(connection.receive(&mut head), Ok(None));
    assert!(connection.take_body().is_empty(), "not before it is complete");
    let data = vec![7; 1_000_000];
    let mut shown = None;
    for mut part in data.chunks(10_000) {
        if let Some(Event::Response(answer)) = connection.receive(&mut part).unwrap() {
            assert!(answer.assembled);
            shown = Some((answer.body.as_ptr(), answer.body.len()));
        }
    }
    let body = connection.take_body();
    assert_eq!(shown, Some((body.as_ptr(), body.len())));
    assert!(body == data && connection.take_body().is_empty());
}

#[test]
fn phases_tell_what_is_waited_for() {
    let mut connection = Connection::new(Config::default());
    let feed = |connection: &mut Connection, bytes: &[u8]| {
        let mut input = bytes;
        while connection.receive(&mut input).is_ok_and(|event| event.is_some()) {}
        connection.phase()
    };
    assert_eq!(feed(&mut connection, b""), Phase::Idle);
    connection.expect(WHOLE).unwrap();
    connection.expect(WHOLE).unwrap();
    assert_eq!(feed(&mut connection, b""), Phase::Waiting);
    assert_eq!(feed(&mut connection, b"H"), Phase::Head);
    assert_eq!(feed(&mut connection, b"TTP/1.1 100 x\r\n\r\n"), Phase::Head);
    assert_eq!(feed(&mut connection, b"HTTP/1.1 200 x\r\ncontent-length: 2\r\n\r\n"), Phase::Body);
    assert_eq!(feed(&mut connection, b"12"), Phase::Waiting);
    assert_eq!(feed(&mut connection, b"HTTP/1.1 204 x\r\n\r\n"), Phase::Idle);
    assert_eq!(feed(&mut connection, b"H"), Phase::Finished);
}
