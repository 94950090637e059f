//! The server as its clients see it, over raw sockets, on both drivers.

#[path = "../interop/certificates.rs"]
mod certificates;

mod admission;
mod client;
mod dealer;
mod ends;
mod gzip;
mod limits;
mod publish;
mod secure;
mod socket;
mod stream;
mod websocket;
mod wire;
mod zeromq;

use std::cell::Cell;
use std::future::poll_fn;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::Poll;
use std::time::{Duration, Instant};

use grenache_engine::{DriverChoice, sleep};
use grenache_peer::server::{self, Reply, Request, Services};
use grenache_peer::{Error, Json, Worker, worker};

use client::Client;
use socket::Socket;

/// Runs a test against a worker on each driver.
fn on_both(test: impl Fn(&Rig)) {
    with(server::Config::default(), test);
}

/// As [`on_both`], with settings.
fn with(server: server::Config, test: impl Fn(&Rig)) {
    for driver in [DriverChoice::Auto, DriverChoice::Epoll] {
        let rig = Rig::start(driver, server.clone());
        test(&rig);
        rig.worker.stop();
        let worker = rig.worker;
        worker.join().expect("no core panics");
    }
}

/// Runs a test against a worker with services of its own, on each driver.
fn workers(
    config: worker::Config,
    setup: impl Fn(&mut Services) + Clone + Send + Sync + 'static,
    test: impl Fn(&Worker),
) {
    for driver in [DriverChoice::Auto, DriverChoice::Epoll] {
        let listen = "127.0.0.1:0".parse().unwrap();
        let config = worker::Config { listen, driver, ..config.clone() };
        let setup = setup.clone();
        let worker = Worker::start(config, move |_, services| setup(services)).expect("it starts");
        test(&worker);
        worker.stop();
        worker.join().expect("no core panics");
    }
}

/// A worker and what its handlers have noticed.
struct Rig {
    worker: Worker,
    /// Handlers of `slow` that have begun, and those that were dropped before their end.
    begun: Arc<AtomicUsize>,
    dropped: Arc<AtomicUsize>,
}

impl Rig {
    fn start(driver: DriverChoice, server: server::Config) -> Rig {
        let (begun, dropped) = (Arc::<AtomicUsize>::default(), Arc::<AtomicUsize>::default());
        let config = worker::Config {
            listen: "127.0.0.1:0".parse().unwrap(),
            driver,
            server,
            drain: Duration::from_secs(5),
            ..worker::Config::default()
        };
        let (begins, drops) = (begun.clone(), dropped.clone());
        let worker = Worker::start(config, move |_, services| {
            add_services(services, begins.clone(), drops.clone());
        });
        Rig { worker: worker.expect("it starts"), begun, dropped }
    }

    fn client(&self) -> Client {
        Client::connect(self.worker.addr())
    }

    fn socket(&self) -> Socket {
        Socket::connect(self.worker.addr())
    }

    fn begun(&self) -> usize {
        self.begun.load(Ordering::SeqCst)
    }

    fn dropped(&self) -> usize {
        self.dropped.load(Ordering::SeqCst)
    }
}

/// Counts itself if it is dropped while armed.
struct Noticed(Arc<AtomicUsize>, Cell<bool>);

impl Drop for Noticed {
    fn drop(&mut self) {
        if self.1.get() {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }
}

/// Panics when it is dropped.
struct Bomb;

impl Drop for Bomb {
    fn drop(&mut self) {
        panic!("as it was told, when it was dropped");
    }
}

async fn echo(request: Request) -> Result<Reply, Error> {
    Ok(request.payload().clone().into())
}

async fn panic_later(request: Request) -> Result<Reply, Error> {
    assert!(request.payload().is_null(), "not null");
    sleep(Duration::from_millis(1)).await;
    panic!("as it was told")
}

fn add_services(services: &mut Services, begun: Arc<AtomicUsize>, dropped: Arc<AtomicUsize>) {
    services.add("echo", echo);
    services.add("fail", |request| async move {
        Err::<Reply, String>(request.json::<String>().map_err(|error| error.to_string())?)
    });
    services.add("typed", |request| async move { Reply::json(&(request.json::<u8>()? + 1)) });
    services.add("panic", panic_later);
    services.add("panic at once", |_| -> std::future::Ready<Result<Reply, Error>> {
        panic!("as it was told, before anything")
    });
    services.add("panic when dropped", |request| {
        let bomb = Bomb;
        poll_fn(move |_| {
            let _bomb = &bomb;
            Poll::Ready(Ok::<Reply, Error>(request.payload().clone().into()))
        })
    });
    services.add("never dropped quietly", |_| {
        let bomb = Bomb;
        poll_fn(move |_| {
            let _bomb = &bomb;
            Poll::<Result<Reply, Error>>::Pending
        })
    });
    services.add("who", |request| async move {
        let header = request.header("X-Test").map(str::to_owned);
        let peer = request.peer_addr().ip().to_string();
        Reply::json(&(request.service(), request.rid().to_string(), header, peer))
    });
    // Answers after so many milliseconds.
    services.add("slow", move |request| {
        let noticed = Noticed(dropped.clone(), Cell::new(true));
        begun.fetch_add(1, Ordering::SeqCst);
        async move {
            sleep(Duration::from_millis(request.json()?)).await;
            noticed.1.set(false);
            echo(request).await
        }
    });
    // Waits until somebody calls `go`.
    let gate = Rc::new(Cell::new(false));
    let open = gate.clone();
    services.add("wait", move |request| {
        let gate = gate.clone();
        async move {
            while !gate.get() {
                sleep(Duration::from_millis(1)).await;
            }
            echo(request).await
        }
    });
    services.add("go", move |request| {
        open.set(true);
        echo(request)
    });
    services.add("many", |request| async move {
        Ok::<_, Error>(Json::of(&"x".repeat(request.json()?))?.into())
    });
    // So many bytes after so many milliseconds.
    services.add("many later", |request| async move {
        let (millis, size) = request.json()?;
        sleep(Duration::from_millis(millis)).await;
        Ok::<_, Error>(Json::of(&"x".repeat(size))?.into())
    });
    services.add("blocking", |request| async move {
        let number: u64 = request.json()?;
        let sum = grenache_peer::blocking(move || {
            std::thread::sleep(Duration::from_millis(20));
            (1..=number).sum::<u64>()
        });
        Reply::json(&sum.await)
    });
    stream::add_services(services);
}

/// Waits until something holds that happens in other threads.
fn until(what: &str, condition: impl Fn() -> bool) {
    let start = Instant::now();
    while !condition() {
        assert!(start.elapsed() < Duration::from_secs(20), "in vain: {what}");
        std::thread::sleep(Duration::from_millis(1));
    }
}
