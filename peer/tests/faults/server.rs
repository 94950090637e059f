//! A server on plain sockets that does what a test wants, right or wrong.

use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use serde_json::value::RawValue;

/// How long a test waits for any one event.
pub(crate) const DEADLINE: Duration = Duration::from_secs(30);

/// Serves each connection by a thread until this is dropped.
pub(crate) struct Server {
    pub(crate) addr: SocketAddr,
    shared: Arc<Shared>,
    /// Accepts, and owns the listener.
    thread: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct Shared {
    stop: AtomicBool,
    counts: Mutex<Counts>,
    changed: Condvar,
}

#[derive(Default)]
struct Counts {
    accepted: usize,
    requests: usize,
    open: Vec<(usize, TcpStream)>,
}

/// One connection of a server.
pub(crate) struct Connection {
    /// From 0 on.
    pub(crate) number: usize,
    pub(crate) stream: TcpStream,
    shared: Arc<Shared>,
    buffer: Vec<u8>,
}

/// A request as it came.
pub(crate) struct Request {
    /// In its quotes.
    pub(crate) rid: String,
    pub(crate) payload: String,
}

impl Server {
    /// Serves by `script`, which owns a connection until it returns.
    pub(crate) fn start(
        script: impl Fn(&mut Connection) -> io::Result<()> + Send + Sync + 'static,
    ) -> Server {
        Server::on(TcpListener::bind("127.0.0.1:0").expect("a port"), script)
    }

    /// The same on a port of one's own.
    pub(crate) fn on(
        listener: TcpListener,
        script: impl Fn(&mut Connection) -> io::Result<()> + Send + Sync + 'static,
    ) -> Server {
        let addr = listener.local_addr().expect("an address");
        let shared = Arc::new(Shared::default());
        let (script, state) = (Arc::new(script), shared.clone());
        let thread = std::thread::spawn(move || {
            while let Ok((stream, _)) = listener.accept() {
                if state.stop.load(Ordering::Acquire) {
                    break;
                }
                let number = state.opened(&stream);
                let (script, shared) = (script.clone(), state.clone());
                std::thread::spawn(move || {
                    let mut connection =
                        Connection { number, stream, shared: shared.clone(), buffer: Vec::new() };
                    // The client ends connections as it likes.
                    let _ = script(&mut connection);
                    drop(connection);
                    shared.closed(number);
                });
            }
        });
        Server { addr, shared, thread: Some(thread) }
    }

    /// A worker that answers every request by its payload.
    pub(crate) fn echo() -> Server {
        Server::start(Connection::echo)
    }

    /// How many connections there were.
    pub(crate) fn accepted(&self) -> usize {
        self.shared.counts.lock().unwrap().accepted
    }

    /// How many requests were read.
    pub(crate) fn requests(&self) -> usize {
        self.shared.counts.lock().unwrap().requests
    }

    /// Awaits that so many requests have come.
    #[track_caller]
    pub(crate) fn wait_for_requests(&self, wanted: usize) {
        self.wait(&format!("{wanted} requests"), |counts| counts.requests >= wanted);
    }

    /// Awaits that no connection is open.
    #[track_caller]
    pub(crate) fn wait_for_silence(&self) {
        self.wait("end of all connections", |counts| counts.open.is_empty());
    }

    #[track_caller]
    fn wait(&self, what: &str, holds: impl Fn(&Counts) -> bool) {
        let until = Instant::now() + DEADLINE;
        let mut counts = self.shared.counts.lock().unwrap();
        while !holds(&counts) {
            let left = until.saturating_duration_since(Instant::now());
            assert!(!left.is_zero(), "no {what}");
            counts = self.shared.changed.wait_timeout(counts, left).unwrap().0;
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Release);
        // Wakes the thread that accepts.
        let _ = TcpStream::connect(self.addr);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
        for (_, stream) in &self.shared.counts.lock().unwrap().open {
            let _ = stream.shutdown(Shutdown::Both);
        }
    }
}

impl Shared {
    fn opened(&self, stream: &TcpStream) -> usize {
        let mut counts = self.counts.lock().unwrap();
        let number = counts.accepted;
        counts.accepted += 1;
        counts.open.push((number, stream.try_clone().expect("a descriptor")));
        number
    }

    fn closed(&self, number: usize) {
        self.counts.lock().unwrap().open.retain(|(open, _)| *open != number);
        self.changed.notify_all();
    }
}

impl Connection {
    /// Reads one request; an error is also the end of the connection.
    pub(crate) fn request(&mut self) -> io::Result<Request> {
        let (start, length) = loop {
            if let Some(found) = self.find() {
                break found;
            }
            let mut piece = [0; 16 * 1024];
            let read = self.stream.read(&mut piece)?;
            if read == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            self.buffer.extend_from_slice(&piece[..read]);
        };
        let rest = self.buffer.split_off(start + length);
        let message = std::mem::replace(&mut self.buffer, rest);
        let head = String::from_utf8_lossy(&message[..start]).into_owned();
        let mut body = message[start..].to_vec();
        if head.to_ascii_lowercase().contains("grc-compress: gzip") {
            body.clear();
            flate2::read::GzDecoder::new(&message[start..]).read_to_end(&mut body)?;
        }
        let [rid, _, payload]: [&RawValue; 3] = serde_json::from_slice(&body)?;
        let request = Request { rid: rid.to_string(), payload: payload.to_string() };
        self.shared.counts.lock().unwrap().requests += 1;
        self.shared.changed.notify_all();
        Ok(request)
    }

    /// Where the body begins, and its length, if it is all there.
    fn find(&self) -> Option<(usize, usize)> {
        let start = self.buffer.windows(4).position(|at| at == b"\r\n\r\n")? + 4;
        let head = std::str::from_utf8(&self.buffer[..start]).ok()?.to_ascii_lowercase();
        let length = head.split("content-length:").nth(1)?.lines().next()?.trim().parse().ok()?;
        (self.buffer.len() >= start + length).then_some((start, length))
    }

    /// Sends bytes as they are.
    pub(crate) fn raw(&mut self, bytes: impl AsRef<[u8]>) -> io::Result<()> {
        self.stream.write_all(bytes.as_ref())
    }

    /// Sends bytes as they are and closes the connection.
    pub(crate) fn close(&mut self, bytes: impl AsRef<[u8]>) -> io::Result<()> {
        self.raw(bytes)?;
        self.stream.shutdown(Shutdown::Both)
    }

    /// Sends an answer with a body of one's own.
    pub(crate) fn answer(&mut self, status: u16, body: impl AsRef<[u8]>) -> io::Result<()> {
        self.raw(answer(status, body))
    }

    /// Answers requests by their payloads until the client goes.
    pub(crate) fn echo(&mut self) -> io::Result<()> {
        loop {
            let request = self.request()?;
            self.raw(reply(&request.rid, &request.payload))?;
        }
    }

    /// Waits until the client goes.
    pub(crate) fn hang(&mut self) -> io::Result<()> {
        let mut piece = [0; 16 * 1024];
        while self.stream.read(&mut piece)? > 0 {}
        Ok(())
    }
}

/// An answer with a body.
pub(crate) fn answer(status: u16, body: impl AsRef<[u8]>) -> Vec<u8> {
    let body = body.as_ref();
    let length = body.len();
    let mut out =
        format!("HTTP/1.1 {status} Status\r\ncontent-length: {length}\r\n\r\n").into_bytes();
    out.extend_from_slice(body);
    out
}

/// A right reply.
pub(crate) fn reply(rid: &str, result: &str) -> Vec<u8> {
    answer(200, format!("[{rid},null,{result}]"))
}
