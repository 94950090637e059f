//! The connections of a core.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::future::{Future, poll_fn};
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::rc::{Rc, Weak};
use std::task::{Poll, Waker};
use std::time::Duration;

use bytes::BytesMut;
use grenache_engine::{Sleep, now, sleep, sleep_until, spawn_local};
use grenache_transports::http::client::Start;

use super::connection::{Answer, Connection};
use super::destination::{Destination, Given, InFlight};
use super::dial::dial;
use super::exchange::Exchange;
use super::lease::Lease;
use super::{Config, Failed, Outgoing, Target};
use crate::Failure;
use crate::tls::Connector;

/// How often idle connections are looked at.
const SWEEP: Duration = Duration::from_secs(1);

/// The connections of one core to its destinations. Clones are the same pool.
#[derive(Clone)]
pub(crate) struct Pool {
    shared: Rc<Shared>,
}

pub(super) struct Shared {
    config: Rc<Config>,
    tls: Option<Connector>,
    /// By address; with TLS there may be several of one, under different names.
    destinations: RefCell<BTreeMap<SocketAddr, Vec<Rc<Destination>>>>,
    /// Where requests are put together.
    out: RefCell<BytesMut>,
    sweeping: Cell<bool>,
    stopped: Cell<bool>,
    /// Who waits for the last connection to end.
    ended: RefCell<Vec<Waker>>,
}

impl Pool {
    /// `tls` is for targets that are secure.
    pub(crate) fn new(config: Config, tls: Option<Connector>) -> Pool {
        let shared = Shared {
            config: Rc::new(config),
            tls,
            destinations: RefCell::default(),
            out: RefCell::default(),
            sweeping: Cell::new(false),
            stopped: Cell::new(false),
            ended: RefCell::default(),
        };
        Pool { shared: Rc::new(shared) }
    }

    /// Sends one request and gives the whole answer, whatever its status.
    ///
    /// `deadline` is in the engine's time and covers waiting for a connection, making it, and the answer. Dropping the future
    /// gives the place back; if the request has left, its connection is broken off.
    ///
    /// A kept connection that turns out closed before a byte of the request has left is replaced by another unnoticed.
    ///
    /// # Errors
    /// Why there is no answer, and whether the request may have run.
    pub(crate) async fn exchange(
        &self,
        to: &Target,
        request: &Outgoing<'_>,
        deadline: Duration,
    ) -> Result<Answer, Failed> {
        let start = start(to, request)?;
        let call = self.call(to)?;
        let mut deadline = pin!(sleep_until(deadline));
        let pipelined = self.shared.config.pipelined() > 1;
        // The pieces of a large body leave one after another, with nothing in between.
        let shares = pipelined && request.idempotent && Connection::is_small(request);
        loop {
            let lease = self.lease(call.destination(), shares, deadline.as_mut()).await?;
            let ticket = lease.ask(start, request, &mut self.shared.out.borrow_mut());
            if shares {
                lease.share();
            }
            let unanswered = match lease.answer(ticket, request, deadline.as_mut()).await {
                Ok(answer) => return Ok(answer.from(lease.connection())),
                Err(unanswered) => unanswered,
            };
            match unanswered.failed {
                Failed::Timeout { .. } => {
                    return Err(Failed::Timeout { may_have_run: !unanswered.unsent });
                }
                // The kept connection was closed already; another will do.
                _ if unanswered.unsent && lease.used.get() => {}
                Failed::Closed | Failed::Failure(Failure::Broken(_)) if unanswered.unsent => {
                    let why = "closed before the request was sent".into();
                    return Err(Failed::Failure(Failure::Connect(why)));
                }
                failed => return Err(failed),
            }
        }
    }

    /// Begins a request whose body is sent in pieces, in chunks, while the answer comes in pieces.
    ///
    /// `deadline` is in the engine's time and covers what it takes to have a connection; from there on the caller sees to the
    /// time.
    ///
    /// # Errors
    /// Why there is no connection.
    pub(crate) async fn open(
        &self,
        to: &Target,
        head: &Outgoing<'_>,
        deadline: Duration,
    ) -> Result<Exchange, Failed> {
        let start = start(to, head)?;
        let call = self.call(to)?;
        let deadline = pin!(sleep_until(deadline));
        let lease = self.lease(call.destination(), false, deadline).await?;
        let exchange = Exchange::begin(lease, call, start, head, &mut self.shared.out.borrow_mut());
        Ok(exchange)
    }

    /// Calls under way to an address, those included that wait for a connection.
    #[cfg(test)]
    pub(super) fn in_flight(&self, to: SocketAddr) -> usize {
        let destinations = self.shared.destinations.borrow();
        destinations.get(&to).map_or(0, |at| at.iter().map(|one| one.in_flight()).sum())
    }

