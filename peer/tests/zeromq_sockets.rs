//! ZeroMQ's sockets on hosts that lose their power and networks that fall apart, in virtual time.

use std::cell::RefCell;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use grenache_engine::sim::{Host, Network, NodeId, World};
use grenache_engine::{Config as Engine, Core, sleep};
use grenache_peer::zeromq::{Config, Message, Settings, Socket, SocketType};

const SERVER: [u8; 4] = [10, 0, 0, 1];
const CLIENT: [u8; 4] = [10, 0, 0, 2];

fn seconds(count: u64) -> Duration {
    Duration::from_secs(count)
}

fn settings() -> Settings {
    let connection =
        Config { ping_interval: seconds(2), ping_timeout: seconds(2), ..Config::default() };
    Settings { connection, ..Settings::default() }
}

/// A ROUTER that sends everything back, and a PUB that says what has come.
fn start_server(world: &mut World) -> NodeId {
    let at = |port| SocketAddr::from((SERVER, port));
    let engine = Engine { tcp: vec![at(1), at(2)], ..Engine::default() };
    let main = |core: Core<()>| async move {
        let router = Socket::new(SocketType::Router, settings()).unwrap();
        let publisher = Socket::new(SocketType::Pub, settings()).unwrap();
        for (listener, socket) in core.listeners.into_iter().zip([&router, &publisher]) {
            socket.bind(listener);
        }
        while let Ok(message) = router.recv().await {
            publisher.send(["heard", "a number"]).await.unwrap();
            router.send(message).await.unwrap();
        }
    };
    world.start(Host::new(SERVER), engine, main).unwrap()
}

#[derive(Default)]
struct Seen {
    sent: u64,
    answers: Vec<u64>,
    published: u64,
}

#[test]
fn through_power_losses_and_partitions_nothing_comes_twice_and_all_comes_once_it_is_well() {
    for seed in 1..=5 {
        let network = Network {
            delay: Duration::from_micros(200)..Duration::from_millis(10),
            cut: 0.3,
            ..Network::default()
        };
        let mut world = World::new(seed, network);
        let mut server = start_server(&mut world);
        let seen = Rc::new(RefCell::new(Seen::default()));
        let sees = seen.clone();
        let client = move |_: Core<()>| {
            let seen = sees.clone();
            async move {
                let dealer = Socket::new(SocketType::Dealer, settings()).unwrap();
                dealer.connect(SocketAddr::from((SERVER, 1)));
                let subscriber = Socket::new(SocketType::Sub, settings()).unwrap();
                subscriber.subscribe("heard").unwrap();
                subscriber.connect(SocketAddr::from((SERVER, 2)));
                loop {
                    let number = seen.borrow().sent;
                    if dealer.try_send(&number.to_be_bytes()).is_ok() {
                        seen.borrow_mut().sent += 1;
                    }
                    sleep(Duration::from_millis(20)).await;
                    while let Ok(Some(answer)) = dealer.try_recv() {
                        let number = answer.first().try_into().expect("a number");
                        seen.borrow_mut().answers.push(u64::from_be_bytes(number));
                    }
                    while let Ok(Some(heard)) = subscriber.try_recv() {
                        assert_eq!(heard, Message::from(["heard", "a number"]));
                        seen.borrow_mut().published += 1;
                    }
                }
            }
        };
        world.start(Host::new(CLIENT), Engine::default(), client).unwrap();
        for _ in 0..5 {
            world.run_for(seconds(20));
            world.kill(server);
            world.run_for(seconds(10));
            server = start_server(&mut world);
            world.run_for(seconds(20));
            world.partition(&[SERVER.into()], &[CLIENT.into()]);
            world.run_for(seconds(10));
            world.heal();
        }
        // Dead connections have been noticed, and new ones made.
        world.run_for(seconds(30));
        let (before, published) = {
            let seen = seen.borrow();
            (seen.sent, seen.published)
        };
        world.run_for(seconds(20));
        let seen = seen.borrow();
        let sorted = seen.answers.windows(2).all(|pair| pair[0] < pair[1]);
        assert!(sorted, "an answer came twice, or after a later one");
        let since = seen.answers.iter().filter(|number| **number >= before).count() as u64;
        assert!(since > 900 && seen.sent - before - since < 3, "{since} of {}", seen.sent - before);
        assert!(seen.published - published >= since, "{} publications", seen.published - published);
        assert_eq!(world.tasks_panicked(), 0);
    }
}
