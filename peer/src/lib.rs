//! The Grenache peer library: services find each other through grapes and call each other directly, without a broker.
//!
//! A **worker** offers services by name and announces them to a grape. A **client** asks a grape who offers a service, picks one
//! of the workers, and calls it over HTTP, WebSocket or ZeroMQ, with TLS or without. A **publisher** sends messages to all
//! **subscribers** ([`publish`], [`subscribe`]). Each speaks what Node's `grenache-nodejs-http` and `grenache-nodejs-ws` speak,
//! so either side may be that.
//!
//! ```
//! use grenache_peer::server::Reply;
//! use grenache_peer::{Call, Handle, Json, Worker, handle, worker};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! // A grape on free ports. Usually one runs already, and its address is known.
//! # use grenache_grape::Grape;
//! let grape = Grape::start(grenache_grape::Config { dht_port: 0, api_port: 0, ..Default::default() })?;
//! let grapes = vec![format!("http://{}", grape.api_addr())];
//!
//! let config = worker::Config { grapes: grapes.clone(), ..Default::default() };
//! let worker = Worker::start(config, |_, services| {
//!     services.add("rest:sum", |request| async move {
//!         let numbers: Vec<f64> = request.json()?;
//!         Reply::json(&numbers.iter().sum::<f64>())
//!     });
//! })?;
//!
//! let client = Handle::start(handle::Config { grapes, ..Default::default() })?;
//! let call = Call::new("rest:sum", Json::of(&[1.5, 2.0, 3.0])?).wait_for_service();
//! let sum: f64 = client.request(call).wait()?.to()?;
//! assert_eq!(sum, 6.5);
//! # Ok(())
//! # }
//! ```
//!
//! The folder `examples/` has more: a worker and a client of their own, a publisher and a subscriber, streams, mutual TLS, calls
//! from tokio.
//!
//! # Cores and handles
//!
//! Everything runs on cores of the [engine](grenache_engine), each a thread with its own sockets, connections, caches and timers;
//! nothing is shared and nothing locked. There are two ways in:
//!
//! | from | use | what it gives |
//! |---|---|---|
//! | a handler of a [`Worker`], or a program on the engine | [`Context`]: its core's [`client`](Context::client) and [`link`](Context::link) | futures of that core, which never leave it |
//! | any other thread, tokio's and other executors' included | [`Handle`], which has an engine of its own | [`Asked`]: a future that may go anywhere, or [`wait`](Asked::wait) for it |
//!
//! A handler is an async function and runs beside all others of its core. It may wait as long as it likes and must not hold the
//! core: what computes for long or blocks goes through [`blocking()`]. A panic in it is the error of its one request. Dropping a
//! future takes back what it stands for, on both sides: a call that nobody waits for is cancelled, and the handler of a client
//! that has hung up is dropped.
//!
//! # Payloads
//!
//! A [`Json`] is one value as it stands on the wire: checked, and passed on byte for byte, so that numbers keep all their digits.
//! [`Json::of`] makes one of any `serde` type, [`Json::to`] takes it apart again. [`Call::gzip`] compresses both ways.
//!
//! # Deadlines, retries, errors
//!
//! Every call has a deadline, [`Call::timeout`] after it was begun: 60 s unless set. It covers everything, the lookup, connecting,
//! all tries and the reply, and is exact to a millisecond. Then the call fails with [`Error::Timeout`]; whatever comes later is
//! thrown away.
//!
//! A call is tried [`Call::attempts`] times, each time at another worker if there is one. What may have reached a worker is not
//! tried again, since it might run twice, unless the caller says by [`Call::idempotent`] that it may. Retries have a budget
//! ([`client::Config::retry_ratio`]), so that they do not make a bad situation worse. A worker that fails is set aside for a while
//! and probed before it is used again.
//!
//! All errors are one type, [`Error`]; its text begins with the name that Node's Grenache gives it.
//! [`Error::may_have_run`] tells whether a handler may have begun the call, and [`Error::Remote`] is what a handler itself has
//! said.
//!
//! # Finding services
//!
//! Workers announce themselves every minute and are forgotten some minutes after their last announcement, so a lookup may give
//! workers that are gone. What was looked up is used for [`link::Config::cache_age`]; an empty answer is not kept.
//! [`Call::wait_for_service`] and [`Link::wait_for_service`](link::Link::wait_for_service) wait for a service that is not there yet.
//! Several grapes stand in for each other.
//!
//! # Limits
//!
//! Everything that another can make grow has a limit, a field of [`server::Config`], [`client::Config`], [`link::Config`],
//! [`PoolConfig`], [`websocket::Config`], [`zeromq::Config`], [`zeromq::Settings`], [`publish::Config`], [`subscribe::Config`] or [`handle::Config`]: sizes of heads, bodies and replies, before and after decompression; requests and
//! connections at once; how long anything may take. Beyond them a request is refused, with an error that says so; whatever is
//! refused has not run.
//!
//! # Transports
//!
//! A worker takes HTTP, WebSocket and ZeroMQ on its one port, and its handlers do not know which it was. A client uses what
//! [`client::Config::transport`] says: HTTP has a connection for each request under way, WebSocket and ZeroMQ have one for all.
//! Headers, gzip of a single call, and streams are HTTP's; CURVE, which needs no certificates, is ZeroMQ's ([`zeromq::Security`],
//! [`zeromq::Gate`]).
//!
//! # TLS
//!
//! [`tls::ServerTls`] and [`tls::ClientTls`] are what Node calls `secure`: certificates, authorities, and whether clients must show
//! certificates of their own. Handlers see the client's [`Certificate`](tls::Certificate); a list of [`Fingerprint`]s lets in only
//! those. With `client_tls` all workers are called over TLS.

mod arena;
mod backoff;
pub mod bridge;
pub mod channel;
pub mod client;
mod context;
#[doc(hidden)] // Open to the load generator, the benches and a fuzz target.
pub mod envelope;
mod error;
mod fingerprint;
mod flight;
mod gzip;
pub mod handle;
mod http;
mod json;
pub mod link;
mod multiplex;
mod outbox;
mod prefixes;
pub mod publish;
pub mod server;
pub mod subscribe;
pub mod tls;
pub mod websocket;
pub mod worker;
pub mod zeromq;

pub use backoff::Backoff;
pub use bridge::Bridge;
pub use channel::Channel;
pub use client::{Call, Client, StreamCall, Transport};
pub use context::Context;
pub use error::{Error, Failure};
pub use fingerprint::{Fingerprint, NotAFingerprint};
pub use handle::{Asked, Handle};
pub use http::Config as PoolConfig;
pub use json::Json;
pub use link::Link;
pub use publish::Publisher;
pub use server::blocking;
pub use subscribe::{Subscribe, Subscriber};
pub use worker::Worker;
