//! The server: answers requests for services, over HTTP, WebSocket and ZeroMQ, plain or TLS, as Node's Grenache speaks them.
//!
//! A request is `POST /` with the body `[rid, service, payload]`; the answer is 200 with `[rid, error or null, result]`.
//! `grc-compress: gzip` means that both bodies are compressed. A request with `transfer-encoding: chunked` may be streamed:
//! its header `_gr` has id and service as JSON, `_a` names an action and `_ar` has arguments as JSON.
//!
//! A client that ends its side of the connection is taken to have hung up, since the two look the same: answers that are
//! complete still go out, handlers at work are dropped. (Node's server sends nothing more either, but lets them run.)
//!
//! | what is wrong | answer |
//! |---|---|
//! | nobody is there for the service | error `ERR_SERVICE_NOTFOUND` |
//! | the handler has panicked | error `ERR_HANDLER_PANIC` |
//! | the body is no request | 400 `[null,"ERR_REQUEST_PARSE",null]` |
//! | `_gr` is not JSON | 500 `[null,"ERR_HEADER_PARSE_GR",null]` |
//! | too many requests in hand, or bytes of them; this one has not run | 503 `[rid,"ERR_BUSY",null]`; the id is null if it was not read yet |
//! | body or inflated body too large | 413 |
//! | not a POST | 405 |
//! | not HTTP, or not in time | 4xx or 5xx with a line of text, and the connection closes |
//! | not let in by [`Services::admit`] | 401 |
//!
//! The same port takes WebSockets ([`Config::websocket`]), with the same handlers: each message is a request, each answer a text, in
//! whatever order handlers are done. A fourth value tells `[rid,"ERR_BUSY",null,503]` from what a handler may say. What else is wrong
//! is answered as in HTTP, or closes the connection:
//!
//! | what is wrong | code |
//! |---|---|
//! | not the protocol | 1002 |
//! | a text that is not UTF-8 | 1007 |
//! | a message that does not come in time; a subscriber that names no topic, or does not read fast enough | 1008 |
//! | a message too large | 1009 |
//! | too many bytes of requests | 1013 |
//! | answers are not read in time, or pings not answered | none: broken off |
//!
//! And it takes ZeroMQ ([`Config::zeromq`], [`Config::gate`]), with the same handlers; how requests and answers stand in its messages is in
//! `docs/zmtp-rpc.md`. What is wrong there is answered likewise, or closes the connection without a word, since ZMTP has none.
//!
//! Which of them a connection speaks is told by its first byte: 0xff is ZMTP, 0x16 TLS if there is any, whatever else HTTP.
//!
//! When the worker stops, a WebSocket or a ZeroMQ connection is closed, the former with 1001, once all that was
//! begun is answered, and [`Config::drain_grace`] is over.

mod blocking;
mod compress;
mod config;
mod connection;
mod dispatch;
mod exchange;
mod flow;
mod held;
mod multiplex;
mod owed;
mod patience;
mod reply;
mod request;
mod services;
mod stats;
mod stream;
mod websocket;
mod zeromq;

use std::cell::{Cell, RefCell};
use std::fmt;
use std::future::{Future, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Poll, Waker};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use grenache_engine::{TcpListener, TcpStream, now, spawn_local, timeout, wall_clock};
use grenache_transports::http::date;
use grenache_transports::zmtp::is_zmtp;
use slab::Slab;

pub use blocking::blocking;
pub use config::Config;
pub use reply::Reply;
pub use request::{Request, Visitor};
pub use services::Services;
pub use stats::Stats;
pub use stream::StreamRequest;

pub(crate) use stats::{Counter, Counters};

use crate::channel::{Channel, Received};
use crate::publish::Audience;
use crate::tls::{self, Acceptor};
use connection::Turn;
use multiplex::Wire;
use request::{Origin, Peer};
use websocket::{Upgrade, WebSocket};
use zeromq::ZeroMq;

/// Serves services on one core.
///
/// ```no_run
/// # use std::time::Duration;
/// # use grenache_engine::{Core, shutdown};
/// use grenache_peer::server::{Config, Reply, Server, Services};
///
/// # async fn on_a_core(core: Core<()>) {
/// let mut services = Services::default();
/// services.add("echo", |request| async move {
///     Ok::<_, grenache_peer::Error>(Reply::from(request.payload().clone()))
/// });
/// let server = Server::new(Config::default(), services);
/// for listener in core.listeners {
///     server.listen(listener);
/// }
/// shutdown().await;
/// server.drain(Duration::from_secs(10)).await;
/// # }
/// ```
pub struct Server {
    config: Config,
    services: Services,
    /// Who listens to the services' publisher here.
    audience: Option<Rc<Audience>>,
    acceptor: Option<Acceptor>,
    counters: Arc<Counters>,
    stage: Cell<Stage>,
    /// When it began to drain.
    draining_since: Cell<Duration>,
    /// Tasks that have to know when the stage changes, which are all of the server's.
    tasks: RefCell<Slab<Waker>>,
    /// Who waits for the last task to end.
    drained: RefCell<Vec<Waker>>,
    /// The date as answers tell it, and until when it is right.
    date: Cell<([u8; 29], Duration)>,
    /// What connections gather their answers in.
    scratch: RefCell<BytesMut>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Stage {
    Serving,
    Draining,
    Aborting,
}

impl Server {
    /// A server without TLS; it serves nobody until it is told to [`listen`](Self::listen).
    ///
    /// # Panics
    /// Outside of a core, if the services have a publisher.
    pub fn new(config: Config, services: Services) -> Rc<Server> {
        Server::with(config, services, None, Arc::default())
    }

