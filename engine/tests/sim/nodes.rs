use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Duration;

use grenache_engine::sim::{Host, NodeId, World};
use grenache_engine::{
    Config, Core, Full, Limits, Sender, StartError, TcpListener, TcpStream, UdpSocket, now,
    shutdown, sleep, spawn_local, wall_clock,
};

use super::{SECOND, address, bind, calm, ip, run, serve_echo};

fn start(world: &mut World, host: u8, config: Config) -> Result<NodeId, StartError> {
    world.start(Host::new(ip(host)), config, |core: Core<()>| async move {
        let _core = core;
        std::future::pending().await
    })
}

fn on(at: &str) -> Config {
    let at = vec![at.parse().expect("an address")];
    Config { cores: 2, tcp: at.clone(), udp: at, ..Config::default() }
}

#[test]
fn taken_ports_and_strange_addresses_are_errors() {
    let mut world = World::new(1, calm());
    let first = start(&mut world, 1, on("10.0.0.1:80")).expect("a free port");
    for taken in ["10.0.0.1:80", "0.0.0.0:80", "[::]:80"] {
        let Err(StartError::Bind(error)) = start(&mut world, 1, on(taken)) else {
            panic!("{taken} is taken")
        };
        assert_eq!((error.protocol, error.address), ("TCP", taken.parse().expect("an address")));
        assert_eq!(error.source.kind(), std::io::ErrorKind::AddrInUse);
    }
    start(&mut world, 1, on("127.0.0.1:80")).expect("another address");
    start(&mut world, 2, on("10.0.0.2:80")).expect("another host");
    let Err(StartError::Bind(error)) = start(&mut world, 1, on("10.0.0.2:81")) else {
        panic!("not this host's address")
    };
    assert_eq!(error.source.kind(), std::io::ErrorKind::AddrNotAvailable);
    let none = start(&mut world, 1, Config { cores: 0, ..Config::default() });
    assert!(matches!(none, Err(StartError::NoCores)));
    // A start that fails halfway leaves nothing bound.
    let half = Config { udp: vec![address(1, 80)], ..on("10.0.0.1:90") };
    assert!(start(&mut world, 1, half).is_err());
    start(&mut world, 1, on("10.0.0.1:90")).expect("free again");
    world.run_for(SECOND);
    assert!(start(&mut world, 1, on("10.0.0.1:80")).is_err());
    world.kill(first);
    start(&mut world, 1, on("10.0.0.1:80")).expect("free after a kill");
}

#[test]
fn port_zero_is_resolved_once_for_all_cores() {
    let mut world = World::new(2, calm());
    let node = start(&mut world, 1, on("10.0.0.1:0")).expect("a free port");
    let (tcp, udp) = (world.tcp_addrs(node)[0], world.udp_addrs(node)[0]);
    assert!(tcp.port() > 1024 && udp.port() > 1024);
    let other = start(&mut world, 1, on("10.0.0.1:0")).expect("another free port");
    assert_ne!(world.tcp_addrs(other)[0], tcp);
    run(&mut world, 1, || async {
        let first = TcpListener::bind(address(1, 0)).expect("a free port");
        let taken = TcpListener::bind(first.local_addr());
        assert_eq!(taken.err().map(|error| error.kind()), Some(std::io::ErrorKind::AddrInUse));
        UdpSocket::bind(first.local_addr()).expect("the other protocol's port");
        drop(first);
    });
    world.run_for(SECOND);
}

