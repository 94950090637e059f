//! How long connections to a grape's API live, and what they are told when it ends.

use std::io::{Read, Write};
use std::net::{TcpStream, UdpSocket};
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

/// The answer of a DHT node that knows nobody to a query.
fn node_answer(query: &[u8]) -> Vec<u8> {
    let at = query.windows(5).position(|bytes| bytes == b"1:t4:").expect("a transaction id");
    let id = &query[at + 5..at + 9];
    [b"d1:rd2:id20:abcdefghij01234567895:nodes0:5:token1:te1:t4:", id, b"1:y1:re"].concat()
}

#[test]
fn a_stop_lets_lookups_end_whichever_cores_they_run_on() {
    const KEYS: usize = 12;
    for cores in [1, 2] {
        let node = UdpSocket::bind("127.0.0.1:0").unwrap();
        node.set_read_timeout(Some(DEADLINE)).unwrap();
        let bootstrap = vec![node.local_addr().unwrap().to_string()];
        let grape = Grape::start(Config { cores, bootstrap, ..lone(Limits::default()) }).unwrap();
        // All on one connection, which belongs to one core; the keys belong to all of them.
        let mut stream = connect(&grape);
        let lookup = |key| {
            let body = format!("{{\"data\":\"service {key}\"}}");
            let length = body.len();
            format!("POST /lookup HTTP/1.1\r\nhost: a\r\ncontent-length: {length}\r\n\r\n{body}")
        };
        stream.write_all((0..KEYS).map(lookup).collect::<String>().as_bytes()).unwrap();
        let mut held = Vec::new();
        while held.len() < KEYS {
            let mut buffer = [0; 2048];
            let (length, from) = node.recv_from(&mut buffer).expect("a query");
            let query = &buffer[..length];
            if query.windows(9).any(|bytes| bytes == b"get_peers") {
                held.push((node_answer(query), from));
            } else {
                node.send_to(&node_answer(query), from).unwrap();
            }
        }
        grape.stopper().stop();
        // Nothing tells when a core has taken notice.
        std::thread::sleep(Duration::from_millis(50));
        for (answer, to) in held {
            node.send_to(&answer, to).unwrap();
        }
        let answers = rest(&stream);
        assert_eq!(answers.matches("HTTP/1.1 200 ").count(), KEYS, "{cores} cores: {answers}");
        grape.join().unwrap();
    }
}