    pub(crate) fn with(
        config: Config,
        services: Services,
        acceptor: Option<Acceptor>,
        counters: Arc<Counters>,
    ) -> Rc<Server> {
        let audience = services.publisher.as_ref().map(Audience::open);
        Rc::new(Server {
            config,
            services,
            audience,
            acceptor,
            counters,
            stage: Cell::new(Stage::Serving),
            draining_since: Cell::new(Duration::ZERO),
            tasks: RefCell::default(),
            drained: RefCell::default(),
            date: Cell::new(([0; 29], Duration::ZERO)),
            scratch: RefCell::default(),
        })
    }

    /// Takes connections from `listener` until the server drains.
    ///
    /// # Panics
    /// Outside of a core.
    pub fn listen(self: &Rc<Self>, listener: TcpListener) {
        let task = Task::new(self);
        spawn_local(async move {
            let server = task.server.clone();
            loop {
                let mut accept = pin!(listener.accept());
                let next = poll_fn(|context| {
                    task.set(context.waker());
                    match accept.as_mut().poll(context) {
                        Poll::Ready(next) => Poll::Ready(Some(next)),
                        // Whoever has been connected already is served.
                        Poll::Pending if server.is_draining() => Poll::Ready(None),
                        Poll::Pending => Poll::Pending,
                    }
                });
                match next.await {
                    None => return,
                    Some(Ok((stream, _))) => server.take(stream),
                    // Errors of accepting are counted and waited out by the engine.
                    Some(Err(_)) => {}
                }
            }
        });
    }

    fn take(self: &Rc<Self>, stream: TcpStream) {
        let limit = self.config.max_connections;
        if self.counters.connections.get() >= limit as u64 {
            self.counters.refused.add(1);
            tracing::warn!(limit, "connection refused");
            return;
        }
        let guest = Guest::new(self);
        spawn_local(async move {
            if let Some((channel, received)) = guest.greet(stream).await {
                guest.serve(channel, received).await;
            }
        });
    }

    /// Goes through the handshake of TLS, or finds that there is none and may be none.
    async fn secure(
        &self,
        acceptor: &Acceptor,
        stream: TcpStream,
    ) -> Result<(Channel, Option<Received>), tls::Error> {
        let Config { plain, zeromq, gate, .. } = &self.config;
        let is_taken = |first: u8| match is_zmtp(first) && *zeromq {
            true => *plain || gate.is_secret(),
            false => *plain,
        };
        acceptor.accept_or(stream, is_taken).await
    }

    /// Stops in good order: takes no more connections, has clients close theirs with the next answer, closes idle ones after
    /// [`Config::drain_grace`], and lets requests that run come to their end, for `limit` at most. What still runs then is
    /// dropped and its connection broken off. Returns when no connection is left.
    pub async fn drain(&self, limit: Duration) {
        self.draining_since.set(now());
        self.enter(Stage::Draining);
        if timeout(limit, self.empty()).await.is_err() {
            let left = self.counters.connections.get();
            tracing::warn!(connections = left, ?limit, "broken off: not drained in time");
            self.enter(Stage::Aborting);
            self.empty().await;
        }
    }

    fn enter(&self, stage: Stage) {
        self.stage.set(stage);
        let tasks: Vec<Waker> = self.tasks.borrow().iter().map(|(_, task)| task.clone()).collect();
        tasks.into_iter().for_each(Waker::wake);
    }

    async fn empty(&self) {
        poll_fn(|context| {
            if self.tasks.borrow().is_empty() {
                return Poll::Ready(());
            }
            let mut waiters = self.drained.borrow_mut();
            waiters.retain(|waiter| !waiter.will_wake(context.waker()));
            waiters.push(context.waker().clone());
            Poll::Pending
        })
        .await;
    }

    /// What has been counted.
    pub fn stats(&self) -> Stats {
        self.counters.read()
    }

