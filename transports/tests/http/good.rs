//! Requests that are to be taken, and what they say.

use grenache_transports::http::{Config, Phase};

use crate::replay::{Out, everywhere};

/// Name, bytes, and per request its head as `replay::head` writes it and its body.
type Good = (&'static str, &'static [u8], &'static [(&'static str, &'static [u8])]);

const GOOD: &[Good] = &[
    (
        "plain",
        b"GET / HTTP/1.1\r\nHost: a\r\n\r\n",
        &[("GET / Http11 Origin keep Host=a", b"")],
    ),
    (
        "what curl sends a grape",
        b"POST /lookup HTTP/1.1\r\nHost: 127.0.0.1:30001\r\nUser-Agent: curl/7.88.1\r\nAccept: */*\r\nContent-Length: 22\r\n\
          Content-Type: application/x-www-form-urlencoded\r\n\r\n{\"rid\":\"1\",\"data\":\"x\"}",
        &[(
            "POST /lookup Http11 Origin keep Host=127.0.0.1:30001 User-Agent=curl/7.88.1 Accept=*/* Content-Length=22 \
             Content-Type=application/x-www-form-urlencoded",
            b"{\"rid\":\"1\",\"data\":\"x\"}",
        )],
    ),
    (
        "length 0",
        b"POST / HTTP/1.1\r\nhost:\r\ncontent-length: 0\r\n\r\n",
        &[("POST / Http11 Origin keep host= content-length=0", b"")],
    ),
    (
        "leading zeros of a length",
        b"POST / HTTP/1.1\r\nhost:a\r\ncontent-length: 0003\r\n\r\nabc",
        &[("POST / Http11 Origin keep host=a content-length=0003", b"abc")],
    ),
    (
        "a body that looks like a request",
        b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 27\r\n\r\nGET / HTTP/1.1\r\nhost: b\r\n\r\nGET /c HTTP/1.1\r\nhost: c\r\n\r\n",
        &[
            (
                "POST / Http11 Origin keep host=a content-length=27",
                b"GET / HTTP/1.1\r\nhost: b\r\n\r\n",
            ),
            ("GET /c Http11 Origin keep host=c", b""),
        ],
    ),
    (
        "pipelined mix",
        b"GET /1 HTTP/1.1\r\nhost: a\r\n\r\nPOST /2 HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\n\
          POST /3 HTTP/1.1\r\nhost: a\r\ncontent-length: 1\r\n\r\nb\r\nHEAD /4 HTTP/1.1\r\nhost: a\r\n\r\n",
        &[
            ("GET /1 Http11 Origin keep host=a", b""),
            ("POST /2 Http11 Origin keep host=a transfer-encoding=chunked", b"a"),
            ("POST /3 Http11 Origin keep host=a content-length=1", b"b"),
            ("HEAD /4 Http11 Origin keep host=a", b""),
        ],
    ),
    (
        "empty lines before a request",
        b"\r\n\r\nGET / HTTP/1.1\r\nhost: a\r\n\r\n\r\nGET /2 HTTP/1.1\r\nhost: a\r\n\r\n",
        &[
            ("GET / Http11 Origin keep host=a", b""),
            ("GET /2 Http11 Origin keep host=a", b""),
        ],
    ),
    (
        "chunks, extensions, trailers, sizes in any case and with zeros",
        b"POST / HTTP/1.1\r\nhost: a\r\nTransfer-Encoding:  Chunked \r\n\r\n\
          5;a=b;c=\"d e\"\r\nhello\r\n00A\r\n0123456789\r\n000a;x\r\nabcdefghij\r\n0;last\r\nx-a: b\r\nx-c:\r\n\r\n",
        &[(
            "POST / Http11 Origin keep host=a Transfer-Encoding=Chunked",
            b"hello0123456789abcdefghij",
        )],
    ),
    (
        "chunk data that looks like framing",
        b"POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n7\r\n\r\n0\r\n\r\n\r\n0\r\n\r\n",
        &[("POST / Http11 Origin keep host=a transfer-encoding=chunked", b"\r\n0\r\n\r\n")],
    ),
    (
        "empty chunked body",
        b"POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n0000000000000000\r\n\r\n",
        &[("POST / Http11 Origin keep host=a transfer-encoding=chunked", b"")],
    ),
    (
        "trailers that would mean something in a head",
        b"POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n0\r\ncontent-length: 5\r\nconnection: close\r\n\r\nGET / HTTP/1.1\r\nhost: a\r\n\r\n",
        &[
            ("POST / Http11 Origin keep host=a transfer-encoding=chunked", b""),
            ("GET / Http11 Origin keep host=a", b""),
        ],
    ),
    (
        "close, and nothing after it",
        b"GET / HTTP/1.1\r\nhost: a\r\nConnection: Close\r\n\r\nGET /2 HTTP/1.1\r\nhost: a\r\n\r\n",
        &[("GET / Http11 Origin close host=a Connection=Close", b"")],
    ),
    (
        "close in a list, after a body",
        b"POST / HTTP/1.1\r\nhost: a\r\nconnection: keep-alive , close\r\ncontent-length: 1\r\n\r\nxGET",
        &[(
            "POST / Http11 Origin close host=a connection=keep-alive , close content-length=1",
            b"x",
        )],
    ),
    (
        "close in a second header",
        b"GET / HTTP/1.1\r\nhost: a\r\nconnection: upgrade\r\nconnection: close\r\n\r\n",
        &[("GET / Http11 Origin close host=a connection=upgrade connection=close", b"")],
    ),
    (
        "not close",
        b"GET / HTTP/1.1\r\nhost: a\r\nconnection: closed, xclose\r\n\r\n",
        &[("GET / Http11 Origin keep host=a connection=closed, xclose", b"")],
    ),
    ("1.0 closes", b"GET / HTTP/1.0\r\n\r\nGET", &[("GET / Http10 Origin close", b"")]),
    (
        "1.0 that stays",
        b"POST / HTTP/1.0\r\nConnection: keep-alive\r\ncontent-length: 2\r\n\r\nokGET / HTTP/1.0\r\n\r\n",
        &[
            (
                "POST / Http10 Origin keep-stated Connection=keep-alive content-length=2",
                b"ok",
            ),
            ("GET / Http10 Origin close", b""),
        ],
    ),
    (
        "1.0 with both",
        b"GET / HTTP/1.0\r\nconnection: keep-alive, close\r\n\r\n",
        &[("GET / Http10 Origin close connection=keep-alive, close", b"")],
    ),
    (
        "a later minor version is 1.1",
        b"GET / HTTP/1.7\r\nhost: a\r\n\r\n",
        &[("GET / Http11 Origin keep host=a", b"")],
    ),
    (
        "absolute form",
        b"GET http://a.example:80/x?y#z HTTP/1.1\r\nhost: other\r\n\r\n",
        &[("GET http://a.example:80/x?y#z Http11 Absolute keep host=other", b"")],
    ),
    (
        "absolute form without a path, IPv6",
        b"GET ws+x.y-z://[::1]:8 HTTP/1.1\r\nhost: [::1]:8\r\n\r\n",
        &[("GET ws+x.y-z://[::1]:8 Http11 Absolute keep host=[::1]:8", b"")],
    ),
    (
        "authority form",
        b"CONNECT a.example:443 HTTP/1.1\r\nhost: a.example:443\r\n\r\n",
        &[("CONNECT a.example:443 Http11 Authority keep host=a.example:443", b"")],
    ),
    (
        "asterisk form",
        b"OPTIONS * HTTP/1.1\r\nhost: a\r\n\r\n",
        &[("OPTIONS * Http11 Asterisk keep host=a", b"")],
    ),
    (
        "methods are any token, targets any visible ASCII",
        b"M-S!#$%&'*+.^_`|~9z /\"<>\\^`{|}[]@%zz HTTP/1.1\r\nhost: a\r\n\r\nget / HTTP/1.1\r\nhost: a\r\n\r\n",
        &[
            (
                "M-S!#$%&'*+.^_`|~9z /\"<>\\^`{|}[]@%zz Http11 Origin keep host=a",
                b"",
            ),
            ("get / Http11 Origin keep host=a", b""),
        ],
    ),
    (
        "blanks around values, tabs within, the upper half, empty values",
        b"GET / HTTP/1.1\r\nhost: \t a \t \r\nx:a\tb  c\r\ny: \xff\x80\xc3\xa9\r\nz: \r\n!#$%&'*+-.^_`|~0:q\r\n\r\n",
        &[(
            "GET / Http11 Origin keep host=a x=a\\tb  c y=\\xff\\x80\\xc3\\xa9 z= !#$%&'*+-.^_`|~0=q",
            b"",
        )],
    ),
    (
        "upgrade is a request like any other",
        b"GET /ws HTTP/1.1\r\nhost: a\r\nconnection: Upgrade\r\nupgrade: websocket\r\n\r\n",
        &[("GET /ws Http11 Origin keep host=a connection=Upgrade upgrade=websocket", b"")],
    ),
    (
        "names that are not quite those that delimit",
        b"POST / HTTP/1.1\r\nhost: a\r\ncontent_length: 5\r\nx-transfer-encoding: chunked\r\ncontent-lengths: 9\r\ntransfer_encoding: chunked\r\n\r\n",
        &[(
            "POST / Http11 Origin keep host=a content_length=5 x-transfer-encoding=chunked content-lengths=9 transfer_encoding=chunked",
            b"",
        )],
    ),
    (
        "1.0 knows no expectations",
        b"POST / HTTP/1.0\r\nexpect: 100-continue\r\ncontent-length: 1\r\n\r\na",
        &[("POST / Http10 Origin close expect=100-continue content-length=1", b"a")],
    ),
    (
        "an expectation without a body is not waited for",
        b"POST / HTTP/1.1\r\nhost: a\r\nexpect: 100-continue\r\ncontent-length: 0\r\n\r\nGET / HTTP/1.1\r\nhost: a\r\nexpect: 100-continue\r\n\r\n",
        &[
            ("POST / Http11 Origin keep host=a expect=100-continue content-length=0", b""),
            ("GET / Http11 Origin keep host=a expect=100-continue", b""),
        ],
    ),
];

#[test]
fn good_requests_are_taken_however_they_are_cut() {
    for (name, bytes, requests) in GOOD {
        let (out, phase) = everywhere(Config::default(), bytes);
        let expected: Vec<_> = requests
            .iter()
            .map(|(head, body)| Out::Request((*head).to_owned(), body.to_vec()))
            .collect();
        assert_eq!(out, expected, "{name}");
        let closed = requests.last().is_some_and(|(head, _)| head.contains(" close "))
            || requests.last().is_some_and(|(head, _)| head.ends_with(" close"));
        assert_eq!(phase, if closed { Phase::Closing } else { Phase::Idle }, "{name}");
    }
}

#[test]
fn heads_say_the_same_to_another_parser() {
    for (name, bytes, requests) in GOOD {
        let mut headers = [httparse::EMPTY_HEADER; 16];
        let mut other = httparse::Request::new(&mut headers);
        let parsed = other.parse(bytes);
        if bytes.windows(8).any(|w| w == b"HTTP/1.7") {
            continue; // httparse takes 1.0 and 1.1 only.
        }
        assert!(parsed.is_ok_and(|status| status.is_complete()), "{name}: {parsed:?}");
        let head = requests[0].0;
        let (method, path) = (other.method.unwrap(), other.path.unwrap());
        assert!(head.starts_with(&format!("{method} {path} ")), "{name}");
        let fields: String = other
            .headers
            .iter()
            .map(|h| format!(" {}={}", h.name, h.value.escape_ascii()))
            .collect();
        assert!(head.ends_with(&fields), "{name}: {head} but {fields}");
    }
}

#[test]
fn an_expectation_is_told_before_the_body() {
    for (framing, body) in [
        (&b"content-length: 2"[..], &b"{}"[..]),
        (b"transfer-encoding: chunked", b"1\r\n{\r\n1\r\n}\r\n0\r\n\r\n"),
    ] {
        let head = [
            b"GET /0 HTTP/1.1\r\nhost: a\r\n\r\nPOST / HTTP/1.1\r\nhost: a\r\nExpect: 100-Continue\r\n".as_slice(),
            framing,
            b"\r\n\r\n",
        ]
        .concat();
        let (out, phase) = everywhere(Config::default(), &head);
        assert!(matches!(&out[..], [Out::Request(..), Out::Continue]), "{out:?}");
        assert_eq!(phase, Phase::Body);
        let (out, _) = everywhere(Config::default(), &[&head, body].concat());
        let [Out::Request(..), Out::Continue, Out::Request(_, got)] = &out[..] else {
            panic!("{out:?}");
        };
        assert_eq!(got, b"{}");
    }
}

#[test]
fn a_whole_request_is_borrowed_from_the_receive_buffer() {
    use grenache_transports::http::{Connection, Event};
    let bytes = b"POST /a HTTP/1.1\r\nhost: a\r\ncontent-length: 2\r\n\r\n{}".repeat(3);
    let inside = bytes.as_ptr_range();
    let mut connection = Connection::new(Config::default());
    let mut input = &bytes[..];
    let mut requests = 0;
    while let Some(event) = connection.receive(&mut input).unwrap() {
        let Event::Request(request) = event else { panic!("{event:?}") };
        assert!(inside.contains(&request.body.as_ptr()));
        assert!(inside.contains(&request.target.as_ptr()));
        assert!(inside.contains(&request.headers.get("Host").unwrap().as_ptr()));
        requests += 1;
    }
    assert_eq!(requests, 3);
}

#[test]
fn headers_are_found_in_any_case() {
    use grenache_transports::http::{Connection, Event};
    let mut input: &[u8] =
        b"GET / HTTP/1.1\r\nHost: a\r\nGRC-Compress: gzip\r\nx: 1\r\nX: 2\r\n\r\n";
    let mut connection = Connection::new(Config::default());
    let Ok(Some(Event::Request(request))) = connection.receive(&mut input) else { panic!() };
    assert_eq!(request.headers.get("grc-compress"), Some(&b"gzip"[..]));
    assert_eq!(request.headers.get("x"), Some(&b"1"[..]));
    assert_eq!(request.headers.get_all("x").collect::<Vec<_>>(), [b"1", b"2"]);
    assert_eq!(request.headers.get("grc"), None);
}

#[test]
fn phases_tell_what_is_waited_for() {
    use grenache_transports::http::Connection;
    let mut connection = Connection::new(Config::default());
    let mut feed = |bytes: &[u8]| {
        let mut input = bytes;
        while connection.receive(&mut input).is_ok_and(|event| event.is_some()) {}
        connection.phase()
    };
    assert_eq!(feed(b""), Phase::Idle);
    assert_eq!(feed(b"P"), Phase::Head);
    assert_eq!(feed(b"OST / HTTP/1.1\r\nhost: a\r\ncontent-length: 2\r\n"), Phase::Head);
    assert_eq!(feed(b"\r\n"), Phase::Body);
    assert_eq!(feed(b"1"), Phase::Body);
    assert_eq!(feed(b"2"), Phase::Idle);
    assert_eq!(feed(b"GET / HTTP/1.0\r\n\r\n"), Phase::Closing);
    let discard = vec![0; Config::default().max_discard as usize];
    assert_eq!(feed(&discard), Phase::Closing);
    assert_eq!(feed(b"x"), Phase::Exhausted);
}

#[test]
fn an_assembled_body_is_taken_without_a_copy() {
    use grenache_transports::http::{Connection, Event};
    let config = Config { max_body: 1_000_000, ..Config::default() };
    let mut connection = Connection::new(config);
    let mut head: &[u8] = b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 1000000\r\n\r\n";
    assert_eq!(connection.receive(&mut head), Ok(None));
    assert!(connection.take_body().is_empty(), "not before it is complete");
    let data = vec![7; 1_000_000];
    let mut shown = None;
    for mut part in data.chunks(10_000) {
        if let Some(Event::Request(request)) = connection.receive(&mut part).unwrap() {
            assert!(request.assembled);
            shown = Some((request.body.as_ptr(), request.body.len()));
        }
    }
    let body = connection.take_body();
    assert_eq!(shown, Some((body.as_ptr(), body.len())));
    assert!(body == data && connection.take_body().is_empty());
    let mut whole: &[u8] = b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 1\r\n\r\nx";
    let Ok(Some(Event::Request(request))) = connection.receive(&mut whole) else { panic!() };
    assert!(!request.assembled && request.body == b"x");
    assert!(connection.take_body().is_empty());
}
