//! What every driver must do. Each test is a program for the cores of one runtime.

pub(crate) mod mesh;
pub(crate) mod pressure;
pub(crate) mod task;
pub(crate) mod tcp;
pub(crate) mod time;
pub(crate) mod udp;

use std::future::Future;
use std::net::SocketAddr;
use std::time::Duration;

use grenache_engine::{Config, Core, DriverChoice, Runtime, sim, timeout};

/// The driver under test.
#[derive(Clone, Copy)]
pub(crate) enum On {
    Uring,
    Epoll,
    Simulated,
}

/// Any free port of this machine.
pub(crate) fn any() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 0))
}

/// Runs `main` on every core until all have returned; panics if one of them did.
pub(crate) fn run<M, F, Fut>(on: On, config: Config, main: F)
where
    M: Send + 'static,
    F: Fn(Core<M>) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = ()> + 'static,
{
    let main = move |core| {
        let program = main(core);
        async move { timeout(Duration::from_secs(100), program).await.expect("it hangs") }
    };
    let driver = match on {
        On::Uring => DriverChoice::Uring,
        On::Epoll => DriverChoice::Epoll,
        On::Simulated => return simulate(config, main),
    };
    let runtime = Runtime::start(Config { driver, ..config }, main);
    runtime.expect("the runtime starts").join().expect("no core panics");
}

fn simulate<M, F, Fut>(config: Config, main: F)
where
    M: Send + 'static,
    F: Fn(Core<M>) -> Fut + 'static,
    Fut: Future<Output = ()> + 'static,
{
    let mut world = sim::World::new(1, sim::Network { cut: 0.5, ..sim::Network::default() });
    let node = world.start(sim::Host::new([10, 0, 0, 1]), config, main).expect("the node starts");
    while world.is_running(node) {
        world.run_for(Duration::from_millis(1));
    }
}

/// One core, no sockets, no messages.
pub(crate) fn run_alone<Fut: Future<Output = ()> + 'static>(on: On, main: fn() -> Fut) {
    run(on, Config::default(), move |_: Core<()>| main());
}

/// Numbers that are the same in every run.
pub(crate) struct Numbers(pub(crate) u64);

impl Numbers {
    pub(crate) fn next(&mut self) -> u64 {
        // SplitMix64.
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }

    pub(crate) fn bytes(&mut self, count: usize) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(count + 8);
        while bytes.len() < count {
            bytes.extend_from_slice(&self.next().to_le_bytes());
        }
        bytes.truncate(count);
        bytes
    }
}
