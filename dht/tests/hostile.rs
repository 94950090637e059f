//! What comes from outside is not trusted: it is answered within limits, or dropped and counted.

mod wire;

use core::net::{Ipv4Addr, SocketAddrV4};
use core::time::Duration;
use grenache_dht::krpc::{self, Body};
use grenache_dht::{Config, Contact, Dht, Event, NodeId};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use wire::{NOW, VALUES, addr, config, events, query, response, sent};

/// A node that knows one other, and the transaction of its lookup of "x" there.
fn asking() -> (Dht, Vec<u8>) {
    let mut dht = Dht::new(config(), NOW);
    dht.receive(NOW, addr(1), &query(&[1; 20], "ping", b""));
    sent(&mut dht);
    dht.lookup(NOW, "x").unwrap();
    let asked = sent(&mut dht);
    assert_eq!((asked.len(), asked[0].0), (1, addr(1)));
    events(&mut dht);
    let transaction = krpc::parse(&asked[0].1).unwrap().transaction.to_vec();
    (dht, transaction)
}

#[test]
fn answers_count_only_from_the_one_who_was_asked_and_once() {
    let (mut dht, transaction) = asking();
    let good = response(&[1; 20], VALUES, &transaction);
    // From elsewhere, or from another port.
    dht.receive(NOW, addr(2), &good);
    dht.receive(NOW, SocketAddrV4::new(*addr(1).ip(), 1), &good);
    assert_eq!(dht.stats().wrong_address, 2);
    // With guessed transactions.
    for n in 0..=255u8 {
        let mut guess = transaction.clone();
        guess[1] ^= n.max(1);
        dht.receive(NOW, addr(1), &response(&[1; 20], VALUES, &guess));
        dht.receive(NOW, addr(1), &response(&[1; 20], VALUES, &[n, n]));
    }
    dht.receive(NOW, addr(1), &response(&[1; 20], VALUES, b""));
    let other_core = [&[transaction[0] + 1], &transaction[1..]].concat();
    dht.receive(NOW, addr(1), &response(&[1; 20], VALUES, &other_core));
    assert_eq!(dht.stats().unexpected, 2 * 256 + 2);
    assert!(events(&mut dht).iter().all(|event| *event == Event::Warning));
    assert_eq!(dht.stats().contacts, 1, "liars are not remembered");
    dht.receive(NOW, addr(1), &good);
    let ends = events(&mut dht);
    assert!(matches!(&ends[..], [Event::LookupDone { peers, nodes: 1, .. }] if peers.len() == 1));
    dht.receive(NOW, addr(1), &good);
    assert_eq!(events(&mut dht), [Event::Warning]);
}

#[test]
fn a_lookup_does_not_join_one_that_may_have_missed_news() {
    let mut dht = Dht::new(config(), NOW);
    for n in 1..=2 {
        dht.receive(NOW, addr(n), &query(&[n; 20], "ping", b""));
    }
    sent(&mut dht);
    let answer = |dht: &mut Dht, (to, asked): &(SocketAddrV4, Vec<u8>), fields| {
        let t = krpc::parse(asked).unwrap().transaction.to_vec();
        dht.receive(NOW, *to, &response(&[to.ip().octets()[3]; 20], fields, &t));
    };
    dht.lookup(NOW, "x").unwrap();
    let first = sent(&mut dht);
    assert_eq!(first.len(), 2);
    answer(&mut dht, &first[0], b"");
    // Now that node stores a peer. Who asks from now on must find it.
    dht.lookup(NOW, "x").unwrap();
    dht.lookup(NOW, "x").unwrap();
    let second = sent(&mut dht);
    assert_eq!(second.len(), 2, "one more traversal for the two of them");
    answer(&mut dht, &second[0], VALUES);
    answer(&mut dht, &second[1], b"");
    answer(&mut dht, &first[1], b"");
    let found: Vec<usize> = events(&mut dht)
        .iter()
        .filter_map(|event| match event {
            Event::LookupDone { peers, .. } => Some(peers.len()),
            _ => None,
        })
        .collect();
    assert_eq!(found, [1, 1, 0]);
    assert_eq!(dht.stats().traversals, 0);
}

#[test]
fn transactions_cannot_be_foretold() {
    let ids: Vec<Vec<u8>> = (0..3).map(|_| asking().1).collect();
    assert_eq!(ids[0], ids[1], "the same seed, the same run");
    let mut dht = Dht::new(config(), NOW);
    dht.receive(NOW, addr(1), &query(&[1; 20], "ping", b""));
    sent(&mut dht);
    let mut numbers: Vec<u32> = (0..200)
        .map(|n| {
            dht.lookup(NOW, format!("{n}")).unwrap();
            let asked = sent(&mut dht);
            let t = krpc::parse(&asked[0].1).unwrap().transaction.to_vec();
            assert_eq!(t[0], 0, "the core");
            u32::from_be_bytes([0, t[1], t[2], t[3]])
        })
        .collect();
    let rising = numbers.windows(2).filter(|pair| pair[0] < pair[1]).count();
    assert!((60..140).contains(&rising));
    numbers.sort_unstable();
    numbers.dedup();
    assert_eq!(numbers.len(), 200);
}