    /// Whether a client may ask anything.
    fn admits(&self, visitor: &Visitor<'_>) -> bool {
        let admits = catch_unwind(AssertUnwindSafe(|| self.services.admits(visitor)));
        let admits = admits.unwrap_or_else(|panic| {
            owed::panicked(&self.counters, &*panic);
            false
        });
        if !admits {
            self.counters.refused.add(1);
            tracing::debug!(peer = %visitor.peer_addr(), "not let in");
        }
        admits
    }

    fn is_draining(&self) -> bool {
        self.stage.get() != Stage::Serving
    }

    /// Until when clients may ask although the server drains.
    fn grace_end(&self) -> Option<Duration> {
        let end = self.draining_since.get().saturating_add(self.config.drain_grace);
        self.is_draining().then_some(end)
    }

    fn grace_is_over(&self) -> bool {
        self.grace_end().is_some_and(|end| now() >= end)
    }

    fn is_aborting(&self) -> bool {
        self.stage.get() == Stage::Aborting
    }

    /// Today's date; the clock is read once a second.
    fn date(&self) -> [u8; 29] {
        let (date, until) = self.date.get();
        if now() < until {
            return date;
        }
        let clock = wall_clock();
        let date = date::format(clock);
        let rest = Duration::from_nanos(1_000_000_000 - u64::from(clock.subsec_nanos()));
        self.date.set((date, now() + rest));
        date
    }
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server")
            .field("services", &self.services)
            .field("stats", &self.stats())
            .finish_non_exhaustive()
    }
}

/// A task of a server: the server is not drained before it has ended.
struct Task {
    server: Rc<Server>,
    key: usize,
}

impl Task {
    fn new(server: &Rc<Server>) -> Task {
        let key = server.tasks.borrow_mut().insert(Waker::noop().clone());
        Task { server: server.clone(), key }
    }

    fn set(&self, waker: &Waker) {
        if let Some(task) = self.server.tasks.borrow_mut().get_mut(self.key) {
            task.clone_from(waker);
        }
    }
}

impl Drop for Task {
    fn drop(&mut self) {
        self.server.tasks.borrow_mut().remove(self.key);
        self.server.drained.take().into_iter().for_each(Waker::wake);
    }
}

/// The task of a connection, counted as long as this lives.
struct Guest(Task);

impl Guest {
    fn new(server: &Rc<Server>) -> Guest {
        server.counters.accepted.add(1);
        server.counters.connections.add(1);
        Guest(Task::new(server))
    }

    /// The TLS handshake, if there is to be one. What was received without it is given with the connection.
    async fn greet(&self, stream: TcpStream) -> Option<(Channel, Option<Received>)> {
        let server = &self.0.server;
        let Some(acceptor) = &server.acceptor else { return Some((Channel::Plain(stream), None)) };
        let peer = stream.peer_addr();
        let mut handshake = pin!(server.secure(acceptor, stream));
        let greeted = poll_fn(|context| {
            self.0.set(context.waker());
            if server.is_aborting() {
                return Poll::Ready(None);
            }
            handshake.as_mut().poll(context).map(Some)
        });
        match greeted.await? {
            Ok(greeted) => Some(greeted),
            Err(error) => {
                server.counters.malformed.add(1);
                tracing::debug!(%peer, %error, "no TLS session");
                None
            }
        }
    }

    /// Serves HTTP, or what it turns into.
    async fn serve(&self, channel: Channel, received: Option<Received>) {
        let server = &self.0.server;
        let mut connection = connection::Connection::new(server.clone(), channel.clone(), received);
        poll_fn(|context| {
            self.0.set(context.waker());
            connection.poll(context)
        })
        .await;
        let turned = connection.turned();
        // What it keeps of the request goes with it.
        drop(connection);
        let Some((turn, received)) = turned else { return };
        match turn {
            Turn::WebSocket(upgrade) => {
                let wire = WebSocket::new(&server.config, &upgrade);
                let Upgrade { origin, subscribes, .. } = *upgrade;
                let mut connection =
                    multiplex::Connection::new(server.clone(), channel, origin, wire, received);
                if let Some(form) = subscribes {
                    connection.subscribe(form, None);
                }
                self.multiplex(connection).await;
            }
            Turn::ZeroMq => {
                let mut greeting = BytesMut::new();
                let wire = ZeroMq::new(server, &mut greeting);
                channel.write(&greeting);
                let origin = Origin { peer: Peer::new(&channel), lines: Bytes::new() };
                let connection =
                    multiplex::Connection::new(server.clone(), channel, origin, wire, received);
                self.multiplex(connection).await;
            }
        }
    }

    async fn multiplex<W: Wire>(&self, mut connection: multiplex::Connection<W>) {
        poll_fn(|context| {
            self.0.set(context.waker());
            connection.poll(context)
        })
        .await;
    }
}

impl Drop for Guest {
    fn drop(&mut self) {
        self.0.server.counters.connections.sub(1);
    }
}
