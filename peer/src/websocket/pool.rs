//! The connections of a core on which requests are under way.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::future::{Future, poll_fn};
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::rc::{Rc, Weak};
use std::task::{Poll, Waker};
use std::time::Duration;

use bytes::Bytes;
use grenache_engine::{Sleep, now, sleep_until, spawn_local};

use super::Config;
use super::connect::connect;
use super::connection::{Connection, Reader};
use super::masks::Masks;
use crate::envelope::{Reply, Rid};
use crate::error::Failure;
use crate::flight::Flight;
use crate::http::{Failed, Target};
use crate::tls::Connector;

/// As Node asks for it.
const PATH: &str = "/ws";

type Dialled = Result<Rc<Connection>, Failed>;

/// The connections of one core to its destinations. Clones are the same pool.
#[derive(Clone)]
pub(crate) struct Pool {
    shared: Rc<Shared>,
}

struct Shared {
    config: Config,
    tls: Option<Connector>,
    masks: Rc<Masks>,
    destinations: RefCell<BTreeMap<SocketAddr, Destination>>,
    /// Tasks that read from connections.
    readers: Cell<usize>,
    stopped: Cell<bool>,
    ended: RefCell<Vec<Waker>>,
}

/// The connections to one destination, and the one that is being made.
#[derive(Default)]
struct Destination {
    connections: Vec<Rc<Connection>>,
    dial: Weak<Flight<Dialled>>,
}

impl Destination {
    /// Of the connections that take requests the one with the fewest under way.
    fn least(&self) -> Option<Rc<Connection>> {
        let open = self.connections.iter().filter(|one| one.is_open());
        open.min_by_key(|one| one.load()).cloned()
    }
}

/// The last clone of a pool is gone: nothing is under way any more.
impl Drop for Shared {
    fn drop(&mut self) {
        let destinations = self.destinations.get_mut().values();
        destinations.flat_map(|at| &at.connections).for_each(|connection| connection.drain());
    }
}

impl Pool {
    /// `tls` is for targets that are secure.
    pub(crate) fn new(config: Config, tls: Option<Connector>) -> Pool {
        Pool {
            shared: Rc::new(Shared {
                config,
                tls,
                masks: Rc::new(Masks::new()),
                destinations: RefCell::default(),
                readers: Cell::new(0),
                stopped: Cell::new(false),
                ended: RefCell::default(),
            }),
        }
    }

    /// Sends one request, whose `body` is an envelope with the id `rid`, and gives the reply.
    ///
    /// `deadline` is in the engine's time and covers connecting and the reply. Dropping the future gives the request up; the
    /// connection stays, and an answer that comes all the same is thrown away.
    ///
    /// A connection that turns out closed before a byte of the request has left is replaced by another unnoticed.
    ///
    /// # Errors
    /// Why there is no reply, and whether the request may have run.
    pub(crate) async fn ask(
        &self,
        to: &Target,
        rid: Rid,
        body: &Bytes,
        deadline: Duration,
    ) -> Result<Reply, Failed> {
        if deadline <= now() {
            return Err(Failed::Timeout { may_have_run: false });
        }
        let mut deadline = pin!(sleep_until(deadline));
        loop {
            let connection = self.connection(to, deadline.as_mut()).await?;
            let used = connection.is_used();
            let asked = connection.ask(rid, body);
            let answer = poll_fn(|context| {
                if let Poll::Ready(answer) = asked.poll(context) {
                    return Poll::Ready(Some(answer));
                }
                deadline.as_mut().poll(context).map(|()| None)
            });
            match answer.await {
                Some(Ok(reply)) => return Ok(reply),
                None => return Err(Failed::Timeout { may_have_run: asked.has_begun() }),
                Some(Err(unanswered)) => match unanswered.failed {
                    // The kept connection was closed already; another will do.
                    _ if unanswered.unsent && used && !self.shared.stopped.get() => {}
                    Failed::Closed | Failed::Failure(Failure::Broken(_)) if unanswered.unsent => {
                        let why = "closed before the request was sent".into();
                        return Err(Failed::Failure(Failure::Connect(why)));
                    }
                    failed => return Err(failed),
                },
            }
        }
    }

