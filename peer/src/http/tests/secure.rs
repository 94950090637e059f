//! Over TLS.

use grenache_engine::{TcpListener, now, spawn_local};

use super::*;
use crate::Failure;
use crate::channel::Channel;
use crate::tls::{Acceptor, Authorities, ClientTls, Clients, Connector, Identity, ServerTls};

/// What a server shows that lives on 127.0.0.1, and a client that trusts it.
fn settings() -> (ServerTls, ClientTls) {
    let made =
        rcgen::generate_simple_self_signed(["127.0.0.1".to_string()]).expect("a certificate");
    let (certificate, key) = (made.cert.pem(), made.signing_key.serialize_pem());
    let identity = Identity::from_pem(certificate.as_bytes(), key.as_bytes()).expect("a pair");
    let authorities = Authorities::from_pem(certificate.as_bytes()).expect("a certificate");
    (ServerTls::new(identity), ClientTls::new(authorities))
}

/// A server that answers every request with its body.
fn echo(any: SocketAddr, settings: &ServerTls) -> Site {
    let acceptor = Acceptor::new(settings).expect("settings that can be");
    let site = Site::start(any, move |peer, _| {
        let acceptor = acceptor.clone();
        async move {
            let Ok(channel) = acceptor.accept(peer.stream.clone()).await else { return };
            serve(&peer, &channel).await;
        }
    });
    Site { target: Target { secure: true, ..site.target.clone() }, ..site }
}

async fn serve(peer: &Peer, channel: &Channel) {
    while let Ok(Some(data)) = channel.recv().await {
        let mut input = &data[..];
        let mut parser = peer.parser.borrow_mut();
        while let Some(event) = parser.receive(&mut input).expect("a request") {
            let Event::Request(request) = event else { panic!("{event:?}") };
            let mut out = BytesMut::new();
            let body = request.body;
            response::write(&mut out, 200, Persistence::KeepAlive, DATE, &[], body);
            channel.send(out.freeze());
        }
    }
}

#[test]
fn calls_after_one_another_share_a_session() {
    run(|any| async move {
        let (server, client) = settings();
        let site = echo(any, &server);
        let pool = Pool::new(Config::default(), Some(Connector::new(&client).expect("settings")));
        for size in [0, 1, 60, 8192, 8193, 1_000_000] {
            let body = vec![7; size];
            assert!(call_well(&pool, &site, &body).await == body, "{size} bytes");
        }
        assert_eq!((site.accepted.get(), site.open.get()), (1, 1));
        site.end(&pool).await;
    });
}

#[test]
fn a_certificate_that_is_not_taken_is_told_by_either_side() {
    run(|any| async move {
        let (server, _) = settings();
        let (_, stranger) = settings();
        let site = echo(any, &server);
        let pool = Pool::new(Config::default(), Some(Connector::new(&stranger).expect("settings")));
        let failed = call(&pool, &site, b"x").await.expect_err("a stranger");
        assert!(matches!(failed, Failed::Failure(Failure::Tls(_))), "{failed:?}");
        assert!(!failed.may_have_run());
        site.end(&pool).await;

        // With TLS 1.3 a client learns only from the first read that the server wants a certificate.
        let (mut server, client) = settings();
        server.clients = Clients::Required(client.authorities.clone());
        let site = echo(any, &server);
        let pool = Pool::new(Config::default(), Some(Connector::new(&client).expect("settings")));
        let failed = call(&pool, &site, b"x").await.expect_err("no certificate");
        assert!(matches!(failed, Failed::Failure(Failure::Tls(_))), "{failed:?}");
        site.end(&pool).await;
    });
}

#[test]
fn a_port_that_speaks_no_tls_is_told() {
    run(|any| async move {
        let (_, client) = settings();
        let site = Site::start(any, |peer, _| async move {
            peer.stream.recv().await.expect("a hello");
            peer.write("HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n");
            peer.hear_out().await;
        });
        let site = Site { target: Target { secure: true, ..site.target.clone() }, ..site };
        let pool = Pool::new(Config::default(), Some(Connector::new(&client).expect("settings")));
        let failed = call(&pool, &site, b"x").await.expect_err("no TLS");
        assert!(matches!(failed, Failed::Failure(Failure::Tls(_))), "{failed:?}");
        site.end(&pool).await;
    });
}

#[test]
fn a_server_that_is_killed_has_closed_instead_of_answering() {
    run(|any| async move {
        let (server, client) = settings();
        let acceptor = Acceptor::new(&server).expect("settings that can be");
        let listener = TcpListener::bind(any).expect("a free port");
        let target = Target::peer(listener.local_addr(), true);
        let killed = spawn_local(async move {
            let (stream, _) = listener.accept().await.expect("a connection");
            let channel = acceptor.accept(stream.clone()).await.expect("a session");
            channel.recv().await.expect("a request");
            // The end of the connection without that of the session, as when the system closes it.
            stream.shutdown();
            while let Ok(Some(_)) = stream.recv().await {}
        });
        let pool = Pool::new(Config::default(), Some(Connector::new(&client).expect("settings")));
        let failed = pool.exchange(&target, &post(b"x"), now() + LONG).await;
        assert_eq!(failed.expect_err("no answer"), Failed::Closed);
        pool.close().await;
        killed.await.expect("no panic");
    });
}
