//! Our connection, driven over a plain socket that blocks.

use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::time::Duration;

use bytes::BytesMut;
use grenache_transports::zmtp::{
    Config, Connection, Credentials, Error, Event, Mechanism, Metadata, Peer, Side, SocketType,
};

use crate::peer::DEADLINE;
use crate::socket::{Builder, Socket};

/// By what name their ROUTER knows us.
pub(crate) const IDENTITY: &str = "us";

/// How one connection of ours is secured.
pub(crate) struct Ours {
    pub(crate) mechanism: Mechanism,
    /// Who is let in, if we decide that.
    pub(crate) gate: fn(Credentials<'_>) -> bool,
}

/// A connection.
pub(crate) struct Wire {
    stream: TcpStream,
    connection: Connection,
    gate: fn(Credentials<'_>) -> bool,
    /// What has come and is not taken yet.
    input: Vec<u8>,
}

/// What comes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Came {
    Ready,
    Message(Vec<Vec<u8>>),
    Subscribe(Vec<u8>),
    Cancel(Vec<u8>),
    Ping(Duration),
}

/// Why nothing more comes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum End {
    /// They do not let us in.
    Refused(Vec<u8>),
    /// We do not let them in.
    NotLetIn,
    Failed(Error),
    /// They have closed.
    Closed,
}

