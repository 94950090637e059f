//! What a server makes of requests.

use bytes::BytesMut;
use grenache_transports::http::client::Start;
use grenache_transports::http::{self, Field};
use grenache_transports::ws::Deflate;
use grenache_transports::ws::handshake::{Agreed, Answer, Key, Offer, Refusal, write_request};

use super::replay::{Asked, ask};
use super::{ACCEPT, KEY, NONCE};

/// The same in two parts cut anywhere, and in single bytes.
fn ask_everywhere(bytes: &[u8]) -> (Asked, usize) {
    let whole = ask([bytes]);
    for at in 1..bytes.len() {
        let (a, b) = bytes.split_at(at);
        assert_eq!(ask([a, b]), whole, "cut at {at}: {}", bytes.escape_ascii());
    }
    assert_eq!(ask(bytes.chunks(1)), whole, "{}", bytes.escape_ascii());
    whole
}

/// The least that a request has, with a field more in front.
fn request(field: &str) -> String {
    format!(
        "GET /ws HTTP/1.1\r\nhost: a\r\n{field}upgrade: websocket\r\nconnection: Upgrade\r\n\
         sec-websocket-version: 13\r\nsec-websocket-key: {KEY}\r\n\r\n"
    )
}

fn granted(request: &str) -> (Vec<String>, Option<Deflate>, String) {
    match ask_everywhere(request.as_bytes()) {
        (Asked::Granted { protocols, deflate, answer }, 0) => (protocols, deflate, answer),
        other => panic!("{other:?}: {request}"),
    }
}

#[test]
fn the_example_of_the_specification() {
    let request = "GET /chat HTTP/1.1\r\nHost: server.example.com\r\nUpgrade: websocket\r\n\
        Connection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
        Origin: http://example.com\r\nSec-WebSocket-Protocol: superchat, chat\r\n\
        Sec-WebSocket-Version: 13\r\n\r\n";
    let (protocols, deflate, answer) = granted(request);
    assert_eq!((&protocols[..], deflate), (&["superchat".into(), "chat".into()][..], None));
    assert_eq!(
        answer,
        "HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: Upgrade\r\n\
         sec-websocket-accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\nsec-websocket-protocol: chat\r\n\r\n"
    );
    let mut answers = Answer::new(&Key::new(NONCE), Some("chat"), false);
    let agreed = Agreed { protocol: true, deflate: None };
    let mut answer = answer.into_bytes();
    assert_eq!(answers.receive(&mut &mut answer[..]), Ok(Some(agreed)));
}

#[test]
fn requests_as_they_are_sent() {
    let plain = Deflate::default();
    // Firefox, Chrome, the Safari of some years ago, and the npm package `ws` 7 with options and without compression.
    let requests = [
        (
            "GET /ws HTTP/1.1\r\nHost: 127.0.0.1:8080\r\nUser-Agent: Mozilla/5.0 (X11; Linux x86_64; \
             rv:128.0) Gecko/20100101 Firefox/128.0\r\nAccept: */*\r\nAccept-Language: en-US,en;q=0.5\
             \r\nAccept-Encoding: gzip, deflate, br, zstd\r\nSec-WebSocket-Version: 13\r\nOrigin: null\
             \r\nSec-WebSocket-Extensions: permessage-deflate\r\nSec-WebSocket-Key: \
             wDqumtseNBJdhkihL6PW7w==\r\nConnection: keep-alive, Upgrade\r\nSec-Fetch-Dest: empty\r\n\
             Sec-Fetch-Mode: websocket\r\nSec-Fetch-Site: cross-site\r\nPragma: no-cache\r\n\
             Cache-Control: no-cache\r\nUpgrade: websocket\r\n\r\n",
            Some(plain),
        ),
        (
            "GET /echo HTTP/1.1\r\nHost: localhost:55941\r\nConnection: Upgrade\r\nPragma: no-cache\
             \r\nCache-Control: no-cache\r\nUpgrade: websocket\r\nOrigin: http://localhost:8000\r\n\
             Sec-WebSocket-Version: 13\r\nAccept-Encoding: gzip, deflate, lzma, sdch\r\n\
             Sec-WebSocket-Key: If6o1XtBFJFCOjpx801n3w==\r\nSec-WebSocket-Extensions: \
             permessage-deflate; client_max_window_bits\r\n\r\n",
            Some(plain),
        ),
        (
            "GET /echo HTTP/1.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nHost: \
             localhost:55941\r\nOrigin: http://localhost:8000\r\nPragma: no-cache\r\nCache-Control: \
             no-cache\r\nSec-WebSocket-Key: crda+fH2MDdI0BafoawOTQ==\r\nSec-WebSocket-Version: 13\r\n\
             Sec-WebSocket-Extensions: x-webkit-deflate-frame\r\n\r\n",
            None,
        ),
        (
            "GET /ws HTTP/1.1\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: \
             wk8/9o9U9XMqWAjI9kItMw==\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
             Sec-WebSocket-Extensions: permessage-deflate; server_no_context_takeover; \
             client_no_context_takeover; server_max_window_bits=10; client_max_window_bits=11\r\n\
             Sec-WebSocket-Protocol: a, b\r\nHost: 127.0.0.1:33947\r\n\r\n",
            Some(Deflate {
                server_no_context_takeover: true,
                client_no_context_takeover: true,
                server_max_window_bits: Some(10),
                client_max_window_bits: Some(11),
            }),
        ),
        (
            "GET /ws HTTP/1.1\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: \
             JkhkRO037Db7Yc3Bfw5cuw==\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nHost: \
             127.0.0.1:33947\r\n\r\n",
            None,
        ),
    ];
    for (request, expected) in requests {
        assert_eq!(granted(request).1, expected, "{request}");
        // Frames that came with it are left.
        let more = format!("{request}frames");
        let (asked, left) = ask_everywhere(more.as_bytes());
        assert!(matches!(asked, Asked::Granted { .. }) && left == 6);
    }
}

