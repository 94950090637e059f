use std::cell::Cell;
use std::net::{Ipv4Addr, SocketAddr};
use std::rc::Rc;
use std::time::Duration;

use grenache_engine::sim::{Host, Network, World};
use grenache_engine::{Config, Core, fill_random, sleep, spawn_local};

use super::SECOND;

const NODES: u8 = 200;
const CORES: usize = 3;

fn at(node: u8) -> SocketAddr {
    SocketAddr::from((Ipv4Addr::new(10, 1, 0, node), 20_001))
}

/// What this thread has computed, which is what counts on a busy machine; where Linux tells.
fn cpu_time() -> Option<Duration> {
    let times = std::fs::read_to_string("/proc/thread-self/schedstat").ok()?;
    Some(Duration::from_nanos(times.split(' ').next()?.parse().ok()?))
}

/// 600 cores, each asking a random node ten times a second; half of what arrives crosses the mesh.
#[test]
fn hundreds_of_cores_run_faster_than_real_time() {
    let mut world = World::new(1, Network { loss: 0.01, ..Network::default() });
    let answers = Rc::new(Cell::new(0u64));
    let before = cpu_time();
    for node in 0..NODES {
        let config = Config { cores: CORES, udp: vec![at(node)], ..Config::default() };
        let answers = answers.clone();
        let main = move |core: Core<Box<(SocketAddr, Vec<u8>)>>| {
            let answers = answers.clone();
            async move {
                let (socket, mesh) = (core.sockets[0].clone(), core.mesh.clone());
                spawn_local(async move {
                    while let Ok(datagram) = socket.recv().await {
                        match datagram.data[0] {
                            b'a' => answers.set(answers.get() + 1),
                            _ if datagram.data[1] % 2 == 0 => {
                                socket.send_to(b"a", datagram.from);
                            }
                            _ => {
                                let to = usize::from(datagram.data[1]) % CORES;
                                let moved = Box::new((datagram.from, datagram.data.to_vec()));
                                mesh.send(to, moved).expect("room");
                            }
                        }
                    }
                });
                let (socket, mesh) = (core.sockets[0].clone(), core.mesh.clone());
                spawn_local(async move {
                    loop {
                        let (_, moved) = mesh.recv().await;
                        socket.send_to(b"a", moved.0);
                    }
                });
                loop {
                    let mut random = [0; 2];
                    fill_random(&mut random);
                    core.sockets[0].send_to(&[b'q', random[0]], at(random[1] % NODES));
                    sleep(Duration::from_millis(100)).await;
                }
            }
        };
        let host = Host::new(Ipv4Addr::new(10, 1, 0, node));
        world.start(host, config, main).expect("the node starts");
    }
    world.run_for(30 * SECOND);
    let took = before.and_then(|before| Some(cpu_time()? - before));
    let traffic = world.traffic();
    println!("{answers:?} answers in {took:?}: {traffic:?}");
    let asked = u64::from(NODES) * CORES as u64 * 300;
    assert!(answers.get() > asked * 95 / 100, "{answers:?} of {asked}");
    assert_eq!(world.tasks_panicked(), 0);
    // A question takes a timer, two datagrams and sometimes a message: idle cores take no turns.
    assert!(traffic.turns < asked * 5, "{} turns", traffic.turns);
    assert!(took.is_none_or(|took| took < 30 * SECOND), "{took:?}");
}
