//! Calling services.
//!
//! ```no_run
//! use grenache_peer::client::{Client, Config};
//! use grenache_peer::link::{Grape, Link};
//! use grenache_peer::{Call, Json};
//!
//! # async fn on_a_core() -> Result<(), grenache_peer::Error> {
//! let grapes = Grape::list("http://127.0.0.1:30001")?;
//! let link = Link::new(&grapes, grenache_peer::link::Config::default(), None)?;
//! let client = Client::new(link, Config::default(), None)?;
//! let answer = client.request(Call::new("rest:util:net", Json::of("8.8.8.8")?)).await?;
//! println!("{answer}");
//! # Ok(())
//! # }
//! ```

mod attempts;
mod budget;
mod call;
mod choice;
mod config;
mod destinations;
mod exchange;
mod map;
mod stream;

use std::cell::Cell;
use std::fmt;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use grenache_engine::{now, timeout};

use crate::backoff::Random;
use crate::envelope::Rids;
use crate::error::Error;
use crate::http::Pool;
use crate::json::Json;
use crate::link::{Addresses, Link};
use crate::tls::{ClientTls, Connector};
use crate::{websocket, zeromq};
use attempts::{Failure, Limit};
use budget::Budget;
pub use call::Call;
pub(crate) use call::is_reserved;
pub use config::{Choice, Config, Transport};
use destinations::{Destination, Destinations, Health};
use exchange::Prepared;
pub use map::Replies;
pub use stream::{Stream, StreamCall};

/// Calls services from one core. Clones are the same client.
///
/// Dropping a future of a client takes the call back: it holds nothing any more, and a connection on which the request had left
/// is closed.
#[derive(Clone)]
pub struct Client {
    inner: Rc<Inner>,
}

struct Inner {
    link: Link,
    config: Config,
    pool: Pool,
    sockets: websocket::Pool,
    zeromq: zeromq::Pool,
    rids: Rids,
    random: Random,
    destinations: Destinations,
    budget: Budget,
    in_flight: Cell<usize>,
}

impl Client {
    /// A client that finds services through `link`. Needs to run on a core of the engine. With `tls`, all workers are called over
    /// TLS, as Node's `secure` does.
    ///
    /// # Errors
    /// [`Error::Tls`] if the TLS settings cannot be used.
    pub fn new(link: Link, config: Config, tls: Option<&ClientTls>) -> Result<Client, Error> {
        let connector = tls.map(Connector::new).transpose()?;
        Ok(Client {
            inner: Rc::new(Inner {
                link,
                sockets: websocket::Pool::new(config.websocket.clone(), connector.clone()),
                zeromq: zeromq::Pool::new(config.zeromq.clone(), connector.clone()),
                pool: Pool::new(config.pool.clone(), connector),
                rids: Rids::new(),
                random: Random::new(),
                destinations: Destinations::new(&config, tls.is_some()),
                budget: Budget::new(&config),
                in_flight: Cell::new(0),
                config,
            }),
        })
    }

    /// The link it finds services through.
    pub fn link(&self) -> &Link {
        &self.inner.link
    }

    /// What requests go over.
    pub fn transport(&self) -> Transport {
        self.inner.config.transport
    }

    /// Requests in flight, waiting ones included.
    pub fn in_flight(&self) -> usize {
        self.inner.in_flight.get()
    }

    /// Calls a service and waits for the reply of one of its workers.
    ///
    /// A request that certainly has not run (no connection, a worker that is busy) is tried again elsewhere, up to
    /// [`Call::attempts`] and within the budget of [`Config`]; one that may have run only if the call is
    /// [idempotent](Call::idempotent). If all known workers fail, the service is looked up again.
    ///
    /// # Errors
    /// [`Error::Remote`] is the handler's own error; [`Error::LookupEmpty`] if nobody announces the service;
    /// [`Error::Timeout`] exactly when [`Call::timeout`] is over, or when all tries have had their
    /// [`attempt_timeout`](Call::attempt_timeout); [`Error::Busy`] if [`Config::max_in_flight`] is reached. The
    /// others say what went wrong between here and the worker; [`Error::may_have_run`] tells whether it is safe to call again.
    pub async fn request(&self, call: Call) -> Result<Json, Error> {
        let deadline = now().saturating_add(call.timeout);
        let _place = self.inner.enter()?;
        let prepared = self.inner.prepare(&call, deadline).await?;
        self.inner.call(&call, &prepared, None, deadline).await
    }

    /// Calls a service at a worker whose address is known. It is not looked up, and tried again only there.
    ///
    /// # Errors
    /// As [`request`](Self::request).
    pub async fn request_at(&self, to: SocketAddr, call: Call) -> Result<Json, Error> {
        let deadline = now().saturating_add(call.timeout);
        let _place = self.inner.enter()?;
        let prepared = self.inner.prepare(&call, deadline).await?;
        let to = self.inner.destinations.get(to);
        self.inner.call(&call, &prepared, Some(to), deadline).await
    }

