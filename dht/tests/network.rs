//! What users of a network of grapes see: what is announced anywhere is found anywhere until it expires,
//! over bad networks and through restarts, and every command ends.

mod world;

use core::time::Duration;
use rand::RngExt;
use world::World;

const SECOND: Duration = Duration::from_secs(1);
const MAX_AGE: Duration = Duration::from_secs(120);

fn keys() -> Vec<Vec<u8>> {
    let names = ["x", "rest:util:net", "rest:util:net2", "služba:☃", "twenty-bytes-exactly"];
    let long = [21, 300].map(|length| (0..length).map(|i| b'a' + i as u8 % 26).collect());
    names.iter().map(|name| name.as_bytes().to_vec()).chain(long).collect()
}

#[test]
fn a_lone_grape_keeps_what_is_announced_until_its_time_is_up() {
    let mut world = World::new(1);
    world.start(3, &[]);
    assert_eq!(world.lookup(0, b"none"), []);
    for key in keys() {
        assert_eq!(world.announce(0, &key, 1337), Ok(1));
        assert_eq!(world.announce(0, &key, 1338), Ok(1));
        assert_eq!(world.lookup(0, &key), [1337, 1338]);
    }
    world.run_for(MAX_AGE - SECOND);
    assert_eq!(world.announce(0, b"x", 1338), Ok(1));
    world.run_for(SECOND - Duration::from_nanos(1));
    assert_eq!(world.lookup(0, b"x"), [1337, 1338]);
    world.run_for(Duration::from_nanos(1));
    assert_eq!(world.lookup(0, b"x"), [1338]);
    world.run_for(MAX_AGE + SECOND);
    assert_eq!(world.lookup(0, b"x"), []);
    // The memory is given back too.
    world.run_for(MAX_AGE);
    for core in &world.grapes[0].cores {
        assert_eq!((core.stats().peers, core.stats().services), (0, 0));
    }
    assert_eq!(world.sent, 0);
    assert_eq!(world.grapes[0].notices["ready"], 1);
    world.check_all_ended();
}

#[test]
fn with_a_host_it_is_stored_under_that_address_too() {
    let mut world = World::new(2);
    let host = core::net::Ipv4Addr::new(10, 9, 9, 9);
    world.start_with(1, |config| config.host = Some(host));
    assert_eq!(world.announce(0, b"x", 0), Ok(1));
    let command = world.begin_lookup(0, b"x");
    let grenache_dht::Event::LookupDone { peers, .. } = world.wait(command).1 else { panic!() };
    // Port 0 is the grape's own.
    assert_eq!(peers, [core::net::SocketAddrV4::new(host, 20001)]);
    assert_eq!(world.grapes[0].notices["announce"], 1);
}

#[test]
fn two_grapes_find_what_either_announces() {
    let mut world = World::new(3);
    world.start(3, &[]);
    world.start(2, &[0]);
    world.run_for(SECOND);
    for (n, key) in keys().into_iter().enumerate() {
        let port = 100 + n as u16;
        let sent = world.sent;
        assert_eq!(world.announce(n % 2, &key, port), Ok(1));
        assert_eq!(world.sent - sent, 4, "get_peers and announce_peer, and their answers");
        // The second time the token is still known.
        assert_eq!(world.announce(n % 2, &key, port), Ok(1));
        assert_eq!(world.sent - sent, 6);
        assert_eq!(world.lookup(0, &key), [port]);
        assert_eq!(world.lookup(1, &key), [port]);
    }
    world.run_for(MAX_AGE);
    for key in keys() {
        assert_eq!(world.lookup(0, &key), []);
        assert_eq!(world.lookup(1, &key), []);
    }
    world.check_all_ended();
}

#[test]
fn identical_lookups_share_a_traversal_until_it_hears_an_answer() {
    let mut world = World::new(4);
    world.start(1, &[]);
    world.start(1, &[0]);
    world.run_for(SECOND);
    world.announce(0, b"x", 7).unwrap();
    let sent = world.sent;
    let commands: Vec<_> = (0..100).map(|_| world.begin_lookup(0, b"x")).collect();
    for command in commands {
        assert_eq!(world.found(command), [7]);
    }
    assert_eq!(world.sent - sent, 2);
    // Nothing is remembered from one to the next.
    assert_eq!(world.lookup(0, b"x"), [7]);
    assert_eq!(world.sent - sent, 4);
}

fn ring(world: &mut World, grapes: usize, cores: u8) {
    for n in 0..grapes {
        let other = if n == 0 { vec![] } else { vec![world.rng.random_range(0..n)] };
        world.start(cores, &other);
        world.run_for(SECOND / 10);
    }
    world.run_for(2 * SECOND);
}

#[test]
fn in_a_network_everyone_finds_everything_until_it_expires() {
    let mut world = World::new(5);
    ring(&mut world, 60, 2);
    for n in 0..60 {
        let stored = world.announce(n, format!("service:{}", n % 10).as_bytes(), n as u16 + 1);
        assert_eq!(stored, Ok(20), "K nodes store it");
    }
    for n in 0..60u16 {
        let service = (n * 7 + 3) % 10;
        let expected: Vec<u16> = (0..60).filter(|n| n % 10 == service).map(|n| n + 1).collect();
        let found = world.lookup(usize::from(n), format!("service:{service}").as_bytes());
        assert_eq!(found, expected);
    }
    world.run_for(MAX_AGE);
    for n in 0..60 {
        assert_eq!(world.lookup(n, format!("service:{}", n % 10).as_bytes()), []);
    }
    world.check_all_ended();
}

