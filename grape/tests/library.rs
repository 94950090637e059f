//! A grape inside a program: started, asked and stopped through the library.

use std::future::{Future, IntoFuture};
use std::net::{Ipv4Addr, SocketAddr};
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake};
use std::time::Duration;

use bytes::Bytes;
use grenache_dht::{Get, Put};
use grenache_grape::{Config, Error, Grape};

fn lone() -> Config {
    Config { dht_port: 0, api_port: 0, ..Config::default() }
}

fn beside(other: &Grape) -> Config {
    Config { bootstrap: vec![other.dht_addr().to_string()], ..lone() }
}

/// The smallest executor there is: the calls' futures must not need more.
fn block_on<F: Future>(future: F) -> F::Output {
    struct Unpark(std::thread::Thread);
    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    let waker = Arc::new(Unpark(std::thread::current())).into();
    let mut future = pin!(future);
    loop {
        match future.as_mut().poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(output) => return output,
            Poll::Pending => std::thread::park(),
        }
    }
}

#[test]
fn a_lone_grape_keeps_and_finds_what_it_is_told() {
    for cores in [1, 4] {
        let grape = Grape::start(Config { cores, ..lone() }).unwrap();
        for at in 1..20u16 {
            let service = format!("service {at}");
            assert_eq!(grape.announce(&service, 1000 + at).wait().unwrap(), 1);
            let found = block_on(grape.lookup(&service).into_future()).unwrap();
            assert_eq!(found, [format!("127.0.0.1:{}", 1000 + at).parse().unwrap()]);
        }
        assert_eq!(grape.lookup("nobody").wait().unwrap(), []);
        assert_eq!(grape.announce("service 1", 0).wait().unwrap(), 1);
        assert_eq!(grape.lookup("service 1").wait().unwrap().len(), 2);
        grape.stop().unwrap();
    }
}

#[test]
fn grapes_find_what_others_were_told() {
    let first = Grape::start(Config { cores: 3, ..lone() }).unwrap();
    let second = Grape::start(Config { cores: 2, ..beside(&first) }).unwrap();
    for at in 0..20u16 {
        let service = format!("service {at}");
        assert!(second.announce(&service, 1000 + at).wait().unwrap() >= 1);
        let expected: SocketAddr = (Ipv4Addr::LOCALHOST, 1000 + at).into();
        for grape in [&first, &second] {
            let found = grape.lookup(&service).wait().unwrap();
            assert!(
                found.iter().any(|peer| SocketAddr::V4(*peer) == expected),
                "{service}: {found:?}"
            );
        }
    }
    let put = Put { v: Bytes::from_static(b"5:hello"), mutable: None };
    let target = first.put(put).wait().unwrap();
    let item = second.get(Get { target, salt: Bytes::new() }).wait().unwrap().unwrap();
    assert_eq!(item.v, "5:hello");
    assert_eq!(second.get(Get { target: [7; 20], salt: Bytes::new() }).wait().unwrap(), None);
}

#[test]
fn a_peer_is_gone_when_its_time_is_up() {
    let peer_max_age = Duration::from_millis(300);
    let grape = Grape::start(Config { peer_max_age, ..lone() }).unwrap();
    let announced = std::time::Instant::now();
    grape.announce("brief", 1).wait().unwrap();
    while !grape.lookup("brief").wait().unwrap().is_empty() {
        assert!(announced.elapsed() < Duration::from_secs(5), "never forgotten");
    }
    assert!(announced.elapsed() >= peer_max_age);
}

#[test]
fn a_taken_port_is_named() {
    let grape = Grape::start(lone()).unwrap();
    let again = |config| match Grape::start(config) {
        Err(Error::Start(error)) => error.to_string(),
        Err(error) => panic!("{error}"),
        Ok(_) => panic!("two grapes on one port"),
    };
    let dht = again(Config { dht_port: grape.dht_addr().port(), ..lone() });
    assert!(dht.contains(&grape.dht_addr().to_string()), "{dht}");
    let api = again(Config { api_port: grape.api_addr().port(), ..lone() });
    assert!(api.contains(&grape.api_addr().to_string()), "{api}");
}

#[test]
fn what_a_stopped_grape_is_asked_ends_with_an_error() {
    let grape = Grape::start(lone()).unwrap();
    let stopper = grape.stopper();
    let api = grape.api_addr();
    stopper.stop();
    // Whatever the stop overtakes says so; nobody waits for ever.
    let asked: Vec<_> = (0..100).map(|_| grape.lookup("anything")).collect();
    for asked in asked {
        assert!(matches!(asked.wait(), Ok(_) | Err(Error::Stopped | Error::Busy)));
    }
    grape.join().unwrap();
    assert!(std::net::TcpStream::connect(api).is_err());
}

#[test]
fn settings_that_cannot_be_are_refused() {
    for cores in [0, 129] {
        assert!(matches!(Grape::start(Config { cores, ..lone() }), Err(Error::Config(_))));
    }
}