#[test]
fn a_socket_for_all_addresses_takes_them_all() {
    let mut world = World::new(10, calm());
    let any = vec!["[::]:7".parse().expect("an address")];
    let config = Config { cores: 2, tcp: any.clone(), udp: any, ..Config::default() };
    let heard = Rc::new(RefCell::new(Vec::new()));
    let log = heard.clone();
    let main = move |core: Core<()>| {
        let log = log.clone();
        async move {
            let datagrams = log.clone();
            let socket = core.sockets[0].clone();
            spawn_local(async move {
                while let Ok(datagram) = socket.recv().await {
                    datagrams.borrow_mut().push(datagram.from.ip().to_string());
                    socket.send_to(b"pong", datagram.from);
                }
            });
            while let Ok((stream, peer)) = core.listeners[0].accept().await {
                assert_eq!(stream.peer_addr(), peer);
                log.borrow_mut().push(peer.ip().to_string());
            }
        }
    };
    world.start(Host::new(ip(1)), config, main).expect("the node starts");
    for (host, to) in [(1, "127.0.0.1:7"), (1, "10.0.0.1:7"), (2, "10.0.0.1:7")] {
        let to = to.parse().expect("an address");
        let node = run(&mut world, host, move || async move {
            let socket = bind();
            socket.send_to(b"ping", to);
            assert_eq!(socket.recv().await.expect("an answer").from, to);
            TcpStream::connect(to).await.expect("a connection");
        });
        world.run_for(SECOND);
        assert!(!world.is_running(node));
    }
    let expected = ["::ffff:127.0.0.1", "::ffff:10.0.0.1", "::ffff:10.0.0.2"];
    let expected: Vec<_> = expected.iter().flat_map(|from| [*from; 2]).collect();
    assert_eq!(*heard.borrow(), expected);
}

#[test]
fn messages_from_outside_reach_their_core_within_their_bound() {
    let mut world = World::new(3, calm());
    let received = Rc::new(RefCell::new(Vec::new()));
    let log = received.clone();
    let limits = Limits { mesh_outside: 4, ..Limits::default() };
    let config = Config { cores: 3, limits, ..Config::default() };
    let main = move |core: Core<u32>| {
        let log = log.clone();
        async move {
            loop {
                let (from, number) = core.mesh.recv().await;
                assert_eq!(from, Sender::Outside);
                log.borrow_mut().push((core.index, number));
            }
        }
    };
    let node = world.start(Host::new(ip(1)), config, main).expect("the node starts");
    world.run_for(SECOND);
    for number in 0..4u32 {
        assert_eq!(world.post(node, 1, number), Ok(()));
    }
    assert_eq!(world.post(node, 1, 4u32), Err(Full(4)));
    assert_eq!(world.post(node, 2, 5u32), Ok(()));
    world.run_for(SECOND);
    let mut received = received.take();
    received.sort_unstable();
    assert_eq!(received, [(1, 0), (1, 1), (1, 2), (1, 3), (2, 5)]);
    world.kill(node);
    assert_eq!(world.post(node, 1, 6u32), Err(Full(6)));
}

#[test]
fn a_stopped_node_finishes_and_what_it_wrote_leaves() {
    let mut world = World::new(4, calm());
    let config = Config { tcp: vec![address(1, 80)], ..Config::default() };
    let server = world
        .start(Host::new(ip(1)), config, |core: Core<()>| async move {
            let (stream, _) = core.listeners[0].accept().await.expect("a connection");
            shutdown().await;
            stream.write(&[7; 300_000]);
        })
        .expect("the node starts");
    let count = Rc::new(Cell::new(0));
    let seen = count.clone();
    let client = run(&mut world, 2, move || {
        let seen = seen.clone();
        async move {
            let stream = TcpStream::connect(address(1, 80)).await.expect("a connection");
            seen.set(super::read(&stream, usize::MAX).await.expect("an end").len());
        }
    });
    world.run_for(SECOND);
    assert!(world.is_running(server) && world.is_running(client));
    assert!(world.live_tasks(server) > 0);
    world.stop(server);
    world.run_for(SECOND);
    assert_eq!(count.get(), 300_000);
    assert!(!world.is_running(server) && !world.is_running(client));
    assert_eq!(world.live_tasks(server), 0);
    assert_eq!(world.stats(server, 0).accepted, 1, "counters outlive their core");
}

