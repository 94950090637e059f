//! Feeds bytes to a connection, in parts, and writes down what comes out.

use bytes::BytesMut;
use core::time::Duration;
use grenache_transports::zmtp::curve::PublicKey;
use grenache_transports::zmtp::{
    Config, Connection, Credentials, Error, Event, Mechanism, Metadata, Phase, Side, SocketType,
    Version,
};

/// What came out, owned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Out {
    Login(Vec<u8>, Vec<u8>),
    Key(PublicKey),
    Ready(Version, SocketType, Vec<u8>),
    Message(Vec<Vec<u8>>),
    Subscribe(Vec<u8>),
    Cancel(Vec<u8>),
    Ping(Duration),
    Refused(Vec<u8>),
    Error(Error),
}

/// Events, what was written after the greeting, and where it ended.
pub(crate) type Replay = (Vec<Out>, Vec<u8>, Phase);

/// This side of a connection.
#[derive(Clone)]
pub(crate) struct Ours {
    pub(crate) socket: SocketType,
    pub(crate) mechanism: fn() -> Mechanism,
    pub(crate) config: Config,
    /// What is said to credentials.
    pub(crate) verdict: bool,
}

impl Ours {
    /// A socket that was bound, with NULL.
    pub(crate) fn bound(socket: SocketType) -> Self {
        Self::secured(socket, || Mechanism::null(Side::Bind))
    }

    /// A socket that has connected, with NULL.
    pub(crate) fn connected(socket: SocketType) -> Self {
        Self::secured(socket, || Mechanism::null(Side::Connect))
    }

    pub(crate) fn secured(socket: SocketType, mechanism: fn() -> Mechanism) -> Self {
        Self { socket, mechanism, config: Config::default(), verdict: true }
    }

    pub(crate) fn with(self, config: Config) -> Self {
        Self { config, ..self }
    }

    pub(crate) fn connection(&self, output: &mut BytesMut) -> Connection {
        Connection::new(Metadata::new(self.socket), (self.mechanism)(), self.config, output)
    }

    /// What comes of `parts`.
    pub(crate) fn replay<'i>(&self, parts: impl IntoIterator<Item = &'i [u8]>) -> Replay {
        let mut output = BytesMut::new();
        let mut connection = self.connection(&mut output);
        output.clear();
        let mut out = Vec::new();
        for part in parts {
            self.feed(&mut connection, part, &mut output, &mut out);
        }
        (out, output.to_vec(), connection.phase())
    }

    /// Gives `input` to a connection.
    pub(crate) fn feed(
        &self,
        connection: &mut Connection,
        mut input: &[u8],
        output: &mut BytesMut,
        out: &mut Vec<Out>,
    ) {
        loop {
            let (event, assembled) = match connection.receive(&mut input, output) {
                Ok(None) => break,
                Ok(Some(event)) => (owned(&event), is_assembled(&event)),
                Err(error) => (Out::Error(error), false),
            };
            if matches!(event, Out::Login(..) | Out::Key(_)) {
                let answered = match self.verdict {
                    true => connection.accept(output),
                    false => connection.refuse(output),
                };
                answered.expect("somebody waits for it");
            }
            if let Out::Message(parts) = &event {
                let taken = connection.take_message();
                assert_eq!(taken.is_empty(), !assembled);
                let again = grenache_transports::zmtp::Parts::new(&taken);
                assert!(!assembled || again.eq(parts));
            }
            out.push(event);
        }
        assert!(input.is_empty(), "nothing may be left over");
    }

    /// What comes of `bytes` in one part, after making sure that those cut in two anywhere, or that come one by one, are the
    /// same.
    pub(crate) fn everywhere(&self, bytes: &[u8]) -> Replay {
        let whole = self.replay([bytes]);
        for at in 1..bytes.len() {
            let (a, b) = bytes.split_at(at);
            assert_eq!(self.replay([a, b]), whole, "cut at {at}: {}", bytes.escape_ascii());
        }
        assert_eq!(self.replay(bytes.chunks(1)), whole, "one by one: {}", bytes.escape_ascii());
        whole
    }
}

fn is_assembled(event: &Event<'_>) -> bool {
    matches!(event, Event::Message(message) if message.assembled)
}

fn owned(event: &Event<'_>) -> Out {
    match *event {
        Event::Credentials(Credentials::Plain { user, password }) => {
            Out::Login(user.to_vec(), password.to_vec())
        }
        Event::Credentials(Credentials::Curve(key)) => Out::Key(key),
        Event::Ready(peer) => Out::Ready(peer.version, peer.socket, peer.identity.to_vec()),
        Event::Message(message) => {
            let parts: Vec<_> = message.parts().map(<[u8]>::to_vec).collect();
            assert_eq!(parts.len(), message.count);
            Out::Message(parts)
        }
        Event::Subscribe(prefix) => Out::Subscribe(prefix.to_vec()),
        Event::Cancel(prefix) => Out::Cancel(prefix.to_vec()),
        Event::Ping(ttl) => Out::Ping(ttl),
        Event::Refused(reason) => Out::Refused(reason.to_vec()),
    }
}

/// The event of a message.
pub(crate) fn message(parts: &[&[u8]]) -> Out {
    Out::Message(parts.iter().map(|part| part.to_vec()).collect())
}

/// The event of a peer of 3.1 without an identity.
pub(crate) fn ready(socket: SocketType) -> Out {
    Out::Ready(Version::V3_1, socket, vec![])
}
