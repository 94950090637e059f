//! Link and client with what they are made for: grapes, and workers, on real sockets.

mod support;

use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use grenache_engine::{now, spawn_local};
use grenache_grape::Grape as Node;
use grenache_peer::client::{Client, Config};
use grenache_peer::link::{self, Grape, Put, SecretKey};
use grenache_peer::server::{Reply, Services};
use grenache_peer::tls::{Authorities, ClientTls, Identity, ServerTls};
use grenache_peer::{Call, Error, Failure, Json, Link, StreamCall, Worker, worker};
use support::{ms, nobody, real};

/// Two grapes that know each other.
fn ring() -> [Node; 2] {
    let config = |bootstrap| grenache_grape::Config {
        dht_port: 0,
        api_port: 0,
        bootstrap,
        ..grenache_grape::Config::default()
    };
    let one = Node::start(config(Vec::new())).unwrap();
    let two = Node::start(config(vec![one.dht_addr().to_string()])).unwrap();
    [one, two]
}

fn services(services: &mut Services) {
    services.add("echo", |request| async move {
        Ok::<_, Error>(Reply::from(request.payload().clone()))
    });
    services.add("fails", |_| async move { Err::<Reply, _>("ERR_NO_FUNDS: 5") });
    services.add_stream("shout", |request| async move {
        let args: serde_json::Value = request.args()?;
        assert_eq!((request.action(), &args["text"]), (Some("up"), &"\u{20ac}".into()));
        while let Some(piece) = request.read().await? {
            request.write(piece.to_ascii_uppercase()).await?;
        }
        Ok::<(), Error>(())
    });
    services.add_stream("count", |request| async move {
        let mut count = 0;
        while let Some(piece) = request.read().await? {
            count += piece.len();
        }
        request.reply(Ok(&Json::of(&count)?));
        Ok::<(), Error>(())
    });
    services.add_stream("refuse", |_| async move { Err::<(), _>("ERR_REFUSED") });
}

fn start_worker(tls: Option<ServerTls>) -> Worker {
    let listen = (Ipv4Addr::LOCALHOST, 0).into();
    let config = worker::Config { listen, tls, ..worker::Config::default() };
    Worker::start(config, |_, to| services(to)).unwrap()
}

fn client(grapes: &[Grape]) -> Client {
    let link = Link::new(grapes, link::Config::default(), None).unwrap();
    Client::new(link, Config::default(), None).unwrap()
}

async fn announce(link: &Link, port: u16) {
    for service in ["echo", "fails", "shout", "count", "refuse"] {
        link.announce(service, port).await.unwrap();
    }
}

#[test]
fn calls_through_a_ring() {
    let ring = ring();
    let worker = start_worker(None);
    let (port, apis) = (worker.addr().port(), ring.each_ref().map(Node::api_addr));
    real(move || async move {
        let announcer = client(&[apis[0].into()]);
        announcer.link().wait_for_service("nobody", ms(300)).await.unwrap_err();
        announce(announcer.link(), port).await;
        // The other one by name, after one that is not there.
        let named = format!("http://localhost:{}", apis[1].port()).parse().unwrap();
        let client = client(&[nobody().into(), named]);
        let found = client.link().wait_for_service("echo", ms(5000)).await.unwrap();
        assert_eq!(found[..], [SocketAddr::from((Ipv4Addr::LOCALHOST, port))]);

        let odd =
            "[null,0,\"\",90071992547409931234567890,{\"a\":[1.50]},\"\\ud83d\\ude00 \u{10ffff}\"]";
        let odd = Json::from_text(odd).unwrap();
        assert_eq!(client.request(Call::new("echo", odd.clone())).await, Ok(odd));
        let large = Json::of(&"0123456789".repeat(500_000)).unwrap();
        assert_eq!(client.request(Call::new("echo", large.clone())).await, Ok(large.clone()));
        assert_eq!(client.request(Call::new("echo", large.clone()).gzip()).await, Ok(large));
        let error = client.request(Call::new("fails", Json::null())).await;
        assert_eq!(error, Err(Error::Remote("ERR_NO_FUNDS: 5".into())));
        let error = client.request_at(found[0], Call::new("nothing", Json::null())).await;
        assert_eq!(error, Err(Error::Remote("ERR_SERVICE_NOTFOUND".into())));
        let replies = client.map(Call::new("echo", Json::null()), None).await.unwrap().all().await;
        assert_eq!(replies, [(found[0], Ok(Json::null()))]);
        client.close().await;
        assert_eq!(
            client.request_at(found[0], Call::new("echo", Json::null())).await,
            Err(Error::Stopped)
        );
    });
}

