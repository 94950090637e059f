//! The right to use a connection.

use std::future::poll_fn;
use std::ops::Deref;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::Poll;

use grenache_engine::Sleep;

use super::connection::{Answer, Connection, Ticket};
use super::destination::Destination;
use super::{Failed, Outgoing};

/// The right to send one request on a connection. Dropping it gives the connection to whoever waits, keeps it or closes it.
pub(super) struct Lease {
    connection: Rc<Connection>,
    destination: Rc<Destination>,
}

impl Lease {
    pub(super) fn new(connection: Rc<Connection>, destination: Rc<Destination>) -> Lease {
        connection.users.set(connection.users.get() + 1);
        Lease { connection, destination }
    }

    pub(super) fn connection(&self) -> &Rc<Connection> {
        &self.connection
    }

    /// Lets other requests be sent while this one is under way.
    pub(super) fn share(&self) {
        self.destination.share(&self.connection);
    }

    /// See [`Config::send_high_water`](super::Config::send_high_water).
    pub(super) fn high_water(&self) -> usize {
        self.destination.config().send_high_water
    }

    /// Reads until the answer to a request is there, and sends what is left of the request meanwhile. Dropping the future
    /// leaves the request: the connection is then broken off, unless others wait on it as well.
    pub(super) async fn answer(
        &self,
        ticket: Ticket,
        request: &Outgoing<'_>,
        mut deadline: Pin<&mut Sleep>,
    ) -> Result<Answer, Unanswered> {
        let asked = Asked { connection: &self.connection, ticket };
        let mut sending = pin!(self.send(request, self.high_water()));
        let mut sent = Connection::is_small(request);
        let answer = poll_fn(|context| {
            sent = sent || sending.as_mut().poll(context).is_ready();
            loop {
                if let Some(answer) = self.take(&asked.ticket) {
                    return Poll::Ready(answer);
                }
                if self.poll_read(context).is_pending() {
                    break;
                }
            }
            let timeout = Err(Failed::Timeout { may_have_run: true });
            deadline.as_mut().poll(context).map(|()| timeout)
        })
        .await;
        if !sent {
            // An answer that came early is one; but what the server makes of the rest is not known.
            self.spend();
        }
        match answer {
            Ok(answer) => {
                self.used.set(true);
                Ok(answer)
            }
            Err(failed) => Err(Unanswered { failed, unsent: self.is_unsent(&asked.ticket) }),
        }
    }
}

impl Deref for Lease {
    type Target = Connection;

    fn deref(&self) -> &Connection {
        &self.connection
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.connection.users.set(self.connection.users.get() - 1);
        self.destination.release(&self.connection);
    }
}

/// Why a request has no answer.
pub(super) struct Unanswered {
    pub(super) failed: Failed,
    /// The kernel has not taken a byte of it.
    pub(super) unsent: bool,
}

/// A request under way.
struct Asked<'a> {
    connection: &'a Connection,
    ticket: Ticket,
}

impl Drop for Asked<'_> {
    fn drop(&mut self) {
        let left = self.connection.leave(&self.ticket);
        if left && self.connection.users.get() == 1 {
            self.connection.break_off();
        }
    }
}
