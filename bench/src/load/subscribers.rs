use std::io::{self, ErrorKind, Read};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use mio::net::TcpStream;
use mio::{Events, Interest, Poll, Token};

use super::websocket::shake_hands;
use super::{Outcome, STALL};
use crate::client::Client;

/// Bytes read at a time.
const BUFFER: usize = 256 * 1024;

/// Subscribers of a publisher that sends messages of one size over WebSocket.
pub struct Subscribers {
    poll: Poll,
    events: Events,
    streams: Vec<(TcpStream, u64)>,
    /// Those that never read.
    _stalled: Vec<std::net::TcpStream>,
    size: usize,
    buffer: Vec<u8>,
}

impl Subscribers {
    /// Opens `count` connections to `addr` that read, and `stalled` that do not, for messages of `size` bytes.
    pub fn connect(
        addr: SocketAddr,
        count: usize,
        stalled: usize,
        size: usize,
    ) -> io::Result<Self> {
        let poll = Poll::new()?;
        let mut streams = Vec::new();
        for index in 0..count {
            let mut stream = TcpStream::from_std(shake_hands(addr)?);
            poll.registry().register(&mut stream, Token(index), Interest::READABLE)?;
            streams.push((stream, 0));
        }
        let stalled = (0..stalled).map(|_| shake_hands(addr)).collect::<io::Result<_>>()?;
        let (events, buffer) = (Events::with_capacity(count), vec![0; BUFFER]);
        Ok(Self { poll, events, streams, _stalled: stalled, size, buffer })
    }

    /// Has `publisher` publish for `window`, `rate` messages a second or as many as are taken, and counts the messages that
    /// arrive: a request is one message of one subscriber.
    pub fn run(
        &mut self,
        publisher: &mut Client,
        window: Duration,
        rate: Option<u64>,
    ) -> io::Result<Outcome> {
        let frame = (self.size + if self.size < 126 { 2 } else { 4 }) as u64;
        self.streams.iter_mut().for_each(|(_, bytes)| *bytes = 0);
        let rate = rate.map(|rate| format!(" {rate}")).unwrap_or_default();
        publisher.order(&format!("publish {} {}{rate}", window.as_millis(), self.size))?;
        let start = Instant::now();
        let (mut progress, mut last) = (start, start);
        let (mut total, mut wanted) = (0, None);
        while wanted != Some(total) {
            self.poll.poll(&mut self.events, Some(Duration::ZERO))?;
            let mut some = false;
            for event in &self.events {
                let (stream, bytes) = &mut self.streams[event.token().0];
                loop {
                    match stream.read(&mut self.buffer) {
                        Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
                        Ok(count) => {
                            *bytes += count as u64;
                            total += count as u64;
                            some = true;
                        }
                        Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                        Err(error) => return Err(error),
                    }
                }
            }
            let now = Instant::now();
            if some {
                (progress, last) = (now, now);
            } else if wanted.is_none() && now - start >= window {
                // It may take its time to say how many there were; nothing is waiting to be read meanwhile.
                let said = publisher.answer()?;
                let published = said.get("published").and_then(serde_json::Value::as_u64);
                let published =
                    published.ok_or_else(|| io::Error::other(format!("it said {said}")))?;
                wanted = Some(published * frame * self.streams.len() as u64);
                progress = Instant::now();
            }
            if now > progress && now - progress > STALL {
                let text = format!("{total} bytes came, {wanted:?} were sent");
                return Err(io::Error::new(ErrorKind::TimedOut, text));
            }
        }
        if self.streams.iter().any(|(_, bytes)| bytes % frame != 0) {
            return Err(io::Error::new(ErrorKind::InvalidData, "not whole messages"));
        }
        Ok(Outcome { requests: total / frame, elapsed: last - start, ..Outcome::default() })
    }
}
