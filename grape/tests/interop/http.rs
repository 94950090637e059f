//! HTTP as bytes: requests go out exactly as written, answers come back exactly as sent.

use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::process::DEADLINE;

/// A connection to a grape's API.
pub(crate) struct Connection {
    stream: TcpStream,
    /// Received and not yet taken.
    rest: Vec<u8>,
}

/// One answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Answer {
    /// The status code.
    pub(crate) status: u16,
    /// Header lines as sent, without the status line.
    pub(crate) headers: Vec<String>,
    /// The body, decoded from chunks if it came in chunks.
    pub(crate) body: Vec<u8>,
}

impl Answer {
    /// The value of a header.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find_map(|line| {
            let (key, value) = line.split_once(':')?;
            key.eq_ignore_ascii_case(name).then_some(value.trim())
        })
    }

    /// The body as text.
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The body as JSON; `Null` for an empty one.
    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        if self.body.is_empty() {
            Value::Null
        } else {
            serde_json::from_slice(&self.body).expect("a JSON answer")
        }
    }
}

impl Connection {
    /// Connects to a port of this machine.
    #[track_caller]
    pub(crate) fn open(port: u16) -> Connection {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let stream =
            TcpStream::connect_timeout(&address, DEADLINE).expect("the API takes connections");
        stream.set_nodelay(true).unwrap();
        Connection { stream, rest: Vec::new() }
    }

    /// Sends bytes. A peer that has hung up is noticed at the answer.
    pub(crate) fn send(&mut self, bytes: &[u8]) {
        let _ = self.stream.write_all(bytes);
    }

    /// Reads more; false at the end of the stream.
    fn fill(&mut self, until: Instant) -> bool {
        let left = until.saturating_duration_since(Instant::now());
        assert!(
            !left.is_zero(),
            "no answer in time; so far {:?}",
            String::from_utf8_lossy(&self.rest)
        );
        self.stream.set_read_timeout(Some(left)).unwrap();
        let mut buffer = [0; 16384];
        match self.stream.read(&mut buffer) {
            Ok(0) => false,
            Ok(length) => {
                self.rest.extend_from_slice(&buffer[..length]);
                true
            }
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                self.fill(until)
            }
            Err(_) => false,
        }
    }

    /// The next answer, an interim `100 Continue` being passed over; `None` when the peer hangs up instead.
    #[track_caller]
    pub(crate) fn answer(&mut self, to_head: bool) -> Option<Answer> {
        self.answer_within(DEADLINE, to_head)
    }

    fn answer_within(&mut self, limit: Duration, to_head: bool) -> Option<Answer> {
        let until = Instant::now() + limit;
        loop {
            let end = loop {
                match find(&self.rest, b"\r\n\r\n") {
                    Some(end) => break end,
                    None if self.fill(until) => {}
                    None => return None,
                }
            };
            let head = String::from_utf8_lossy(&self.rest[..end]).into_owned();
            self.rest.drain(..end + 4);
            let mut lines = head.split("\r\n").map(str::to_string);
            let status_line = lines.next().unwrap_or_default();
            let status = status_line.split(' ').nth(1).and_then(|code| code.parse().ok());
            let status = status.unwrap_or_else(|| panic!("a status line: {status_line:?}"));
            if status == 100 {
                continue;
            }
            let mut answer = Answer { status, headers: lines.collect(), body: Vec::new() };
            if !to_head {
                answer.body = self.body(&answer, until);
            }
            return Some(answer);
        }
    }

    fn body(&mut self, answer: &Answer, until: Instant) -> Vec<u8> {
        if answer.header("transfer-encoding").is_some() {
            return self.chunks(until);
        }
        let length = answer
            .header("content-length")
            .map(|length| length.parse::<usize>().expect("a length"));
        while length.is_none_or(|length| self.rest.len() < length) {
            if !self.fill(until) {
                assert!(
                    length.is_none(),
                    "the body is cut short: {:?}",
                    String::from_utf8_lossy(&self.rest)
                );
                return std::mem::take(&mut self.rest);
            }
        }
        self.rest.drain(..length.unwrap_or(0)).collect()
    }

    fn chunks(&mut self, until: Instant) -> Vec<u8> {
        let mut body = Vec::new();
        loop {
            let end = loop {
                match find(&self.rest, b"\r\n") {
                    Some(end) => break end,
                    None => assert!(self.fill(until), "chunks are cut short"),
                }
            };
            let size = usize::from_str_radix(&String::from_utf8_lossy(&self.rest[..end]), 16)
                .expect("a chunk size");
            while self.rest.len() < end + 2 + size + 2 {
                assert!(self.fill(until), "chunks are cut short");
            }
            body.extend_from_slice(&self.rest[end + 2..end + 2 + size]);
            self.rest.drain(..end + 2 + size + 2);
            if size == 0 {
                return body;
            }
        }
    }

    /// Whether the peer hangs up within `limit`, without another byte.
    pub(crate) fn is_closed_within(&mut self, limit: Duration) -> bool {
        self.stream.set_read_timeout(Some(limit)).unwrap();
        let mut byte = [0];
        match self.stream.read(&mut byte) {
            Ok(0) => true,
            Ok(_) => panic!("more bytes came"),
            Err(error) => !matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut),
        }
    }

    /// `POST /call` with `{"rid":..,"data":..}` and its answer.
    #[track_caller]
    pub(crate) fn call(&mut self, call: &str, data: &Value) -> Answer {
        self.send(&post(call, json!({"rid": "test", "data": data}).to_string().as_bytes()));
        self.answer(false).expect("an answer")
    }
}

/// A plain keep-alive POST.
pub(crate) fn post(call: &str, body: &[u8]) -> Vec<u8> {
    let mut request = format!(
        "POST /{call} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: {}\r\n\r\n",
        body.len()
    )
    .into_bytes();
    request.extend_from_slice(body);
    request
}

fn find(bytes: &[u8], wanted: &[u8]) -> Option<usize> {
    bytes.windows(wanted.len()).position(|window| window == wanted)
}
