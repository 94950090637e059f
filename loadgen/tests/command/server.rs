//! A worker that does as it is told with each request.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use bytes::BytesMut;
use grenache_engine::{
    Config, Core, Pinning, Runtime, Stopper, TcpStream, now, shutdown, sleep, spawn_local,
};
use grenache_transports::http::{self, Connection, Event, date::Date, response};
use serde_json::Value;

/// What it does about a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Act {
    /// The payload back.
    Echo,
    /// Not before then, by its own clock.
    EchoAt(Duration),
    /// After it has used its CPU for so long.
    Work(Duration),
    Never,
    Garbage,
    Close,
    Reset,
    /// Ends the whole server.
    Stop,
}

/// A running server; dropping it ends it.
pub(crate) struct Server {
    pub(crate) addr: SocketAddr,
    _runtime: Runtime<()>,
}

impl Server {
    /// Asks `act` about each request, by its number and the time by the server's clock. Runs on the first CPU.
    pub(crate) fn start(act: impl Fn(u64, Duration) -> Act + Send + Sync + 'static) -> Self {
        let tcp = vec![SocketAddr::from((Ipv4Addr::LOCALHOST, 0))];
        let config = Config { tcp, pinning: Pinning::From(0), ..Config::default() };
        let shared = Arc::new((act, AtomicU64::new(0), OnceLock::new()));
        let own = shared.clone();
        let runtime = Runtime::start(config, move |mut core: Core<()>| {
            let shared = shared.clone();
            async move {
                let listener = core.listeners.remove(0);
                spawn_local(async move {
                    while let Ok((stream, _)) = listener.accept().await {
                        spawn_local(serve(stream, shared.clone()));
                    }
                });
                shutdown().await;
            }
        });
        let runtime = runtime.expect("a server");
        let _ = own.2.set(runtime.stopper());
        Self { addr: runtime.tcp_addrs()[0], _runtime: runtime }
    }

    /// Treats every hundredth request like this, and echoes the others.
    pub(crate) fn one_in_a_hundred(act: Act) -> Self {
        Self::start(move |number, _| if number % 100 == 99 { act } else { Act::Echo })
    }
}

/// What to do, the requests so far, and how to end the server.
type Shared<A> = Arc<(A, AtomicU64, OnceLock<Stopper>)>;

async fn serve<A: Fn(u64, Duration) -> Act>(stream: TcpStream, shared: Shared<A>) {
    let mut connection = Connection::new(http::Config::default());
    let mut date = Date::new(Duration::ZERO);
    while let Ok(Some(received)) = stream.recv().await {
        let mut input = &received[..];
        while let Ok(Some(event)) = connection.receive(&mut input) {
            let Event::Request(request) = event else { continue };
            match (shared.0)(shared.1.fetch_add(1, Ordering::Relaxed), now()) {
                Act::Echo => {}
                Act::EchoAt(then) => sleep(then.saturating_sub(now())).await,
                Act::Work(time) => {
                    let start = std::time::Instant::now();
                    while start.elapsed() < time {
                        std::hint::spin_loop();
                    }
                }
                Act::Never => continue,
                Act::Garbage => {
                    stream.write(b"\x16\x03garbage\r\n\r\n");
                    continue;
                }
                Act::Close => return,
                Act::Reset => return stream.abort(),
                Act::Stop => return shared.2.get().expect("it runs").stop(),
            }
            // Anything but an envelope, as other generators may send it, is echoed as it is.
            let body = match serde_json::from_slice::<[Value; 3]>(request.body) {
                Ok([rid, _, payload]) => serde_json::to_vec(&(rid, (), payload)).expect("JSON"),
                Err(_) => request.body.to_vec(),
            };
            let mut out = BytesMut::new();
            let date = date.at(Duration::ZERO);
            response::write(&mut out, 200, request.persistence, date, &[], &body);
            stream.write(&out);
        }
    }
}
