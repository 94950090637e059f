//! The driver face: everything a core knows of the world comes through here.
//!
//! A driver serves one core. It works in the style of completions: the executor asks for things
//! (send this, connect there), and the driver reports what came of them to the socket table,
//! [`Sockets`], which it is handed wherever it may report. What a driver must do:
//!
//! - **Keys.** Sockets are named by [`Key`]s which the table makes. A driver keeps what it needs per
//!   key (a descriptor) and may use `key.slot` as an index: a slot is not used again before the
//!   driver has said [`Sockets::closed`] for the key. For a stream the driver accepts, it gets the
//!   key from [`Sockets::accepted`]; no key means nobody wants it, and it is closed.
//! - **Listeners.** From `listen` on it reports connections; after [`Flow::Pause`] it stops until
//!   `resume`. An error of accepting goes to [`Sockets::accept_failed`] and also stops it until
//!   `resume`, which the table asks for after a rest.
//! - **Streams.** From [`Sockets::accepted`] or [`Sockets::connected`] on it reports what is received
//!   with [`Sockets::received`], unasked, until that answers [`Flow::Pause`]; `resume` starts it again. (A driver may deliver a
//!   little more after a pause than before it: what the kernel had handed over already.) The end of
//!   the stream and errors go to [`Sockets::ended`], after the bytes before them.
//! - **Sending.** `send` is called with bytes in [`Sockets::outgoing`] and never again for the same
//!   stream until the driver has reported [`Sockets::sent`]: how many bytes left, may be fewer than
//!   all. If the send failed it reports the error with [`Sockets::ended`] and then `sent`. `finish` is called when all is sent: send FIN.
//! - **Datagrams.** `send_datagrams` takes as many as it can from [`Sockets::next_datagram`] and reports each
//!   with [`Sockets::datagram_done`]; what it leaves it takes later by itself, when it can. What is
//!   received goes to [`Sockets::datagram`].
//! - **Closing.** `close` ends everything for a key. When nothing more can be reported for it, the
//!   driver says [`Sockets::closed`], at once or later, once.
//! - **Waiting.** `poll` reports what is there. With [`Wait::Until`] and nothing to report it may wait
//!   for something to report, for its core's bell ([`crate::wake::Notify`]), or for the deadline. With
//!   [`Wait::No`] it returns at once and should not cost a system call when nothing happened.
//! - **Time.** `now` never goes back. The executor reads it after each `poll`.
//! - **Mesh.** `publish` makes what the core has written to a [`Link`] visible to its receiver and
//!   wakes that one: at once by `link.publish(link.written())`, or, in a simulation, after a delay
//!   by `link.publish(count)` with the `count` that `link.written()` had when it was called.
//!
//! Errors are `errno` numbers (`libc::ECONNRESET`): what a kernel would say, comparable, copyable.
//!
//! Stepping, for a driver that holds many cores on one thread: make a [`Home`](crate::wake::Home) per
//! core with a `Notify` of its own, `mesh::build` the ends, `Executor::new`, and inside
//! `executor.enter()`: `Core::open` with [`Bound`]s without sockets, `task::spawn_on` for main, and
//! `step` whenever the core's driver has something to report, its `Notify` was called, or
//! `next_deadline` has come. `shut_down` ends a core whose main has returned (it waits in `poll` with
//! [`Wait::Until`], so a stepped core is instead turned until `is_closing` is false after `abandon`); `abandon` kills it.
//!
//! A driver must be ready to be dropped at any time; it then sees to it that nothing outside (the
//! kernel) uses its memory any more.

pub(crate) mod clock;
mod epoll;
mod uring;

use std::io;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::Duration;

use crate::config::{DriverChoice, DriverKind, Limits};
use crate::mesh::Link;
use crate::net::table::Sockets;
use crate::sys::EventFd;
use clock::Clock;

/// Names a socket of one core.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Key {
    /// Index in the socket table.
    pub(crate) slot: u32,
    /// Which user of the slot; below 2^24.
    pub(crate) generation: u32,
}

