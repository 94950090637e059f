//! Items (BEP44): what is put anywhere is got anywhere, and only newer versions replace it.

mod world;

use bytes::Bytes;
use core::time::Duration;
use ed25519_dalek::{Signer, SigningKey};
use grenache_dht::{CommandError, Error, Mutable, Put};
use world::World;

fn text(text: &str) -> Bytes {
    format!("{}:{text}", text.len()).into()
}

fn immutable(value: &str) -> Put {
    Put { v: text(value), mutable: None }
}

fn signed(value: &str, salt: &'static str, seq: i64) -> Put {
    let key = SigningKey::from_bytes(&[7; 32]);
    let v = text(value);
    let mut message = Vec::new();
    if !salt.is_empty() {
        message.extend_from_slice(format!("4:salt{}:{salt}", salt.len()).as_bytes());
    }
    message.extend_from_slice(format!("3:seqi{seq}e1:v").as_bytes());
    message.extend_from_slice(&v);
    let sig = Bytes::copy_from_slice(&key.sign(&message).to_bytes());
    let k = key.verifying_key().to_bytes();
    Put { v, mutable: Some(Mutable { k, sig, seq, salt: salt.into(), cas: None }) }
}

fn ring(grapes: usize) -> World {
    let mut world = World::new(grapes as u64);
    for n in 0..grapes {
        world.start(3, if n == 0 { &[] } else { &[0] });
    }
    world.run_for(Duration::from_secs(2));
    world
}

#[test]
fn a_lone_grape_keeps_items() {
    let mut world = ring(1);
    let target = world.put(0, immutable("hello")).unwrap();
    let item = world.get(0, target, "").unwrap();
    assert_eq!((&item.v[..], item.own, item.token), (&b"5:hello"[..], true, None));
    let target = world.put(0, signed("one", "", 1)).unwrap();
    assert_eq!(world.get(0, target, "").unwrap().seq, Some(1));
    let stale = Err(Error::Refused { code: 302, text: "sequence number less than current".into() });
    assert_eq!(world.put(0, signed("again", "", 1)), stale);
    assert_eq!(world.get(0, [9; 20], ""), None);
    world.check_all_ended();
}

#[test]
fn items_are_found_from_everywhere() {
    let mut world = ring(4);
    let hello = world.put(1, immutable("hello")).unwrap();
    for n in 0..4 {
        let item = world.get(n, hello, "").unwrap();
        assert_eq!(&item.v[..], b"5:hello");
        assert!(item.own || item.token.is_some_and(|token| token.len() == 20));
    }
    let plain = world.put(2, signed("plain", "", -3)).unwrap();
    let salted = world.put(3, signed("salted", "salt", i64::MAX)).unwrap();
    for n in 0..4 {
        let item = world.get(n, plain, "").unwrap();
        assert_eq!((&item.v[..], item.seq), (&b"5:plain"[..], Some(-3)));
        let item = world.get(n, salted, "salt").unwrap();
        assert_eq!((&item.v[..], item.seq), (&b"6:salted"[..], Some(i64::MAX)));
        assert!(item.own || item.salt.is_some_and(|salt| salt == "salt"));
    }
    world.check_all_ended();
}

#[test]
fn only_newer_versions_replace_an_item() {
    let mut world = ring(3);
    let target = world.put(0, signed("one", "", 1)).unwrap();
    let refused = |code, text: &str| Err(Error::Refused { code, text: text.into() });
    let stale = refused(302, "sequence number less than current");
    assert_eq!(world.put(1, signed("uno", "", 1)), stale);
    assert_eq!(world.put(0, signed("zero", "", 0)), stale);
    let mut two = signed("two", "", 2);
    two.mutable.as_mut().unwrap().cas = Some(5);
    assert_eq!(world.put(0, two.clone()), refused(301, "CAS mismatch, re-read and try again"));
    two.mutable.as_mut().unwrap().cas = Some(1);
    assert_eq!(world.put(0, two), Ok(target));
    for n in 0..3 {
        assert_eq!(&world.get(n, target, "").unwrap().v[..], b"3:two");
    }
}