#[test]
fn other_ways_to_ask() {
    let usual = request("");
    for (from, to) in [
        ("upgrade: websocket", "UPGRADE: WebSocket"),
        ("upgrade: websocket", "upgrade: h2c,\twebsocket"),
        ("upgrade: websocket", "upgrade: h2c\r\nupgrade: websocket"),
        ("connection: Upgrade", "connection: keep-alive,upgrade"),
        ("connection: Upgrade", "connection: keep-alive\r\nconnection: UPGRADE"),
        ("connection: Upgrade", "connection: Upgrade\r\ncontent-length: 0"),
        ("GET /ws", "GET http://a/ws?x=y"),
        ("HTTP/1.1", "HTTP/1.2"),
    ] {
        assert!(usual.contains(from));
        let (_, _, answer) = granted(&usual.replacen(from, to, 1));
        assert!(answer.contains(ACCEPT));
    }
    let sets = [("", vec![]), ("a", vec!["a"]), (" a ,b,, c,", vec!["a", "b", "c"])];
    for (value, protocols) in sets {
        let field = format!("sec-websocket-protocol: {value}\r\n");
        assert_eq!(granted(&request(&field)).0, protocols);
        let twice = [&protocols[..], &protocols].concat();
        assert_eq!(granted(&request(&field.repeat(2))).0, twice);
    }
}

