//! Everything that is kept has a limit, and what is beyond it is refused or dropped and counted.

mod wire;

use core::net::Ipv4Addr;
use core::time::Duration;
use grenache_dht::krpc::{self, Body};
use grenache_dht::{CommandError, Config, Dht, Event};
use wire::{NOW, VALUES, addr, config, events, query, response, sent};

#[test]
fn stores_are_bounded_and_keep_what_they_have() {
    let limits = Config {
        max_services: 3,
        max_peers_per_service: 2,
        max_key: 10,
        max_key_bytes: 20,
        ..config()
    };
    let mut dht = Dht::new(limits, NOW);
    let mut announce = |key: &str, port| {
        dht.announce(NOW, key.to_owned(), port, Ipv4Addr::LOCALHOST).map(|_| {
            let ends = events(&mut dht);
            ends.iter().any(|e| matches!(e, Event::Announced { result: Ok(1), .. }))
        })
    };
    assert_eq!(announce("eleven byte", 1), Err(CommandError::KeyTooLong));
    assert_eq!(announce("a", 1), Ok(true));
    assert_eq!(announce("a", 2), Ok(true));
    assert_eq!(announce("a", 3), Ok(false));
    assert_eq!(announce("a", 2), Ok(true), "renewed");
    assert_eq!(announce("ten bytes1", 1), Ok(true));
    assert_eq!(announce("ten bytes2", 1), Ok(false), "20 bytes of keys");
    assert_eq!(announce("b", 1), Ok(true));
    assert_eq!(announce("c", 1), Ok(false), "3 services");
    assert_eq!(dht.stats().over_limit, 3);
    assert_eq!((dht.stats().services, dht.stats().peers), (3, 4));
    // When their time is up there is room again.
    let later = NOW + Duration::from_secs(120);
    dht.announce(later, "a", 3, Ipv4Addr::LOCALHOST).unwrap();
    assert!(matches!(events(&mut dht).last(), Some(Event::Announced { result: Ok(1), .. })));
}

#[test]
fn peers_of_all_services_together_are_bounded() {
    let mut dht = Dht::new(Config { max_peers: 3, ..config() }, NOW);
    let mut announce = |now, key: &'static str, port| {
        dht.handle_timeout(now);
        dht.announce(now, key, port, Ipv4Addr::LOCALHOST).unwrap();
        matches!(events(&mut dht).last(), Some(Event::Announced { result: Ok(1), .. }))
    };
    assert!(announce(NOW, "a", 1) && announce(NOW, "a", 2) && announce(NOW, "b", 1));
    assert!(!announce(NOW, "a", 3), "in a service that has peers");
    assert!(!announce(NOW, "c", 1), "in a new one");
    assert!(announce(NOW, "a", 1), "renewed");
    // When their time is up there is room again.
    assert!(announce(NOW + Duration::from_secs(120), "c", 1));
    assert_eq!(dht.stats().over_limit, 2);
}

#[test]
fn many_peers_are_answered_with_a_random_few() {
    let mut dht = Dht::new(config(), NOW);
    for port in 1..=5000 {
        dht.announce(NOW, "x", port, Ipv4Addr::LOCALHOST).unwrap();
    }
    events(&mut dht);
    let mut counts = vec![0; 5001];
    for _ in 0..300 {
        dht.receive(NOW, addr(1), &query(&[1; 20], "get_peers", b"9:info_hash1:x"));
        let answer = sent(&mut dht).remove(0).1;
        assert!(answer.len() <= config().max_answer);
        let Body::Response(fields) = krpc::parse(&answer).unwrap().body else { panic!() };
        let ports: Vec<_> =
            fields.peers().map(|p| usize::from(u16::from_be_bytes([p[4], p[5]]))).collect();
        assert!(ports.len() > 100);
        ports.iter().for_each(|&port| counts[port] += 1);
    }
    assert!(counts[1..].iter().filter(|&&count| count > 0).count() > 4900);
    assert!(counts.iter().all(|&count| count < 40));
}

#[test]
fn commands_and_queries_in_flight_are_bounded_and_wait_their_turn() {
    let limits = Config { max_operations: 50, max_queries: 5, ..config() };
    let mut dht = Dht::new(limits, NOW);
    for n in 1..=10u8 {
        dht.receive(NOW, addr(n), &query(&[n; 20], "ping", b""));
    }
    sent(&mut dht);
    events(&mut dht);
    for n in 0..50 {
        dht.lookup(NOW, format!("{n}")).unwrap();
    }
    assert_eq!(dht.lookup(NOW, "one more"), Err(CommandError::Busy));
    let (mut done, mut asked) = (0, 0);
    loop {
        assert!(dht.stats().queries <= 5);
        let queries = sent(&mut dht);
        if queries.is_empty() {
            break;
        }
        for (to, datagram) in queries {
            asked += 1;
            let n = to.ip().octets()[3];
            let t = krpc::parse(&datagram).unwrap().transaction.to_vec();
            dht.receive(NOW, to, &response(&[n; 20], VALUES, &t));
        }
        done += events(&mut dht).len();
    }
    assert_eq!((done, asked), (50, 500));
    assert!(dht.lookup(NOW, "one more").is_ok());
}

#[test]
fn what_the_driver_does_not_take_is_dropped_and_counted() {
    let limits = Config { max_transmits: 10, max_notices: 10, ..config() };
    let mut dht = Dht::new(limits, NOW);
    for _ in 0..100 {
        dht.receive(NOW, addr(1), &query(&[1; 20], "ping", b""));
        dht.receive(NOW, addr(1), b"nonsense");
    }
    assert_eq!((sent(&mut dht).len(), events(&mut dht).len()), (10, 10));
    // Ready, Node and Contact are notices too.
    assert_eq!((dht.stats().untransmitted, dht.stats().unnoticed), (90, 93));
    assert_eq!(dht.stats().malformed, 100);
}

#[test]
fn silence_about_a_name_that_may_not_have_arrived_blames_nobody() {
    let mut dht = Dht::new(config(), NOW);
    dht.receive(NOW, addr(1), &query(&[1; 20], "ping", b""));
    let mut now = NOW;
    let mut ask = |dht: &mut Dht, name: String| {
        dht.lookup(now, name).unwrap();
        while dht.stats().queries > 0 {
            now = dht.poll_timeout().unwrap();
            dht.handle_timeout(now);
        }
        let ended = events(dht).iter().any(|event| matches!(event, Event::LookupDone { .. }));
        assert!(ended);
        dht.contacts().count()
    };
    for _ in 0..5 {
        assert_eq!(ask(&mut dht, "n".repeat(2000)), 1);
    }
    assert_eq!((0..5).map(|_| ask(&mut dht, "n".into())).last(), Some(0));
}
