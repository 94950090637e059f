use std::cell::{Cell, RefCell};
use std::io::ErrorKind;
use std::rc::Rc;
use std::time::Duration;

use grenache_engine::sim::{Host, Network, World};
use grenache_engine::{Config, Core, TcpStream, now, sleep, spawn_local, stats};

use super::{SECOND, address, calm, ip, read, run, serve_echo};

type Outcome = Rc<RefCell<Option<(Result<Vec<u8>, ErrorKind>, Duration)>>>;

/// A client on host 2 that connects to host 1, waits, writes, and reads to the end: what it got,
/// and when.
fn ask(world: &mut World, wait: Duration, question: &'static [u8], answer: usize) -> Outcome {
    let outcome = Outcome::default();
    let result = outcome.clone();
    run(world, 2, move || {
        let result = result.clone();
        async move {
            let attempt = async {
                let stream = TcpStream::connect(address(1, 7)).await?;
                sleep(wait).await;
                stream.write(question);
                read(&stream, answer).await
            };
            let got = attempt.await.map_err(|error| error.kind());
            *result.borrow_mut() = Some((got, now()));
        }
    });
    outcome
}

#[test]
fn a_transfer_survives_loss_cuts_and_a_partition() {
    for seed in 0..5 {
        let delay = Duration::from_millis(1)..Duration::from_millis(20);
        let network = Network { delay, loss: 0.05, duplicate: 0.1, cut: 0.7, ..Network::default() };
        let mut world = World::new(seed, network);
        serve_echo(&mut world, 1, 2);
        let pieces = Rc::new(Cell::new(0));
        let received = Rc::new(RefCell::new(Vec::new()));
        let (count, log) = (pieces.clone(), received.clone());
        let sent: Vec<u8> = (0..400_000u32).map(|n| (n ^ (n >> 8) ^ (n >> 13)) as u8).collect();
        let bytes = sent.clone();
        let client = run(&mut world, 2, move || {
            let (bytes, count, log) = (bytes.clone(), count.clone(), log.clone());
            async move {
                let stream = TcpStream::connect(address(1, 7)).await.expect("a connection");
                let writer = stream.clone();
                spawn_local(async move {
                    for piece in bytes.chunks(7919) {
                        writer.write(piece);
                        writer.drained(20_000).await.expect("the connection holds");
                    }
                    writer.shutdown();
                });
                while let Some(piece) = stream.recv().await.expect("the connection holds") {
                    assert!(!piece.is_empty() && piece.len() <= 1460);
                    count.set(count.get() + 1);
                    log.borrow_mut().extend_from_slice(&piece);
                }
            }
        });
        world.run_for(3 * SECOND);
        let before = received.borrow().len();
        assert!((1..400_000).contains(&before));
        world.partition(&[ip(1)], &[ip(2)]);
        world.run_for(20 * SECOND);
        assert_eq!(received.borrow().len(), before);
        world.heal();
        world.run_for(300 * SECOND);
        assert!(!world.is_running(client), "the end comes too");
        assert!(*received.borrow() == sent, "seed {seed}");
        assert!(pieces.get() > 400_000 / 1460, "cut at other places than the largest");
        assert!(world.traffic().segments_repeated > 10);
    }
}

#[test]
fn a_port_without_a_listener_refuses() {
    let mut world = World::new(1, calm());
    let node = run(&mut world, 1, || async {});
    let refused = ask(&mut world, SECOND, b"?", 1);
    world.run_for(SECOND);
    assert!(!world.is_running(node), "the host has power all the same");
    let (got, at) = refused.take().expect("an outcome");
    assert_eq!(got, Err(ErrorKind::ConnectionRefused));
    assert!(at < Duration::from_millis(3));
}

#[test]
fn a_host_that_is_dead_or_cut_off_times_out() {
    let network = Network { connect_timeout: 30 * SECOND, ..calm() };
    for dead in [true, false] {
        let mut world = World::new(2, network.clone());
        let server = serve_echo(&mut world, 1, 1);
        if dead {
            world.kill(server);
        } else {
            world.partition(&[ip(1)], &[ip(2)]);
        }
        let outcome = ask(&mut world, SECOND, b"?", 1);
        world.run_for(29 * SECOND);
        assert!(outcome.borrow().is_none());
        world.run_for(2 * SECOND);
        let (got, at) = outcome.take().expect("an outcome");
        assert_eq!(got, Err(ErrorKind::TimedOut));
        assert!((30 * SECOND..31 * SECOND).contains(&at), "{at:?}");
    }
}

#[test]
fn an_attempt_outlives_a_short_partition() {
    let mut world = World::new(3, calm());
    serve_echo(&mut world, 1, 1);
    world.partition(&[ip(1)], &[ip(2)]);
    let outcome = ask(&mut world, Duration::ZERO, b"hello", 5);
    world.run_for(SECOND);
    world.heal();
    world.run_for(2 * SECOND);
    assert_eq!(outcome.take().expect("an outcome").0, Ok(b"hello".to_vec()));
}