#[test]
fn what_is_not_asked_or_not_granted() {
    let usual = request("");
    let key = format!("sec-websocket-key: {KEY}");
    let other_key = |key: &str| format!("sec-websocket-key: {key}");
    for (from, to, asked) in [
        ("upgrade: websocket\r\n", "", Asked::Other),
        ("upgrade: websocket", "upgrade: websockets", Asked::Other),
        ("upgrade: websocket", "upgrade: h2c", Asked::Other),
        ("HTTP/1.1", "HTTP/1.0", Asked::Other),
        ("GET", "POST", Asked::Refused(Refusal::Method)),
        ("GET", "get", Asked::Refused(Refusal::Method)),
        ("GET", "HEAD", Asked::Refused(Refusal::Method)),
        ("connection: Upgrade\r\n", "", Asked::Refused(Refusal::Connection)),
        ("connection: Upgrade", "connection: keep-alive", Asked::Refused(Refusal::Connection)),
        ("sec-websocket-version: 13\r\n", "", Asked::Refused(Refusal::Version)),
        ("version: 13", "version: 8", Asked::Refused(Refusal::Version)),
        ("version: 13", "version: 013", Asked::Refused(Refusal::Version)),
        ("version: 13", "version: 13, 8", Asked::Refused(Refusal::Version)),
        (&format!("{key}\r\n"), "", Asked::Refused(Refusal::Key)),
        (&key, &format!("{key}\r\n{key}"), Asked::Refused(Refusal::Key)),
        (&key, &other_key(""), Asked::Refused(Refusal::Key)),
        (&key, &other_key("dGhlIHNhbXBsZSBub25jZQ"), Asked::Refused(Refusal::Key)),
        (&key, &other_key("dGhlIHNhbXBsZSBub25j"), Asked::Refused(Refusal::Key)),
        (&key, &other_key("dGhlIHNhbXBsZSBub25jZWU="), Asked::Refused(Refusal::Key)),
        (&key, &other_key("dGhlIHNhbXBsZSBub25jZWVl"), Asked::Refused(Refusal::Key)),
        (&key, &other_key("dGhlIHNhbXBsZSBub25jZR=="), Asked::Refused(Refusal::Key)),
        (&key, &other_key("dGhlIHNhbXBs,SBub25jZQ=="), Asked::Refused(Refusal::Key)),
        (&key, &other_key(&"A".repeat(4000)), Asked::Refused(Refusal::Key)),
    ] {
        assert!(usual.contains(from), "{from}");
        let bad = usual.replacen(from, to, 1);
        let whole = if bad.len() < 1000 { ask_everywhere } else { |bytes: &[u8]| ask([bytes]) };
        assert_eq!(whole(bad.as_bytes()), (asked, 0), "{bad}");
    }
    let mut body = request("content-length: 3\r\n");
    body += "abc";
    assert_eq!(ask_everywhere(body.as_bytes()), (Asked::Refused(Refusal::Body), 0));
    let mut body = request("transfer-encoding: chunked\r\n");
    body += "0\r\n\r\n";
    assert_eq!(ask_everywhere(body.as_bytes()), (Asked::Refused(Refusal::Body), 0));
    let bad = request("a\r\n");
    assert!(matches!(ask_everywhere(bad.as_bytes()).0, Asked::Http(_)));
    assert_eq!(ask_everywhere(&usual.as_bytes()[..usual.len() - 1]), (Asked::Open, 0));
    let statuses = [
        (Refusal::Method, 405),
        (Refusal::Version, 426),
        (Refusal::Body, 400),
        (Refusal::Connection, 400),
        (Refusal::Key, 400),
    ];
    for (refusal, status) in statuses {
        assert_eq!(refusal.status(), status);
        assert!(!refusal.text().contains('\n'));
    }
}

#[test]
fn offers_of_compression() {
    const PLAIN: &str = "permessage-deflate";
    let taken = [
        ("permessage-deflate", PLAIN),
        ("PerMessage-Deflate", PLAIN),
        ("permessage-deflate; client_max_window_bits", PLAIN),
        (
            "permessage-deflate; client_max_window_bits=15",
            "permessage-deflate; client_max_window_bits=15",
        ),
        // The client compresses with less than we could; to read it, anything serves.
        (
            "permessage-deflate; client_max_window_bits=8",
            "permessage-deflate; client_max_window_bits=8",
        ),
        (
            "permessage-deflate; server_max_window_bits=9",
            "permessage-deflate; server_max_window_bits=9",
        ),
        // It has to be said that this is granted.
        (
            "permessage-deflate; server_max_window_bits=15",
            "permessage-deflate; server_max_window_bits=15",
        ),
        // Python's websockets.
        (
            "permessage-deflate; server_max_window_bits=12; client_max_window_bits=12",
            "permessage-deflate; server_max_window_bits=12; client_max_window_bits=12",
        ),
        (
            "permessage-deflate;server_no_context_takeover ;\tclient_no_context_takeover",
            "permessage-deflate; server_no_context_takeover; client_no_context_takeover",
        ),
        (
            "permessage-deflate; server_max_window_bits=\"10\"",
            "permessage-deflate; server_max_window_bits=10",
        ),
        // The first that can be met; of RFC 7692 section 5.
        (
            "permessage-deflate; client_max_window_bits; server_max_window_bits=10, \
             permessage-deflate; client_max_window_bits",
            "permessage-deflate; server_max_window_bits=10",
        ),
        ("permessage-deflate; server_max_window_bits=8, permessage-deflate", PLAIN),
        ("permessage-deflate; of=the_future, permessage-deflate", PLAIN),
        // Others do not matter.
        ("x-webkit-deflate-frame, permessage-deflate", PLAIN),
        ("foo; bar=\"1\"; baz,,permessage-bzip2, permessage-deflate", PLAIN),
        (
            "foo\r\nsec-websocket-extensions: permessage-deflate; client_no_context_takeover",
            "permessage-deflate; client_no_context_takeover",
        ),
    ];
    for (offer, answered) in taken {
        let field = format!("Sec-WebSocket-Extensions: {offer}\r\n");
        let (_, deflate, answer) = granted(&request(&field));
        assert_eq!(deflate.map(|agreed| agreed.to_string()).as_deref(), Some(answered));
        assert!(answer.contains(&format!("\r\nsec-websocket-extensions: {answered}\r\n")));
    }
    let not = [
        "",
        ",",
        "x-webkit-deflate-frame",
        "deflate-frame",
        "permessage-deflate2",
        "permessage-deflate=1",
        "permessage-deflate;",
        "permessage-deflate; ; client_max_window_bits",
        "permessage-deflate; unknown",
        "permessage-deflate; Server_no_context_takeover=1",
        "permessage-deflate; server_no_context_takeover=true",
        "permessage-deflate; server_no_context_takeover; server_no_context_takeover",
        "permessage-deflate; client_max_window_bits; client_max_window_bits=10",
        "permessage-deflate; server_max_window_bits",
        "permessage-deflate; server_max_window_bits=",
        "permessage-deflate; server_max_window_bits=8",
        "permessage-deflate; server_max_window_bits=7",
        "permessage-deflate; server_max_window_bits=16",
        "permessage-deflate; server_max_window_bits=010",
        "permessage-deflate; server_max_window_bits=+10",
        "permessage-deflate; server_max_window_bits=\"10",
        "permessage-deflate; client_max_window_bits=1000000000000000000000",
        "foo; bar=\"permessage-deflate\"",
    ];
    for offer in not {
        let field = format!("sec-websocket-extensions: {offer}\r\n");
        let (_, deflate, answer) = granted(&request(&field));
        assert!(deflate.is_none() && !answer.contains("extensions"), "{offer}");
    }
}

