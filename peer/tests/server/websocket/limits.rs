//! Limits, and what those see who are over one.

use std::io::Write;
use std::time::{Duration, Instant};

use grenache_peer::server::Config;

use crate::client::Client;
use crate::socket::{CLOSE, PING, Socket, TEXT, frame, upgrade};
use crate::{Rig, until, with};

const BUSY: &str = r#"["mine","ERR_BUSY",null,503]"#;

#[test]
fn too_many_requests_of_one_websocket() {
    with(Config { max_concurrent: 2, ..Config::default() }, |rig| {
        let mut socket = rig.socket();
        socket.text(r#"[1,"wait",1]"#).text(r#"[2,"wait",1]"#);
        for _ in 0..3 {
            assert_eq!(socket.ask(r#"["mine","go",1]"#), BUSY);
        }
        // Others have places of their own.
        assert_eq!(rig.socket().ask(r#"["r","go",1]"#), r#"["r",null,1]"#);
        let mut answers = [socket.answer(), socket.answer()];
        answers.sort();
        assert_eq!(answers, ["[1,null,1]", "[2,null,1]"]);
        assert_eq!(socket.ask(r#"["mine","echo",1]"#), r#"["mine",null,1]"#);
        assert_eq!(rig.worker.stats().refused, 3);
    });
}

#[test]
fn too_many_requests_of_a_core() {
    with(Config { max_in_flight: 2, ..Config::default() }, |rig| {
        let (mut one, mut two) = (rig.socket(), rig.socket());
        one.text(r#"[1,"wait",1]"#);
        two.text(r#"[2,"wait",1]"#);
        until("both run", || rig.worker.stats().in_flight == 2);
        assert_eq!(one.ask(r#"["mine","go",1]"#), BUSY);
        assert_eq!(rig.client().call(r#"["mine","go",1]"#).status, 503);
        drop(two);
        until("there is room", || rig.worker.stats().in_flight == 1);
        one.text(r#"["r","go",1]"#);
        let mut answers = [one.answer(), one.answer()];
        answers.sort();
        assert_eq!(answers, [r#"["r",null,1]"#, "[1,null,1]"]);
        assert_eq!(rig.worker.stats().refused, 2);
    });
}

#[test]
fn too_many_bytes_of_requests() {
    with(Config { max_held: 62_000, ..Config::default() }, |rig| {
        let request = frame(TEXT, format!(r#"["r","wait","{}"]"#, "x".repeat(60_000)));
        let (begin, end) = request.split_at(50_000);
        let mut first = rig.socket();
        first.client.send(begin);
        until("it is counted", || rig.worker.stats().held > 45_000);
        let refused = || {
            let mut socket = rig.socket();
            socket.client.send(&request[..59_000]);
            assert_eq!(socket.closed(), (1013, "too much is held in memory".into()));
        };
        refused();
        // Who came first is served, and keeps its place while it is: a request is not counted twice.
        first.client.send(end);
        until("it runs", || rig.worker.stats().in_flight == 1);
        refused();
        // One that comes at once, and is not kept before, is not begun.
        let mut other = rig.socket();
        let large = format!(r#"["mine","echo","{}"]"#, "x".repeat(3000));
        for _ in 0..20 {
            let answer = other.ask(&large);
            assert_eq!(answer, BUSY);
        }
        assert_eq!(rig.socket().ask(r#"["r","go",1]"#), r#"["r",null,1]"#);
        assert_eq!(first.answer().len(), 60_000 + 13);
        assert_eq!(other.ask(&large).len(), 3000 + 16);
        until("nothing is left", || rig.worker.stats().held == 0);
    });
}

#[test]
fn nothing_is_held_of_the_request_for_a_websocket() {
    with(Config::default(), |rig| {
        let request = upgrade("");
        let (begin, end) = request.split_at(50);
        let mut client = rig.client();
        client.send(begin);
        until("it is counted", || rig.worker.stats().held == 50);
        client.send(end);
        let mut socket = Socket::upgraded(client);
        assert_eq!(socket.ask(r#"["r","echo",1]"#), r#"["r",null,1]"#);
        assert_eq!(rig.worker.stats().held, 0);
    });
}

#[test]
fn messages_too_large() {
    let config = Config { max_body: 1000, deflate: true, ..Config::default() };
    with(config, |rig| {
        let body = |size| format!(r#"["r","echo","{}"]"#, "x".repeat(size));
        assert_eq!(rig.socket().ask(&body(900)).len(), 913);
        let fragments = [frame(0x01, body(600)), frame(0x80, body(600))].concat();
        let claimed = [&[0x81, 0xff][..], &(1_u64 << 40).to_be_bytes(), b"mask"].concat();
        // Nothing is waited for that is only claimed.
        for bytes in [frame(TEXT, body(1000)), fragments, claimed] {
            let mut socket = rig.socket();
            socket.client.send(bytes);
            assert_eq!(socket.closed().0, 1009);
        }
        // A small one that becomes large.
        let deflate = "sec-websocket-extensions: permessage-deflate\r\n";
        let mut socket = Socket::with(rig.worker.addr(), deflate);
        let mut zlib = flate2::Compress::new(flate2::Compression::best(), false);
        let mut bomb = Vec::with_capacity(1 << 20);
        let zeros = vec![b'0'; 10_000_000];
        zlib.compress_vec(&zeros, &mut bomb, flate2::FlushCompress::Sync).unwrap();
        socket.send(0x40 | TEXT, &bomb[..900]);
        assert_eq!(socket.closed().0, 1009);
        assert_eq!(rig.worker.stats().malformed, 4);
    });
}

#[test]
fn messages_that_take_too_long_to_come() {
    let config = Config { request_timeout: Duration::from_millis(150), ..Config::default() };
    with(config, |rig| {
        let message = frame(TEXT, r#"["r","echo",1]"#);
        let fragment = frame(0x01, r#"["r","echo",1"#);
        for beginning in [&message[..1], &message[..5], &message[..message.len() - 3], &fragment] {
            let mut socket = rig.socket();
            let start = Instant::now();
            socket.client.send(beginning);
            // A byte now and then gains no time.
            std::thread::sleep(Duration::from_millis(80));
            let more = match beginning == fragment {
                true => frame(PING, ""),
                false => vec![message[beginning.len()]],
            };
            let _ = socket.client.stream.write_all(&more);
            let mut frame = socket.next();
            if frame.first != CLOSE {
                frame = socket.next();
            }
            assert_eq!((frame.first, &frame.payload[..2]), (CLOSE, &1008_u16.to_be_bytes()[..]));
            assert!(start.elapsed() >= Duration::from_millis(150));
            assert!(socket.client.ends());
        }
        // A handler may take longer than that, and so may the pause before the next request.
        let mut socket = rig.socket();
        assert_eq!(socket.ask(r#"["r","slow",300]"#), r#"["r",null,300]"#);
        std::thread::sleep(Duration::from_millis(300));
        assert_eq!(socket.ask(r#"["r","echo",1]"#), r#"["r",null,1]"#);
        assert_eq!(rig.worker.stats().malformed, 4);
    });
}

#[test]
fn clients_that_do_not_read() {
    let config = Config { write_timeout: Duration::from_millis(400), ..Config::default() };
    with(config, |rig| {
        let mut socket = rig.socket();
        socket.text(r#"["r","many",30000000]"#);
        until("it is given up", || rig.worker.stats().connections == 0);
        assert!(socket.client.breaks());
        // Not even its close frame can be answered.
        let mut socket = rig.socket();
        socket.text(r#"["r","many",30000000]"#).send(CLOSE, b"\x03\xe8");
        until("it is given up", || rig.worker.stats().connections == 0);
        assert!(socket.client.breaks());
        // Who reads slowly but steadily is served.
        let mut slow = Socket::over(Client::narrow(rig.worker.addr()), "");
        slow.text(r#"["r","many",20000000]"#);
        let start = Instant::now();
        slow.client.read_slowly(20_000_000, 20_000);
        assert!(start.elapsed() > Duration::from_millis(800));
    });
}

#[test]
fn websockets_count_among_connections() {
    with(Config { max_connections: 1, ..Config::default() }, |rig: &Rig| {
        let mut one = rig.socket();
        one.ask(r#"["r","echo",1]"#);
        assert!(rig.client().ends());
        drop(one);
        until("there is room", || rig.worker.stats().connections == 0);
        assert_eq!(rig.socket().ask(r#"["r","echo",1]"#), r#"["r",null,1]"#);
    });
}
