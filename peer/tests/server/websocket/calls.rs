//! Requests and answers.

use grenache_peer::server::Config;

use crate::client::{Client, post};
use crate::socket::{BINARY, PING, PONG, Socket, TEXT, frame, upgrade};
use crate::{on_both, until, with};

#[test]
fn requests_are_answered_as_over_http() {
    on_both(|rig| {
        let mut socket = rig.socket();
        for (request, answer) in [
            (r#"["r1","echo",{"a":[1.50, "\u20ac"]}]"#, r#"["r1",null,{"a":[1.50, "\u20ac"]}]"#),
            (r#"["r","echo",null]"#, r#"["r",null,null]"#),
            (r#"["r","echo"]"#, r#"["r",null,null]"#),
            (r#"[ 7 , "echo" , "größe 服务" ]"#, r#"[7,null,"größe 服务"]"#),
            (r#"["r","typed",254]"#, r#"["r",null,255]"#),
            (r#"["r","fail","ERR_OF: \"mine\"\n"]"#, r#"["r","ERR_OF: \"mine\"\n",null]"#),
            (r#"["r","nobody",1]"#, r#"["r","ERR_SERVICE_NOTFOUND",null]"#),
            (r#"["r","panic",null]"#, r#"["r","ERR_HANDLER_PANIC",null]"#),
            (r#"["r","panic",1]"#, r#"["r","ERR_HANDLER_PANIC",null]"#),
            (r#"["r","panic at once",1]"#, r#"["r","ERR_HANDLER_PANIC",null]"#),
            (r#"["r","panic when dropped",1]"#, r#"["r","ERR_HANDLER_PANIC",null]"#),
            (r#"["r","blocking",1000]"#, r#"["r",null,500500]"#),
        ] {
            assert_eq!(socket.ask(request), answer, "{request}");
            // Binary messages are requests as well; their answers are texts.
            assert_eq!(socket.send(BINARY, request).answer(), answer, "{request}");
        }
        let stream = socket.ask(r#"["r","stream echo",1]"#);
        assert!(stream.starts_with(r#"["r","ERR_STREAM_HTTP: "#), "{stream}");
        let stats = rig.worker.stats();
        assert_eq!((stats.accepted, stats.connections, stats.in_flight), (1, 1, 0));
        assert_eq!((stats.requests, stats.errors, stats.panics), (22, 10, 8));
    });
}

#[test]
fn what_is_no_request_is_said_so_and_the_connection_goes_on() {
    on_both(|rig| {
        let mut socket = rig.socket();
        let bad = ["", "{}", "null", "[]", "[1,2,3]", "[\"r\",\"echo\",", "[\"r\",\"echo\",01]"];
        for text in bad {
            assert_eq!(socket.ask(text), r#"[null,"ERR_REQUEST_PARSE",null]"#, "{text}");
        }
        let bytes = socket.send(BINARY, b"[\"r\",\"echo\",\"\xff\"]").answer();
        assert_eq!(bytes, r#"[null,"ERR_REQUEST_PARSE",null]"#);
        assert_eq!(socket.ask(r#"["r","echo",1]"#), r#"["r",null,1]"#);
        assert_eq!(rig.worker.stats().malformed, 8);
    });
}

#[test]
fn headers_of_the_upgrade_are_those_of_all_requests() {
    on_both(|rig| {
        let mut socket = Socket::with(rig.worker.addr(), "X-TEST: a b\r\n");
        for _ in 0..2 {
            let answer = socket.ask(r#"["r","who",1]"#);
            assert_eq!(answer, r#"["r",null,["who","\"r\"","a b","127.0.0.1"]]"#);
        }
    });
}

#[test]
fn an_upgrade_comes_after_the_requests_before_it() {
    on_both(|rig| {
        let mut client = rig.client();
        let (first, second) = (post(r#"[1,"slow",50]"#), post(r#"[2,"echo",2]"#));
        // All in one piece: requests, the upgrade, and messages that cannot be looked at before it.
        let mut all = format!("{first}{second}{}", upgrade("")).into_bytes();
        all.extend(frame(TEXT, r#"[3,"echo",3]"#));
        all.extend(&frame(TEXT, r#"[4,"echo",4]"#)[..7]);
        client.send(all);
        assert_eq!(client.answer().text(), "[1,null,50]");
        assert_eq!(client.answer().text(), "[2,null,2]");
        let mut socket = Socket::upgraded(client);
        assert_eq!(socket.answer(), "[3,null,3]");
        socket.client.send(&frame(TEXT, r#"[4,"echo",4]"#)[7..]);
        assert_eq!(socket.answer(), "[4,null,4]");
        assert_eq!(rig.worker.stats().accepted, 1);
    });
}

#[test]
fn an_upgrade_and_messages_are_cut_anywhere() {
    on_both(|rig| {
        let mut all = upgrade("").into_bytes();
        let head = all.len();
        all.extend(frame(TEXT, r#"["r","echo",1]"#));
        for cut in (1..head).step_by(7).chain(head - 5..all.len()) {
            let mut client = rig.client();
            client.send(&all[..cut]);
            // So that the pieces are not put together on the way.
            rig.client().ask(r#"["r","echo",1]"#);
            client.send(&all[cut..]);
            assert_eq!(Socket::upgraded(client).answer(), r#"["r",null,1]"#, "cut at {cut}");
        }
    });
}

#[test]
fn answers_leave_when_they_are_known() {
    on_both(|rig| {
        let mut socket = rig.socket();
        // The first ends only because the last has begun.
        socket.text(r#"[1,"wait","a"]"#).text(r#"[2,"slow",30]"#).text(r#"[3,"echo",0]"#);
        assert_eq!(socket.answer(), "[3,null,0]");
        assert_eq!(socket.answer(), "[2,null,30]");
        socket.text(r#"[4,"go","c"]"#);
        let mut last = [socket.answer(), socket.answer()];
        last.sort();
        assert_eq!(last, [r#"[1,null,"a"]"#, r#"[4,null,"c"]"#]);
    });
}

#[test]
fn many_requests_in_flight_are_all_answered_once() {
    on_both(|rig| {
        let mut socket = rig.socket();
        let mut requests = Vec::new();
        for rid in 0..1000 {
            let service = if rid % 3 == 0 { "slow" } else { "echo" };
            requests.extend(frame(TEXT, format!(r#"[{rid},"{service}",{}]"#, rid % 40)));
        }
        socket.client.send(requests);
        let mut answers: Vec<String> = (0..1000).map(|_| socket.answer()).collect();
        let mut expected: Vec<_> =
            (0..1000).map(|rid| format!("[{rid},null,{}]", rid % 40)).collect();
        answers.sort();
        expected.sort();
        assert!(answers == expected);
        assert_eq!(rig.worker.stats().requests, 1000);
    });
}

#[test]
fn a_slow_handler_holds_up_nobody_else() {
    on_both(|rig| {
        let mut socket = rig.socket();
        socket.text(r#"["slow","wait","done"]"#);
        let mut other = rig.socket();
        for _ in 0..10 {
            assert_eq!(socket.ask(r#"["r","echo",1]"#), r#"["r",null,1]"#);
            assert_eq!(other.ask(r#"["r","echo",1]"#), r#"["r",null,1]"#);
        }
        rig.client().ask(r#"["r","go",1]"#);
        assert_eq!(socket.answer(), r#"["slow",null,"done"]"#);
    });
}

#[test]
fn messages_come_in_fragments_with_pings_between() {
    on_both(|rig| {
        let mut socket = rig.socket();
        let request = "[\"r\",\"echo\",\"größe €\"]";
        // A byte each, also of characters.
        for first in [0x01, 0x02] {
            for (at, byte) in request.bytes().enumerate() {
                let last = at + 1 == request.len();
                let begins = if at == 0 { first } else { 0x00 };
                socket.send(begins | if last { 0x80 } else { 0 }, [byte]);
                if at % 5 == 0 && !last {
                    socket.send(PING, format!("{at}"));
                    let pong = socket.next();
                    assert_eq!((pong.first, pong.text()), (PONG, &*format!("{at}")));
                }
                if at % 7 == 0 {
                    socket.send(PONG, "nobody has asked");
                }
            }
            assert_eq!(socket.answer(), "[\"r\",null,\"größe €\"]");
        }
    });
}

#[test]
fn the_last_of_several_pings_is_answered() {
    on_both(|rig| {
        let mut socket = rig.socket();
        let mut all = frame(PING, "1");
        all.extend(frame(PING, [b'x'; 125]));
        all.extend(frame(TEXT, r#"["r","echo",1]"#));
        socket.client.send(all);
        // In one piece, as it was sent, it is looked at in one go.
        let mut seen = [socket.next().first, socket.next().first];
        seen.sort();
        assert_eq!(seen, [TEXT, PONG]);
        socket.send(PING, "");
        assert_eq!(socket.next().payload, b"");
    });
}

#[test]
fn large_messages_both_ways() {
    let config = Config { max_body: 32 << 20, ..Config::default() };
    with(config, |rig| {
        let mut socket = rig.socket();
        for size in [100, 15_000, 17_000, 70_000, 300_000, 20_000_000] {
            let text = "\u{20ac}x".repeat(size / 4);
            let answer = socket.ask(&format!(r#"["r","echo","{text}"]"#));
            assert!(answer == format!(r#"["r",null,"{text}"]"#), "{size}");
        }
        // The id comes back as well, and so it does over HTTP.
        let (request, answer) = (r#"","echo",1]"#, r#"",null,1]"#);
        for size in [20_000, 20_000_000] {
            let rid = format!("[\"{}", "r".repeat(size));
            assert!(socket.ask(&format!("{rid}{request}")) == format!("{rid}{answer}"), "{size}");
            let http = rig.client().ask(&format!("{rid}{request}"));
            assert!(http == format!("{rid}{answer}"), "{size}");
        }
        // Small answers go round a large one.
        socket.text(r#"["large","many",20000000]"#).text(r#"["r","echo",1]"#).send(PING, "!");
        let mut frames: Vec<_> = (0..3).map(|_| socket.next()).collect();
        frames.sort_by_key(|frame| frame.payload.len());
        assert_eq!((frames[0].first, frames[0].text()), (PONG, "!"));
        assert_eq!(frames[1].text(), r#"["r",null,1]"#);
        assert_eq!(frames[2].payload.len(), 20_000_000 + 17);
        until("nothing is held", || rig.worker.stats().held == 0);
    });
}

#[test]
fn compressed_messages_both_ways() {
    let config = Config { deflate: true, max_body: 64 << 20, ..Config::default() };
    with(config, |rig| {
        // Who does not offer it gets none.
        assert!(!rig.socket().head.contains("sec-websocket-extensions"));
        let mut socket = Socket::with(
            rig.worker.addr(),
            "sec-websocket-extensions: permessage-deflate; client_max_window_bits\r\n",
        );
        assert!(socket.head.contains("\r\nsec-websocket-extensions: permessage-deflate"));
        let mut ours = flate2::Compress::new(flate2::Compression::fast(), false);
        let mut theirs = flate2::Decompress::new(false);
        // What repeats, and what nothing can be saved of: the last is over what a connection may have queued.
        let random = noise(18_000_000);
        for text in ["1".to_string(), "\u{20ac}x".repeat(100_000), noise(50_000), random] {
            let request = format!(r#"["r","echo","{text}"]"#);
            socket.send(0x40 | TEXT, deflated(&mut ours, &request));
            let answer = socket.next();
            assert_eq!(answer.first, 0x40 | TEXT);
            let answer = inflated(&mut theirs, answer.payload);
            assert!(answer == format!(r#"["r",null,"{text}"]"#), "{}", text.len());
        }
        // Plain messages are taken as well.
        socket.text(r#"["r","echo",1]"#);
        let answer = socket.next();
        assert_eq!(inflated(&mut theirs, answer.payload), r#"["r",null,1]"#);
    });
}

/// A text that does not become smaller.
fn noise(length: usize) -> String {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let draw = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        char::from(b'#' + (state % 57) as u8)
    };
    std::iter::repeat_with(draw).take(length).collect()
}

fn deflated(zlib: &mut flate2::Compress, text: &str) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len() + 64 * 1024);
    zlib.compress_vec(text.as_bytes(), &mut out, flate2::FlushCompress::Sync).expect("compressed");
    assert_eq!(out.split_off(out.len() - 4), [0, 0, 0xff, 0xff]);
    out
}

fn inflated(zlib: &mut flate2::Decompress, mut payload: Vec<u8>) -> String {
    payload.extend([0, 0, 0xff, 0xff]);
    let mut out = Vec::with_capacity(32 << 20);
    zlib.decompress_vec(&payload, &mut out, flate2::FlushDecompress::Sync).expect("inflated");
    String::from_utf8(out).expect("text")
}

#[test]
fn websockets_and_http_share_the_port() {
    on_both(|rig| {
        let mut http = rig.client();
        let mut socket = rig.socket();
        for number in 0..3 {
            let (request, answer) =
                (format!(r#"["r","echo",{number}]"#), format!(r#"["r",null,{number}]"#));
            assert_eq!((http.ask(&request), socket.ask(&request)), (answer.clone(), answer));
        }
    });
    with(Config { http: false, ..Config::default() }, |rig| {
        let mut client = rig.client();
        let answer = client.call(r#"["r","echo",1]"#);
        assert_eq!(answer.status, 426);
        for line in ["\r\nsec-websocket-version: 13\r\n", "\r\nupgrade: websocket\r\n"] {
            assert!(answer.head.contains(line), "{}", answer.head);
        }
        // It may still become one.
        assert_eq!(Socket::over(client, "").ask(r#"["r","echo",1]"#), r#"["r",null,1]"#);
        assert_eq!(rig.worker.stats().requests, 1);
    });
    with(Config { websocket: false, ..Config::default() }, |rig| {
        let mut client = rig.client();
        client.send(upgrade(""));
        assert_eq!(client.answer().status, 405);
        assert_eq!(client.ask(r#"["r","echo",1]"#), r#"["r",null,1]"#);
    });
}

#[test]
fn upgrades_that_are_not_properly_asked_for() {
    on_both(|rig| {
        let good = upgrade("");
        for (old, new, status) in [
            ("GET /ws", "POST /ws", 405),
            ("sec-websocket-version: 13", "sec-websocket-version: 8", 426),
            ("sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n", "", 400),
            ("dGhlIHNhbXBsZSBub25jZQ==", "dGhlIHNhbXBsZQ==", 400),
            ("keep-alive, Upgrade", "keep-alive", 400),
            ("host: a\r\n", "host: a\r\ncontent-length: 1\r\n", 400),
            // That is no upgrade in HTTP/1.0.
            ("HTTP/1.1", "HTTP/1.0", 405),
        ] {
            let mut client: Client = rig.client();
            client.send(good.replace(old, new)).send("x");
            let answer = client.answer();
            assert_eq!(answer.status, status, "{new}");
            if status == 426 {
                assert!(answer.head.contains("\r\nsec-websocket-version: 13\r\n"));
            }
        }
        // Any path and any case of letters will do.
        let mut client = rig.client();
        client.send(good.replace("/ws", "/any?x").replace("websocket\r\n", "WebSocket\r\n"));
        assert_eq!(Socket::upgraded(client).ask(r#"["r","echo",1]"#), r#"["r",null,1]"#);
    });
}
