//! A connection, plain or TLS: what clients and servers of every transport read from and write to.

use std::io;
use std::net::SocketAddr;
use std::ops::{Deref, DerefMut};
use std::rc::Rc;
use std::task::{Context, Poll};

use bytes::{Bytes, BytesMut};
use grenache_engine::{RecvBuf, TcpStream};

use crate::error::Failure;
use crate::http::Target;
use crate::tls::{self, Certificate, Connector};

/// A connection with the verbs of [`TcpStream`]. Clones are the same connection; it ends in good
/// order when the last one is dropped.
#[derive(Clone)]
pub enum Channel {
    /// Without TLS.
    Plain(TcpStream),
    /// With TLS, its handshake done.
    Tls(tls::Stream),
}

impl Channel {
    /// Connects to `to`, with the handshake of TLS if it is secure. Dropping the future gives up.
    pub(crate) async fn connect(to: &Target, tls: Option<&Connector>) -> Result<Channel, Failure> {
        let refused = |error: io::Error| Failure::Connect(error.to_string());
        let stream = TcpStream::connect(to.addr).await.map_err(refused)?;
        match (to.server_name(), tls) {
            (None, _) => Ok(Channel::Plain(stream)),
            (Some(name), Some(tls)) => {
                tls.connect(stream, name).await.map_err(|error| Failure::Tls(error.to_string()))
            }
            (Some(_), None) => Err(Failure::Tls("this side has no settings of TLS".into())),
        }
    }

    /// Why a connection that broke before anything was said on it could not be made: with TLS 1.3 a server that refuses our
    /// certificate says so only then.
    pub(crate) fn refusal(error: &io::Error) -> Failure {
        match tls::Error::of(error) {
            Some(error) => Failure::Tls(error.to_string()),
            None => Failure::Connect(error.to_string()),
        }
    }

    /// As [`poll_recv`](Self::poll_recv).
    #[cfg(test)]
    pub(crate) async fn recv(&self) -> io::Result<Option<Received>> {
        std::future::poll_fn(|context| self.poll_recv(context)).await
    }

    /// Waits for bytes; `None` is the peer's end.
    ///
    /// # Errors
    /// The connection broke. Of TLS connections the error may wrap a [`tls::Error`], among them
    /// [`tls::Error::Truncated`] of kind `UnexpectedEof`.
    pub fn poll_recv(&self, context: &mut Context<'_>) -> Poll<io::Result<Option<Received>>> {
        match self {
            Self::Plain(stream) => {
                stream.poll_recv(context).map_ok(|data| data.map(Received::Plain))
            }
            Self::Tls(stream) => stream.poll_recv(context).map_ok(|data| data.map(Received::Tls)),
        }
    }

    /// Queues a copy of `bytes`. Written to a broken or shut down connection they vanish; more than
    /// the engine's `Limits::send_cap` in the queue resets the connection.
    pub fn write(&self, bytes: &[u8]) {
        match self {
            Self::Plain(stream) => stream.write(bytes),
            Self::Tls(stream) => stream.write(bytes),
        }
    }

    /// Queues `data`, on plain connections without copying it; otherwise as [`write`](Self::write).
    pub fn send(&self, data: Bytes) {
        match self {
            Self::Plain(stream) => stream.send(data),
            Self::Tls(stream) => stream.write(&data),
        }
    }

    /// Bytes queued and not yet taken by the kernel, with what TLS adds.
    pub fn queued(&self) -> usize {
        self.tcp().queued()
    }

    /// Waits until fewer than `below` bytes are queued.
    ///
    /// # Errors
    /// The connection broke.
    pub async fn drained(&self, below: usize) -> io::Result<()> {
        if let Self::Tls(stream) = self {
            stream.intact()?;
        }
        self.tcp().drained(below).await
    }

    /// Ends this side once the queue is out (with TLS `close_notify`, then FIN). The peer may go on
    /// sending.
    pub fn shutdown(&self) {
        match self {
            Self::Plain(stream) => stream.shutdown(),
            Self::Tls(stream) => stream.shutdown(),
        }
    }

    /// Breaks the connection off (RST), for all clones; what is queued does not leave.
    pub fn abort(&self) {
        self.tcp().abort();
    }

    /// The peer's address.
    pub fn peer_addr(&self) -> SocketAddr {
        self.tcp().peer_addr()
    }

    /// The certificate the peer has shown and this side has accepted.
    pub fn certificate(&self) -> Option<&Rc<Certificate>> {
        match self {
            Self::Plain(_) => None,
            Self::Tls(stream) => stream.certificate(),
        }
    }

    fn tcp(&self) -> &TcpStream {
        match self {
            Self::Plain(stream) => stream,
            Self::Tls(stream) => stream.tcp(),
        }
    }
}

/// Bytes received, without what TLS adds.
#[derive(Debug)]
pub enum Received {
    /// In the buffer they were received in.
    Plain(RecvBuf),
    /// Decrypted.
    Tls(BytesMut),
}

impl Received {
    /// Removes the first `count` bytes, or all if there are fewer.
    pub fn advance(&mut self, count: usize) {
        match self {
            Self::Plain(data) => data.advance(count),
            Self::Tls(data) => bytes::Buf::advance(data, count.min(data.len())),
        }
    }
}

/// For protocols that decode in place.
impl DerefMut for Received {
    fn deref_mut(&mut self) -> &mut [u8] {
        match self {
            Self::Plain(data) => data,
            Self::Tls(data) => data,
        }
    }
}

impl Deref for Received {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match self {
            Self::Plain(data) => data,
            Self::Tls(data) => data,
        }
    }
}
