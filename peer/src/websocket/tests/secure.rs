//! Over TLS.

use super::*;
use crate::tls::{Acceptor, Authorities, ClientTls, Clients, Connector, Identity, ServerTls};

/// What a worker shows that lives on 127.0.0.1, and a client that trusts it.
fn settings() -> (ServerTls, ClientTls) {
    let made =
        rcgen::generate_simple_self_signed(["127.0.0.1".to_string()]).expect("a certificate");
    let (certificate, key) = (made.cert.pem(), made.signing_key.serialize_pem());
    let identity = Identity::from_pem(certificate.as_bytes(), key.as_bytes()).expect("a pair");
    let authorities = Authorities::from_pem(certificate.as_bytes()).expect("a certificate");
    (ServerTls::new(identity), ClientTls::new(authorities))
}

/// A worker that answers every request with its payload.
fn echo(any: SocketAddr, settings: &ServerTls) -> Site {
    let acceptor = Acceptor::new(settings).expect("settings that can be");
    Site::with(any, true, move |stream, _| {
        let acceptor = acceptor.clone();
        async move {
            if let Ok(channel) = acceptor.accept(stream).await
                && let Some(peer) = Peer::accept(channel).await
            {
                peer.echo().await;
            }
        }
    })
}

fn secure_pool(config: Config, tls: &ClientTls) -> Pool {
    Pool::new(config, Some(Connector::new(tls).expect("settings that can be")))
}

#[test]
fn calls_of_all_sizes_share_a_session() {
    run(|any| async move {
        for deflate in [false, true] {
            let (server, client) = settings();
            let site = echo(any, &server);
            let pool = secure_pool(Config { deflate, ..Config::default() }, &client);
            let sizes = [0, 60, 16_384, 1_000_000, 5, 20_000, 3_000_000];
            let calls: Vec<_> = sizes.iter().map(|&size| start(&pool, &site, text(size))).collect();
            for (size, call) in sizes.iter().zip(calls) {
                let reply = call.await.unwrap().expect("a reply");
                assert!(reply.outcome == Ok(text(*size)), "{size} bytes");
            }
            assert_eq!((site.accepted.get(), site.open.get()), (1, 1));
            site.end(&pool).await;
        }
    });
}

#[test]
fn a_certificate_that_is_not_taken_is_told_by_either_side() {
    run(|any| async move {
        let (server, _) = settings();
        let (_, stranger) = settings();
        let site = echo(any, &server);
        let pool = secure_pool(Config::default(), &stranger);
        let failed = ask(&pool, &site, &number(1)).await.expect_err("a stranger");
        assert!(matches!(failed, Failed::Failure(Failure::Tls(_))), "{failed:?}");
        assert!(!failed.may_have_run());
        site.end(&pool).await;

        // With TLS 1.3 a client learns only from the first read that the worker wants a certificate.
        let (mut server, client) = settings();
        server.clients = Clients::Required(client.authorities.clone());
        let site = echo(any, &server);
        let pool = secure_pool(Config::default(), &client);
        let failed = ask(&pool, &site, &number(1)).await.expect_err("no certificate");
        assert!(matches!(failed, Failed::Failure(Failure::Tls(_))), "{failed:?}");
        site.end(&pool).await;
    });
}

#[test]
fn a_port_that_speaks_no_tls_and_a_client_that_has_none_are_told() {
    run(|any| async move {
        let (_, client) = settings();
        let site = Site::with(any, true, |stream, _| async move {
            stream.recv().await.expect("a hello");
            stream.write(b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n");
            while let Ok(Some(_)) = stream.recv().await {}
        });
        for pool in [secure_pool(Config::default(), &client), pool()] {
            let failed = ask(&pool, &site, &number(1)).await.expect_err("no TLS");
            assert!(matches!(failed, Failed::Failure(Failure::Tls(_))), "{failed:?}");
            assert!(!failed.may_have_run());
            pool.close().await;
        }
        site.end(&pool()).await;
    });
}
