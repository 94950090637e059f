//! The security mechanisms: how two peers come to trust each other, or not, and what they say of themselves once they do.

pub mod curve;
mod null;
mod plain;

use core::fmt;

use bytes::BytesMut;

use super::command::Command;
use super::{Error, Metadata, Misuse};
use curve::{KeyPair, PublicKey, Session};
pub use null::Side;

/// How a connection is secured; for one connection, since it holds what only that one may use.
///
/// Both sides must name the same mechanism. Which of them is its server has nothing to do with who has made the connection.
pub struct Mechanism(Kind);

enum Kind {
    Null(null::Null),
    PlainClient(plain::Client),
    PlainServer(plain::Server),
    CurveClient(Box<curve::Client>),
    CurveServer(Box<curve::Server>),
}

/// What a client has shown to be let in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Credentials<'a> {
    /// PLAIN: a user name and a password, of any bytes. Compare passwords in constant time.
    Plain {
        /// The user name.
        user: &'a [u8],
        /// The password.
        password: &'a [u8],
    },
    /// CURVE: the client's key; it was proven that it has the secret one.
    Curve(PublicKey),
}

/// Where a handshake is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Progress {
    /// More commands are due.
    Waiting,
    /// Nothing is due until somebody has looked at the credentials.
    Ask,
    /// The peer's metadata is here. If it fits, [`finish`](Mechanism::finish) is next.
    Met,
    /// The peer's metadata is here. If it fits, somebody has to look at the credentials.
    MetAndAsk,
}

impl Mechanism {
    /// NULL (RFC 37): everybody is let in, nothing is encrypted.
    pub const fn null(side: Side) -> Self {
        Self(Kind::Null(null::Null::new(side)))
    }

    /// PLAIN (RFC 24): this side shows a user name and a password. Nothing is encrypted, these neither.
    ///
    /// # Errors
    /// One of them is longer than 255 bytes.
    pub fn plain_client(user: &[u8], password: &[u8]) -> Result<Self, Misuse> {
        plain::Client::new(user, password).map(|client| Self(Kind::PlainClient(client)))
    }

    /// PLAIN (RFC 24): this side lets in, or not.
    pub const fn plain_server() -> Self {
        Self(Kind::PlainServer(plain::Server::new()))
    }

    /// CURVE (RFC 26): this side knows `server`'s key and shows its own. Everything is encrypted.
    pub fn curve_client(server: PublicKey, keys: KeyPair, entropy: curve::Entropy) -> Self {
        Self(Kind::CurveClient(Box::new(curve::Client::new(server, keys, entropy))))
    }

    /// CURVE (RFC 26): this side has the key that clients know, and lets in, or not. Everything is encrypted.
    pub fn curve_server(keys: KeyPair, entropy: curve::Entropy) -> Self {
        Self(Kind::CurveServer(Box::new(curve::Server::new(keys, entropy))))
    }

    /// The name in the greeting.
    pub const fn name(&self) -> &'static str {
        match self.0 {
            Kind::Null(_) => "NULL",
            Kind::PlainClient(_) | Kind::PlainServer(_) => "PLAIN",
            Kind::CurveClient(_) | Kind::CurveServer(_) => "CURVE",
        }
    }

    /// Whether this side is the one that lets in.
    pub const fn is_server(&self) -> bool {
        matches!(self.0, Kind::PlainServer(_) | Kind::CurveServer(_))
    }

    /// Whether a peer may be told by an ERROR that it does not fit: a client has no such command (RFC 26).
    pub(super) const fn may_refuse(&self) -> bool {
        matches!(self.0, Kind::Null(_) | Kind::PlainServer(_) | Kind::CurveServer(_))
    }

    /// Writes what this side says first, after the greetings.
    pub(super) fn begin(&mut self, ours: &Metadata, output: &mut BytesMut) -> Result<(), Error> {
        match &mut self.0 {
            Kind::Null(null) => null.begin(ours, output),
            Kind::PlainClient(client) => client.begin(output),
            Kind::CurveClient(client) => client.begin(output)?,
            Kind::PlainServer(_) | Kind::CurveServer(_) => {}
        }
        Ok(())
    }

    /// Takes a command, writes the answer, and puts the peer's metadata into `peer`.
    pub(super) fn receive(
        &mut self,
        command: &Command<'_>,
        ours: &Metadata,
        peer: &mut Vec<u8>,
        output: &mut BytesMut,
    ) -> Result<Progress, Error> {
        match &mut self.0 {
            Kind::Null(null) => null.receive(command, peer),
            Kind::PlainClient(client) => client.receive(command, ours, peer, output),
            Kind::PlainServer(server) => server.receive(command, peer),
            Kind::CurveClient(client) => client.receive(command, ours, peer, output),
            Kind::CurveServer(server) => server.receive(command, peer, output),
        }
    }

    /// The credentials to be looked at.
    pub(super) fn credentials(&self) -> Option<Credentials<'_>> {
        match &self.0 {
            Kind::PlainServer(server) => Some(server.credentials()),
            Kind::CurveServer(server) => server.client().map(Credentials::Curve),
            _ => None,
        }
    }

    /// The credentials are good: writes so. Whether that was the end of the handshake.
    pub(super) fn accept(&mut self, ours: &Metadata, output: &mut BytesMut) -> bool {
        match &mut self.0 {
            Kind::PlainServer(server) => {
                server.accept(output);
                false
            }
            Kind::CurveServer(server) => {
                server.accept(ours, output);
                true
            }
            _ => true,
        }
    }

    /// The peer's metadata fits: writes the last command, if it is for this side to say.
    pub(super) fn finish(&mut self, ours: &Metadata, output: &mut BytesMut) {
        match &self.0 {
            Kind::Null(null) => null.finish(ours, output),
            Kind::PlainServer(_) => plain::Server::finish(ours, output),
            _ => {}
        }
    }

    /// What encrypts after the handshake, if anything does.
    pub(super) fn into_session(self) -> Option<Box<Session>> {
        match self.0 {
            Kind::CurveClient(client) => client.into_session(),
            Kind::CurveServer(server) => server.into_session(),
            _ => None,
        }
    }
}

/// No passwords and keys in it.
impl fmt::Debug for Mechanism {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let role = if self.is_server() { "server" } else { "client or peer" };
        write!(f, "Mechanism({}, {role})", self.name())
    }
}
