//! How long connections to a grape's API live, and what they are told when it ends.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use grenache_grape::{Config, Grape, Limits};

const LOOKUP: &[u8] =
    b"POST /lookup HTTP/1.1\r\nhost: a\r\ncontent-length: 12\r\n\r\n{\"data\":\"x\"}";

/// Far more than anything here takes.
const DEADLINE: Duration = Duration::from_secs(20);

fn lone(limits: Limits) -> Config {
    Config { dht_port: 0, api_port: 0, limits, ..Config::default() }
}

fn connect(grape: &Grape) -> TcpStream {
    let stream = TcpStream::connect(grape.api_addr()).unwrap();
    stream.set_read_timeout(Some(DEADLINE)).unwrap();
    stream.set_nodelay(true).unwrap();
    stream
}

/// Everything until the grape hangs up.
fn rest(mut stream: &TcpStream) -> String {
    let mut bytes = Vec::new();
    // A reset ends a connection as well.
    let _ = stream.read_to_end(&mut bytes);
    String::from_utf8_lossy(&bytes).into_owned()
}

/// One answer with the body `[]`.
fn answer(mut stream: &TcpStream) -> String {
    let (mut bytes, mut byte) = (Vec::new(), [0]);
    while !bytes.ends_with(b"\r\n\r\n[]") {
        assert_eq!(stream.read(&mut byte).unwrap(), 1, "closed after {}", bytes.escape_ascii());
        bytes.push(byte[0]);
    }
    String::from_utf8(bytes).unwrap()
}

#[test]
fn a_request_that_does_not_come_to_its_end_is_answered_and_closed() {
    let request_timeout = Duration::from_millis(200);
    let grape = Grape::start(lone(Limits { request_timeout, ..Limits::default() })).unwrap();
    for part in [20, LOOKUP.len() - 1] {
        let mut stream = connect(&grape);
        let began = Instant::now();
        stream.write_all(&LOOKUP[..part]).unwrap();
        assert!(rest(&stream).starts_with("HTTP/1.1 408 "));
        assert!(began.elapsed() >= request_timeout);
    }
}

#[test]
fn each_request_has_its_own_time() {
    let request_timeout = Duration::from_secs(1);
    let grape = Grape::start(lone(Limits { request_timeout, ..Limits::default() })).unwrap();
    let mut stream = connect(&grape);
    let (head, tail) = LOOKUP.split_at(30);
    stream.write_all(head).unwrap();
    // What arrives never ends where a request does.
    let began = Instant::now();
    while began.elapsed() < request_timeout * 3 / 2 {
        stream.write_all(&[tail, head].concat()).unwrap();
        assert!(answer(&stream).starts_with("HTTP/1.1 200 "));
    }
}

#[test]
fn who_was_told_to_go_cannot_stay_by_trickling() {
    let grape = Grape::start(lone(Limits::default())).unwrap();
    let mut stream = connect(&grape);
    let began = Instant::now();
    stream.write_all(b"nonsense\r\n\r\n").unwrap();
    while stream.write_all(b"x").is_ok() {
        assert!(began.elapsed() < Duration::from_secs(8), "it is still there");
        // The pace of the trickle.
        std::thread::sleep(Duration::from_millis(100));
    }
}