#[test]
fn streams_flow_both_ways_at_once() {
    let ring = ring();
    let worker = start_worker(None);
    let (port, api) = (worker.addr().port(), ring[0].api_addr());
    real(move || async move {
        let client = client(&[api.into()]);
        announce(client.link(), port).await;
        let args = Json::of(&serde_json::json!({ "text": "\u{20ac}" })).unwrap();
        let shout = StreamCall::new("shout").action("up").args(args);
        let stream = std::rc::Rc::new(client.stream(shout).await.unwrap());
        // Each piece comes back before the next one leaves.
        for _ in 0..3 {
            stream.send(Bytes::from_static(b"hello")).await.unwrap();
            assert_eq!(stream.recv().await.unwrap().unwrap(), "HELLO");
        }
        let sender = stream.clone();
        let sending = spawn_local(async move {
            for _ in 0..100 {
                sender.send(vec![b'a'; 100_000].into()).await.unwrap();
            }
            sender.finish();
        });
        let mut length = 0;
        while let Some(piece) = stream.recv().await.unwrap() {
            assert!(piece.iter().all(|byte| *byte == b'A'));
            length += piece.len();
        }
        assert_eq!(length, 10_000_000);
        sending.await.unwrap();
        drop(stream);

        let stream = client.stream(StreamCall::new("count")).await.unwrap();
        stream.send(vec![0; 1_000_000].into()).await.unwrap();
        stream.finish();
        assert_eq!(stream.reply().await.unwrap().as_str(), "1000000");
        assert!(stream.send(Bytes::new()).await.is_err());
        drop(stream);
        let stream = client.stream(StreamCall::new("refuse")).await.unwrap();
        stream.finish();
        assert_eq!(stream.reply().await, Err(Error::Remote("ERR_REFUSED".into())));
        drop(stream);
        // What moves in one direction keeps the other one waiting.
        let call = StreamCall::new("count").timeout(ms(400));
        let stream = std::rc::Rc::new(client.stream(call).await.unwrap());
        let sender = stream.clone();
        let sending = spawn_local(async move {
            for _ in 0..10 {
                grenache_engine::sleep(ms(100)).await;
                sender.send(Bytes::from_static(b"1234567")).await.unwrap();
            }
            sender.finish();
        });
        assert_eq!(stream.reply().await.unwrap().as_str(), "70");
        sending.await.unwrap();
        drop(stream);
        // A handler that waits for more than comes.
        let stream = client.stream(StreamCall::new("count").timeout(ms(100))).await.unwrap();
        let began = now();
        let error = stream.reply().await.unwrap_err();
        assert_eq!(error.code(), "ERR_TIMEOUT");
        assert!((ms(100)..ms(2000)).contains(&(now() - began)));
        drop(stream);
        assert_eq!(client.in_flight(), 0);
        let error = client.stream(StreamCall::new("count").action("\r\n")).await.err().unwrap();
        assert_eq!(error.code(), "ERR_CONFIG");
    });
}

#[test]
fn items_are_put_and_found_again() {
    let ring = ring();
    let apis = ring.each_ref().map(Node::api_addr);
    real(move || async move {
        let one = Link::new(&[apis[0].into()], link::Config::default(), None).unwrap();
        let two = Link::new(&[apis[1].into()], link::Config::default(), None).unwrap();
        // They have found each other when one stores what the other one has.
        let hello = Put::immutable("hello \u{20ac}").unwrap();
        while let Err(error) = one.put(&hello).await {
            assert_eq!(error, Error::Grape("No nodes to query".into()));
        }
        let item = two.get(&hello.key(), b"").await.unwrap().unwrap();
        assert_eq!((item.value.as_str(), item.seq), ("hello \u{20ac}", None));
        assert_eq!(two.get(&link::ItemKey([7; 20]), b"").await.unwrap(), None);

        let key = SecretKey::from_seed(&[7; 32]);
        for salt in [&b""[..], b"salt", b"\"123\"", b"[1]", b"\xff\x00"] {
            let version = |seq| Put::mutable(format!("version {seq}"), &key, seq, salt).unwrap();
            let at = one.put(&version(1)).await.unwrap();
            assert_eq!(two.put(&version(2).cas(1).unwrap()).await.unwrap(), at);
            for link in [&one, &two] {
                let item = link.get(&at, salt).await.unwrap().unwrap();
                assert_eq!((item.value.as_str(), item.seq), ("version 2", Some(2)));
                assert_eq!(item.key, Some(key.public()));
            }
            let text = |error: Result<_, Error>| error.unwrap_err().to_string();
            let mismatch = "301 CAS mismatch, re-read and try again";
            assert_eq!(text(one.put(&version(3).cas(1).unwrap()).await), mismatch);
            let less = "302 sequence number less than current";
            assert_eq!(text(one.put(&version(1)).await), less);
        }
    });
}