#[test]
fn no_header_can_be_made_of_a_protocol() {
    let read = |field: &str, protocol: Option<&str>| {
        let bytes = request(field);
        let mut connection = http::Connection::new(http::Config::default());
        let mut input = bytes.as_bytes();
        let Ok(Some(http::Event::Request(request))) = connection.receive(&mut input) else {
            panic!("a request")
        };
        let mut out = BytesMut::new();
        Offer::read(&request.head).expect("an offer").accept(&mut out, protocol, None);
        String::from_utf8(out.to_vec()).expect("text")
    };
    let plain = read("", None);
    let offered = "sec-websocket-protocol: a, b c\r\n";
    assert!(read(offered, Some("a")).contains("\r\nsec-websocket-protocol: a\r\n\r\n"));
    assert!(read(offered, Some("b c")).contains("\r\nsec-websocket-protocol: b c\r\n\r\n"));
    for protocol in ["", "c", "A", "a, b c", "a\r\nx: y", "\r\n\r\n", "a\0"] {
        assert_eq!(read(offered, Some(protocol)), plain);
        assert_eq!(read("", Some(protocol)), plain);
    }
}

#[test]
fn requests_as_they_are_written() {
    let fields = [Field::new("sec-websocket-protocol", b"chat, \"x").expect("a field")];
    for deflate in [false, true] {
        for fields in [&fields[..], &[]] {
            let mut request = BytesMut::new();
            let start = Start::new("GET", "/ws?a=b", "127.0.0.1:1337").expect("a start");
            write_request(&mut request, start, &Key::new(NONCE), deflate, fields);
            let (protocols, agreed, answer) = granted(str::from_utf8(&request).expect("text"));
            assert_eq!(protocols.len(), 2 * fields.len());
            assert_eq!(agreed, deflate.then(Deflate::default));
            assert!(answer.contains(ACCEPT));
            let mut headers = [httparse::EMPTY_HEADER; 20];
            let mut other = httparse::Request::new(&mut headers);
            assert!(other.parse(&request).expect("a head").is_complete());
            assert_eq!((other.method, other.path), (Some("GET"), Some("/ws?a=b")));
            assert_eq!(other.headers.len(), 5 + fields.len() + usize::from(deflate));
        }
    }
    // What could end the head is not let in to it.
    for target in ["/\r\n", "/ HTTP/1.1\r\nx: y", "/\0", ""] {
        assert!(Start::new("GET", target, "a").is_err());
    }
    assert!(Start::new("GET", "/", "a\r\nx: y").is_err());
    assert!(Field::new("sec-websocket-protocol", b"a\r\nx: y").is_err());
    assert!(Field::new("x\r\ny", b"").is_err());
}
