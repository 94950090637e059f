//! Sockets of ZeroMQ.

mod balance;
mod connections;
mod inbox;
mod pattern;
mod peer;
mod peers;
mod publish;
mod queue;
mod reply;
mod request;
mod router;
mod settings;
mod stats;
mod subscribe;

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fmt;
use std::future::poll_fn;
use std::net::SocketAddr;
use std::rc::Rc;
use std::task::Poll;
use std::time::Duration;

use grenache_engine::{TcpListener, timeout};
use grenache_transports::zmtp::Metadata;

pub use settings::Settings;
pub use stats::Stats;

use super::{Message, SocketType};
use crate::error::Error;
use connections::{Tasks, dial, listen};
use peer::Peer;
use peers::Peers;

/// A socket of ZeroMQ with any number of peers, on one core; it goes together with those of libzmq 4. For programs that speak
/// something else than Grenache's requests and publications, and for proxies.
///
/// Any type may [`bind`](Self::bind) and [`connect`](Self::connect), several times each. A connection that this side has made is
/// made again when it ends. Messages are taken from all peers in turn; a peer of which too many wait is not read from any more.
/// What happens to those that are sent goes by the type:
///
/// | type | who gets a message | if there is no room, or nobody |
/// |---|---|---|
/// | REQ | one peer after the other; then the answer has to be received | [`send`](Self::send) waits |
/// | REP | who has asked what was received last | it is dropped |
/// | DEALER | one peer after the other, of those that have room | `send` waits |
/// | ROUTER | the peer whose identity is the first part | it is dropped, or an error if [`Settings::mandatory`] |
/// | PUB, XPUB | all that have subscribed to a prefix of the first part | it is dropped, for those without room |
/// | XSUB | all, or it is a subscription, if its only part begins with the byte 1, or 0 to cancel it | it is dropped |
///
/// What is dropped is [counted](Self::stats). Unlike in libzmq, nothing waits for a peer that is not connected yet
/// (`ZMQ_IMMEDIATE`). What a DEALER was to send to a peer that has gone, and that was not in its connection yet, goes to another.
/// A REQ whose peer goes without an answer is told so by [`recv`](Self::recv), and may ask again.
///
/// A ROUTER puts the peer's identity before a message that it has received; who has said none is given one that begins with a zero
/// byte. A second peer with the same identity is refused, or takes the place of the first with [`Settings::handover`]. An XPUB
/// receives what is subscribed to for the first time, and what nobody wants any more, as messages that an XSUB can send. A SUB
/// gets what publishers send: once it cancels something, what is on its way still comes.
///
/// ```no_run
/// use grenache_peer::zeromq::{Settings, Socket, SocketType};
///
/// # async fn on_a_core() -> Result<(), grenache_peer::Error> {
/// let socket = Socket::new(SocketType::Req, Settings::default())?;
/// socket.connect("127.0.0.1:5555".parse().unwrap());
/// socket.send("hello").await?;
/// println!("{:?}", socket.recv().await?);
/// # Ok(())
/// # }
/// ```
pub struct Socket {
    peers: Rc<Peers>,
    tasks: Rc<Tasks>,
    /// The tasks of what was bound and connected.
    ends: RefCell<BTreeMap<SocketAddr, Vec<u64>>>,
}

impl Socket {
    /// A socket without peers. Needs to run on a core of the engine.
    ///
    /// # Errors
    /// [`Error::Config`] for an identity that cannot be.
    pub fn new(socket: SocketType, settings: Settings) -> Result<Socket, Error> {
        let mut metadata = Metadata::new(socket);
        if !settings.identity.is_empty() {
            let named = metadata.with_identity(&settings.identity);
            metadata = named.map_err(|misuse| Error::Config(misuse.to_string()))?;
        }
        Ok(Socket {
            peers: Rc::new(Peers::new(metadata, settings)),
            tasks: Rc::default(),
            ends: RefCell::default(),
        })
    }

    /// What kind of socket it is.
    pub fn socket_type(&self) -> SocketType {
        self.peers.metadata.socket()
    }

    /// Takes connections that others make, and tells its address.
    pub fn bind(&self, listener: TcpListener) -> SocketAddr {
        let addr = listener.local_addr();
        let task = listen(self.peers.clone(), Rc::downgrade(&self.tasks), listener);
        self.keep(addr, self.tasks.spawn(task));
        addr
    }

    /// Makes a connection, and makes it again whenever it ends; [`last_error`](Self::last_error) tells what stands in the way.
    /// Twice to the same address makes two.
    pub fn connect(&self, to: SocketAddr) {
        let task = dial(self.peers.clone(), to);
        self.keep(to, self.tasks.spawn(task));
    }

    fn keep(&self, addr: SocketAddr, task: u64) {
        self.ends.borrow_mut().entry(addr).or_default().push(task);
    }

