//! Workers of ours, and the grape where all that is found is announced. Tests keep apart by the names of their services.

use std::cell::Cell;
use std::rc::Rc;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use grenache_engine::sleep;
use grenache_grape::Grape;
use grenache_peer::server::{self, Reply, Request, Services};
use grenache_peer::{Error, Worker, worker};

use crate::peer::DEADLINE;

static GRAPE: LazyLock<Grape> = LazyLock::new(|| {
    let config = grenache_grape::Config { dht_port: 0, api_port: 0, ..Default::default() };
    Grape::start(config).expect("a grape")
});

/// The port of the grape's API.
pub(crate) fn grape() -> u16 {
    GRAPE.api_addr().port()
}

/// The grape as ours are told of it.
pub(crate) fn grapes() -> Vec<String> {
    vec![format!("http://127.0.0.1:{}", grape())]
}

/// Announces a service of theirs.
#[track_caller]
pub(crate) fn announce(service: &str, port: u16) {
    GRAPE.announce(service, port).wait().expect("it is announced");
}

/// The name of a service that no other test has.
pub(crate) fn service(test: &str) -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    format!("{test}:{}", NEXT.fetch_add(1, Ordering::Relaxed))
}

/// What makes a worker one of this machine alone, at this port or a free one.
pub(crate) fn config(port: u16, server: server::Config) -> worker::Config {
    worker::Config {
        listen: ([127, 0, 0, 1], port).into(),
        drain: Duration::from_secs(1),
        server,
        ..worker::Config::default()
    }
}

/// Starts a worker with [`add_services`].
#[track_caller]
pub(crate) fn serve(server: server::Config) -> Worker {
    start(config(0, server))
}

/// Starts a worker with [`add_services`].
#[track_caller]
pub(crate) fn start(config: worker::Config) -> Worker {
    Worker::start(config, |_, services| add_services(services, "")).expect("it starts")
}

/// Stops a worker and awaits its end.
#[track_caller]
pub(crate) fn stop(worker: Worker) {
    worker.stop();
    worker.join().expect("no core panics");
}

/// A handler's own error, or ours.
type Refused = Box<dyn std::error::Error>;

/// Adds `echo`, `fail` (with its payload as the text), `who` (the user and the key it knows the client by), `slow` (answers after
/// so many milliseconds), and `wait` (answers when somebody has called `go`); each after the prefix.
pub(crate) fn add_services(services: &mut Services, prefix: &str) {
    let name = |name: &str| format!("{prefix}{name}");
    services.add(&name("echo"), echo);
    services.add(&name("fail"), async |request: Request| {
        Err::<Reply, Refused>(request.json::<String>()?.into())
    });
    services.add(&name("who"), async |request: Request| {
        Reply::json(&(request.user(), request.curve_key().map(|key| key.to_string())))
    });
    services.add(&name("slow"), async |request: Request| {
        sleep(Duration::from_millis(request.json()?)).await;
        echo(request).await
    });
    let gate = Rc::new(Cell::new(false));
    let open = gate.clone();
    services.add(&name("wait"), move |request| {
        let gate = gate.clone();
        async move {
            while !gate.get() {
                sleep(Duration::from_millis(1)).await;
            }
            echo(request).await
        }
    });
    services.add(&name("go"), move |request| {
        open.set(true);
        echo(request)
    });
}

async fn echo(request: Request) -> Result<Reply, Error> {
    Ok(request.payload().clone().into())
}

/// A text of so many bytes, no two parts of which are the same.
pub(crate) fn text(size: usize) -> String {
    let mut text = String::with_capacity(size + 20);
    for number in 0.. {
        if text.len() >= size {
            break;
        }
        text.push_str(&format!("{number} "));
    }
    text.truncate(size);
    text
}

/// Asks until something holds that sends no event.
#[track_caller]
pub(crate) fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let end = Instant::now() + DEADLINE;
    while !holds() {
        assert!(Instant::now() < end, "in vain: {what}");
        std::thread::sleep(Duration::from_millis(1));
    }
}
