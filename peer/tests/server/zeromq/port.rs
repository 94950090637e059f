//! One port for everything.

use std::io::{Read, Write};

use grenache_peer::server::{Config, Services};
use grenache_peer::worker;
use grenache_peer::zeromq::{Gate, draw_keys};
use grenache_transports::zmtp::{Mechanism, Side, SocketType};

use crate::client::Client;
use crate::dealer::Peer;
use crate::socket::Socket;
use crate::{echo, secure, workers};

const REQUEST: &str = r#"["r","echo",1]"#;
const ANSWER: &str = r#"["r",null,1]"#;

fn setup(services: &mut Services) {
    services.add("echo", echo);
}

fn null() -> Mechanism {
    Mechanism::null(Side::Connect)
}

/// Whether a connection that begins so is closed without more than an alert of TLS.
fn is_refused(mut client: Client, bytes: &[u8]) -> bool {
    let _ = client.stream.write_all(bytes);
    let mut received = Vec::new();
    let _ = client.stream.read_to_end(&mut received);
    received.is_empty() || received[0] == 0x15
}

#[test]
fn http_websocket_and_zeromq_without_tls() {
    workers(worker::Config::default(), setup, |worker| {
        assert_eq!(Client::connect(worker.addr()).ask(REQUEST), ANSWER);
        assert_eq!(Socket::connect(worker.addr()).ask(REQUEST), ANSWER);
        assert_eq!(Peer::dealer(worker.addr()).ask(&[REQUEST]), [ANSWER]);
    });
    let server = Config { zeromq: false, ..Config::default() };
    let config = worker::Config { server, ..Default::default() };
    workers(config, setup, |worker| {
        let mut client = Client::connect(worker.addr());
        assert_eq!(client.send([0xff; 20]).answer().status, 400);
        assert_eq!(Client::connect(worker.addr()).ask(REQUEST), ANSWER);
    });
}

#[test]
fn the_same_within_tls() {
    let config = worker::Config { tls: Some(secure::server()), ..Default::default() };
    workers(config, setup, |worker| {
        assert_eq!(secure::connect(worker.addr(), None).ask(REQUEST), ANSWER);
        assert_eq!(Socket::over(secure::connect(worker.addr(), None), "").ask(REQUEST), ANSWER);
        let stream = secure::connect(worker.addr(), None).stream;
        let mut dealer = Peer::over(stream, SocketType::Dealer, null());
        assert_eq!(dealer.ask(&[REQUEST]), [ANSWER]);
        // And nothing without it.
        assert!(is_refused(Client::connect(worker.addr()), b"POST / HTTP/1.1\r\n\r\n"));
        assert!(is_refused(Client::connect(worker.addr()), &[0xff; 10]));
        assert_eq!(worker.stats().requests, 3);
    });
}

#[test]
fn beside_tls_curve_and_if_wanted_everything() {
    let keys = draw_keys();
    let gate = Gate::Curve { keys: keys.clone(), allow: None };
    for plain in [false, true] {
        let server = Config { plain, gate: gate.clone(), ..Config::default() };
        let config = worker::Config { tls: Some(secure::server()), server, ..Default::default() };
        workers(config, setup, |worker| {
            let mut entropy = [0; 96];
            rand::fill(&mut entropy);
            let mechanism = Mechanism::curve_client(keys.public, draw_keys(), entropy);
            let mut dealer = Peer::connect(worker.addr(), SocketType::Dealer, mechanism);
            assert_eq!(dealer.ask(&[REQUEST]), [ANSWER]);
            assert_eq!(secure::connect(worker.addr(), None).ask(REQUEST), ANSWER);
            let client = Client::connect(worker.addr());
            if plain {
                let mut client = client;
                assert_eq!(client.ask(REQUEST), ANSWER);
                assert_eq!(Socket::connect(worker.addr()).ask(REQUEST), ANSWER);
            } else {
                assert!(is_refused(client, b"POST / HTTP/1.1\r\n\r\n"));
            }
            assert!(Peer::dealer(worker.addr()).refused.is_some());
        });
    }
}
