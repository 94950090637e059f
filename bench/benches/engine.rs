//! The engine's parts, inside one process: round trips over loopback, a hop over the mesh, timers, tasks.

use std::future::Future;
use std::hint::black_box;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::mpsc;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use criterion::{Criterion, criterion_group, criterion_main};
use grenache_engine::{
    Config, Core, DriverChoice, Idle, Runtime, Sender, TcpStream, UdpSocket, sleep, spawn_local,
    yield_now,
};

const MESSAGE: [u8; 64] = [0x5a; 64];

/// Runs `work` on core 0 of a fresh runtime and gives back the time it says it took.
fn on_a_core<F, Fut>(config: Config, work: F) -> Duration
where
    F: Fn(Core<u32>) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Option<Duration>> + 'static,
{
    let (result, took) = mpsc::channel();
    let runtime = Runtime::<u32>::start(config, move |core| {
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

fn drivers() -> [(&'static str, DriverChoice); 2] {
    [("io_uring", DriverChoice::Uring), ("epoll", DriverChoice::Epoll)]
}

fn local() -> SocketAddr {
    ([127, 0, 0, 1], 0).into()
}

fn tcp(c: &mut Criterion) {
    for (name, driver) in drivers() {
        c.bench_function(&format!("engine tcp round trip, {name}"), |b| {
            b.iter_custom(|count| {
                let config = Config { driver, tcp: vec![local()], ..Config::default() };
                on_a_core(config, move |core| async move {
                    let addr = core.listeners[0].local_addr();
                    let server = spawn_local(async move {
                        let (stream, _) = core.listeners[0].accept().await.expect("a client");
                        while let Ok(Some(bytes)) = stream.recv().await {
                            stream.write(&bytes);
                        }
                    });
                    let stream = TcpStream::connect(addr).await.expect("the server listens");
                    let start = Instant::now();
                    for _ in 0..count {
                        stream.write(&MESSAGE);
                        let mut left = MESSAGE.len();
                        while left > 0 {
                            left -= stream.recv().await.expect("no error").expect("no end").len();
                        }
                    }
                    let took = start.elapsed();
                    server.abort();
                    Some(took)
                })
            });
        });
    }
}

fn udp(c: &mut Criterion) {
    for (name, driver) in drivers() {
        c.bench_function(&format!("engine udp round trip, {name}"), |b| {
            b.iter_custom(|count| {
                let config = Config { driver, udp: vec![local()], ..Config::default() };
                on_a_core(config, move |core| async move {
                    let addr = core.sockets[0].local_addr();
                    let server = spawn_local(async move {
                        while let Ok(datagram) = core.sockets[0].recv().await {
                            core.sockets[0].send_to(&datagram.data, datagram.from);
                        }
                    });
                    let socket = UdpSocket::bind(local()).expect("a free port");
                    let start = Instant::now();
                    for _ in 0..count {
                        // One datagram at a time on loopback, whose queue is empty: none is lost.
                        assert!(socket.send_to(&MESSAGE, addr));
                        black_box(socket.recv().await.expect("the echo"));
                    }
                    let took = start.elapsed();
                    server.abort();
                    Some(took)
                })
            });
        });
    }
}

fn mesh(c: &mut Criterion) {
    for (name, idle) in [("parked", Idle::Park), ("spinning", Idle::Spin(Duration::from_millis(1)))]
    {
        c.bench_function(&format!("engine mesh there and back, {name}"), |b| {
            b.iter_custom(|count| {
                on_a_core(Config { cores: 2, idle, ..Config::default() }, move |core| {
                    ping(core, count as u32)
                })
            });
        });
    }
}

/// Core 0 sends and counts, core 1 answers.
async fn ping(core: Core<u32>, count: u32) -> Option<Duration> {
    let other = 1 - core.index;
    let start = Instant::now();
    for number in 0..count {
        if core.index == 0 {
            core.mesh.send(other, number).expect("an empty ring");
        }
        let (from, got) = core.mesh.recv().await;
        assert!(matches!(from, Sender::Core(core) if core == other) && got == number);
        if core.index == 1 {
            core.mesh.send(other, number).expect("an empty ring");
        }
    }
    (core.index == 0).then(|| start.elapsed())
}

fn parts(c: &mut Criterion) {
    c.bench_function("engine timer, set and dropped", |b| {
        b.iter_custom(|count| {
            on_a_core(Config::default(), move |_| async move {
                let start = Instant::now();
                for number in 0..count {
                    // From a millisecond to an hour: every level of the wheel.
                    let mut timer = pin!(sleep(Duration::from_millis(1 << (number % 22))));
                    let mut context = Context::from_waker(Waker::noop());
                    assert_eq!(timer.as_mut().poll(&mut context), Poll::Pending);
                }
                Some(start.elapsed())
            })
        });
    });
    c.bench_function("engine task, spawned and awaited", |b| {
        b.iter_custom(|count| {
            on_a_core(Config::default(), move |_| async move {
                let start = Instant::now();
                for number in 0..count {
                    assert_eq!(spawn_local(async move { number }).await.ok(), Some(number));
                }
                Some(start.elapsed())
            })
        });
    });
    c.bench_function("engine yield", |b| {
        b.iter_custom(|count| {
            on_a_core(Config::default(), move |_| async move {
                let start = Instant::now();
                for _ in 0..count {
                    yield_now().await;
                }
                Some(start.elapsed())
            })
        });
    });
}

criterion_group! {
    name = benches;
    config = Criterion::default()
        .sample_size(10)
        .warm_up_time(Duration::from_millis(300))
        .measurement_time(Duration::from_secs(1));
    targets = tcp, udp, mesh, parts
}
criterion_main!(benches);
