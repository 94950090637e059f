use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Duration;

use grenache_engine::sim::{Host, Network, World};
use grenache_engine::{BpfInstruction, Config, Core, now, sleep, spawn_local};

use super::{SECOND, address, bind, calm, ip, run, serve_echo};

/// Sends numbers, one a millisecond, from host 1 to host 2; gives what arrives there, in order.
fn numbers(world: &mut World, count: u32) -> Rc<RefCell<Vec<u32>>> {
    let received = Rc::new(RefCell::new(Vec::new()));
    let log = received.clone();
    let config = Config { udp: vec![address(2, 9)], ..Config::default() };
    let sink = move |core: Core<()>| {
        let log = log.clone();
        async move {
            while let Ok(datagram) = core.sockets[0].recv().await {
                assert_eq!(datagram.from.ip(), ip(1));
                let number = datagram.data[..].try_into().expect("four bytes");
                log.borrow_mut().push(u32::from_le_bytes(number));
            }
        }
    };
    world.start(Host::new(ip(2)), config, sink).expect("the node starts");
    run(world, 1, move || async move {
        let socket = bind();
        for number in 0..count {
            assert!(socket.send_to(&number.to_le_bytes(), address(2, 9)));
            sleep(Duration::from_millis(1)).await;
        }
    });
    received
}

#[test]
fn a_calm_network_keeps_all_in_order() {
    let mut world = World::new(1, calm());
    let received = numbers(&mut world, 1000);
    world.run_for(2 * SECOND);
    assert_eq!(*received.borrow(), (0..1000).collect::<Vec<_>>());
}

#[test]
fn datagrams_are_lost_and_copied_as_often_as_asked() {
    let mut world = World::new(2, Network { loss: 0.2, duplicate: 0.1, ..calm() });
    let received = numbers(&mut world, 10_000);
    world.run_for(11 * SECOND);
    let mut received = received.take();
    let traffic = world.traffic();
    assert_eq!(received.len() as u64, traffic.datagrams_arrived);
    assert_eq!(
        traffic.datagrams - traffic.datagrams_lost + traffic.datagrams_duplicated,
        traffic.datagrams_arrived
    );
    let copies = received.len();
    received.sort_unstable();
    received.dedup();
    let (lost, copied) = (10_000 - received.len(), copies - received.len());
    // Five standard deviations around the mean.
    assert!((1800..2200).contains(&lost), "{lost} lost");
    assert!((650..950).contains(&copied), "{copied} copied");
}

#[test]
fn jitter_reorders_and_stays_within_the_delay() {
    let delay = Duration::from_millis(1)..Duration::from_millis(20);
    let mut world = World::new(3, Network { delay: delay.clone(), ..calm() });
    let received = numbers(&mut world, 500);
    world.run_for(SECOND);
    assert_eq!(received.borrow().len(), 500);
    assert!(!received.borrow().is_sorted());
    // None is overtaken by one that was sent more than the widest difference later.
    let mut latest = 0;
    for number in received.borrow().iter() {
        assert!(latest <= number + 20, "{number} after {latest}");
        latest = latest.max(*number);
    }
}

#[test]
fn a_round_trip_takes_two_delays() {
    let mut world = World::new(4, calm());
    serve_echo(&mut world, 1, 1);
    let took = Rc::new(Cell::new(Duration::ZERO));
    let result = took.clone();
    run(&mut world, 2, move || {
        let result = result.clone();
        async move {
            let (socket, begin) = (bind(), now());
            socket.send_to(b"ping", address(1, 7));
            let answer = socket.recv().await.expect("an answer");
            assert_eq!((&answer.data[..], answer.from), (&b"ping"[..], address(1, 7)));
            result.set(now() - begin);
        }
    });
    assert!(world.run_until(|| !took.get().is_zero(), SECOND));
    let expected = Duration::from_millis(2)..Duration::from_micros(2100);
    assert!(expected.contains(&took.get()), "{:?}", took.get());
}

#[test]
fn partitions_cut_and_heal() {
    let mut world = World::new(5, calm());
    let received = numbers(&mut world, 300);
    world.run_for(Duration::from_millis(100));
    let before = received.borrow().len();
    assert!((95..=100).contains(&before));
    world.partition(&[ip(1), ip(3)], &[ip(2)]);
    world.partition(&[ip(1)], &[ip(4)]);
    world.run_for(Duration::from_millis(100));
    assert_eq!(received.borrow().len(), before, "also what was on its way is gone");
    world.heal();
    world.run_for(SECOND);
    let after = received.borrow().len();
    assert!((195..=205).contains(&after), "{after}");
    assert_eq!(world.traffic().datagrams_cut_off, 300 - after as u64);
}