impl Wire {
    /// A connection between a socket of ours and one of theirs, of which ours is on this side, before anything was said.
    #[track_caller]
    pub(crate) fn lay(side: Side, kind: SocketType, ours: Ours, theirs: Builder) -> (Wire, Socket) {
        let (stream, socket) = match side {
            Side::Bind => {
                let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
                let socket = theirs.connect(listener.local_addr().expect("an address").port());
                (listener.accept().expect("a connection").0, socket)
            }
            Side::Connect => {
                let socket = theirs.bind();
                let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, socket.port()));
                (stream.expect("a connection"), socket)
            }
        };
        stream.set_nodelay(true).expect("a socket");
        stream.set_write_timeout(Some(DEADLINE)).expect("a socket");
        let metadata = Metadata::new(kind).with_identity(IDENTITY.as_bytes()).expect("a name");
        let mut output = BytesMut::new();
        let connection = Connection::new(metadata, ours.mechanism, Config::default(), &mut output);
        let mut wire = Wire { stream, connection, gate: ours.gate, input: Vec::new() };
        wire.write(&output);
        (wire, socket)
    }

    /// [`lay`](Self::lay), and both sides have met.
    #[track_caller]
    pub(crate) fn open(
        side: Side,
        kind: SocketType,
        ours: Ours,
        theirs: Builder,
    ) -> (Wire, Socket) {
        let (mut wire, socket) = Wire::lay(side, kind, ours, theirs);
        assert_eq!(wire.next(), Ok(Came::Ready));
        socket.event("handshake_succeeded");
        (wire, socket)
    }

    /// What they say of themselves.
    #[track_caller]
    pub(crate) fn peer(&self) -> Peer<'_> {
        self.connection.peer().expect("we have met")
    }

    /// Awaits what comes next.
    #[track_caller]
    pub(crate) fn next(&mut self) -> Result<Came, End> {
        self.next_within(DEADLINE).expect("something comes in time")
    }

    /// Awaits for so long what comes next.
    pub(crate) fn next_within(&mut self, patience: Duration) -> Option<Result<Came, End>> {
        loop {
            if let Some(next) = self.take() {
                return Some(next);
            }
            match self.read(patience) {
                Some(0) => return Some(Err(End::Closed)),
                Some(_) => {}
                None => return None,
            }
        }
    }

    /// Awaits a message; PINGs before it are passed over.
    #[track_caller]
    pub(crate) fn receive(&mut self) -> Vec<Vec<u8>> {
        loop {
            match self.next() {
                Ok(Came::Message(parts)) => return parts,
                Ok(Came::Ping(_)) => {}
                other => panic!("{other:?} instead of a message"),
            }
        }
    }

    #[track_caller]
    pub(crate) fn send(&mut self, parts: &[impl AsRef<[u8]>]) {
        let parts: Vec<_> = parts.iter().map(AsRef::as_ref).collect();
        self.say(|connection, output| connection.send(&parts, output).expect("we have met"));
    }

    #[track_caller]
    pub(crate) fn subscribe(&mut self, prefix: &[u8]) {
        self.say(|connection, output| connection.subscribe(prefix, output).expect("we have met"));
    }

    #[track_caller]
    pub(crate) fn cancel(&mut self, prefix: &[u8]) {
        self.say(|connection, output| connection.cancel(prefix, output).expect("we have met"));
    }

    #[track_caller]
    pub(crate) fn ping(&mut self, ttl: Duration) {
        self.say(|connection, output| assert_eq!(connection.ping(ttl, output), Ok(true)));
    }

    /// Awaits bytes for so long, and takes them in. How many have come: none if they have closed.
    pub(crate) fn read(&mut self, patience: Duration) -> Option<usize> {
        self.stream.set_read_timeout(Some(patience)).expect("a socket");
        let mut buffer = [0; 64 * 1024];
        match self.stream.read(&mut buffer) {
            Ok(count) => {
                self.input.extend_from_slice(&buffer[..count]);
                Some(count)
            }
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                None
            }
            Err(error) if error.kind() == ErrorKind::ConnectionReset => Some(0),
            Err(error) => panic!("{error}"),
        }
    }

    /// What comes of what was read, if anything does.
    pub(crate) fn take(&mut self) -> Option<Result<Came, End>> {
        let mut output = BytesMut::new();
        let next = loop {
            let mut rest = &self.input[..];
            let before = rest.len();
            let event = self.connection.receive(&mut rest, &mut output);
            let taken = before - rest.len();
            let good = match event {
                Ok(Some(Event::Credentials(credentials))) => (self.gate)(credentials),
                Ok(None) => {
                    self.input.drain(..taken);
                    break None;
                }
                other => {
                    let next = own(other.map(|event| event.expect("an event")));
                    self.input.drain(..taken);
                    break Some(next);
                }
            };
            self.input.drain(..taken);
            if !good {
                self.connection.refuse(&mut output).expect("we were asked");
                break Some(Err(End::NotLetIn));
            }
            self.connection.accept(&mut output).expect("we were asked");
        };
        self.write(&output);
        next
    }

    fn say(&mut self, write: impl FnOnce(&mut Connection, &mut BytesMut)) {
        let mut output = BytesMut::new();
        write(&mut self.connection, &mut output);
        self.write(&output);
    }

    /// Whether they have closed shows when reading.
    fn write(&mut self, output: &[u8]) {
        match self.stream.write_all(output) {
            Err(error)
                if !matches!(error.kind(), ErrorKind::BrokenPipe | ErrorKind::ConnectionReset) =>
            {
                panic!("{error}")
            }
            _ => {}
        }
    }
}

fn own(event: Result<Event<'_>, Error>) -> Result<Came, End> {
    match event {
        Ok(Event::Ready(_)) => Ok(Came::Ready),
        Ok(Event::Message(message)) => {
            Ok(Came::Message(message.parts().map(<[u8]>::to_vec).collect()))
        }
        Ok(Event::Subscribe(prefix)) => Ok(Came::Subscribe(prefix.to_vec())),
        Ok(Event::Cancel(prefix)) => Ok(Came::Cancel(prefix.to_vec())),
        Ok(Event::Ping(ttl)) => Ok(Came::Ping(ttl)),
        Ok(Event::Refused(reason)) => Err(End::Refused(reason.to_vec())),
        Ok(Event::Credentials(_)) => unreachable!("the gate has seen them"),
        Err(error) => Err(End::Failed(error)),
    }
}
