//! The engine's parts, inside one process: echoes over loopback, hops over the mesh, tasks.

use std::cell::Cell;
use std::future::Future;
use std::hint::black_box;
use std::net::SocketAddr;
use std::pin::pin;
use std::rc::Rc;
use std::sync::mpsc;
use std::task::{Context, Waker};
use std::time::{Duration, Instant};

use bytes::Bytes;
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use grenache_engine::{
    Config, Core, DriverChoice, Idle, Runtime, TcpStream, UdpSocket, sleep, spawn_local, yield_now,
};

/// Runs `work` on the cores of a fresh runtime and gives back the time that core 0 says it took.
fn on_cores<F, Fut>(config: Config, work: F) -> Duration
where
    F: Fn(Core<u64>) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Option<Duration>> + 'static,
{
    let (result, took) = mpsc::channel();
    let runtime = Runtime::start(config, move |core| {
        let (result, work) = (result.clone(), work(core));
        async move {
            if let Some(time) = work.await {
                result.send(time).expect("the bench waits");
            }
        }
    });
    runtime.expect("a runtime").join().expect("no core panics");
    took.recv().expect("core 0 said how long it took")
}

/// The drivers that this system allows.
fn drivers() -> Vec<(&'static str, DriverChoice)> {
    let mut drivers = vec![("io_uring", DriverChoice::Uring), ("epoll", DriverChoice::Epoll)];
    drivers.retain(|&(name, driver)| {
        let config = Config { driver, ..Config::default() };
        match Runtime::start(config, |_: Core<()>| async {}) {
            Ok(_) => true,
            Err(error) => {
                eprintln!("{name} is left out: {error}");
                false
            }
        }
    });
    drivers
}

fn local() -> SocketAddr {
    ([127, 0, 0, 1], 0).into()
}

fn message(size: usize) -> Bytes {
    (0..size).map(|place| place as u8).collect()
}

/// How many of `count` round trips client number `client` makes.
fn share(count: u64, clients: u64, client: u64) -> u64 {
    count / clients + u64::from(client < count % clients)
}

/// A client's round trips, which end when the last client's do.
async fn timed<F: Future<Output = ()> + 'static>(clients: impl Iterator<Item = F>) -> Duration {
    let start = Instant::now();
    let clients: Vec<_> = clients.map(spawn_local).collect();
    for client in clients {
        client.await.expect("no client panics");
    }
    start.elapsed()
}

/// Client and server share a core: what is measured is the engine and the kernel on both sides, not wake-ups between CPUs.
fn tcp(c: &mut Criterion) {
    let mut group = c.benchmark_group("engine tcp echo");
    for (name, driver) in drivers() {
        for (clients, size) in [(1, 64), (1, 1024), (1, 64 * 1024), (16, 64)] {
            group.throughput(Throughput::Bytes(size as u64));
            let id = BenchmarkId::new(format!("{name}, clients: {clients}"), size);
            group.bench_function(id, |b| {
                b.iter_custom(|count| {
                    let config = Config { driver, tcp: vec![local()], ..Config::default() };
                    on_cores(config, move |core| tcp_echo(core, message(size), clients, count))
                });
            });
        }
    }
    group.finish();
}

async fn tcp_echo(core: Core<u64>, message: Bytes, clients: u64, count: u64) -> Option<Duration> {
    let addr = core.listeners[0].local_addr();
    let server = spawn_local(async move {
        while let Ok((stream, _)) = core.listeners[0].accept().await {
            spawn_local(async move {
                while let Ok(Some(bytes)) = stream.recv().await {
                    stream.write(&bytes);
                }
            });
        }
    });
    let mut streams = Vec::new();
    for client in 0..clients {
        let stream = TcpStream::connect(addr).await.expect("the server listens");
        stream.write(&message);
        let mut echo = Vec::new();
        while echo.len() < message.len() {
            echo.extend_from_slice(&stream.recv().await.expect("no error").expect("no end"));
        }
        assert_eq!(echo, message);
        streams.push((stream, share(count, clients, client)));
    }
    let took = timed(streams.into_iter().map(|(stream, count)| {
        let message = message.clone();
        async move {
            for _ in 0..count {
                stream.write(&message);
                let mut left = message.len();
                while left > 0 {
                    left -= stream.recv().await.expect("no error").expect("no end").len();
                }
            }
        }
    }));
    let took = took.await;
    server.abort();
    Some(took)
}

/// As [`tcp`].
fn udp(c: &mut Criterion) {
    let mut group = c.benchmark_group("engine udp echo");
    for (name, driver) in drivers() {
        for (clients, size) in [(1, 64), (1, 1024), (16, 64)] {
            group.throughput(Throughput::Bytes(size as u64));
            let id = BenchmarkId::new(format!("{name}, clients: {clients}"), size);
            group.bench_function(id, |b| {
                b.iter_custom(|count| {
                    let config = Config { driver, udp: vec![local()], ..Config::default() };
                    on_cores(config, move |core| udp_echo(core, message(size), clients, count))
                });
            });
        }
    }
    group.finish();
}

