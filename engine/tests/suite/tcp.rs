use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Duration;

use grenache_engine::{
    Config, Core, Limits, Mesh, TcpListener, TcpStream, now, sleep, spawn_local, stats, timeout,
    yield_now,
};

use super::{Numbers, On, any, run, run_alone};

/// Answers every connection with its own bytes.
pub(crate) fn serve_echo(listener: TcpListener) {
    spawn_local(async move {
        while let Ok((stream, _)) = listener.accept().await {
            spawn_local(echo(stream));
        }
    });
}

async fn echo(stream: TcpStream) {
    while let Ok(Some(bytes)) = stream.recv().await {
        stream.write(&bytes);
        if stream.queued() > 1 << 20 && stream.drained(1 << 19).await.is_err() {
            return;
        }
    }
}

/// Reads exactly `count` bytes, fewer only at the end.
pub(crate) async fn read(stream: &TcpStream, count: usize) -> Vec<u8> {
    let mut all = Vec::new();
    while all.len() < count {
        let Some(bytes) = stream.recv().await.expect("the connection holds") else { break };
        all.extend_from_slice(&bytes);
    }
    all
}

/// A connected pair: the client's side and the server's.
pub(crate) async fn pair() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind(any()).expect("a free port");
    let client = TcpStream::connect(listener.local_addr()).await.expect("a connection");
    let (server, _) = listener.accept().await.expect("the other side");
    (client, server)
}

pub(crate) fn echoes_pieces_of_random_sizes_over_many_connections(on: On) {
    let config = Config { cores: 2, tcp: vec![any()], ..Config::default() };
    run(on, config, |mut core: Core<()>| async move {
        let listener = core.listeners.remove(0);
        let address = listener.local_addr();
        serve_echo(listener);
        let done = Rc::new(Cell::new(0));
        let mut clients = Vec::new();
        for connection in 0..40 {
            let done = done.clone();
            clients.push(spawn_local(async move {
                let mut numbers = Numbers(core.index as u64 * 1000 + connection);
                let stream = TcpStream::connect(address).await.expect("a connection");
                for _ in 0..12 {
                    let magnitude = numbers.below(17);
                    let size = 1 + numbers.below(1 << magnitude) as usize;
                    let sent = numbers.bytes(size);
                    stream.write(&sent);
                    assert!(read(&stream, size).await == sent, "the echo differs");
                }
                done.set(done.get() + 1);
            }));
        }
        for client in clients {
            client.await.expect("no client panics");
        }
        assert_eq!(done.get(), 40);
        // The other core may still need this listener.
        end_together(&core.mesh, core.index).await;
    });
}

/// Waits until the other of two cores is here too.
async fn end_together(mesh: &Mesh<()>, index: usize) {
    mesh.send(1 - index, ()).expect("room");
    mesh.recv().await;
}

pub(crate) fn a_half_closed_connection_still_answers(on: On) {
    run_alone(on, || async {
        let (client, server) = pair().await;
        client.write(b"question");
        client.shutdown();
        client.write(b"vanishes after shutdown");
        assert_eq!(read(&server, usize::MAX).await, b"question");
        assert!(server.recv().await.expect("no error").is_none(), "the end stays the end");
        sleep(Duration::from_millis(5)).await;
        server.write(b"answer");
        drop(server);
        assert_eq!(read(&client, usize::MAX).await, b"answer");
    });
}

pub(crate) fn a_reset_is_an_error_after_what_came_before(on: On) {
    run_alone(on, || async {
        let (client, server) = pair().await;
        client.write(b"last words");
        let first = server.recv().await.expect("bytes").expect("not the end");
        assert_eq!(&first[..], b"last words");
        client.abort();
        let error = server.recv().await.expect_err("the connection is reset");
        assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset);
        assert!(server.recv().await.is_err(), "an error stays");
        assert!(server.drained(1).await.is_err());
        assert!(client.recv().await.is_err(), "also for the side that broke it off");
        server.write(b"nobody is there");
    });
}