#[test]
fn the_highest_sequence_number_wins() {
    let mut world = ring(4);
    let target = world.put(0, signed("old", "", 1)).unwrap();
    // Half of the network misses the new version.
    world.side = vec![0, 0, 1, 1];
    assert_eq!(world.put(0, signed("new", "", 2)), Ok(target));
    world.side.fill(0);
    world.run_for(Duration::from_secs(90));
    for n in 0..4 {
        assert_eq!(&world.get(n, target, "").unwrap().v[..], b"3:new", "from grape {n}");
    }
}

#[test]
fn what_is_wrong_is_not_stored() {
    let mut world = ring(2);
    let mut forged = signed("forged", "", 1);
    forged.v = text("changed");
    assert_eq!(world.put(0, forged.clone()), Err(Error::AllQueriesFailed));
    assert_eq!(world.get(1, forged.target(), ""), None);
    // The other node says that it is too large; until then it is our own business.
    assert_eq!(world.put(0, immutable(&"v".repeat(1001))), Err(Error::AllQueriesFailed));
    assert!(world.put(0, immutable(&"v".repeat(1000))).is_ok());
    let now = world.now;
    let dht = &mut world.grapes[0].cores[0];
    let put = |dht: &mut grenache_dht::Dht, v: &str| {
        dht.put(now, Put { v: v.to_owned().into(), mutable: None })
    };
    assert_eq!(put(dht, "hello"), Err(CommandError::NotBencode));
    assert_eq!(put(dht, "i1ei2e"), Err(CommandError::NotBencode));
    assert_eq!(
        put(dht, &text(&"v".repeat(5000)).escape_ascii().to_string()),
        Err(CommandError::ValueTooLong)
    );
    let mut salted = signed("salted", "", 1);
    salted.mutable.as_mut().unwrap().salt = vec![b's'; 65].into();
    assert_eq!(dht.put(now, salted), Err(CommandError::SaltTooLong));
}

#[test]
fn the_least_recently_used_item_makes_room() {
    let mut world = World::new(1);
    world.start_with(1, |config| config.max_values = 3);
    let targets: Vec<_> =
        (0..3).map(|n| world.put(0, immutable(&format!("{n}"))).unwrap()).collect();
    assert!(world.get(0, targets[0], "").is_some());
    let newest = world.put(0, immutable("3")).unwrap();
    assert!(world.get(0, targets[0], "").is_some());
    assert!(world.get(0, newest, "").is_some());
    assert_eq!(world.get(0, targets[1], ""), None);
    assert_eq!(world.grapes[0].cores[0].stats().items, 3);
}

/// A query that got lost is sent again, but not a mutable put: if only its answer was lost, the second
/// copy would be refused as too old.
#[test]
fn a_mutable_put_is_not_sent_twice() {
    use core::net::{Ipv4Addr, SocketAddrV4};
    use grenache_dht::{Config, Dht, NodeId, krpc};
    let now = Duration::from_secs(1);
    let config = Config::new(NodeId::new([0; 20]), 20001, [1; 32], [2; 32]);
    let again = config.resend_after;
    let mut dht = Dht::new(config, now);
    let node = SocketAddrV4::new(Ipv4Addr::new(10, 0, 0, 1), 1);
    let sent = |dht: &mut Dht| dht.poll_transmit().map(|transmit| transmit.payload.to_vec());
    dht.receive(now, node, b"d1:ad2:id20:abcdefghij0123456789e1:q4:ping1:t2:aa1:y1:qe");
    sent(&mut dht);
    for (put, twice) in [(signed("x", "", 1), false), (immutable("x"), true)] {
        dht.put(now, put).unwrap();
        let get = sent(&mut dht).unwrap();
        let t = krpc::parse(&get).unwrap().transaction;
        let answer = [b"d1:rd2:id20:abcdefghij01234567895:token1:te1:t4:", t, b"1:y1:re"].concat();
        dht.receive(now, node, &answer);
        let put = sent(&mut dht).unwrap();
        dht.handle_timeout(now + again);
        assert_eq!(sent(&mut dht), twice.then_some(put));
    }
}
