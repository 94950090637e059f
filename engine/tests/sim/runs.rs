use std::cell::RefCell;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::rc::Rc;
use std::time::Duration;

use grenache_engine::sim::{Host, Network, World};
use grenache_engine::{Config, Core, Sender, TcpStream, fill_random, now, sleep, timeout};

use super::{SECOND, address, ip, read, run, serve_echo};

/// A bad network, streams and datagrams, a restart and a partition: the trace, and a hash of what
/// the programs have seen.
fn run_of(seed: u64) -> (u64, u64) {
    let delay = Duration::from_millis(1)..Duration::from_millis(30);
    let network = Network { delay, loss: 0.05, duplicate: 0.05, cut: 0.5, ..Network::default() };
    let mut world = World::new(seed, network);
    let first = serve_echo(&mut world, 1, 3);
    serve_echo(&mut world, 2, 3);
    let seen = Rc::new(RefCell::new(DefaultHasher::new()));
    for host in 10..20 {
        let seen = seen.clone();
        run(&mut world, host, move || {
            let seen = seen.clone();
            async move {
                let socket = super::bind();
                let mut random = [0; 8];
                for round in 0..100u32 {
                    fill_random(&mut random);
                    let to = 1 + random[0] % 2;
                    socket.send_to(&random, address(to, 7));
                    let patience = Duration::from_millis(u64::from(random[1]));
                    if let Ok(Ok(datagram)) = timeout(patience, socket.recv()).await {
                        (round, host, &datagram.data[..]).hash(&mut *seen.borrow_mut());
                    }
                    if round % 10 == 0 {
                        let stream = TcpStream::connect(address(to, 7));
                        let Ok(Ok(stream)) = timeout(SECOND, stream).await else { continue };
                        stream.write(&[random[2]; 5000]);
                        let echo = timeout(SECOND, read(&stream, 5000)).await;
                        let echo = echo.map(|echo| echo.ok());
                        (round, host, echo.is_ok()).hash(&mut *seen.borrow_mut());
                    }
                }
            }
        });
    }
    world.run_for(2 * SECOND);
    world.kill(first);
    world.partition(&[ip(2)], &[ip(10), ip(11)]);
    world.run_for(2 * SECOND);
    serve_echo(&mut world, 1, 3);
    world.heal();
    world.run_for(6 * SECOND);
    assert_eq!(world.tasks_panicked(), 0);
    let seen = seen.borrow().finish();
    (world.trace(), seen)
}

#[test]
fn a_seed_is_a_run() {
    let runs: Vec<_> = (0..5).map(run_of).collect();
    for (seed, run) in runs.iter().enumerate() {
        assert_eq!(run_of(seed as u64), *run, "seed {seed}");
        for other in &runs[..seed] {
            assert!(run.0 != other.0 && run.1 != other.1, "seed {seed} is like another");
        }
    }
}

/// The order in which core 0 hears from the others, who all send when they wake at the same time.
fn order(seed: u64) -> Vec<usize> {
    let mut world = World::new(seed, Network::default());
    let order = Rc::new(RefCell::new(Vec::new()));
    let log = order.clone();
    let config = Config { cores: 4, ..Config::default() };
    let main = move |core: Core<u32>| {
        let log = log.clone();
        async move {
            if core.index > 0 {
                for number in 0..5 {
                    sleep(Duration::from_micros(20)).await;
                    core.mesh.send(0, number).expect("room");
                }
                return;
            }
            let mut next = [0; 4];
            for _ in 0..15 {
                let (Sender::Core(from), number) = core.mesh.recv().await else { return };
                assert_eq!(number, next[from], "the order of one sender stays");
                next[from] += 1;
                log.borrow_mut().push(from);
            }
        }
    };
    world.start(Host::new(ip(1)), config, main).expect("the node starts");
    world.run_for(SECOND);
    order.take()
}

#[test]
fn seeds_interleave_cores_differently() {
    let orders: std::collections::BTreeSet<_> = (0..50).map(order).collect();
    assert!(orders.iter().all(|order| order.len() == 15));
    assert!(orders.len() > 40, "{} of 50 differ", orders.len());
}

#[test]
fn messages_between_cores_take_their_time() {
    let mesh_delay = Duration::from_millis(1)..Duration::from_millis(2);
    let mut world = World::new(1, Network { mesh_delay, ..Network::default() });
    let main = |core: Core<u32>| async move {
        for round in 0..20 {
            let begin = now();
            if core.index == 0 {
                core.mesh.send(1, round).expect("room");
                assert_eq!(core.mesh.recv().await, (Sender::Core(1), round));
                let took = now() - begin;
                assert!(took >= Duration::from_millis(2) && took < Duration::from_micros(4100));
            } else {
                let (_, number) = core.mesh.recv().await;
                core.mesh.send(0, number).expect("room");
            }
        }
    };
    let config = Config { cores: 2, ..Config::default() };
    let node = world.start(Host::new(ip(1)), config, main).expect("the node starts");
    world.run_for(SECOND);
    assert!(!world.is_running(node));
}