/// How many of 400 datagrams from 400 ports reach each of four cores; the first byte is a number
/// below 5.
fn shares(steer: Option<Vec<BpfInstruction>>) -> Vec<Vec<u8>> {
    let mut world = World::new(6, calm());
    let shares = Rc::new(RefCell::new(vec![Vec::new(); 4]));
    let log = shares.clone();
    let config = Config { cores: 4, udp: vec![address(1, 9)], steer, ..Config::default() };
    let main = move |core: Core<()>| {
        let log = log.clone();
        async move {
            while let Ok(datagram) = core.sockets[0].recv().await {
                log.borrow_mut()[core.index].push(datagram.data[0]);
            }
        }
    };
    world.start(Host::new(ip(1)), config, main).expect("the node starts");
    run(&mut world, 2, || async {
        for number in 0..400u32 {
            bind().send_to(&[(number % 5) as u8], address(1, 9));
        }
    });
    world.run_for(SECOND);
    shares.take()
}

#[test]
fn datagrams_are_spread_over_cores_by_address() {
    let shares: Vec<_> = shares(None).iter().map(Vec::len).collect();
    assert_eq!(shares.iter().sum::<usize>(), 400);
    assert!(shares.iter().all(|share| (60..140).contains(share)), "{shares:?}");
}

#[test]
fn a_program_steers_datagrams_to_cores() {
    let op = |code, k| BpfInstruction { code, jt: 0, jf: 0, k };
    // The first byte is the core.
    let shares = shares(Some(vec![op(0x30, 0), op(0x16, 0)]));
    for (core, share) in shares.iter().enumerate() {
        assert_eq!(share.iter().filter(|byte| usize::from(**byte) == core).count(), 80);
        // Number 4 is past the group and spread by address.
        assert!(share.iter().all(|byte| usize::from(*byte) == core || *byte == 4));
    }
    assert_eq!(shares.iter().map(Vec::len).sum::<usize>(), 400);
    let program = Some(vec![op(0x30, 0)]);
    let config = Config { cores: 2, steer: program, ..Config::default() };
    let mut world = World::new(7, calm());
    assert!(world.start(Host::new(ip(1)), config, |_: Core<()>| async {}).is_err());
}

#[test]
fn a_socket_nobody_reads_drops_and_does_not_grow() {
    let mut world = World::new(8, calm());
    let config = Config { udp: vec![address(1, 9)], ..Config::default() };
    let node = world
        .start(Host::new(ip(1)), config, |core: Core<()>| async move {
            let _core = core;
            std::future::pending().await
        })
        .expect("the node starts");
    run(&mut world, 2, || async {
        let socket = bind();
        for _ in 0..5 {
            for _ in 0..1000 {
                socket.send_to(&[0; 100], address(1, 9));
            }
            sleep(Duration::from_millis(1)).await;
        }
    });
    world.run_for(SECOND);
    let (traffic, stats) = (world.traffic(), world.stats(node, 0));
    assert_eq!(traffic.datagrams, 5000);
    assert_eq!(traffic.datagrams_arrived, stats.datagrams_received);
    // What the core has is `Limits::udp_recv_queue`.
    assert_eq!(stats.datagrams_received - stats.datagrams_dropped, 1024);
}

#[test]
fn a_host_talks_to_itself_whatever_the_network_is_like() {
    let mut world = World::new(9, Network { loss: 1.0, ..calm() });
    serve_echo(&mut world, 1, 2);
    world.partition(&[ip(1)], &[ip(1)]);
    let done = Rc::new(Cell::new(0));
    let count = done.clone();
    // On the same host as the server, on a port of its own.
    run(&mut world, 1, move || {
        let count = count.clone();
        async move {
            let socket = bind();
            spawn_local(async move {
                for number in 0..100u8 {
                    socket.send_to(&[number], address(1, 7));
                    let answer = socket.recv().await.expect("an answer");
                    assert_eq!(answer.data[..], [number]);
                    count.set(count.get() + 1);
                }
            });
            grenache_engine::shutdown().await;
        }
    });
    assert!(world.run_until(|| done.get() == 100, SECOND));
}
