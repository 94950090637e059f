//! Workers that take their time, or for ever: the caller is answered when its deadline is, not earlier and not later.

use std::io;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::time::{Duration, Instant};

use grenache_grape::{Config, Grape};
use grenache_peer::tls::{Authorities, ClientTls};
use grenache_peer::{Error, Fingerprint, Handle, StreamCall, handle};

use crate::client::{ask, call, live_tasks, request, start, start_with, until};
use crate::server::{Server, reply};

const LIMIT: Duration = Duration::from_millis(60);

/// How much later than its deadline a caller may be answered. Measured as the best of several, since the machine may be
/// busy with something else at any one moment.
const TOLERANCE: Duration = Duration::from_millis(5);

/// Asks several times; every try fails at its deadline, never before.
#[track_caller]
fn fails_at_the_deadline(handle: &Handle, to: SocketAddr, may_have_run: bool) {
    let mut best = Duration::MAX;
    for _ in 0..8 {
        let start = Instant::now();
        let error = request(handle, to, call("1").timeout(LIMIT)).expect_err("nobody answers");
        let took = start.elapsed();
        let Error::Timeout { limit, may_have_run: may, .. } = error else { panic!("{error}") };
        assert_eq!((limit, may), (LIMIT, may_have_run), "{error}");
        assert!(took >= LIMIT, "too early: {took:?}");
        best = best.min(took);
    }
    assert!(best <= LIMIT + TOLERANCE, "too late: {best:?} instead of {LIMIT:?}");
}

#[test]
fn a_worker_that_accepts_and_never_answers() {
    let handle = start();
    let server = Server::start(|connection| connection.hang());
    fails_at_the_deadline(&handle, server.addr, true);
    server.wait_for_silence();
    assert_eq!(live_tasks(&handle), 0);
}

#[test]
fn a_worker_that_reads_and_never_answers() {
    let handle = start();
    let server = Server::start(|connection| {
        connection.request()?;
        connection.hang()
    });
    fails_at_the_deadline(&handle, server.addr, true);
    assert_eq!(server.requests(), 8);
    server.wait_for_silence();
    assert_eq!(live_tasks(&handle), 0);
}

/// A byte now and then does not put the deadline off.
#[test]
fn a_worker_that_answers_drop_by_drop() {
    let handle = start();
    let server = Server::start(|connection| {
        let request = connection.request()?;
        connection.stream.set_nodelay(true)?;
        for byte in reply(&request.rid, &format!("\"{}\"", "x".repeat(100_000))) {
            connection.raw([byte])?;
            // Not a wait for an event: it makes the worker slow.
            std::thread::sleep(Duration::from_millis(2));
        }
        Ok(())
    });
    fails_at_the_deadline(&handle, server.addr, true);
    server.wait_for_silence();
    assert_eq!(live_tasks(&handle), 0);
}

/// A worker that reads nothing: a large request fills the buffers and stops half-way.
#[test]
fn a_worker_that_does_not_read() {
    let handle = start();
    let (ended, wait) = std::sync::mpsc::channel::<()>();
    let wait = std::sync::Mutex::new(wait);
    let server = Server::start(move |_| {
        let _ = wait.lock().unwrap().recv();
        Ok(())
    });
    let large = format!("\"{}\"", "x".repeat(20_000_000));
    let start = Instant::now();
    let limit = Duration::from_millis(500);
    let error = request(&handle, server.addr, call(&large).timeout(limit)).unwrap_err();
    assert_eq!(error.code(), "ERR_TIMEOUT", "{error}");
    assert!(start.elapsed() >= limit && start.elapsed() < Duration::from_secs(10));
    drop(ended);
    server.wait_for_silence();
    assert_eq!(live_tasks(&handle), 0);
}

/// Packets that go nowhere: the queue of a listener that nobody accepts from is full, so the kernel drops what else comes.
#[test]
fn a_worker_that_cannot_be_connected_to() {
    let listener = listener_with_a_full_queue().expect("a listener");
    let handle = start();
    fails_at_the_deadline(&handle, listener.0.local_addr().unwrap(), false);
    assert_eq!(live_tasks(&handle), 0);
}