pub(crate) fn a_big_transfer_arrives_intact_both_ways(on: On) {
    const SIZE: usize = 50 << 20;
    const PIECE: usize = 100_003;
    async fn send(stream: TcpStream, seed: u64) {
        let mut numbers = Numbers(seed);
        let mut sent = 0;
        while sent < SIZE {
            let piece = numbers.bytes(PIECE.min(SIZE - sent));
            sent += piece.len();
            stream.send(piece.into());
            stream.drained(1 << 20).await.expect("the connection holds");
        }
        stream.shutdown();
    }
    async fn check(stream: TcpStream, seed: u64) {
        let mut numbers = Numbers(seed);
        let mut expected = Vec::new();
        let mut received = 0;
        while let Some(bytes) = stream.recv().await.expect("the connection holds") {
            let mut bytes = &bytes[..];
            received += bytes.len();
            while !bytes.is_empty() {
                if expected.is_empty() {
                    let before = received - bytes.len();
                    expected = numbers.bytes(PIECE.min(SIZE - before));
                }
                let count = bytes.len().min(expected.len());
                assert!(bytes[..count] == expected[..count], "differs before {received}");
                bytes = &bytes[count..];
                expected.drain(..count);
            }
        }
        assert_eq!(received, SIZE);
    }
    run_alone(on, || async {
        let (client, server) = pair().await;
        let tasks = [
            spawn_local(send(client.clone(), 1)),
            spawn_local(check(server.clone(), 1)),
            spawn_local(send(server, 2)),
            spawn_local(check(client, 2)),
        ];
        for task in tasks {
            task.await.expect("no panic");
        }
    });
}

pub(crate) fn thousands_of_connections_come_and_go(on: On) {
    run_alone(on, || async {
        let listener = TcpListener::bind(any()).expect("a free port");
        let address = listener.local_addr();
        serve_echo(listener);
        let mut clients = Vec::new();
        for _ in 0..20 {
            clients.push(spawn_local(async move {
                for round in 0..100u32 {
                    let stream = TcpStream::connect(address).await.expect("a connection");
                    stream.write(&round.to_le_bytes());
                    assert_eq!(read(&stream, 4).await, round.to_le_bytes());
                }
            }));
        }
        for client in clients {
            client.await.expect("no panic");
        }
        assert_eq!((stats().accepted, stats().connected), (2000, 2000));
    });
}

pub(crate) fn every_core_accepts_on_the_one_port(on: On) {
    let config = Config { cores: 3, tcp: vec![any()], ..Config::default() };
    run(on, config, |mut core: Core<u64>| async move {
        let listener = core.listeners.remove(0);
        let address = listener.local_addr();
        serve_echo(listener);
        if core.index != 0 {
            // Told to report, and again to end.
            core.mesh.recv().await;
            core.mesh.send(0, stats().accepted).expect("room");
            core.mesh.recv().await;
            return;
        }
        let mut streams = Vec::new();
        for _ in 0..96 {
            let stream = TcpStream::connect(address).await.expect("a connection");
            stream.write(b"x");
            assert_eq!(read(&stream, 1).await, b"x");
            streams.push(stream);
        }
        let mut accepted = vec![stats().accepted];
        for other in 1..3 {
            core.mesh.send(other, 0).expect("room");
            accepted.push(core.mesh.recv().await.1);
        }
        (1..3).for_each(|other| core.mesh.send(other, 0).expect("room"));
        assert_eq!(accepted.iter().sum::<u64>(), 96);
        assert!(accepted.iter().all(|count| *count > 0), "{accepted:?}");
    });
}

pub(crate) fn a_dropped_connection_still_sends_what_is_queued(on: On) {
    run_alone(on, || async {
        let (client, server) = pair().await;
        let sent = Numbers(5).bytes(3 << 20);
        // Bytes that the server never reads must not turn its close into a reset.
        client.write(b"unread");
        server.write(&sent);
        drop(server);
        assert!(read(&client, usize::MAX).await == sent);
    });
}