#[test]
fn an_answer_without_a_proper_id_is_no_answer() {
    for id in [&[1; 19][..], &[1; 21], b"", &[0; 20]] {
        let (mut dht, transaction) = asking();
        dht.receive(NOW, addr(1), &response(id, VALUES, &transaction));
        let mut ends = events(&mut dht);
        ends.retain(|event| !matches!(event, Event::ContactGone(_)));
        assert!(
            matches!(&ends[..], [Event::LookupDone { peers, nodes: 0, .. }] if peers.is_empty())
        );
        assert_eq!(dht.stats().bad_senders, 1);
    }
}

#[test]
fn tokens_are_good_only_for_the_address_they_were_given_to() {
    let mut dht = Dht::new(config(), NOW);
    let token_for = |dht: &mut Dht, n| {
        dht.receive(NOW, addr(n), &query(&[n; 20], "get_peers", b"9:info_hash1:x"));
        let answer = sent(dht).remove(0).1;
        match krpc::parse(&answer).unwrap().body {
            Body::Response(fields) => fields.token.unwrap().to_vec(),
            other => panic!("{other:?}"),
        }
    };
    let token = token_for(&mut dht, 1);
    let announce = |dht: &mut Dht, now, n, token: &[u8]| {
        let length = format!("9:info_hash1:x4:porti7e5:token{}:", token.len());
        let arguments = [length.as_bytes(), token].concat();
        dht.receive(now, addr(n), &query(&[n; 20], "announce_peer", &arguments));
        let answer = sent(dht).remove(0).1;
        matches!(krpc::parse(&answer).unwrap().body, Body::Response(_))
    };
    assert!(!announce(&mut dht, NOW, 2, &token));
    assert!(!announce(&mut dht, NOW, 1, &token[1..]));
    assert!(!announce(&mut dht, NOW, 1, &[]));
    let mut rng = StdRng::seed_from_u64(1);
    for _ in 0..1000 {
        assert!(!announce(&mut dht, NOW, 1, &rng.random::<[u8; 20]>()));
    }
    assert_eq!(dht.stats().bad_tokens, 1003);
    assert_eq!(dht.stats().peers, 0);
    assert!(announce(&mut dht, Duration::from_secs(599), 1, &token));
    assert!(!announce(&mut dht, Duration::from_secs(600), 1, &token));
    assert_eq!(dht.stats().peers, 1);
}

#[test]
fn a_flood_of_ids_neither_grows_the_table_nor_drives_out_those_who_answer() {
    let mut dht = Dht::new(config(), NOW);
    let mut rng = StdRng::seed_from_u64(2);
    let honest: Vec<NodeId> = (0..20u8).map(|n| NodeId::new([0x80 + n; 20])).collect();
    for (n, id) in honest.iter().enumerate() {
        dht.receive(NOW, addr(n as u8), &query(id.as_bytes(), "ping", b""));
    }
    for n in 0..20_000u32 {
        let from = SocketAddrV4::new(Ipv4Addr::from_bits(0x0b00_0000 + n), 1);
        dht.receive(NOW, from, &query(&rng.random::<[u8; 20]>(), "ping", b""));
        sent(&mut dht);
    }
    assert!(dht.stats().contacts <= 20 * 20, "{}", dht.stats().contacts);
    assert!(honest.iter().all(|id| dht.contacts().any(|contact| contact.id == *id)));
    // One address with many ids has one place.
    let before = dht.stats().contacts;
    for _ in 0..1000 {
        dht.receive(NOW, addr(200), &query(&rng.random::<[u8; 20]>(), "ping", b""));
    }
    assert!(dht.stats().contacts <= before + 1);
    // A query with a known id from elsewhere moves nothing: its address may be a lie.
    dht.receive(NOW, addr(99), &query(honest[3].as_bytes(), "ping", b""));
    assert!(dht.contacts().any(|contact| contact.id == honest[3] && contact.addr == addr(3)));
}