#[test]
fn a_peer_without_power_is_noticed_when_something_is_sent() {
    let network = Network { retransmit_timeout: 60 * SECOND, ..calm() };
    for restarts in [false, true] {
        let mut world = World::new(4, network.clone());
        let server = serve_echo(&mut world, 1, 2);
        let outcome = ask(&mut world, 100 * SECOND, b"still there?", 1);
        world.run_for(SECOND);
        assert_eq!(world.stats(server, 0).accepted + world.stats(server, 1).accepted, 1);
        world.kill(server);
        world.run_for(90 * SECOND);
        assert!(outcome.borrow().is_none(), "nobody is told");
        if restarts {
            serve_echo(&mut world, 1, 2);
        }
        world.run_for(100 * SECOND);
        let (got, at) = outcome.take().expect("an outcome");
        let (error, after) = if restarts {
            (ErrorKind::ConnectionReset, 100 * SECOND)
        } else {
            (ErrorKind::TimedOut, 160 * SECOND)
        };
        assert_eq!(got, Err(error));
        assert!((after..after + SECOND).contains(&at), "{at:?}");
    }
}

#[test]
fn a_writer_is_held_back_and_learns_that_its_reader_lost_power() {
    let mut world = World::new(5, calm());
    let config = Config { tcp: vec![address(1, 7)], ..Config::default() };
    let reader = world
        .start(Host::new(ip(1)), config.clone(), |core: Core<()>| async move {
            let stream = core.listeners[0].accept().await;
            std::future::pending::<()>().await;
            drop(stream);
        })
        .expect("the node starts");
    let queued = Rc::new(Cell::new(0));
    let error = Rc::new(Cell::new(None));
    let (left, failed) = (queued.clone(), error.clone());
    run(&mut world, 2, move || {
        let (left, failed) = (left.clone(), failed.clone());
        async move {
            let stream = TcpStream::connect(address(1, 7)).await.expect("a connection");
            stream.write(&[1; 1 << 20]);
            sleep(SECOND).await;
            left.set(stream.queued());
            failed.set(stream.drained(1).await.err().map(|error| error.kind()));
        }
    });
    world.run_for(2 * SECOND);
    // One window on its way, and what a core takes before it is paused: a little less than the
    // limit, as pieces cost more than their bytes.
    let gone = (1 << 20) - queued.get();
    assert!((120 << 10..160 << 10).contains(&gone), "{gone} have left");
    assert_eq!(world.stats(reader, 0).recv_pauses, 1);
    world.run_for(100 * SECOND);
    assert_eq!(error.get(), None, "slow is not dead");
    world.kill(reader);
    world.start(Host::new(ip(1)), config, |_core: Core<()>| std::future::pending()).expect("again");
    world.run_for(10 * SECOND);
    assert_eq!(error.get(), Some(ErrorKind::ConnectionReset));
}

#[test]
fn a_half_closed_stream_answers_across_the_network() {
    let network = Network { loss: 0.1, cut: 0.5, ..Network::default() };
    let mut world = World::new(6, network);
    serve_echo(&mut world, 1, 1);
    let echoed = Rc::new(Cell::new(0));
    let count = echoed.clone();
    let client = run(&mut world, 2, move || {
        let count = count.clone();
        async move {
            let stream = TcpStream::connect(address(1, 7)).await.expect("a connection");
            stream.write(&[3; 50_000]);
            stream.shutdown();
            count.set(read(&stream, usize::MAX).await.expect("an end").len());
            assert_eq!(stats().connected, 1);
        }
    });
    world.run_for(300 * SECOND);
    assert_eq!(echoed.get(), 50_000);
    assert!(!world.is_running(client));
}

#[test]
fn connections_are_spread_over_cores_and_forgotten() {
    let mut world = World::new(7, calm());
    let server = serve_echo(&mut world, 1, 4);
    let client = run(&mut world, 2, || async {
        // More than there are ports for connections.
        for round in 0..30_000u32 {
            let stream = TcpStream::connect(address(1, 7)).await.expect("a connection");
            if round % 100 == 0 {
                stream.write(&round.to_le_bytes());
                assert_eq!(read(&stream, 4).await.expect("an echo"), round.to_le_bytes());
            }
        }
    });
    world.run_for(300 * SECOND);
    assert!(!world.is_running(client));
    let accepted: Vec<_> = (0..4).map(|core| world.stats(server, core).accepted).collect();
    assert_eq!(accepted.iter().sum::<u64>(), 30_000);
    assert!(accepted.iter().all(|count| (7_000..8_000).contains(count)), "{accepted:?}");
    assert_eq!(world.tasks_panicked(), 0);
}