/// A few datagrams at a time on loopback, whose queues hold many more: none is lost.
async fn udp_echo(core: Core<u64>, message: Bytes, clients: u64, count: u64) -> Option<Duration> {
    let addr = core.sockets[0].local_addr();
    let server = spawn_local(async move {
        while let Ok(datagram) = core.sockets[0].recv().await {
            core.sockets[0].send_to(&datagram.data, datagram.from);
        }
    });
    let mut sockets = Vec::new();
    for client in 0..clients {
        let socket = UdpSocket::bind(local()).expect("a free port");
        assert!(socket.send_to(&message, addr));
        assert_eq!(socket.recv().await.expect("the echo").data[..], message);
        sockets.push((socket, share(count, clients, client)));
    }
    let took = timed(sockets.into_iter().map(|(socket, count)| {
        let message = message.clone();
        async move {
            for _ in 0..count {
                socket.send_to(&message, addr);
                black_box(socket.recv().await.expect("the echo"));
            }
        }
    }));
    let took = took.await;
    server.abort();
    Some(took)
}

/// One message is a hop and the wake-up of the other core; of many at once it is the hop that counts.
fn mesh(c: &mut Criterion) {
    let mut group = c.benchmark_group("engine mesh there and back");
    for (name, idle) in [("parked", Idle::Park), ("spinning", Idle::Spin(Duration::from_millis(1)))]
    {
        for messages in [1, 64] {
            group.throughput(Throughput::Elements(messages));
            group.bench_function(BenchmarkId::new(name, messages), |b| {
                b.iter_custom(|count| {
                    let config = Config { cores: 2, idle, ..Config::default() };
                    on_cores(config, move |core| mesh_echo(core, messages, count))
                });
            });
        }
    }
    group.finish();
}

/// Core 0 sends so many messages, waits for all of them to come back, and does it again; core 1 sends them back.
async fn mesh_echo(core: Core<u64>, messages: u64, count: u64) -> Option<Duration> {
    let (other, first) = (1 - core.index, core.index == 0);
    let (start, mut sum) = (Instant::now(), 0);
    for _ in 0..count {
        for message in (0..messages).filter(|_| first) {
            core.mesh.send(other, message).expect("room in the ring");
        }
        for _ in 0..messages {
            let (_, message) = core.mesh.recv().await;
            sum += message;
            if !first {
                core.mesh.send(other, message).expect("room in the ring");
            }
        }
    }
    let took = start.elapsed();
    assert_eq!(sum, count * messages * (messages - 1) / 2, "every message, once");
    first.then_some(took)
}

/// What tasks cost that never leave their core.
fn tasks(c: &mut Criterion) {
    let mut group = c.benchmark_group("engine task");
    group.bench_function("spawned and awaited", |b| {
        b.iter_custom(|count| {
            on_cores(Config::default(), move |_| async move {
                let (start, mut sum) = (Instant::now(), 0);
                for number in 0..count {
                    sum += spawn_local(async move { number }).await.unwrap_or_default();
                }
                let took = start.elapsed();
                assert_eq!(sum, count * count.saturating_sub(1) / 2, "every task ran");
                Some(took)
            })
        });
    });
    group.bench_function("yields", |b| {
        b.iter_custom(|count| {
            on_cores(Config::default(), move |_| async move {
                let other = Rc::new(Cell::new(false));
                let ran = other.clone();
                spawn_local(async move { ran.set(true) });
                yield_now().await;
                assert!(other.get(), "others run meanwhile");
                let start = Instant::now();
                for _ in 0..count {
                    yield_now().await;
                }
                Some(start.elapsed())
            })
        });
    });
    group.bench_function("sets a timer and drops it", |b| {
        b.iter_custom(|count| {
            on_cores(Config::default(), move |_| async move {
                let mut context = Context::from_waker(Waker::noop());
                let (start, mut pending) = (Instant::now(), 0);
                for number in 0..count {
                    // From a millisecond to an hour: many levels of the wheel.
                    let mut timer = pin!(sleep(Duration::from_millis(1 << (number % 22))));
                    pending += u64::from(timer.as_mut().poll(&mut context).is_pending());
                }
                let took = start.elapsed();
                assert_eq!(pending, count, "time stands still during a turn");
                Some(took)
            })
        });
    });
    group.finish();
}

criterion_group! {
    name = benches;
    config = Criterion::default()
        .sample_size(10)
        .warm_up_time(Duration::from_millis(300))
        .measurement_time(Duration::from_secs(1));
    targets = tcp, udp, mesh, tasks
}
criterion_main!(benches);
