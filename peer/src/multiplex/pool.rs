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

use super::connection::{Connection, Reader};
use super::{Bounds, Dial};
use crate::envelope::{Reply, Rid};
use crate::error::Failure;
use crate::flight::Flight;
use crate::http::{Failed, Target};
use crate::tls::Connector;

/// A connection to a destination, as all get it who have waited for it.
type Made<D> = Result<Rc<Connection<<D as Dial>::Wire>>, Failed>;

/// The connections of one core to its destinations. Clones are the same pool.
pub(crate) struct Pool<D: Dial> {
    shared: Rc<Shared<D>>,
}

struct Shared<D: Dial> {
    dialer: D,
    bounds: Bounds,
    tls: Option<Connector>,
    destinations: RefCell<BTreeMap<SocketAddr, Destination<D>>>,
    /// Tasks that read from connections.
    readers: Cell<usize>,
    stopped: Cell<bool>,
    ended: RefCell<Vec<Waker>>,
}

/// The connections to one destination, and the one that is being made.
struct Destination<D: Dial> {
    connections: Vec<Rc<Connection<D::Wire>>>,
    dial: Weak<Flight<Made<D>>>,
}

impl<D: Dial> Default for Destination<D> {
    fn default() -> Destination<D> {
        Destination { connections: Vec::new(), dial: Weak::new() }
    }
}

impl<D: Dial> Destination<D> {
    /// Of the connections that take requests the one with the fewest under way.
    fn least(&self) -> Option<Rc<Connection<D::Wire>>> {
        let open = self.connections.iter().filter(|one| one.is_open());
        open.min_by_key(|one| one.load()).cloned()
    }
}

/// The last clone of a pool is gone: nothing is under way any more.
impl<D: Dial> Drop for Shared<D> {
    fn drop(&mut self) {
        let destinations = self.destinations.get_mut().values();
        destinations.flat_map(|at| &at.connections).for_each(|connection| connection.drain());
    }
}

impl<D: Dial> Clone for Pool<D> {
    fn clone(&self) -> Pool<D> {
        Pool { shared: self.shared.clone() }
    }
}

impl<D: Dial> Pool<D> {
    /// `tls` is for targets that are secure.
    pub(crate) fn with(dialer: D, tls: Option<Connector>) -> Pool<D> {
        Pool {
            shared: Rc::new(Shared {
                bounds: dialer.bounds(),
                dialer,
                tls,
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
    async fn connection(&self, to: &Target, mut deadline: Pin<&mut Sleep>) -> Made<D> {
        let shared = &self.shared;
        if shared.stopped.get() {
            return Err(Failed::Stopped);
        }
        let dial = {
            let mut destinations = shared.destinations.borrow_mut();
            let destination = destinations.entry(to.addr).or_default();
            let connections = &destination.connections;
            let least = destination.least();
            let full = connections.len() >= shared.bounds.max_connections.max(1);
            match least {
                Some(least) if full || least.load() < shared.bounds.max_in_flight => {
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
    pub(crate) fn load(&self) -> usize {
        let destinations = self.shared.destinations.borrow();
        destinations.values().flat_map(|at| &at.connections).map(|one| one.load()).sum()
    }

    /// Most bytes that wait on a connection.
    #[cfg(test)]
    pub(crate) fn queued(&self) -> usize {
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
async fn dial<D: Dial>(pool: Pool<D>, to: Target) -> Made<D> {
    let shared = &pool.shared;
    let dialling = Dialling { shared: Rc::downgrade(shared), addr: to.addr };
    let dialled = shared.dialer.dial(&to, shared.tls.as_ref()).await;
    let dialled = dialled.map_err(Failed::Failure)?;
    if shared.stopped.get() {
        return Err(Failed::Stopped);
    }
    let (connection, reader) = Connection::new(dialled, &shared.bounds);
    let mut destinations = shared.destinations.borrow_mut();
    destinations.entry(to.addr).or_default().connections.push(connection.clone());
    drop(destinations);
    shared.readers.set(shared.readers.get() + 1);
    spawn_local(read(reader, connection.clone(), dialling));
    Ok(connection)
}

async fn read<D: Dial>(
    reader: Reader<D::Wire>,
    connection: Rc<Connection<D::Wire>>,
    dialled: Dialling<D>,
) {
    let _reading = Reading { connection, dialled };
    reader.run().await;
}

/// A connection that is made or read from. With it goes what is kept of its destination, if there is no other.
struct Dialling<D: Dial> {
    shared: Weak<Shared<D>>,
    addr: SocketAddr,
}

impl<D: Dial> Drop for Dialling<D> {
    fn drop(&mut self) {
        let Some(shared) = self.shared.upgrade() else { return };
        let mut destinations = shared.destinations.borrow_mut();
        if destinations.get(&self.addr).is_some_and(|at| at.connections.is_empty()) {
            destinations.remove(&self.addr);
        }
    }
}

/// A connection that is read from, until this is dropped.
struct Reading<D: Dial> {
    connection: Rc<Connection<D::Wire>>,
    dialled: Dialling<D>,
}

impl<D: Dial> Drop for Reading<D> {
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