    /// Calls all workers of a service, or `limit` of them drawn at random, and gives their replies one by one as they come; one
    /// failure does not touch the others. At most [`Config::map_concurrency`] requests run at once. [`Call::timeout`] is for all
    /// of it together.
    ///
    /// # Errors
    /// As [`Link::lookup`]; [`Error::Timeout`] if the lookup takes all the time.
    pub async fn map(&self, call: Call, limit: Option<usize>) -> Result<Replies, Error> {
        let deadline = now().saturating_add(call.timeout);
        let addresses = self.inner.look_up(&call, deadline).await?;
        let limit = limit.unwrap_or(usize::MAX);
        let Inner { destinations, random, .. } = &*self.inner;
        let to = choice::some(&addresses, limit, destinations, random, now());
        Ok(Replies::start(self.clone(), call, to, deadline))
    }

    /// Takes no further calls, and waits until those under way are done and their connections closed.
    pub async fn close(&self) {
        self.inner.sockets.close().await;
        self.inner.zeromq.close().await;
        self.inner.pool.close().await;
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Inner { link, config, .. } = &*self.inner;
        f.debug_struct("Client").field("link", link).field("config", config).finish_non_exhaustive()
    }
}

/// A request's share of [`Config::max_in_flight`].
struct Place(Rc<Inner>);

impl Drop for Place {
    fn drop(&mut self) {
        self.0.in_flight.set(self.0.in_flight.get() - 1);
    }
}

impl Inner {
    fn enter(self: &Rc<Self>) -> Result<Place, Error> {
        let in_flight = self.in_flight.get();
        if in_flight >= self.config.max_in_flight {
            return Err(Error::Busy("too many requests of this client are in flight"));
        }
        self.in_flight.set(in_flight + 1);
        Ok(Place(self.clone()))
    }

    async fn prepare<'a>(&self, call: &'a Call, deadline: Duration) -> Result<Prepared<'a>, Error> {
        if call.gzip || !call.headers.is_empty() {
            self.config.transport.needs_http("headers and compression of a call")?;
        }
        Prepared::new(call, self.rids.draw(), deadline).await
    }

    async fn call(
        &self,
        call: &Call,
        prepared: &Prepared<'_>,
        fixed: Option<Rc<Destination>>,
        deadline: Duration,
    ) -> Result<Json, Error> {
        let exchange = async |to: &Rc<Destination>, limit: Limit| {
            let _in_flight = to.begin();
            let failed = |failed| Failure::of(failed, to.addr(), limit.of);
            let json = match self.config.transport {
                Transport::Http => {
                    let outgoing = prepared.outgoing();
                    let answer = self.pool.exchange(&to.target, &outgoing, limit.deadline).await;
                    let answer = answer.map_err(failed)?;
                    prepared.read(answer, to.addr(), limit, self.config.max_inflated).await?
                }
                Transport::WebSocket => {
                    let Prepared { rid, body, .. } = prepared;
                    let reply = self.sockets.ask(&to.target, *rid, body, limit.deadline).await;
                    exchange::read_envelope(reply.map_err(failed)?, to.addr())?
                }
                Transport::ZeroMq => {
                    let Prepared { rid, body, .. } = prepared;
                    let reply = self.zeromq.ask(&to.target, *rid, body, limit.deadline).await;
                    exchange::read_envelope(reply.map_err(failed)?, to.addr())?
                }
            };
            to.report(Health::Well, &self.config, &self.random);
            Ok(json)
        };
        self.attempts(call, fixed, deadline, exchange).await
    }

    async fn look_up(&self, call: &Call, deadline: Duration) -> Result<Addresses, Error> {
        if let Some(known) = self.link.cached(&call.service) {
            return Ok(known);
        }
        let left = deadline.saturating_sub(now());
        if call.wait {
            let found = Box::pin(self.link.wait_for_service(&call.service, left)).await;
            return found.map_err(|error| match error {
                // What is left is not what the caller has given.
                Error::Timeout { to, may_have_run, .. } => {
                    Error::Timeout { limit: call.timeout, to, may_have_run }
                }
                other => other,
            });
        }
        // On the heap: most calls find the answer in the cache.
        within(deadline, call.timeout, Box::pin(self.link.lookup(&call.service))).await
    }
}

/// Waits until the deadline of a call that may take `limit` as a whole.
async fn within<T>(
    deadline: Duration,
    limit: Duration,
    work: impl Future<Output = Result<T, Error>>,
) -> Result<T, Error> {
    let left = deadline.saturating_sub(now());
    let late = Error::Timeout { limit, to: None, may_have_run: false };
    timeout(left, work).await.unwrap_or(Err(late))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A call's future is moved some times, and two are made of it for a task.
    #[test]
    fn the_future_of_a_call_is_small() {
        fn size<T>(_: impl Fn(&'static Client, Call) -> T) -> usize {
            size_of::<T>()
        }
        let size = size(|client, call| client.request(call));
        assert!(size <= 3072, "{size}");
    }
}