/// A certificate for 127.0.0.1 that vouches for itself.
fn certificate() -> (Vec<u8>, Vec<u8>) {
    let made = rcgen::generate_simple_self_signed(["127.0.0.1".to_string()]).unwrap();
    (made.cert.pem().into_bytes(), made.signing_key.serialize_pem().into_bytes())
}

#[test]
fn calls_over_tls() {
    let ring = ring();
    let (certificate, key) = certificate();
    let identity = Identity::from_pem(&certificate, &key).unwrap();
    let worker = start_worker(Some(ServerTls::new(identity)));
    let (port, api) = (worker.addr().port(), ring[0].api_addr());
    let certificate = Arc::new(certificate);
    real(move || {
        let certificate = certificate.clone();
        async move {
            let trusting = ClientTls::new(Authorities::from_pem(&certificate).unwrap());
            let link = Link::new(&[api.into()], link::Config::default(), None).unwrap();
            announce(&link, port).await;
            let call = || Call::new("echo", Json::of("hello").unwrap());
            let client = Client::new(link.clone(), Config::default(), Some(&trusting)).unwrap();
            for _ in 0..3 {
                assert_eq!(client.request(call()).await.unwrap().as_str(), "\"hello\"");
            }
            // Somebody else is trusted: the request does not leave.
            let strict = ClientTls::new(Authorities::from_pem(&self::certificate().0).unwrap());
            let client = Client::new(link.clone(), Config::default(), Some(&strict)).unwrap();
            let error = client.request(call()).await.unwrap_err();
            assert!(matches!(error, Error::Request { failure: Failure::Tls(_), .. }), "{error}");
            assert!(!error.may_have_run());
            // Plain text to a port that wants TLS.
            let plain = Client::new(link, Config::default(), None).unwrap();
            let error = plain.request(call().timeout(ms(2000))).await.unwrap_err();
            assert!(error.may_have_run(), "{error}");
        }
    });
}

#[test]
fn a_grape_and_a_worker_die() {
    let [one, two] = ring();
    let (first, second) = (start_worker(None), start_worker(None));
    let ports = [first.addr().port(), second.addr().port()];
    let apis = [one.api_addr(), two.api_addr()];
    let (kill, killed) = std::sync::mpsc::channel();
    let killer = std::thread::spawn(move || {
        killed.recv().unwrap();
        one.stop().unwrap();
        first.stop();
        first.join().unwrap();
        two
    });
    let peers: Vec<SocketAddrV4> =
        ports.iter().map(|port| SocketAddrV4::new(Ipv4Addr::LOCALHOST, *port)).collect();
    real(move || {
        let (kill, peers) = (kill.clone(), peers.clone());
        async move {
            // Both grapes know both workers.
            for api in apis {
                let link = Link::new(&[api.into()], link::Config::default(), None).unwrap();
                for peer in &peers {
                    link.announce("echo", peer.port()).await.unwrap();
                }
            }
            let client = client(&apis.map(Grape::from));
            let call = || Call::new("echo", Json::of("hello").unwrap());
            for _ in 0..20 {
                client.request(call()).await.unwrap();
            }
            kill.send(()).unwrap();
            let until = now() + Duration::from_secs(2);
            let mut calls = 0;
            while now() < until {
                // What was sent to the worker as it ended may have run, so it may be told so.
                if let Err(error) = client.request(call()).await {
                    assert!(error.may_have_run(), "{error}");
                }
                calls += 1;
                grenache_engine::sleep(ms(5)).await;
            }
            assert!(calls > 100, "nothing took long: {calls}");
            // The other grape gives up on the dead one first.
            client.link().forget("echo");
            client.request(call()).await.unwrap();
            assert_eq!(client.link().cached("echo").unwrap().len(), 2);
        }
    });
    drop(killer.join().unwrap());
}