/// The listener, and the connections that fill its queue.
fn listener_with_a_full_queue() -> io::Result<(TcpListener, Vec<TcpStream>)> {
    let listener = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None)?;
    listener.bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into())?;
    listener.listen(0)?;
    let listener = TcpListener::from(listener);
    let addr = listener.local_addr()?;
    let mut queued = Vec::new();
    loop {
        match TcpStream::connect_timeout(&addr, Duration::from_millis(100)) {
            Ok(stream) => queued.push(stream),
            Err(error) if error.kind() == io::ErrorKind::TimedOut => break Ok((listener, queued)),
            Err(error) => break Err(error),
        }
    }
}

#[test]
fn a_tls_worker_that_never_shakes_hands() {
    let mut tls = ClientTls::new(Authorities::none());
    tls.allow = vec![Fingerprint::sha256(b"nobody's")];
    let handle = start_with(handle::Config { client_tls: Some(tls), ..handle::Config::default() });
    let server = Server::start(|connection| connection.hang());
    fails_at_the_deadline(&handle, server.addr, false);
    server.wait_for_silence();
    assert_eq!(live_tasks(&handle), 0);
}

/// Nobody listens: that is known at once.
#[test]
fn a_worker_that_is_not_there() {
    let handle = start();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = listener.local_addr().unwrap();
    drop(listener);
    let start = Instant::now();
    let error = request(&handle, addr, call("1")).unwrap_err();
    assert_eq!(error.code(), "ERR_REQUEST_GENERIC");
    assert!(!error.may_have_run() && error.to_string().contains("no connection"), "{error}");
    assert!(start.elapsed() < Duration::from_secs(5));
}

/// Many deadlines at once, on one core.
#[test]
fn a_thousand_deadlines() {
    let handle = start();
    let server = Server::start(|connection| connection.hang());
    let begun = Instant::now();
    let addr = server.addr;
    let all: Vec<_> = (0..1000)
        .map(|_| ask(&handle, addr, call("1").timeout(Duration::from_millis(200))))
        .collect();
    for one in all {
        assert_eq!(one.wait().unwrap_err().code(), "ERR_TIMEOUT");
    }
    assert!(begun.elapsed() >= Duration::from_millis(200));
    server.wait_for_silence();
    assert_eq!(live_tasks(&handle), 0);
}

/// Whoever does not wait any more leaves nothing behind, and the worker sees the connection end.
#[test]
fn a_call_that_is_taken_back() {
    let handle = start();
    let server = Server::start(|connection| {
        connection.request()?;
        connection.hang()
    });
    let asked = ask(&handle, server.addr, call("1"));
    server.wait_for_requests(1);
    drop(asked);
    server.wait_for_silence();
    until("end of the call", || handle.in_flight() == 0);
    assert_eq!(live_tasks(&handle), 0);
}

/// A stream whose worker neither reads nor answers stands still no longer than its time-out.
#[test]
fn a_stream_that_stands_still() {
    let grape = Config { dht_port: 0, api_port: 0, ..Config::default() };
    let grape = Grape::start(grape).expect("a grape");
    let (ended, wait) = std::sync::mpsc::channel::<()>();
    let wait = std::sync::Mutex::new(wait);
    let server = Server::start(move |_| {
        let _ = wait.lock().unwrap().recv();
        Ok(())
    });
    grape.announce("faults:stream", server.addr.port()).wait().expect("announced");
    let handle = start_with(handle::Config {
        grapes: vec![format!("http://{}", grape.api_addr())],
        ..handle::Config::default()
    });
    for sending in [true, false] {
        let begun = Instant::now();
        let stuck = handle.run(async move |context| {
            let call = StreamCall::new("faults:stream").timeout(4 * LIMIT);
            let stream = context.client.stream(call).await?;
            if sending {
                loop {
                    stream.send(vec![0; 65_536].into()).await?;
                }
            }
            stream.recv().await
        });
        let error = stuck.wait().expect_err("nothing moves");
        assert_eq!(error.code(), "ERR_TIMEOUT", "sending {sending}: {error}");
        assert!(begun.elapsed() >= 4 * LIMIT && begun.elapsed() < Duration::from_secs(10));
    }
    drop(ended);
    server.wait_for_silence();
}