    /// A connection that takes a request: one that there is, or one that has to be made.
    async fn connection(&self, to: &Target, mut deadline: Pin<&mut Sleep>) -> Dialled {
        let shared = &self.shared;
        if shared.stopped.get() {
            return Err(Failed::Stopped);
        }
        let dial = {
            let mut destinations = shared.destinations.borrow_mut();
            let destination = destinations.entry(to.addr).or_default();
            let connections = &destination.connections;
            let least = destination.least();
            let full = connections.len() >= shared.config.max_connections.max(1);
            match least {
                Some(least) if full || least.load() < shared.config.max_in_flight => {
                    return Ok(least);
                }
                _ => {}
            }
            let dialling = destination.dial.upgrade().filter(|dial| !dial.has_ended());
            dialling.unwrap_or_else(|| {
                let dial = Flight::start(dial(self.clone(), to.clone()));
                destination.dial = Rc::downgrade(&dial);
                dial
            })
        };
        let mut result = pin!(dial.result());
        let dialled = poll_fn(|context| {
            if let Poll::Ready(dialled) = result.as_mut().poll(context) {
                return Poll::Ready(dialled.unwrap_or(Err(Failed::Stopped)));
            }
            let late = Err(Failed::Timeout { may_have_run: false });
            deadline.as_mut().poll(context).map(|()| late)
        });
        match dialled.await {
            // If there is no other, the one that there is has to do.
            Err(failed @ Failed::Failure(_)) => {
                let destinations = shared.destinations.borrow();
                let least = destinations.get(&to.addr).and_then(Destination::least);
                least.ok_or(failed)
            }
            dialled => dialled,
        }
    }

    /// Requests under way.
    #[cfg(test)]
    pub(super) fn load(&self) -> usize {
        let destinations = self.shared.destinations.borrow();
        destinations.values().flat_map(|at| &at.connections).map(|one| one.load()).sum()
    }

    /// Most bytes that wait on a connection.
    #[cfg(test)]
    pub(super) fn queued(&self) -> usize {
        let destinations = self.shared.destinations.borrow();
        let connections = destinations.values().flat_map(|at| &at.connections);
        connections.map(|one| one.queued()).max().unwrap_or(0)
    }

    /// Takes no further requests, and closes the connections once those under way are answered. Waits until they are closed.
    pub(crate) async fn close(&self) {
        let shared = &self.shared;
        shared.stopped.set(true);
        for destination in shared.destinations.borrow().values() {
            destination.connections.iter().for_each(|connection| connection.drain());
        }
        poll_fn(|context| {
            if shared.readers.get() == 0 {
                return Poll::Ready(());
            }
            let mut ended = shared.ended.borrow_mut();
            ended.retain(|waker| !waker.will_wake(context.waker()));
            ended.push(context.waker().clone());
            Poll::Pending
        })
        .await;
    }
}

/// Makes a connection, for all who wait for it.
async fn dial(pool: Pool, to: Target) -> Dialled {
    let shared = &pool.shared;
    let dialling = Dialling { shared: Rc::downgrade(shared), addr: to.addr };
    let upgraded = connect(&to, PATH, None, &shared.config, shared.tls.as_ref()).await;
    let upgraded = upgraded.map_err(Failed::Failure)?;
    if shared.stopped.get() {
        return Err(Failed::Stopped);
    }
    let (connection, reader) = Connection::new(upgraded, shared.masks.clone(), &shared.config);
    let mut destinations = shared.destinations.borrow_mut();
    destinations.entry(to.addr).or_default().connections.push(connection.clone());
    drop(destinations);
    shared.readers.set(shared.readers.get() + 1);
    spawn_local(read(reader, connection.clone(), dialling));
    Ok(connection)
}

async fn read(reader: Reader, connection: Rc<Connection>, dialled: Dialling) {
    let _reading = Reading { connection, dialled };
    reader.run().await;
}

/// A connection that is made or read from. With it goes what is kept of its destination, if there is no other.
struct Dialling {
    shared: Weak<Shared>,
    addr: SocketAddr,
}

impl Drop for Dialling {
    fn drop(&mut self) {
        let Some(shared) = self.shared.upgrade() else { return };
        let mut destinations = shared.destinations.borrow_mut();
        if destinations.get(&self.addr).is_some_and(|at| at.connections.is_empty()) {
            destinations.remove(&self.addr);
        }
    }
}

/// A connection that is read from, until this is dropped.
struct Reading {
    connection: Rc<Connection>,
    dialled: Dialling,
}

impl Drop for Reading {
    fn drop(&mut self) {
        let Dialling { shared, addr } = &self.dialled;
        let Some(shared) = shared.upgrade() else { return };
        if let Some(at) = shared.destinations.borrow_mut().get_mut(addr) {
            at.connections.retain(|one| !Rc::ptr_eq(one, &self.connection));
        }
        shared.readers.set(shared.readers.get() - 1);
        if shared.readers.get() == 0 {
            shared.ended.take().into_iter().for_each(Waker::wake);
        }
    }
}
