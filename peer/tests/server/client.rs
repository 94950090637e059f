//! A client that sends whatever it is told.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::{Duration, Instant};

/// A connection, without or with TLS.
pub(crate) struct Client<S = TcpStream> {
    pub(crate) stream: S,
    received: Vec<u8>,
}

/// An HTTP answer, chunks put together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    /// In small letters.
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).expect("text")
    }

    pub(crate) fn closes(&self) -> bool {
        self.head.contains("\r\nconnection: close\r\n")
    }
}

/// A request as Node sends it.
pub(crate) fn post(body: &str) -> String {
    format!("POST / HTTP/1.1\r\nhost: a\r\ncontent-length: {}\r\n\r\n{body}", body.len())
}

impl Client {
    pub(crate) fn connect(addr: SocketAddr) -> Client {
        let stream = TcpStream::connect(addr).expect("a connection");
        stream.set_read_timeout(Some(Duration::from_secs(20))).expect("a timeout");
        stream.set_nodelay(true).expect("no delay");
        Client::over(stream)
    }

    /// With little room for what is received, so that the other side notices soon that it is not read.
    pub(crate) fn narrow(addr: SocketAddr) -> Client {
        let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None);
        let socket = socket.expect("a socket");
        socket.set_recv_buffer_size(64 * 1024).expect("a size");
        socket.connect(&addr.into()).expect("a connection");
        let stream = TcpStream::from(socket);
        stream.set_read_timeout(Some(Duration::from_secs(20))).expect("a timeout");
        Client::over(stream)
    }

    /// Reads so many bytes and throws them away, no more than `pace` in a millisecond.
    pub(crate) fn read_slowly(&mut self, length: usize, pace: u128) {
        let (start, mut buffer) = (Instant::now(), vec![0; 256 * 1024]);
        let mut count = self.received.len();
        self.received.clear();
        while count < length {
            while count as u128 > pace * start.elapsed().as_millis() {
                std::thread::sleep(Duration::from_millis(1));
            }
            let read = self.stream.read(&mut buffer).expect("more");
            assert!(read > 0, "ended at {count}");
            count += read;
        }
    }

    pub(crate) fn finish(&mut self) -> &mut Client {
        self.stream.shutdown(Shutdown::Write).expect("half closed");
        self
    }
}

impl<S: Read + Write> Client<S> {
    pub(crate) fn over(stream: S) -> Client<S> {
        Client { stream, received: Vec::new() }
    }

    pub(crate) fn send(&mut self, bytes: impl AsRef<[u8]>) -> &mut Client<S> {
        self.stream.write_all(bytes.as_ref()).expect("sent");
        self
    }

    /// Sends the body of a request and reads the answer.
    pub(crate) fn call(&mut self, body: &str) -> Answer {
        self.send(post(body)).answer()
    }

    /// The text of an answer that must be 200.
    pub(crate) fn ask(&mut self, body: &str) -> String {
        let answer = self.call(body);
        assert_eq!(answer.status, 200, "{answer:?}");
        answer.text().to_owned()
    }

    /// Reads an answer, also one to HEAD or an interim one, which have no body.
    pub(crate) fn head(&mut self) -> (u16, String) {
        let end = loop {
            if let Some(at) = self.received.windows(4).position(|four| four == b"\r\n\r\n") {
                break at + 4;
            }
            assert!(self.read(), "ended in a head: {:?}", String::from_utf8_lossy(&self.received));
        };
        let head: Vec<u8> = self.received.drain(..end).collect();
        let head = String::from_utf8(head).expect("a head is text").to_ascii_lowercase();
        let status = head.strip_prefix("http/1.1 ").expect("HTTP/1.1")[..3].parse();
        (status.expect("a status"), head)
    }

    pub(crate) fn answer(&mut self) -> Answer {
        let (status, head) = self.head();
        let field = |name: &str| {
            let line = head.lines().find(|line| line.starts_with(name))?;
            Some(line[name.len()..].trim().to_owned())
        };
        let mut body = Vec::new();
        if let Some(length) = field("content-length:") {
            body = self.take(length.parse().expect("a length"));
        } else if field("transfer-encoding:").as_deref() == Some("chunked") {
            while let Some(chunk) = self.chunk() {
                body.extend(chunk);
            }
        } else {
            while self.read() {}
            body.append(&mut self.received);
        }
        Answer { status, head, body }
    }

    /// The next chunk; `None` after the last.
    pub(crate) fn chunk(&mut self) -> Option<Vec<u8>> {
        let end = loop {
            if let Some(at) = self.received.windows(2).position(|two| two == b"\r\n") {
                break at + 2;
            }
            assert!(self.read(), "ended before a chunk");
        };
        let line: Vec<u8> = self.received.drain(..end).collect();
        let line = std::str::from_utf8(&line).expect("a size");
        let size = usize::from_str_radix(line.trim_end(), 16).expect("a size");
        let data = self.take(size);
        assert_eq!(self.take(2), b"\r\n");
        (size > 0).then_some(data)
    }

    pub(crate) fn take(&mut self, length: usize) -> Vec<u8> {
        while self.received.len() < length {
            assert!(self.read(), "ended in a body, at {} of {length}", self.received.len());
        }
        let rest = self.received.split_off(length);
        std::mem::replace(&mut self.received, rest)
    }

    fn read(&mut self) -> bool {
        let mut buffer = [0; 64 * 1024];
        let count = self.stream.read(&mut buffer).expect("bytes in time");
        self.received.extend_from_slice(&buffer[..count]);
        count > 0
    }

    /// Whether nothing comes but the end.
    pub(crate) fn ends(&mut self) -> bool {
        let mut buffer = [0; 16];
        self.received.is_empty() && matches!(self.stream.read(&mut buffer), Ok(0))
    }

    /// Whether the connection was broken off, after whatever has come before.
    pub(crate) fn breaks(&mut self) -> bool {
        let mut buffer = [0; 64 * 1024];
        loop {
            match self.stream.read(&mut buffer) {
                Ok(0) => return false,
                Ok(_) => {}
                Err(error) => return error.kind() == std::io::ErrorKind::ConnectionReset,
            }
        }
    }
}
