//! The pool against servers of every manner, on the real engine and in the simulator.

mod calls;
mod faults;
mod limits;
mod pipelines;
mod secure;
mod streams;

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::future::Future;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use grenache_engine::{
    Config as Engine, Core, JoinHandle, Runtime, TcpListener, TcpStream, live_tasks, now, sim,
    sleep, spawn_local, timeout,
};
use grenache_transports::http::{self as wire, Event, Persistence, response};

use super::{Answer, Config, Failed, Outgoing, Pool, Target};

const DATE: &[u8; 29] = b"Sun, 22 Nov 2026 18:00:00 GMT";
/// Long enough for everything that does not wait for its end.
pub(crate) const LONG: Duration = Duration::from_secs(20);

/// Runs a program on a core of this machine, and on one in the simulator, where byte streams are cut anywhere and waiting
/// costs nothing. It is told which address to listen on. Whatever it has begun must have ended soon after it.
pub(crate) fn run<F, Fut>(program: F)
where
    F: Fn(SocketAddr) -> Fut + Send + Sync + Clone + 'static,
    Fut: Future<Output = ()> + 'static,
{
    let any = SocketAddr::from(([127, 0, 0, 1], 0));
    let real = program.clone();
    let runtime = Runtime::start(Engine::default(), move |_: Core<()>| {
        let program = real(any);
        async move { timeout(LONG, without_leaks(program)).await.expect("it hangs") }
    });
    runtime.expect("the runtime starts").join().expect("the program holds");

    let network = sim::Network { cut: 0.5, ..sim::Network::default() };
    let mut world = sim::World::new(1, network);
    let host = sim::Host::new([127, 0, 0, 1]);
    let main = move |_: Core<()>| without_leaks(program(any));
    let node = world.start(host, Engine::default(), main).expect("the node starts");
    assert!(
        world.run_until(|| false, Duration::from_secs(600)) || !world.is_running(node),
        "it hangs"
    );
    assert_eq!(world.tasks_panicked(), 0);
}

async fn without_leaks(program: impl Future<Output = ()>) {
    let before = live_tasks();
    program.await;
    let end = now() + Duration::from_secs(10);
    while live_tasks() > before {
        assert!(now() < end, "{} tasks are left", live_tasks() - before);
        sleep(Duration::from_millis(20)).await;
    }
}

/// A server that treats every connection as a test wants.
struct Site {
    target: Target,
    accepted: Rc<Cell<usize>>,
    /// Connections that the server's side still has.
    open: Rc<Cell<usize>>,
    accepting: JoinHandle<()>,
}

impl Site {
    /// `script` is told which connection it has, from 0.
    fn start<F, Fut>(any: SocketAddr, script: F) -> Site
    where
        F: Fn(Peer, usize) -> Fut + 'static,
        Fut: Future<Output = ()> + 'static,
    {
        let listener = TcpListener::bind(any).expect("a free port");
        let target = Target::peer(listener.local_addr(), false);
        let (accepted, open) = (Rc::new(Cell::new(0)), Rc::new(Cell::new(0)));
        let (count, left) = (accepted.clone(), open.clone());
        let accepting = spawn_local(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let number = count.get();
                count.set(number + 1);
                left.set(left.get() + 1);
                let script = script(Peer::new(stream), number);
                let left = left.clone();
                spawn_local(async move {
                    script.await;
                    left.set(left.get() - 1);
                });
            }
        });
        Site { target, accepted, open, accepting }
    }

    /// One that answers every request with its body.
    fn echo(any: SocketAddr) -> Site {
        Site::start(any, |mut peer, _| async move {
            while let Some(body) = peer.request().await {
                peer.answer(&body);
            }
        })
    }

    /// Ends the pool and the server, and makes sure that nothing of the former is left.
    async fn end(self, pool: &Pool) {
        assert_eq!(pool.in_flight(self.target.addr), 0);
        timeout(LONG, pool.close()).await.expect("connections are left");
        let end = now() + LONG;
        while self.open.get() > 0 {
            assert!(now() < end, "{} connections are not closed", self.open.get());
            sleep(Duration::from_millis(5)).await;
        }
        self.accepting.abort();
    }
}

/// The server's side of a connection.
struct Peer {
    stream: TcpStream,
    parser: RefCell<wire::Connection>,
    requests: RefCell<VecDeque<Vec<u8>>>,
}

impl Peer {
    fn new(stream: TcpStream) -> Peer {
        let config = wire::Config { max_body: 1 << 30, ..wire::Config::default() };
        let parser = RefCell::new(wire::Connection::new(config));
        Peer { stream, parser, requests: RefCell::default() }
    }

    /// The body of the next request, unless the client ends the connection.
    async fn request(&mut self) -> Option<Vec<u8>> {
        loop {
            if let Some(body) = self.requests.borrow_mut().pop_front() {
                return Some(body);
            }
            let data = self.stream.recv().await.ok()??;
            let mut input = &data[..];
            let mut parser = self.parser.borrow_mut();
            while let Some(event) = parser.receive(&mut input).expect("a request") {
                if let Event::Request(request) = event {
                    self.requests.borrow_mut().push_back(request.body.to_vec());
                }
            }
        }
    }

    /// Reads what comes until the client ends the connection.
    async fn hear_out(&self) {
        while let Ok(Some(_)) = self.stream.recv().await {}
    }

    fn write(&self, text: &str) {
        self.stream.write(text.as_bytes());
    }

    fn answer(&self, body: &[u8]) {
        let mut out = BytesMut::new();
        response::write(&mut out, 200, Persistence::KeepAlive, DATE, &[], body);
        self.stream.send(out.freeze());
    }
}

fn post(body: &[u8]) -> Outgoing<'static> {
    let body = Bytes::copy_from_slice(body);
    Outgoing { target: "/", fields: &[], body, idempotent: false }
}

/// A call with much time.
async fn call(pool: &Pool, site: &Site, body: &[u8]) -> Result<Answer, Failed> {
    pool.exchange(&site.target, &post(body), now() + LONG).await
}

async fn call_well(pool: &Pool, site: &Site, body: &[u8]) -> Bytes {
    let answer = call(pool, site, body).await.expect("an answer");
    assert_eq!(answer.status, 200);
    answer.body
}

fn pool() -> Pool {
    Pool::new(Config::default(), None)
}