/// Whether a driver goes on delivering.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Flow {
    /// Go on.
    More,
    /// Stop until resumed.
    Pause,
}

/// How long `poll` may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wait {
    /// Not at all.
    No,
    /// Until something happens, at most until this time.
    Until(Option<Duration>),
}

/// What a socket is bound for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Protocol {
    /// A listener.
    Tcp,
    /// A datagram socket.
    Udp,
}

/// A socket bound to an address, of which the driver makes use.
pub(crate) struct Bound {
    pub(crate) address: SocketAddr,
    /// Absent in a simulation.
    pub(crate) socket: Option<OwnedFd>,
}

/// See the [module](self).
pub(crate) trait Driver {
    fn kind(&self) -> DriverKind;

    /// The time since an origin that all cores of the runtime share.
    fn now(&mut self) -> Duration;

    /// The time since the Unix epoch.
    fn wall_clock(&mut self) -> Duration;

    fn fill_random(&mut self, buffer: &mut [u8]);

    /// Binds a socket for this core alone; a listener also listens.
    fn bind(&mut self, protocol: Protocol, address: SocketAddr) -> io::Result<Bound>;

    /// Starts to accept connections.
    fn listen(&mut self, key: Key, bound: Bound) -> io::Result<()>;

    /// Starts to receive datagrams.
    fn open_datagrams(&mut self, key: Key, bound: Bound) -> io::Result<()>;

    /// Starts to connect; ends with [`Sockets::connected`]. After an error here the key is unknown
    /// to the driver.
    fn connect(&mut self, key: Key, to: SocketAddr) -> io::Result<()>;

    /// The address of this side of a stream.
    fn local_address(&mut self, key: Key) -> io::Result<SocketAddr>;

    /// Goes on receiving or accepting after a pause.
    fn resume(&mut self, key: Key, sockets: &mut Sockets);

    /// Sends what is in [`Sockets::outgoing`].
    fn send(&mut self, key: Key, sockets: &mut Sockets);

    /// Ends the sending side of a stream.
    fn finish(&mut self, key: Key, sockets: &mut Sockets);

    /// Sends what [`Sockets::next_datagram`] gives.
    fn send_datagrams(&mut self, key: Key, sockets: &mut Sockets);

    /// Closes a socket; `reset` tells a stream's peer so (RST) and drops what is being sent.
    fn close(&mut self, key: Key, reset: bool, sockets: &mut Sockets);

    /// Reports what happened.
    fn poll(&mut self, wait: Wait, sockets: &mut Sockets);

    /// Makes messages to another core visible to it.
    fn publish(&mut self, link: &Arc<Link>);
}

/// Which driver to run, and one line that says why not io_uring if it was wanted.
pub(crate) fn choose(choice: DriverChoice) -> io::Result<(DriverKind, Option<String>)> {
    if choice == DriverChoice::Epoll {
        return Ok((DriverKind::Epoll, None));
    }
    // On a thread that ends: the kernel interrupts calls of a thread that has used a ring, once,
    // when it takes the ring down.
    let probe = std::thread::Builder::new().spawn(uring::UringDriver::probe)?;
    match probe.join().unwrap_or_else(|_| Err(io::ErrorKind::Other.into())) {
        Ok(()) => Ok((DriverKind::Uring, None)),
        Err(error) if choice == DriverChoice::Uring => Err(error),
        Err(error) => {
            let notice = format!("io_uring is not available ({error}), running on epoll");
            Ok((DriverKind::Epoll, Some(notice)))
        }
    }
}

/// Opens a real driver for the core of this thread.
pub(crate) fn open(
    kind: DriverKind,
    bell: EventFd,
    clock: Clock,
    limits: &Limits,
) -> io::Result<Box<dyn Driver>> {
    Ok(match kind {
        DriverKind::Uring => Box::new(uring::UringDriver::new(bell, clock, limits)?),
        DriverKind::Epoll => Box::new(epoll::EpollDriver::new(bell, clock, limits)?),
        DriverKind::Simulated => return Err(io::ErrorKind::Unsupported.into()),
    })
}
