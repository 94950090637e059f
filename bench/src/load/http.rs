use std::io::{self, ErrorKind, Read, Write};
use std::net::SocketAddr;
use std::ops::Range;
use std::sync::Arc;
use std::time::{Duration, Instant};

use mio::net::TcpStream;
use mio::{Events, Interest, Poll, Token};
use rustls::ClientConfig;

use super::tls::{self, Stream};
use super::{Outcome, STALL};

/// One POST request, and the body that its answer must have.
#[derive(Clone, Debug)]
pub struct Post {
    pub(super) request: Vec<u8>,
    expected: String,
}

impl Post {
    /// A keep-alive POST of `body` to `path`.
    pub fn new(path: &str, body: &str, expected: &str) -> Self {
        let request = format!(
            "POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        Self { request: request.into_bytes(), expected: expected.to_owned() }
    }

    /// A request of a peer to a worker that echoes: the payload "hello" for `service`.
    pub fn rpc(service: &str) -> Self {
        let rid = "8f1dbd5c-5b67-4a2b-8a5a-ae5a9c1a2b3c";
        let request = format!(r#"["{rid}","{service}","hello"]"#);
        Self::new("/", &request, &format!(r#"["{rid}",null,"hello"]"#))
    }

    /// The body that the answer must have.
    pub fn expected(&self) -> &str {
        &self.expected
    }

    /// The length of the right answer that `bytes` begin with and where its date stands, None while it is incomplete.
    pub(super) fn answered_by(&self, bytes: &[u8]) -> io::Result<Option<(usize, Range<usize>)>> {
        let Some(head) = bytes.windows(4).position(|end| end == b"\r\n\r\n") else {
            return Ok(None);
        };
        let text =
            std::str::from_utf8(&bytes[..head]).map_err(|_| wrong("a head that is no text"))?;
        if !text.starts_with("HTTP/1.1 200 ") {
            return Err(wrong(&format!("answer {:?}", String::from_utf8_lossy(bytes))));
        }
        let (body, whole) = if let Some(length) = field(text, "content-length") {
            let length = text[length].parse::<usize>().map_err(|_| wrong("a length of nothing"))?;
            let whole = head + 4 + length;
            let Some(body) = bytes.get(head + 4..whole) else { return Ok(None) };
            (body, whole)
        } else {
            // One chunk and the last one, which is how Node's workers write a reply.
            let rest = &bytes[head + 4..];
            let Some(line) = rest.windows(2).position(|end| end == b"\r\n") else {
                return Ok(None);
            };
            let size = std::str::from_utf8(&rest[..line]).ok();
            let size = size.and_then(|size| usize::from_str_radix(size, 16).ok());
            let size = size.ok_or_else(|| wrong("an answer without a length"))?;
            let end = line + 2 + size;
            let Some(last) = rest.get(end..end + 7) else { return Ok(None) };
            if last != b"\r\n0\r\n\r\n" {
                return Err(wrong("an answer of several chunks"));
            }
            (&rest[line + 2..end], head + 4 + end + 7)
        };
        if body != self.expected.as_bytes() {
            let (got, expected) = (String::from_utf8_lossy(body), &self.expected);
            return Err(wrong(&format!("body {got:?} instead of {expected:?}")));
        }
        Ok(Some((whole, field(text, "date").unwrap_or(0..0))))
    }
}

/// One POST on a connection of its own; the answer's body.
pub fn call(addr: SocketAddr, path: &str, body: &str) -> io::Result<String> {
    let mut stream = std::net::TcpStream::connect(addr)?;
    stream.set_read_timeout(Some(STALL))?;
    let length = body.len();
    let head = format!(
        "POST {path} HTTP/1.1\r\nHost: {addr}\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n"
    );
    stream.write_all((head + body).as_bytes())?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    let (_, body) = answer.split_once("\r\n\r\n").ok_or_else(|| wrong(&answer))?;
    Ok(body.to_owned())
}

/// An HTTP/1.1 client with keep-alive connections and a fixed number of requests in flight on each.
pub struct Http {
    poll: Poll,
    events: Events,
    connections: Vec<Connection>,
    depth: usize,
}

struct Connection {
    stream: Stream,
    /// Which of the posts this connection repeats.
    post: usize,
    unsent: Vec<u8>,
    received: Vec<u8>,
    flying: usize,
    /// The last answer that was checked in full, and where its date stands: answers that differ from it in the date
    /// alone need no second look, which keeps the client cheaper than any server.
    known: Vec<u8>,
    date: Range<usize>,
}

impl Http {
    /// Opens `count` connections with `depth` requests in flight on each.
    pub fn connect(addr: SocketAddr, count: usize, depth: usize) -> io::Result<Self> {
        Self::open(addr, count, depth, None)
    }

    /// The same over TLS, with the handshakes done. One request in flight on each.
    pub fn connect_tls(
        addr: SocketAddr,
        count: usize,
        config: &Arc<ClientConfig>,
    ) -> io::Result<Self> {
        Self::open(addr, count, 1, Some(config))
    }

    fn open(
        addr: SocketAddr,
        count: usize,
        depth: usize,
        config: Option<&Arc<ClientConfig>>,
    ) -> io::Result<Self> {
        let poll = Poll::new()?;
        let connections = (0..count)
            .map(|index| {
                let mut stream = std::net::TcpStream::connect(addr)?;
                stream.set_nodelay(true)?;
                let session =
                    config.map(|config| tls::handshake(&mut stream, addr, config)).transpose()?;
                stream.set_nonblocking(true)?;
                let mut stream = TcpStream::from_std(stream);
                poll.registry().register(
                    &mut stream,
                    Token(index),
                    Interest::READABLE | Interest::WRITABLE,
                )?;
                Ok(Connection {
                    stream: Stream::new(stream, session),
                    post: index,
                    unsent: Vec::new(),
                    received: Vec::with_capacity(64 * 1024),
                    flying: 0,
                    known: Vec::new(),
                    date: 0..0,
                })
            })
            .collect::<io::Result<Vec<_>>>()?;
        Ok(Self { poll, events: Events::with_capacity(count), connections, depth })
    }

    /// Takes over the connections of `other`, behind its own.
    pub fn join(&mut self, other: Self) -> io::Result<()> {
        for mut connection in other.connections {
            let token = Token(self.connections.len());
            let interest = Interest::READABLE | Interest::WRITABLE;
            other.poll.registry().deregister(connection.stream.socket())?;
            self.poll.registry().register(connection.stream.socket(), token, interest)?;
            connection.post = self.connections.len();
            self.connections.push(connection);
        }
        self.events = Events::with_capacity(self.connections.len());
        Ok(())
    }

    /// Sends `posts`, connection by connection in turn, for `window`, then takes the answers still out.
    pub fn run(&mut self, posts: &[Post], window: Duration) -> io::Result<Outcome> {
        let start = Instant::now();
        let mut progress = start;
        let mut outcome = Outcome::default();
        for connection in &mut self.connections {
            connection.post %= posts.len();
            connection.known.clear();
            connection.send(&posts[connection.post], self.depth)?;
        }
        let mut flying = self.connections.len() * self.depth;
        while flying > 0 {
            // It never sleeps: waking it would be on the server's bill, and is dear in a virtual machine. It
            // makes way for the second grape of a ring, which shares this CPU.
            self.poll.poll(&mut self.events, Some(Duration::ZERO))?;
            if self.events.is_empty() {
                std::thread::yield_now();
            }
            let now = Instant::now();
            for event in &self.events {
                let connection = &mut self.connections[event.token().0];
                let post = &posts[connection.post];
                connection.flush()?;
                let answered = connection.receive(post)?;
                if answered == 0 {
                    continue;
                }
                progress = now;
                outcome.requests += answered as u64;
                if now - start < window {
                    connection.send(post, answered)?;
                } else {
                    flying -= answered;
                }
            }
            if now - progress > STALL {
                return Err(io::Error::new(
                    ErrorKind::TimedOut,
                    format!("{flying} requests were never answered"),
                ));
            }
        }
        outcome.elapsed = start.elapsed();
        Ok(outcome)
    }
}

impl Connection {
    fn send(&mut self, post: &Post, count: usize) -> io::Result<()> {
        for _ in 0..count {
            self.unsent.extend_from_slice(&post.request);
        }
        self.flying += count;
        self.flush()
    }

    fn flush(&mut self) -> io::Result<()> {
        while !self.unsent.is_empty() {
            match self.stream.write(&self.unsent) {
                Ok(count) => drop(self.unsent.drain(..count)),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Reads what is there; how many whole answers that made.
    fn receive(&mut self, post: &Post) -> io::Result<usize> {
        let mut chunk = [0; 64 * 1024];
        loop {
            match self.stream.read(&mut chunk) {
                Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
                Ok(count) => {
                    self.received.extend_from_slice(&chunk[..count]);
                    if count < chunk.len() {
                        break;
                    }
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) => return Err(error),
            }
        }
        let (mut at, mut answered) = (0, 0);
        while let Some(length) = self.answer(at, post)? {
            at += length;
            answered += 1;
        }
        self.received.drain(..at);
        if answered > self.flying {
            return Err(wrong("more answers than requests"));
        }
        self.flying -= answered;
        Ok(answered)
    }

    /// The length of the answer that begins at `at`, None while it is incomplete.
    fn answer(&mut self, at: usize, post: &Post) -> io::Result<Option<usize>> {
        let bytes = &self.received[at..];
        let (known, date) = (&self.known, &self.date);
        if !known.is_empty()
            && bytes.len() >= known.len()
            && bytes[..date.start] == known[..date.start]
            && bytes[date.end..known.len()] == known[date.end..]
        {
            return Ok(Some(known.len()));
        }
        let Some((whole, date)) = post.answered_by(bytes)? else {
            return Ok(None);
        };
        self.date = date;
        self.known = bytes[..whole].to_vec();
        Ok(Some(whole))
    }
}

/// Where the value of header `name` stands in `head`.
fn field(head: &str, name: &str) -> Option<Range<usize>> {
    let mut at = 0;
    for line in head.split("\r\n") {
        if let Some((key, value)) = line.split_once(':')
            && key.eq_ignore_ascii_case(name)
        {
            let value = value.trim();
            let start = at + line.len() - value.len();
            return Some(start..start + value.len());
        }
        at += line.len() + 2;
    }
    None
}

fn wrong(what: &str) -> io::Error {
    io::Error::new(ErrorKind::InvalidData, what)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_whole_and_right_or_wrong() {
        let post = Post::new("/", "question", "answer");
        let of = |answer: &str| post.answered_by(answer.as_bytes()).map_err(|error| error.kind());
        let lengths = "HTTP/1.1 200 OK\r\nDate: today\r\nContent-Length: 6\r\n\r\nanswer";
        let chunks = "HTTP/1.1 200 OK\r\nDate: today\r\nTransfer-Encoding: chunked\r\n\r\n6\r\nanswer\r\n0\r\n\r\n";
        for answer in [lengths, chunks] {
            for end in 0..answer.len() {
                assert_eq!(of(&answer[..end]), Ok(None), "{end} bytes of {answer}");
            }
            let next = format!("{answer}HTTP/1.1");
            assert_eq!(of(&next), Ok(Some((answer.len(), 23..28))));
        }
        for (right, wrong) in [("200", "503"), ("answer", "danger"), ("Length: 6", "Length: six")] {
            assert_eq!(of(&lengths.replace(right, wrong)), Err(ErrorKind::InvalidData), "{wrong}");
        }
        let several = chunks.replace("answer\r\n", "answer\r\n3\r\nand\r\n");
        assert_eq!(of(&several), Err(ErrorKind::InvalidData));
    }
}