    /// Takes back [`bind`](Self::bind) and [`connect`](Self::connect) for this address: nobody can connect any more, and the
    /// connections that were made by this side are closed; those made by others stay. Says whether there was anything.
    pub fn disconnect(&self, addr: SocketAddr) -> bool {
        let ends = self.ends.borrow_mut().remove(&addr);
        let found = ends.is_some();
        ends.into_iter().flatten().for_each(|task| self.tasks.abort(task));
        found
    }

    /// Sends a message: see the [type's](Self) manner. If the future is dropped before it is ready, the message was not sent.
    ///
    /// # Errors
    /// [`Error::Config`] if this type does not send, or not now; [`Error::Busy`] from a ROUTER with [`Settings::mandatory`].
    pub async fn send(&self, message: impl Into<Message>) -> Result<(), Error> {
        let message = message.into();
        self.peers.senders.until(|| self.offer(&message)).await
    }

    /// Sends a message if that needs no waiting.
    ///
    /// # Errors
    /// As [`send`](Self::send), and [`Error::Busy`] where that would wait.
    pub fn try_send(&self, message: impl Into<Message>) -> Result<(), Error> {
        let why = "no peer of the socket has room for a message";
        self.offer(&message.into()).unwrap_or(Err(Error::Busy(why)))
    }

    fn offer(&self, message: &Message) -> Option<Result<(), Error>> {
        let Peers { pattern, settings, counters, .. } = &*self.peers;
        pattern.borrow_mut().send(message, settings, counters)
    }

    /// Waits for the next message. Dropping the future loses nothing.
    ///
    /// # Errors
    /// [`Error::Config`] if this type does not receive, or not now. Of a REQ whose peer has gone: why. It may ask again then.
    pub async fn recv(&self) -> Result<Message, Error> {
        self.peers.inbox.readers.until(|| self.take()).await
    }

    /// The next message, if it has come.
    ///
    /// # Errors
    /// As [`recv`](Self::recv).
    pub fn try_recv(&self) -> Result<Option<Message>, Error> {
        self.take().transpose()
    }

    fn take(&self) -> Option<Result<Message, Error>> {
        let Peers { pattern, inbox, counters, .. } = &*self.peers;
        pattern.borrow_mut().read(inbox, counters)
    }

    /// Asks all publishers, and those that are connected later, for messages whose first part begins with `prefix`: a SUB or
    /// XSUB. What was subscribed to twice has to be cancelled twice. A PUB of ours takes prefixes of up to 8 KiB.
    ///
    /// # Errors
    /// [`Error::Config`] for other types.
    pub fn subscribe(&self, prefix: impl AsRef<[u8]>) -> Result<(), Error> {
        self.change(|subscriptions| subscriptions.subscribe(prefix.as_ref()))
    }

    /// Takes back [`subscribe`](Self::subscribe) with the same prefix. What was not subscribed to changes nothing.
    ///
    /// # Errors
    /// [`Error::Config`] for other types.
    pub fn unsubscribe(&self, prefix: impl AsRef<[u8]>) -> Result<(), Error> {
        self.change(|subscriptions| subscriptions.cancel(prefix.as_ref()))
    }

    fn change(&self, change: impl FnOnce(&mut subscribe::Subscribe)) -> Result<(), Error> {
        match self.peers.pattern.borrow_mut().subscriptions() {
            Some(subscriptions) => {
                change(subscriptions);
                Ok(())
            }
            None => {
                let why = format!("a {} does not subscribe: a SUB does", self.socket_type());
                Err(Error::Config(why))
            }
        }
    }

    /// What has been counted.
    pub fn stats(&self) -> Stats {
        self.peers.counters.get()
    }

    /// Waits until the counters are as they are wanted. It is looked at whenever peers come, go, or are refused, and when what
    /// they have subscribed to changes.
    pub async fn until(&self, wanted: impl Fn(&Stats) -> bool) -> Stats {
        let counters = &self.peers.counters;
        counters.changed.until(|| Some(counters.get()).filter(&wanted)).await
    }

    /// Why a connection could not be made, was refused, or has ended, the last time that happened.
    pub fn last_error(&self) -> Option<Error> {
        self.peers.last_error.borrow().clone()
    }

    /// Ends the socket once what waits to be sent has left, at most after `linger` (`ZMQ_LINGER`). If it is dropped instead, what
    /// is not in its connection yet is lost.
    pub async fn close(self, linger: Duration) {
        let Peers { senders, pattern, .. } = &*self.peers;
        let empty = async {
            senders.until(|| pattern.borrow().is_empty().then_some(())).await;
            poll_fn(|context| {
                let waits = |peer: &Rc<Peer>| peer.poll_empty(context).is_pending();
                // Each has to be polled, so that it wakes this when it is done.
                match self.peers.all().into_iter().filter(waits).count() {
                    0 => Poll::Ready(()),
                    _ => Poll::Pending,
                }
            })
            .await;
        };
        let _ = timeout(linger, empty).await;
    }
}

impl fmt::Debug for Socket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let socket = self.socket_type();
        f.debug_struct("Socket").field("type", &socket).field("stats", &self.stats()).finish()
    }
}
