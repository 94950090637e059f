//! ZeroMQ against peers of every manner, on the real engine and in the simulator.

mod ends;
mod handshake;
mod limits;
mod link;
mod patterns;
mod sockets;

use std::future::poll_fn;
use std::net::SocketAddr;
use std::time::Duration;

use bytes::BytesMut;
use grenache_engine::{TcpListener, TcpStream, timeout};
use grenache_transports::zmtp::{Connection, Event, Mechanism, Metadata, Side};

use super::{Config, Gate, Incoming, KeyPair, Link, Message, Met, SecretKey, Security, SocketType};
use crate::Failure;
use crate::channel::Channel;
use crate::error::Error;
use crate::http::Target;
use crate::http::tests::{LONG, run};

pub(crate) const fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

pub(crate) fn keys(byte: u8) -> KeyPair {
    SecretKey::new([byte; 32]).into()
}

/// Settings of a client for this security.
pub(crate) fn with(security: Security) -> Config {
    Config { security, ..Config::default() }
}

/// Both sides of each mechanism.
pub(crate) fn mechanisms() -> [(Gate, Security); 3] {
    let plain = Security::Plain { user: "ann".into(), password: "secret".into() };
    let (server, client) = (keys(1), keys(2));
    let allow = Some([client.public].into());
    let curve = Security::Curve { server: server.public, keys: client };
    [
        (Gate::Null, Security::Null),
        (Gate::Plain([("ann".to_owned(), "secret".to_owned())].into()), plain),
        (Gate::Curve { keys: server, allow }, curve),
    ]
}

/// The next connection to a listener, as a socket of this type.
pub(crate) async fn accept(
    listener: &TcpListener,
    socket: SocketType,
    gate: &Gate,
    config: &Config,
) -> Result<Met, Failure> {
    let (stream, _) = listener.accept().await.expect("a connection");
    let channel = Channel::Plain(stream);
    super::accept(channel, Metadata::new(socket), gate, config).await
}

pub(crate) async fn connect(
    to: SocketAddr,
    socket: SocketType,
    config: &Config,
) -> Result<Met, Failure> {
    super::connect(&Target::peer(to, false), Metadata::new(socket), config, None).await
}

/// A connection between two: who has bound, and who has connected.
async fn pair(
    any: SocketAddr,
    sockets: [SocketType; 2],
    gate: &Gate,
    config: &Config,
) -> (Link, Link) {
    let listener = TcpListener::bind(any).expect("a free port");
    let to = listener.local_addr();
    let accepting = accept(&listener, sockets[0], gate, config);
    let (bound, connected) = both(accepting, connect(to, sockets[1], config)).await;
    (Link::new(bound.unwrap(), config), Link::new(connected.unwrap(), config))
}

/// Waits for two things at the same time.
async fn both<A, B>(one: impl Future<Output = A>, other: impl Future<Output = B>) -> (A, B) {
    let (mut one, mut other) = (Box::pin(one), Box::pin(other));
    let (mut a, mut b) = (None, None);
    let both = poll_fn(|context| {
        if a.is_none()
            && let std::task::Poll::Ready(value) = one.as_mut().poll(context)
        {
            a = Some(value);
        }
        if b.is_none()
            && let std::task::Poll::Ready(value) = other.as_mut().poll(context)
        {
            b = Some(value);
        }
        match a.is_some() && b.is_some() {
            true => std::task::Poll::Ready(()),
            false => std::task::Poll::Pending,
        }
    });
    timeout(LONG, both).await.expect("both come to an end");
    (a.unwrap(), b.unwrap())
}

/// What comes next.
pub(crate) async fn next(link: &mut Link) -> Result<Incoming, Error> {
    poll_fn(|context| link.poll_recv(context)).await
}

async fn message(link: &mut Link) -> Message {
    match next(link).await {
        Ok(Incoming::Message(message)) => message,
        other => panic!("{other:?} is no message"),
    }
}

/// Waits until what was sent has left.
async fn empty(link: &mut Link) {
    poll_fn(|context| link.poll_empty(context)).await.expect("it leaves");
}

/// A connection that says what a test wants.
async fn raw(to: SocketAddr) -> TcpStream {
    TcpStream::connect(to).await.expect("somebody listens")
}

/// The other side of a connection, by hand: it has greeted, and its metadata is said.
async fn by_hand(to: SocketAddr, socket: SocketType) -> TcpStream {
    let stream = raw(to).await;
    let mut out = BytesMut::new();
    let mechanism = Mechanism::null(Side::Connect);
    let mut connection =
        Connection::new(Metadata::new(socket), mechanism, Default::default(), &mut out);
    loop {
        stream.write(&out.split());
        let data = stream.recv().await.unwrap().expect("a handshake");
        if let Some(Event::Ready(_)) = connection.receive(&mut &data[..], &mut out).unwrap() {
            return stream;
        }
    }
}
