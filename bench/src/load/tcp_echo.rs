use std::io::{self, ErrorKind, Read, Write};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use mio::net::TcpStream;
use mio::{Events, Interest, Poll, Token};

use super::{MESSAGE, Outcome, STALL};

/// A TCP echo client with one message in flight on each of its connections.
pub struct TcpEcho {
    poll: Poll,
    events: Events,
    connections: Vec<Connection>,
}

struct Connection {
    stream: TcpStream,
    message: [u8; MESSAGE],
    answer: [u8; MESSAGE],
    received: usize,
}

impl TcpEcho {
    /// Opens `count` connections to `addr`.
    pub fn connect(addr: SocketAddr, count: usize) -> io::Result<Self> {
        let poll = Poll::new()?;
        let connections = (0..count)
            .map(|index| {
                let stream = std::net::TcpStream::connect(addr)?;
                stream.set_nodelay(true)?;
                stream.set_nonblocking(true)?;
                let mut stream = TcpStream::from_std(stream);
                poll.registry().register(&mut stream, Token(index), Interest::READABLE)?;
                let message = [index as u8; MESSAGE];
                Ok(Connection { stream, message, answer: [0; MESSAGE], received: 0 })
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
                return Err(io::Error::new(
                    ErrorKind::TimedOut,
                    format!("{flying} echoes never came back"),
                ));
            }
        }
        outcome.elapsed = start.elapsed();
        Ok(outcome)
    }
}

impl Connection {
    fn send(&mut self) -> io::Result<()> {
        let count = u64::from_le_bytes(self.message[..8].try_into().expect("eight bytes"));
        self.message[..8].copy_from_slice(&count.wrapping_add(1).to_le_bytes());
        self.received = 0;
        // An idle socket takes 64 bytes at once.
        self.stream.write_all(&self.message)
    }

    /// True once the whole answer is here.
    fn receive(&mut self) -> io::Result<bool> {
        loop {
            match self.stream.read(&mut self.answer[self.received..]) {
                Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
                Ok(count) => self.received += count,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(false),
                Err(error) => return Err(error),
            }
            if self.received < MESSAGE {
                continue;
            }
            if self.answer != self.message {
                return Err(io::Error::new(
                    ErrorKind::InvalidData,
                    "the echo differs from what was sent",
                ));
            }
            return Ok(true);
        }
    }
}
