use std::cell::Cell;
use std::future::poll_fn;
use std::rc::Rc;
use std::task::Poll;
use std::time::Duration;

use bytes::Bytes;
use grenache_engine::{
    Config, Core, Limits, TcpListener, TcpStream, sleep, spawn_local, stats, yield_now,
};

use super::tcp::{pair, read, serve_echo};
use super::{Numbers, On, any, run, run_alone};

pub(crate) fn a_writer_waits_for_a_slow_reader(on: On) {
    run_alone(on, || async {
        const SIZE: usize = 32 << 20;
        let (client, server) = pair().await;
        let written = Rc::new(Cell::new(0));
        let progress = written.clone();
        let writer = spawn_local(async move {
            let piece = Bytes::from(vec![9; 64 << 10]);
            while progress.get() < SIZE {
                server.send(piece.clone());
                progress.set(progress.get() + piece.len());
                server.drained(128 << 10).await.expect("the connection holds");
                assert!(server.queued() < 128 << 10);
            }
        });
        // The reader sleeps: the writer gets as far as the kernel's buffers and no further.
        let mut before = usize::MAX;
        while before != written.get() {
            before = written.get();
            sleep(Duration::from_millis(100)).await;
        }
        assert!(before < SIZE, "the writer was not held back");
        assert_eq!(read(&client, SIZE).await.len(), SIZE);
        writer.await.expect("no panic");
    });
}

pub(crate) fn an_unread_connection_is_paused_and_others_are_served(on: On) {
    let limits = Limits { tcp_buffers: 16, tcp_buffer_size: 4096, ..Limits::default() };
    run(on, Config { limits, ..Config::default() }, |_: Core<()>| async {
        let (client, server) = pair().await;
        let sent = Numbers(8).bytes(8 << 20);
        client.write(&sent);
        while stats().recv_pauses == 0 {
            sleep(Duration::from_millis(1)).await;
        }
        // `server` has filled its share and more; others do not notice.
        let listener = TcpListener::bind(any()).expect("a free port");
        let other = TcpStream::connect(listener.local_addr()).await.expect("a connection");
        serve_echo(listener);
        for round in 0..200u32 {
            other.write(&round.to_le_bytes());
            assert_eq!(read(&other, 4).await, round.to_le_bytes());
        }
        assert!(client.queued() > 0, "the sender was held back");
        assert!(read(&server, sent.len()).await == sent);
    });
}

pub(crate) fn a_task_that_reads_on_and_on_comes_to_an_end(on: On) {
    const SIZE: usize = 4 << 20;
    let limits = Limits { recv_high_water: 16 << 10, tcp_buffer_size: 4096, ..Limits::default() };
    run(on, Config { limits, ..Config::default() }, |_: Core<()>| async {
        let (client, server) = pair().await;
        client.write(&vec![7; SIZE]);
        while stats().recv_pauses == 0 {
            sleep(Duration::from_millis(1)).await;
        }
        // There is much more in the kernel; it has to wait until the others have had their turn.
        let count = poll_fn(|context| {
            let mut count = 0;
            while let Poll::Ready(received) = server.poll_recv(context) {
                count += received.expect("no error").expect("not the end").len();
            }
            Poll::Ready(count)
        });
        let count = count.await;
        assert!((1..1 << 20).contains(&count), "{count} bytes in one go");
        assert_eq!(read(&server, SIZE - count).await.len(), SIZE - count);
    });
}

pub(crate) fn buffers_held_by_handlers_starve_nobody(on: On) {
    let limits = Limits { tcp_buffers: 8, tcp_buffer_size: 256, ..Limits::default() };
    run(on, Config { limits, ..Config::default() }, |_: Core<()>| async {
        let (client, server) = pair().await;
        let mut held = Vec::new();
        for round in 0..100u8 {
            client.write(&[round]);
            held.push(server.recv().await.expect("no error").expect("not the end"));
        }
        let expected: Vec<u8> = (0..100).collect();
        assert_eq!(held.iter().map(|bytes| bytes[0]).collect::<Vec<_>>(), expected);
        // All are held, and a burst larger than the ring still comes through.
        let sent = Numbers(4).bytes(1 << 20);
        client.write(&sent);
        assert!(read(&server, sent.len()).await == sent);
        assert_eq!(held.iter().map(|bytes| bytes[0]).collect::<Vec<_>>(), expected);
    });
}

pub(crate) fn more_streams_than_buffers_all_get_their_turn(on: On) {
    const STREAMS: usize = 40;
    const EACH: usize = 256 << 10;
    let limits = Limits { tcp_buffers: 8, tcp_buffer_size: 1024, ..Limits::default() };
    run(on, Config { limits, ..Config::default() }, |_: Core<()>| async {
        let mut pairs = Vec::new();
        let piece = Bytes::from(vec![7; 16 << 10]);
        for _ in 0..STREAMS {
            let (client, server) = pair().await;
            let (client, piece) = (Rc::new(client), piece.clone());
            let writer = client.clone();
            // It always has something to send.
            spawn_local(async move {
                loop {
                    writer.send(piece.clone());
                    if writer.drained(64 << 10).await.is_err() {
                        return;
                    }
                }
            });
            pairs.push((client, server));
        }
        let read = Rc::new(Cell::new([0; STREAMS]));
        for (number, (_, server)) in pairs.iter().enumerate() {
            let (server, read) = (server.clone(), read.clone());
            spawn_local(async move {
                while let Ok(Some(data)) = server.recv().await {
                    let mut all = read.get();
                    all[number] += data.len();
                    read.set(all);
                }
            });
        }
        while read.get().iter().sum::<usize>() < STREAMS * EACH {
            yield_now().await;
        }
        let least = read.get().into_iter().min();
        assert!(least > Some(EACH / 8), "{:?}", read.get());
        for (client, _) in &pairs {
            client.abort();
        }
    });
}

pub(crate) fn connections_that_are_not_accepted_wait_and_are_not_lost(on: On) {
    let limits = Limits { accept_queue: 4, ..Limits::default() };
    run(on, Config { limits, ..Config::default() }, |_: Core<()>| async {
        let listener = TcpListener::bind(any()).expect("a free port");
        let mut clients = Vec::new();
        for number in 0..64u8 {
            let client = TcpStream::connect(listener.local_addr()).await.expect("a connection");
            client.write(&[number]);
            clients.push(client);
        }
        assert!(stats().accepted < 64, "the kernel keeps most of them");
        let mut seen = Vec::new();
        for _ in 0..64 {
            let (stream, _) = listener.accept().await.expect("a connection");
            seen.push(read(&stream, 1).await[0]);
        }
        seen.sort_unstable();
        assert_eq!(seen, (0..64).collect::<Vec<u8>>());
    });
}

pub(crate) fn shared_and_copied_pieces_leave_in_order(on: On) {
    run_alone(on, || async {
        let (client, server) = pair().await;
        let mut numbers = Numbers(11);
        let mut expected = Vec::new();
        for round in 0..3000 {
            let size = 1 + numbers.below(300) as usize;
            let piece = numbers.bytes(size);
            expected.extend_from_slice(&piece);
            if numbers.below(2) == 0 {
                client.send(piece.into());
            } else {
                client.write(&piece);
            }
            // Some are queued while a send is in flight.
            if round % 100 == 0 {
                yield_now().await;
            }
        }
        assert!(read(&server, expected.len()).await == expected);
        client.drained(1).await.expect("all has left");
        assert_eq!(client.queued(), 0);
    });
}
