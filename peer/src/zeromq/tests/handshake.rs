//! Who gets in, and who does not.

use grenache_engine::{now, sleep, spawn_local};

use super::*;

/// What becomes of a handshake, on the side that was connected to and on the other.
async fn met(any: SocketAddr, gate: Gate, security: Security) -> [Result<(), String>; 2] {
    let listener = TcpListener::bind(any).expect("a free port");
    let to = listener.local_addr();
    let (ours, theirs) = (Config::default(), with(security));
    let accepting = accept(&listener, SocketType::Router, &gate, &ours);
    let (bound, connected) = both(accepting, connect(to, SocketType::Dealer, &theirs)).await;
    [bound, connected].map(|met| met.map(drop).map_err(|failure| failure.to_string()))
}

#[test]
fn those_who_show_what_is_asked_for_are_let_in() {
    run(|any| async move {
        for (gate, security) in mechanisms() {
            assert_eq!(met(any, gate, security).await, [Ok(()), Ok(())]);
        }
    });
}

#[test]
fn others_are_not() {
    run(|any| async move {
        let [_, (plain, _), (curve, _)] = mechanisms();
        let password = Security::Plain { user: "ann".into(), password: "guessed".into() };
        let user = Security::Plain { user: "bob".into(), password: "secret".into() };
        for wrong in [password, user] {
            let [bound, connected] = met(any, plain.clone(), wrong).await;
            assert!(bound.unwrap_err().contains("credentials are not good"));
            assert!(connected.unwrap_err().contains("refused: 400"));
        }
        // A key that is not let in, and a server that is another than was expected.
        let stranger = Security::Curve { server: keys(1).public, keys: keys(3) };
        let [bound, connected] = met(any, curve.clone(), stranger).await;
        assert!(bound.unwrap_err().contains("credentials are not good"));
        assert!(connected.unwrap_err().contains("refused: 400"));
        let elsewhere = Security::Curve { server: keys(4).public, keys: keys(2) };
        let [bound, connected] = met(any, curve.clone(), elsewhere).await;
        assert!(bound.unwrap_err().contains("does not know this server's public key"));
        assert!(connected.unwrap_err().contains("other security, or no ZeroMQ"));
        // Another mechanism, for better or worse.
        for (gate, security) in [(curve, Security::Null), (Gate::Null, mechanisms()[2].1.clone())] {
            let [bound, connected] = met(any, gate, security).await;
            assert!(bound.unwrap_err().contains("another security mechanism"));
            assert!(connected.is_err());
        }
    });
}

#[test]
fn a_handshake_that_never_ends_is_ended() {
    run(|any| async move {
        let listener = TcpListener::bind(any).expect("a free port");
        let to = listener.local_addr();
        let config = Config { connect_timeout: ms(100), ..Config::default() };
        // Nothing; the beginning of a greeting; and byte after byte, each of which is well in time.
        let greeting = [&[0xff, 0, 0, 0, 0, 0, 0, 0, 1, 0x7f, 3][..], &[0; 100]].concat();
        for said in [0, 11, 1000] {
            let stream = raw(to).await;
            let (speaks, greeting) = (stream.clone(), greeting.clone());
            let speaking = spawn_local(async move {
                speaks.write(&greeting[..said.min(11)]);
                for byte in greeting.iter().take(said).skip(11) {
                    sleep(ms(10)).await;
                    speaks.write(&[*byte]);
                }
            });
            let begun = now();
            let met = accept(&listener, SocketType::Router, &Gate::Null, &config).await;
            let error = met.err().expect("no handshake").to_string();
            assert!(error.contains("the ZMTP handshake was not done within 100ms"), "{error}");
            assert!(now() - begun < ms(1000));
            // The connection is closed.
            while let Ok(Some(_)) = stream.recv().await {}
            speaking.abort();
        }
    });
}

#[test]
fn what_is_not_zmtp_is_refused() {
    run(|any| async move {
        let listener = TcpListener::bind(any).expect("a free port");
        for bad in [&b"GET / HTTP/1.1\r\n\r\n"[..], b"\xff\0\0\0\0\0\0\0\x01\x7f\x01", b""] {
            let stream = raw(listener.local_addr()).await;
            stream.write(bad);
            if bad.is_empty() {
                stream.shutdown();
            }
            let config = Config::default();
            let met = accept(&listener, SocketType::Router, &Gate::Null, &config).await;
            assert!(matches!(met, Err(Failure::Broken(_))));
        }
    });
}