pub(crate) fn a_dropped_connection_that_nobody_reads_is_reset_in_time(on: On) {
    const SIZE: usize = 32 << 20;
    let (linger, linger_bytes, send_cap) = (Duration::from_millis(100), SIZE, SIZE);
    let limits = Limits { linger, linger_bytes, send_cap, ..Limits::default() };
    run(on, Config { limits, ..Config::default() }, |_: Core<()>| async {
        let (client, server) = pair().await;
        server.write(&vec![7; SIZE]);
        let begin = now();
        drop(server);
        while stats().linger_expired == 0 {
            sleep(Duration::from_millis(10)).await;
        }
        assert!(now() - begin >= Duration::from_millis(100));
        let mut received = 0;
        let end = loop {
            match client.recv().await {
                Ok(Some(bytes)) => received += bytes.len(),
                other => break other,
            }
        };
        assert!(end.is_err(), "a reset, not an end");
        assert!(received < SIZE);
    });
}

pub(crate) fn a_queue_over_the_cap_resets_the_connection(on: On) {
    let limits = Limits { send_cap: 1 << 20, ..Limits::default() };
    run(on, Config { limits, ..Config::default() }, |_: Core<()>| async {
        let (client, server) = pair().await;
        server.write(&vec![1; 1 << 20]);
        assert_eq!(server.queued(), 1 << 20);
        server.write(b"one byte too many");
        assert_eq!(stats().send_overflows, 1);
        let error = server.recv().await.expect_err("reset");
        assert_eq!(error.raw_os_error(), Some(105), "ENOBUFS");
        assert!(client.recv().await.is_err());
    });
}

pub(crate) fn a_refused_connection_is_an_error(on: On) {
    run_alone(on, || async {
        let listener = TcpListener::bind(any()).expect("a free port");
        let address = listener.local_addr();
        drop(listener);
        // The descriptor closes at the end of the turn.
        sleep(Duration::from_millis(20)).await;
        let error = TcpStream::connect(address).await.err().expect("nobody listens");
        assert_eq!(error.kind(), std::io::ErrorKind::ConnectionRefused);
    });
}

pub(crate) fn dropping_recv_loses_nothing(on: On) {
    run_alone(on, || async {
        let (client, server) = pair().await;
        let sent = Numbers(3).bytes(100_000);
        let expected = sent.clone();
        spawn_local(async move {
            for piece in sent.chunks(997) {
                client.write(piece);
                yield_now().await;
            }
        });
        let mut received = Vec::new();
        while received.len() < expected.len() {
            let impatient = timeout(Duration::from_micros(50), server.recv()).await;
            if let Ok(bytes) = impatient {
                received.extend_from_slice(&bytes.expect("no error").expect("not the end"));
            }
        }
        assert!(received == expected);
    });
}

pub(crate) fn two_tasks_share_a_connection(on: On) {
    run_alone(on, || async {
        let (client, server) = pair().await;
        let got = Rc::new(RefCell::new(Vec::new()));
        let (reader, log) = (server.clone(), got.clone());
        let reading = spawn_local(async move {
            while let Ok(Some(bytes)) = reader.recv().await {
                log.borrow_mut().extend_from_slice(&bytes);
            }
        });
        let writing = spawn_local(async move {
            for _ in 0..50 {
                server.write(b"tick");
                sleep(Duration::from_micros(200)).await;
            }
            server.shutdown();
        });
        client.write(b"hello");
        assert_eq!(read(&client, usize::MAX).await.len(), 200);
        client.write(b" there");
        client.shutdown();
        writing.await.expect("no panic");
        reading.await.expect("no panic");
        assert_eq!(*got.borrow(), b"hello there");
    });
}

pub(crate) fn addresses_match_on_both_sides(on: On) {
    run_alone(on, || async {
        let listener = TcpListener::bind(any()).expect("a free port");
        let client = TcpStream::connect(listener.local_addr()).await.expect("a connection");
        let (server, from) = listener.accept().await.expect("the other side");
        assert_eq!(client.peer_addr(), listener.local_addr());
        assert_eq!(server.local_addr().expect("an address"), listener.local_addr());
        assert_eq!(server.peer_addr(), from);
        assert_eq!(client.local_addr().expect("an address"), from);
    });
}