#[test]
fn nodes_dropped_for_silence_are_not_asked_on_hearsay_for_a_while() {
    let mut dht = Dht::new(config(), NOW);
    for n in 1..=2 {
        dht.receive(NOW, addr(n), &query(&[n; 20], "ping", b""));
    }
    sent(&mut dht);
    // Node 1 answers and tells of node 2, which is silent. True if node 2 was asked.
    let lookup = |dht: &mut Dht, now| {
        dht.lookup(now, "x").unwrap();
        let [port_high, port_low] = addr(2).port().to_be_bytes();
        let nodes = [b"5:nodes26:", &[2; 20][..], &[10, 0, 0, 2, port_high, port_low]].concat();
        let mut asked = false;
        loop {
            let queries = sent(dht);
            if queries.is_empty() {
                break;
            }
            for (to, datagram) in queries {
                asked |= to == addr(2);
                if to == addr(1) {
                    let t = krpc::parse(&datagram).unwrap().transaction.to_vec();
                    dht.receive(now, to, &response(&[1; 20], &nodes, &t));
                }
            }
        }
        // Let what was asked of node 2 time out, and nothing else happen.
        dht.handle_timeout(now + config().query_timeout);
        sent(dht);
        asked
    };
    let second = Duration::from_secs(1);
    assert!(lookup(&mut dht, NOW));
    assert!(lookup(&mut dht, NOW + 3 * second));
    assert_eq!(dht.stats().contacts, 1, "dropped");
    assert!(!lookup(&mut dht, NOW + 6 * second));
    assert!(!lookup(&mut dht, NOW + 20 * second));
    assert!(lookup(&mut dht, NOW + 5 * second + config().silence_memory));
    // A sign of life is enough.
    let later = NOW + 60 * second;
    dht.receive(later, addr(2), &query(&[2; 20], "ping", b""));
    sent(&mut dht);
    assert!(lookup(&mut dht, later));
}

#[test]
fn own_id_and_impossible_addresses_are_no_contacts() {
    let mut dht = Dht::new(config(), NOW);
    dht.receive(NOW, addr(1), &query(&[0; 20], "ping", b""));
    dht.receive(NOW, SocketAddrV4::new(*addr(1).ip(), 0), &query(&[1; 20], "ping", b""));
    dht.receive(NOW, SocketAddrV4::new(Ipv4Addr::BROADCAST, 1), &query(&[2; 20], "ping", b""));
    assert_eq!(dht.stats().contacts, 0);
    assert_eq!(sent(&mut dht).len(), 1, "those that cannot be reached are not answered");
}

#[test]
fn a_grape_that_is_its_own_bootstrap_node_is_alone() {
    let mut dht = Dht::new(Config { bootstrap: vec![addr(9)], ..config() }, NOW);
    for _ in 0..4 {
        // Everything comes back to the sender.
        for (to, datagram) in sent(&mut dht) {
            assert_eq!(to, addr(9));
            dht.receive(NOW, addr(9), &datagram);
        }
    }
    assert_eq!(dht.stats().contacts, 0);
    assert_eq!(events(&mut dht), [Event::Ready]);
    dht.announce(NOW, "x", 7, Ipv4Addr::LOCALHOST).unwrap();
    assert!(sent(&mut dht).is_empty());
}

#[test]
fn random_and_broken_datagrams_do_no_harm() {
    let mut rng = StdRng::seed_from_u64(3);
    let mut dht = Dht::new(Config { shards: 3, ..config() }, NOW);
    let templates = [
        query(&[1; 20], "get_peers", b"9:info_hash13:rest:util:net"),
        query(&[2; 20], "announce_peer", b"12:implied_porti1e9:info_hash1:x4:porti7e5:token2:zz"),
        query(
            &[3; 20],
            "put",
            b"1:k32:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa3:seqi1e5:token1:x1:vli1eee",
        ),
        response(&[4; 20], VALUES, b"\0abc"),
        b"d1:eli203e4:texte1:t4:\0abc1:y1:ee".to_vec(),
    ];
    for round in 0..60_000 {
        let mut datagram = templates[round % templates.len()].clone();
        for _ in 0..rng.random_range(0..4) {
            let at = rng.random_range(0..datagram.len());
            match rng.random_range(0..4) {
                0 => datagram[at] = rng.random(),
                1 => datagram.truncate(at + 1),
                2 => datagram.insert(at, rng.random()),
                _ => {
                    let copy = datagram[at..].to_vec();
                    datagram.extend_from_slice(&copy);
                }
            }
        }
        dht.route(&datagram);
        dht.receive(NOW, addr(rng.random()), &datagram);
        assert!(sent(&mut dht).len() <= 2);
        events(&mut dht);
    }
    let stats = dht.stats();
    let dropped = stats.malformed + stats.ignored + stats.unexpected + stats.bad_senders;
    assert!(stats.malformed > 1000 && stats.answered > 1000 && stats.unexpected > 1000);
    assert!(stats.answered + dropped >= stats.received, "{stats:?}");
}

#[test]
fn hearsay_between_cores_moves_no_contact() {
    let (mut dht, _) = asking();
    // Another core met node 1 in a query that may be spoofed, from an address of its own or of others.
    for lie in [(1, 2), (2, 1)] {
        let [id, at] = <[u8; 2]>::from(lie);
        dht.learn(NOW, Contact { id: NodeId::new([id; 20]), addr: addr(at) });
        let known = Contact { id: NodeId::new([1; 20]), addr: addr(1) };
        assert_eq!(dht.contacts().collect::<Vec<_>>(), [known]);
    }
    // A node whose place another core saw taken is forgotten first.
    dht.forget(NodeId::new([1; 20]));
    let new = Contact { id: NodeId::new([2; 20]), addr: addr(1) };
    dht.learn(NOW, new);
    assert_eq!(dht.contacts().collect::<Vec<_>>(), [new]);
}
