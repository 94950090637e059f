//! What is not the protocol, or too much: the connection ends, and others do not notice.

use std::io::{Read, Write};
use std::time::Duration;

use grenache_peer::server::Config;

use crate::client::Client;
use crate::dealer::Peer;
use crate::{Rig, on_both, until, with};

/// The greeting of a peer with NULL, and its READY.
fn hello(socket: &str) -> Vec<u8> {
    let mut bytes = vec![0xff, 0, 0, 0, 0, 0, 0, 0, 1, 0x7f, 3, 1];
    bytes.extend_from_slice(b"NULL");
    bytes.resize(64, 0);
    let data = [b"\x05READY\x0bSocket-Type\0\0\0", &[socket.len() as u8][..], socket.as_bytes()];
    let data = data.concat();
    bytes.extend_from_slice(&[4, data.len() as u8]);
    bytes.extend_from_slice(&data);
    bytes
}

/// Sends this on a connection, which the worker closes.
fn is_closed_by(rig: &Rig, what: &str, bytes: &[u8]) {
    let mut client = Client::connect(rig.worker.addr());
    // It may be closed before all was sent.
    let _ = client.stream.write_all(bytes);
    let mut sink = Vec::new();
    let ended = client.stream.read_to_end(&mut sink);
    let reset = std::io::ErrorKind::ConnectionReset;
    assert!(ended.is_ok() || ended.is_err_and(|error| error.kind() == reset), "{what}");
}