#[test]
fn a_killed_node_is_silent_and_its_host_can_start_another() {
    let mut world = World::new(5, calm());
    let mut server = serve_echo(&mut world, 1, 2);
    let answers = Rc::new(Cell::new(0));
    let count = answers.clone();
    run(&mut world, 2, move || {
        let count = count.clone();
        async move {
            let socket = bind();
            let reader = socket.clone();
            spawn_local(async move {
                while reader.recv().await.is_ok() {
                    count.set(count.get() + 1);
                }
            });
            loop {
                socket.send_to(b"ping", address(1, 7));
                sleep(Duration::from_millis(10)).await;
            }
        }
    });
    for round in 0..5 {
        world.run_for(SECOND);
        assert!((90..=110).contains(&answers.get()), "{} in round {round}", answers.get());
        world.kill(server);
        answers.set(0);
        world.run_for(SECOND);
        assert_eq!(answers.get(), 0);
        server = serve_echo(&mut world, 1, 2);
    }
    assert!(world.traffic().datagrams_cut_off > 400);
}

#[test]
fn killing_drops_tasks_without_a_word() {
    struct Guard(Rc<Cell<u32>>, UdpSocket);
    impl Drop for Guard {
        fn drop(&mut self) {
            self.0.set(self.0.get() + 1);
            self.1.send_to(b"not heard", address(1, 7));
        }
    }
    let mut world = World::new(6, calm());
    serve_echo(&mut world, 1, 1);
    let drops = Rc::new(Cell::new(0));
    let counter = drops.clone();
    let node = run(&mut world, 2, move || {
        let counter = counter.clone();
        async move {
            let guard = Guard(counter, bind());
            spawn_local(async move {
                let _guard = guard;
                std::future::pending::<()>().await;
            });
            shutdown().await;
        }
    });
    world.run_for(SECOND);
    assert_eq!(world.live_tasks(node), 2);
    world.kill(node);
    world.kill(node);
    assert_eq!((drops.get(), world.live_tasks(node)), (1, 0));
    world.run_for(SECOND);
    assert_eq!(world.traffic().datagrams, 0);
}

#[test]
fn time_passes_only_in_the_world_and_is_the_same_for_all() {
    let mut world = World::new(7, calm());
    let woken = Rc::new(RefCell::new(Vec::new()));
    for host in 1..4 {
        let log = woken.clone();
        run(&mut world, host, move || {
            let log = log.clone();
            async move {
                let begin = (now(), wall_clock());
                sleep(Duration::from_secs(86_400 * u64::from(host))).await;
                assert_eq!(now() - begin.0, wall_clock() - begin.1);
                log.borrow_mut().push(host);
            }
        });
    }
    let real = std::time::Instant::now();
    world.run_for(Duration::from_secs(86_400 * 2));
    assert_eq!(world.now(), Duration::from_secs(86_400 * 2));
    assert_eq!(*woken.borrow(), [1], "the second wakes later, by the time it took to start");
    world.run_for(Duration::from_secs(86_400 * 2));
    assert_eq!(*woken.borrow(), [1, 2, 3]);
    assert!(real.elapsed() < Duration::from_secs(30));
    assert!(!world.run_until(|| false, SECOND));
    assert_eq!(world.now(), Duration::from_secs(86_400 * 4 + 1));
}

#[test]
#[should_panic(expected = "simulation of seed 8 at")]
fn a_panic_in_main_names_the_seed() {
    let mut world = World::new(8, calm());
    run(&mut world, 1, || async { panic!("meant to happen") });
    world.run_for(SECOND);
}

#[test]
fn a_panic_in_a_task_is_counted() {
    let mut world = World::new(9, calm());
    let node = run(&mut world, 1, || async {
        spawn_local(async { panic!("meant to happen") });
        shutdown().await;
    });
    world.run_for(SECOND);
    assert_eq!((world.tasks_panicked(), world.stats(node, 0).tasks_panicked), (1, 1));
    assert!(world.is_running(node));
}
