//! Who is let in: asked before an upgrade, and for every HTTP request.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use grenache_peer::server::{Reply, Request};
use grenache_peer::{Fingerprint, worker};

use crate::certificates::{STRANGER, TRUSTED};
use crate::client::{Client, post};
use crate::socket::{Socket, upgrade};
use crate::{echo, secure, workers};

#[test]
fn who_is_not_let_in_reaches_no_handler() {
    let asked = Arc::<AtomicUsize>::default();
    let asks = asked.clone();
    let setup = move |services: &mut grenache_peer::server::Services| {
        services.add("echo", echo);
        let asks = asks.clone();
        services.admit(move |visitor| {
            asks.fetch_add(1, Ordering::SeqCst);
            assert!(visitor.header("x-token") != Some("panic"), "as it was told");
            assert!(visitor.peer_addr().ip().is_loopback() && visitor.certificate().is_none());
            visitor.header("X-Token") == Some("mine") || visitor.target() == "/open?1"
        });
    };
    workers(worker::Config::default(), setup, |worker| {
        asked.store(0, Ordering::SeqCst);
        for token in ["", "x-token: other\r\n", "x-token: panic\r\n"] {
            let mut client = Client::connect(worker.addr());
            client.send(upgrade(token));
            let answer = client.answer();
            assert_eq!((answer.status, answer.closes()), (401, true), "{token}");
            assert!(client.ends());
            // A request of HTTP may be followed by a better one.
            let mut client = Client::connect(worker.addr());
            let request = post(r#"["r","echo",1]"#);
            client.send(request.replace("host: a\r\n", &format!("host: a\r\n{token}")));
            assert_eq!(client.answer().status, 401);
            client.send(format!(
                "POST / HTTP/1.1\r\nhost: a\r\n{token}transfer-encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n"
            ));
            assert_eq!(client.answer().status, 401);
            client.send(request.replace("POST / ", "POST /open?1 "));
            assert_eq!(client.answer().text(), r#"["r",null,1]"#);
        }
        assert_eq!(asked.load(Ordering::SeqCst), 12);
        let mut socket = Socket::with(worker.addr(), "x-token: mine\r\n");
        for _ in 0..3 {
            assert_eq!(socket.ask(r#"["r","echo",1]"#), r#"["r",null,1]"#);
        }
        // A WebSocket is asked about once.
        assert_eq!(asked.load(Ordering::SeqCst), 13);
        let stats = worker.stats();
        assert_eq!((stats.requests, stats.refused, stats.panics), (6, 9, 3));
    });
}

#[test]
fn clients_are_known_by_their_certificates() {
    let (known, unknown) = (TRUSTED.issue("known"), TRUSTED.issue("unknown"));
    let list: Vec<Fingerprint> = vec![known.sha1().parse().unwrap()];
    let setup = move |services: &mut grenache_peer::server::Services| {
        services.add("who", |request: Request| async move {
            let certificate = request.certificate().expect("it was let in by it");
            Reply::json(&certificate.sha256().to_string())
        });
        let list = list.clone();
        services.admit(move |visitor| {
            visitor.certificate().is_some_and(|certificate| list.contains(&certificate.sha1()))
        });
    };
    let config = worker::Config { tls: Some(secure::server()), ..Default::default() };
    workers(config, setup, |worker| {
        let request = r#"["r","who",1]"#;
        let seen = format!(r#"["r",null,"{}"]"#, known.sha256());
        let mut socket = Socket::over(secure::connect(worker.addr(), Some(&known)), "");
        let mut http = secure::connect(worker.addr(), Some(&known));
        for _ in 0..2 {
            assert_eq!(socket.ask(request), seen);
            assert_eq!(http.ask(request), seen);
        }
        for pair in [None, Some(&unknown)] {
            let mut client = secure::connect(worker.addr(), pair);
            assert_eq!(client.call(request).status, 401);
            assert_eq!(client.send(upgrade("")).answer().status, 401);
        }
        // Whoever shows a certificate of nobody we know does not get so far.
        let stranger = STRANGER.issue("stranger");
        let mut client = secure::connect(worker.addr(), Some(&stranger));
        let mut byte = [0];
        let sent = std::io::Write::write_all(&mut client.stream, upgrade("").as_bytes());
        let read = sent.and_then(|()| std::io::Read::read(&mut client.stream, &mut byte));
        assert!(read.is_err(), "{read:?}");
        let stats = worker.stats();
        assert_eq!((stats.requests, stats.refused, stats.malformed), (4, 4, 1));
    });
}