#[test]
fn what_is_not_the_protocol_ends_the_connection() {
    on_both(|rig| {
        let mut other = Peer::dealer(rig.worker.addr());
        let after = |frames: &[u8]| [&hello("DEALER"), frames].concat();
        let greeting = |at: usize, byte: u8| {
            let mut bytes = hello("DEALER");
            bytes[at] = byte;
            bytes
        };
        let cases: &[(&str, Vec<u8>)] = &[
            ("a wrong signature", greeting(9, 0x7d)),
            ("ZMTP 1.0", greeting(9, 0x7e)),
            ("ZMTP 2.0", greeting(10, 2)),
            ("another mechanism", {
                let mut bytes = hello("DEALER");
                bytes[12..17].copy_from_slice(b"CURVE");
                bytes
            }),
            ("a mechanism that is none", greeting(12, b'X')),
            ("no socket type", [&hello("DEALER")[..64], b"\x04\x06\x05READY"].concat()),
            ("a socket that does not go with it", hello("PULL")),
            ("a message before READY", [&hello("DEALER")[..64], b"\x00\x01x"].concat()),
            ("reserved flags", after(b"\x80\x01x")),
            ("a command with MORE", after(b"\x05\x01x")),
            ("a second READY", after(b"\x04\x06\x05READY")),
            ("a length of 64 bits", after(b"\x02\xff\xff\xff\xff\xff\xff\xff\xff")),
            ("a frame of more than there may be", after(b"\x02\0\0\0\0\x7f\xff\xff\xff")),
            ("parts without end", after(&b"\x01\x01x".repeat(1025))),
            ("a large command", after(b"\x06\0\0\0\0\0\x01\0\0")),
            ("a PING that is none", after(b"\x04\x06\x04PING\0")),
        ];
        for (what, bytes) in cases {
            is_closed_by(rig, what, bytes);
            assert_eq!(other.ask(&[r#"["r","echo",1]"#]), [r#"["r",null,1]"#], "{what}");
        }
        until("they are gone", || rig.worker.stats().connections == 1);
        let stats = rig.worker.stats();
        assert_eq!((stats.malformed, stats.held), (cases.len() as u64, 0));
    });
}

#[test]
fn handshakes_and_messages_come_in_time() {
    let config = Config {
        handshake_timeout: Duration::from_millis(100),
        request_timeout: Duration::from_millis(200),
        ..Config::default()
    };
    with(config, |rig| {
        let mut other = Peer::dealer(rig.worker.addr());
        let whole = hello("DEALER");
        for cut in [1, 10, 12, 63, 64, 70, whole.len() - 1] {
            is_closed_by(rig, "a handshake", &whole[..cut]);
        }
        let within = [&whole[..], b"\x01\x03rid\x00\x08[\"r"].concat();
        is_closed_by(rig, "a message", &within);
        is_closed_by(rig, "a header", &[&whole[..], b"\x02\0"].concat());
        assert_eq!(rig.worker.stats().malformed, 9);
        // Whoever says nothing meanwhile is not meant.
        assert_eq!(other.ask(&[r#"["r","echo",1]"#]), [r#"["r",null,1]"#]);
    });
}

#[test]
fn bytes_may_come_one_by_one() {
    on_both(|rig| {
        let mut client = Client::connect(rig.worker.addr());
        let request = br#"["r","echo","whole"]"#;
        let bytes =
            [&hello("DEALER")[..], &[0, request.len() as u8], request, b"\x04\x07\x04PING\0\0"];
        for byte in bytes.concat() {
            client.send([byte]);
        }
        let mut received = vec![0; 64];
        client.stream.read_exact(&mut received).expect("a greeting");
        let answer = br#"["r",null,"whole"]"#;
        let mut rest = Vec::new();
        while !rest.ends_with(b"\x04\x05\x04PONG") {
            let mut byte = [0];
            client.stream.read_exact(&mut byte).expect("more");
            rest.push(byte[0]);
        }
        assert!(rest.windows(answer.len()).any(|part| part == answer));
    });
}

#[test]
fn what_is_held_is_bounded() {
    with(Config { max_held: 100_000, ..Config::default() }, |rig| {
        // Counted together: of many connections each holds a part of a message.
        let part = [&hello("DEALER")[..], b"\x02\0\0\0\0\0\x0f\xff\xff", &[b'x'; 40_000]].concat();
        let mut clients: Vec<Client> = Vec::new();
        for _ in 0..2 {
            clients.push(Client::connect(rig.worker.addr()));
            clients.last_mut().expect("one").send(&part);
        }
        until("they hold it", || rig.worker.stats().held >= 80_000);
        is_closed_by(rig, "one more", &part);
        assert_eq!(rig.worker.stats().refused, 1);
        drop(clients);
        until("nothing is held", || rig.worker.stats().held == 0);
    });
}

#[test]
fn answers_that_are_not_read_are_given_up() {
    let config = Config { write_timeout: Duration::from_millis(300), ..Config::default() };
    with(config, |rig| {
        let mut other = Peer::dealer(rig.worker.addr());
        let narrow = Client::narrow(rig.worker.addr()).stream;
        let mechanism =
            grenache_transports::zmtp::Mechanism::null(grenache_transports::zmtp::Side::Connect);
        let dealer = grenache_transports::zmtp::SocketType::Dealer;
        let mut dealer = Peer::over(narrow, dealer, mechanism);
        for _ in 0..20 {
            dealer.send(&[br#"["r","many",1000000]"#]);
        }
        assert_eq!(other.ask(&[r#"["r","echo",1]"#]), [r#"["r",null,1]"#]);
        until("it is given up", || rig.worker.stats().connections == 1);
        assert_eq!(rig.worker.stats().held, 0);
        assert_eq!(other.ask(&[r#"["r","echo",1]"#]), [r#"["r",null,1]"#]);
    });
}

#[test]
fn a_peer_that_knows_no_ping_may_be_silent() {
    let config = Config {
        ping_interval: Duration::from_millis(30),
        ping_timeout: Duration::from_millis(30),
        ..Config::default()
    };
    with(config, |rig| {
        let mut old = Client::connect(rig.worker.addr());
        let mut greeting = hello("DEALER");
        greeting[11] = 0;
        old.send(greeting);
        let mut received = vec![0; 64];
        old.stream.read_exact(&mut received).expect("a greeting");
        // So much time passes.
        let mut other = Peer::dealer(rig.worker.addr());
        assert_eq!(other.ask(&[r#"["r","slow",400]"#]), [r#"["r",null,400]"#]);
        old.send(b"\x00\x0e[\"r\",\"echo\",1]");
        let answer = b"\x00\x0c[\"r\",null,1]";
        let mut received = Vec::new();
        while !received.ends_with(answer) {
            let mut byte = [0];
            old.stream.read_exact(&mut byte).expect("an answer");
            received.push(byte[0]);
        }
    });
}

#[test]
fn a_handshake_that_comes_byte_by_byte_has_no_more_time() {
    let config = Config { handshake_timeout: Duration::from_millis(200), ..Config::default() };
    with(config, |rig| {
        let mut client = Client::connect(rig.worker.addr());
        let whole = hello("DEALER");
        // All of it would take two seconds; no wait is as long as the time-out.
        let in_vain = whole.iter().any(|byte| {
            std::thread::sleep(Duration::from_millis(20));
            client.stream.write_all(&[*byte]).is_err() || rig.worker.stats().malformed == 1
        });
        assert!(in_vain, "it was let through");
        until("it is gone", || rig.worker.stats().connections == 0);
    });
}
