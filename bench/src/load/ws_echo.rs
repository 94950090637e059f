use std::io::{self, ErrorKind, Read, Write};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use bytes::BytesMut;
use grenache_transports::ws::{Kind, frame};
use mio::net::TcpStream;
use mio::{Events, Interest, Poll, Token};

use super::websocket::shake_hands;
use super::{Outcome, STALL};

/// A client of a WebSocket echo with one message in flight on each of its connections.
pub struct WsEcho {
    poll: Poll,
    events: Events,
    connections: Vec<Connection>,
}

struct Connection {
    stream: TcpStream,
    /// The frame that goes out, masked, and the one that comes back.
    message: Vec<u8>,
    expected: Vec<u8>,
    answer: Vec<u8>,
    received: usize,
}

impl WsEcho {
    /// Opens `count` connections to `addr`, for messages of `size` bytes.
    pub fn connect(addr: SocketAddr, count: usize, size: usize) -> io::Result<Self> {
        let poll = Poll::new()?;
        let connections = (0..count)
            .map(|index| {
                let mut stream = TcpStream::from_std(shake_hands(addr)?);
                poll.registry().register(&mut stream, Token(index), Interest::READABLE)?;
                let data: Vec<u8> = (0..size).map(|at| (at + index) as u8).collect();
                let (mut message, mut expected) = (BytesMut::new(), BytesMut::new());
                // The same mask every time: that nobody can foresee it matters elsewhere.
                frame::write_message(&mut message, Kind::Binary, Some([7, 70, 170, 250]), &data);
                frame::write_message(&mut expected, Kind::Binary, None, &data);
                let answer = vec![0; expected.len()];
                let (message, expected) = (message.to_vec(), expected.to_vec());
                Ok(Connection { stream, message, expected, answer, received: 0 })
            })
            .collect::<io::Result<Vec<_>>>()?;
        Ok(Self { poll, events: Events::with_capacity(count), connections })
    }

    /// Sends for `window`, then takes the answers still out.
    pub fn run(&mut self, window: Duration) -> io::Result<Outcome> {
        let start = Instant::now();
        let mut progress = start;
        let mut outcome = Outcome::default();
        let mut flying = self.connections.len();
        self.connections.iter_mut().try_for_each(Connection::send)?;
        while flying > 0 {
            self.poll.poll(&mut self.events, Some(Duration::ZERO))?;
            let now = Instant::now();
            for event in &self.events {
                let connection = &mut self.connections[event.token().0];
                if !connection.receive()? {
                    continue;
                }
                progress = now;
                outcome.requests += 1;
                if now - start < window {
                    connection.send()?;
                } else {
                    flying -= 1;
                }
            }
            if now - progress > STALL {
                let text = format!("{flying} echoes never came back");
                return Err(io::Error::new(ErrorKind::TimedOut, text));
            }
        }
        outcome.elapsed = start.elapsed();
        Ok(outcome)
    }
}

impl Connection {
    fn send(&mut self) -> io::Result<()> {
        self.received = 0;
        let mut rest = &self.message[..];
        while !rest.is_empty() {
            match self.stream.write(rest) {
                Ok(count) => rest = &rest[count..],
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// True once the whole answer is here.
    fn receive(&mut self) -> io::Result<bool> {
        while self.received < self.answer.len() {
            match self.stream.read(&mut self.answer[self.received..]) {
                Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
                Ok(count) => self.received += count,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(false),
                Err(error) => return Err(error),
            }
        }
        if self.answer == self.expected {
            return Ok(true);
        }
        Err(io::Error::new(ErrorKind::InvalidData, "the echo differs from what was sent"))
    }
}
