//! A ZeroMQ peer over a raw socket.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};

use bytes::BytesMut;
use grenache_transports::zmtp::{Config, Connection, Event, Mechanism, Metadata, Side, SocketType};

use crate::client::Client;

/// A connection whose handshake is done, or one on which it has failed.
pub(crate) struct Peer<S = TcpStream> {
    pub(crate) stream: S,
    pub(crate) connection: Connection,
    /// Received and not looked at.
    input: Vec<u8>,
    /// PINGs that have come.
    pub(crate) pings: usize,
    /// Why it was not let in, as the other side says.
    pub(crate) refused: Option<String>,
}

impl Peer {
    /// A DEALER without security.
    pub(crate) fn dealer(addr: SocketAddr) -> Peer {
        Peer::connect(addr, SocketType::Dealer, Mechanism::null(Side::Connect))
    }

    pub(crate) fn connect(addr: SocketAddr, socket: SocketType, mechanism: Mechanism) -> Peer {
        Peer::over(Client::connect(addr).stream, socket, mechanism)
    }
}

impl<S: Read + Write> Peer<S> {
    pub(crate) fn over(mut stream: S, socket: SocketType, mechanism: Mechanism) -> Peer<S> {
        let mut out = BytesMut::new();
        let metadata = Metadata::new(socket);
        let mut connection = Connection::new(metadata, mechanism, Config::default(), &mut out);
        let (mut input, mut refused, mut over) = (Vec::new(), None, false);
        while !over {
            stream.write_all(&out.split()).expect("sent");
            let mut buffer = [0; 4096];
            let count = stream.read(&mut buffer).unwrap_or(0);
            if count == 0 {
                refused.get_or_insert("closed".to_owned());
                break;
            }
            input.extend_from_slice(&buffer[..count]);
            let mut unread = &input[..];
            match connection.receive(&mut unread, &mut out) {
                Ok(None) => {}
                Ok(Some(Event::Ready(_))) => over = true,
                Ok(Some(Event::Refused(reason))) => {
                    refused = Some(String::from_utf8_lossy(reason).into_owned());
                }
                Ok(Some(event)) => panic!("{event:?} in a handshake"),
                Err(error) => (refused, over) = (Some(error.to_string()), true),
            }
            let left = unread.len();
            input.drain(..input.len() - left);
        }
        stream.write_all(&out).expect("sent");
        Peer { stream, connection, input, pings: 0, refused }
    }

    pub(crate) fn send(&mut self, parts: &[&[u8]]) -> &mut Peer<S> {
        let mut out = BytesMut::new();
        self.connection.send(parts, &mut out).expect("it is ready");
        self.stream.write_all(&out).expect("sent");
        self
    }

    /// The next message; none if the connection has ended.
    pub(crate) fn next(&mut self) -> Option<Vec<Vec<u8>>> {
        loop {
            let (mut out, mut unread) = (BytesMut::new(), &self.input[..]);
            let message = match self.connection.receive(&mut unread, &mut out).expect("ZMTP") {
                None => None,
                Some(Event::Message(message)) => {
                    Some(message.parts().map(<[u8]>::to_vec).collect::<Vec<_>>())
                }
                Some(Event::Ping(_)) => {
                    self.pings += 1;
                    None
                }
                Some(event) => panic!("{event:?}"),
            };
            let left = unread.len();
            self.input.drain(..self.input.len() - left);
            if !out.is_empty() {
                self.stream.write_all(&out).expect("sent");
            }
            if message.is_some() {
                return message;
            }
            let mut buffer = vec![0; 64 * 1024];
            match self.stream.read(&mut buffer) {
                Ok(0) => return None,
                Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => return None,
                read => self.input.extend_from_slice(&buffer[..read.expect("more")]),
            }
        }
    }

    /// The next message, of texts.
    pub(crate) fn texts(&mut self) -> Vec<String> {
        let parts = self.next().expect("a message");
        parts.into_iter().map(|part| String::from_utf8(part).expect("text")).collect()
    }

    /// Sends a message and takes the next.
    pub(crate) fn ask(&mut self, parts: &[&str]) -> Vec<String> {
        let parts: Vec<&[u8]> = parts.iter().map(|part| part.as_bytes()).collect();
        self.send(&parts).texts()
    }

    /// Subscribes to a prefix.
    pub(crate) fn subscribe(&mut self, prefix: &[u8]) {
        let mut out = BytesMut::new();
        self.connection.subscribe(prefix, &mut out).expect("it is ready");
        self.stream.write_all(&out).expect("sent");
    }

    /// Takes a prefix back.
    pub(crate) fn cancel(&mut self, prefix: &[u8]) {
        let mut out = BytesMut::new();
        self.connection.cancel(prefix, &mut out).expect("it is ready");
        self.stream.write_all(&out).expect("sent");
    }
}