#[test]
fn a_bad_network_loses_nothing_that_was_acknowledged() {
    for seed in 0..4 {
        let mut world = World::new(100 + seed);
        world.double = 0.1;
        world.delay = (SECOND / 1000, SECOND / 5);
        ring(&mut world, 30, 3);
        world.loss = 0.1;
        let mut acknowledged = Vec::new();
        let mut commands = Vec::new();
        for n in 0..30u16 {
            let key = format!("service:{}", n % 7);
            let began = world.now;
            commands.push((
                began,
                key.clone(),
                n,
                world.begin_announce(n.into(), key.as_bytes(), n + 1),
            ));
            world.begin_lookup(usize::from(29 - n), key.as_bytes());
            world.run_for(SECOND / 20);
        }
        for (began, key, n, command) in commands {
            let (ended, event) = world.wait(command);
            if let grenache_dht::Event::Announced { result: Ok(_), .. } = event {
                acknowledged.push((key, n + 1, began, ended));
            }
        }
        assert!(acknowledged.len() >= 28);
        for (key, port, began, _) in &acknowledged {
            let from = world.rng.random_range(0..30);
            let found = world.lookup(from, key.as_bytes());
            assert!(world.now < *began + MAX_AGE);
            assert!(found.contains(port), "{key} on {port} is lost, found {found:?}");
        }
        world.run_for(MAX_AGE);
        for (key, ..) in &acknowledged {
            assert_eq!(world.lookup(3, key.as_bytes()), [], "expired");
        }
        world.check_all_ended();
    }
}

#[test]
fn commands_end_when_nobody_answers_any_more() {
    let mut world = World::new(6);
    ring(&mut world, 25, 2);
    world.announce(3, b"x", 5).unwrap();
    world.loss = 1.0;
    let began = world.now;
    let commands = [
        world.begin_lookup(3, b"x"),
        world.begin_lookup(3, b"y"),
        world.begin_announce(3, b"x", 5),
        world.begin_announce(3, b"z", 5),
    ];
    for command in commands {
        let (ended, _) = world.wait(command);
        assert!(ended - began <= 24 * SECOND);
    }
    world.check_all_ended();
}

#[test]
fn a_grape_that_comes_back_with_another_id_is_used_again() {
    let mut world = World::new(7);
    world.start(2, &[1]);
    world.run_for(5 * SECOND);
    assert_eq!(world.grapes[0].notices["ready"], 1, "also if the bootstrap node is not up");
    // It is found soon after it is up.
    world.start(2, &[]);
    world.run_for(10 * SECOND);
    assert_eq!(world.announce(0, b"x", 9), Ok(1));
    assert_eq!(world.lookup(1, b"x"), [9]);
    world.kill(1);
    world.restart(1);
    // All it had is gone; the old token is refused, and a new one asked for.
    assert_eq!(world.lookup(0, b"x"), []);
    assert_eq!(world.announce(0, b"x", 9), Ok(1));
    assert_eq!(world.lookup(0, b"x"), [9]);
    assert_eq!(world.lookup(1, b"x"), [9]);
    world.check_all_ended();
}

#[test]
fn dead_grapes_slow_lookups_down_only_for_a_while() {
    let mut world = World::new(8);
    ring(&mut world, 8, 2);
    world.announce(0, b"x", 9).unwrap();
    for n in 5..8 {
        world.kill(n);
    }
    world.run_for(10 * SECOND);
    for n in 0..5 {
        assert_eq!(world.lookup(n, b"x"), [9]);
    }
    world.run_for(SECOND);
    for n in 0..5 {
        let _ = world.lookup(n, b"x");
        let began = world.now;
        assert_eq!(world.lookup(n, b"x"), [9]);
        assert!(world.now - began < SECOND, "the dead are known by now");
    }
    world.check_all_ended();
}

#[test]
fn two_halves_meet_again() {
    let mut world = World::new(9);
    for n in 0..10 {
        world.start(2, if n < 2 { &[1, 0] } else { &[0, 1] });
    }
    world.run_for(5 * SECOND);
    for n in 5..10 {
        world.side[n] = 1;
    }
    world.side[1] = 1;
    for _ in 0..20 {
        for n in 0..10 {
            world.lookup(n, b"x");
        }
        world.run_for(20 * SECOND);
    }
    assert!(world.grapes[0].cores[0].contacts().count() < 6);
    world.side.fill(0);
    world.run_for(70 * SECOND);
    world.announce(2, b"x", 2).unwrap();
    world.announce(9, b"x", 9).unwrap();
    for n in 0..10 {
        assert_eq!(world.lookup(n, b"x"), [2, 9]);
    }
    world.check_all_ended();
}

#[test]
fn all_cores_learn_all_contacts_and_gossip_ends() {
    let mut world = World::new(10);
    ring(&mut world, 15, 4);
    for n in 0..15 {
        world.lookup(n, b"x");
    }
    for grape in &world.grapes {
        for core in &grape.cores {
            assert_eq!(core.contacts().count(), 14);
        }
    }
    // Nothing is said when there is nothing new.
    let gossip = |world: &World| -> usize {
        world
            .grapes
            .iter()
            .map(|g| g.notices["contact"] + g.notices.get("gone").unwrap_or(&0))
            .sum()
    };
    let (before, sent) = (gossip(&world), world.sent);
    assert!(before <= 15 * 14 * 4, "{before}");
    world.run_for(100 * SECOND);
    assert_eq!(gossip(&world), before);
    assert_eq!(world.sent, sent);
    // A dead one is noticed without anybody asking for it.
    world.kill(3);
    world.run_for(600 * SECOND);
    for grape in world.grapes.iter().filter(|grape| grape.up) {
        for core in &grape.cores {
            assert_eq!(core.contacts().count(), 13);
        }
    }
}