    /// Takes no further calls, closes what is idle, and waits until the calls under way are done and their connections closed.
    pub(crate) async fn close(&self) {
        let shared = &self.shared;
        shared.stopped.set(true);
        for destination in shared.all() {
            destination.stop();
        }
        poll_fn(|context| {
            if shared.destinations.borrow().is_empty() {
                return Poll::Ready(());
            }
            let mut ended = shared.ended.borrow_mut();
            ended.retain(|waker| !waker.will_wake(context.waker()));
            ended.push(context.waker().clone());
            Poll::Pending
        })
        .await;
    }

    fn call(&self, to: &Target) -> Result<InFlight, Failed> {
        if self.shared.stopped.get() {
            return Err(Failed::Stopped);
        }
        let mut destinations = self.shared.destinations.borrow_mut();
        let at = destinations.entry(to.addr).or_default();
        if let Some(known) = at.iter().find(|destination| destination.serves(to)) {
            return Ok(InFlight::new(known.clone()));
        }
        let (config, pool) = (self.shared.config.clone(), Rc::downgrade(&self.shared));
        at.push(Destination::new(to.clone(), config, pool));
        Ok(InFlight::new(at[at.len() - 1].clone()))
    }

    /// Waits for a connection on which a request may be sent.
    async fn lease(
        &self,
        destination: &Rc<Destination>,
        shares: bool,
        mut deadline: Pin<&mut Sleep>,
    ) -> Result<Lease, Failed> {
        if deadline.deadline() <= now() {
            return Err(Failed::Timeout { may_have_run: false });
        }
        loop {
            let given = match destination.take(shares) {
                Some(given) => given,
                None => within(deadline.as_mut(), destination.wait(shares)).await?,
            };
            match given {
                // What came while it was idle, or went from hand to hand, is nobody's answer.
                Given::Lease(lease) if lease.is_free() && !lease.is_quiet() => lease.spend(),
                // It was ended while it waited.
                Given::Lease(lease) if !lease.is_open() => {}
                Given::Lease(lease) => return Ok(lease),
                Given::Place(place) => {
                    let limit = destination.config().connect_timeout;
                    // On the heap: the handshakes would make the future of every call, of which there are few that dial, twenty
                    // times as large, and it is moved.
                    let dialled = Box::pin(dial(destination, self.shared.tls.as_ref(), limit));
                    let dialled = async {
                        dialled.await.inspect_err(|failed| destination.not_connected(failed))
                    };
                    let channel = within(deadline, dialled).await?;
                    place.connected();
                    let connection = Connection::new(channel, destination.config(), place);
                    return Ok(Lease::new(Rc::new(connection), destination.clone()));
                }
                Given::Refused(failed) => return Err(failed),
            }
        }
    }
}

/// Waits for something before the request is sent.
async fn within<T>(
    mut deadline: Pin<&mut Sleep>,
    future: impl Future<Output = Result<T, Failed>>,
) -> Result<T, Failed> {
    let mut future = pin!(future);
    poll_fn(|context| {
        if let Poll::Ready(output) = future.as_mut().poll(context) {
            return Poll::Ready(output);
        }
        let late = Err(Failed::Timeout { may_have_run: false });
        deadline.as_mut().poll(context).map(|()| late)
    })
    .await
}

/// The beginning of a request.
fn start<'a>(to: &'a Target, request: &Outgoing<'a>) -> Result<Start<'a>, Failed> {
    Start::new("POST", request.target, &to.host).map_err(|_| {
        let why = format!("'{}' on '{}' cannot be asked for", request.target, to.host);
        Failed::Failure(Failure::Connect(why))
    })
}

impl Shared {
    pub(super) fn is_stopped(&self) -> bool {
        self.stopped.get()
    }

    fn all(&self) -> Vec<Rc<Destination>> {
        self.destinations.borrow().values().flatten().cloned().collect()
    }

    /// Drops the destinations of an address that are not used.
    pub(super) fn forget(&self, addr: SocketAddr) {
        let mut destinations = self.destinations.borrow_mut();
        if let Some(at) = destinations.get_mut(&addr) {
            at.retain(|destination| !destination.is_unused());
            if at.is_empty() {
                destinations.remove(&addr);
            }
        }
        if destinations.is_empty() {
            for waker in self.ended.borrow_mut().drain(..) {
                waker.wake();
            }
        }
    }

    /// Has idle connections closed in time, as long as there are any.
    pub(super) fn sweep_idle(self: &Rc<Self>) {
        if !self.sweeping.replace(true) {
            spawn_local(sweep(Rc::downgrade(self)));
        }
    }
}

async fn sweep(pool: Weak<Shared>) {
    loop {
        sleep(SWEEP).await;
        let Some(pool) = pool.upgrade() else { return };
        let mut left = false;
        for destination in pool.all() {
            left |= destination.sweep();
        }
        if !left {
            pool.sweeping.set(false);
            return;
        }
    }
}
