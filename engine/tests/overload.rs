//! What peers and threads that overdo it may not do to a core. On both real drivers.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream, UdpSocket};
use std::time::Duration;

use grenache_engine::{Config, Core, DriverChoice, Limits, Runtime, sleep, stats, timeout};

const DRIVERS: [DriverChoice; 2] = [DriverChoice::Uring, DriverChoice::Epoll];
const LONG: Duration = Duration::from_secs(20);

fn any() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 0))
}

#[test]
fn a_burst_of_datagrams_waits_for_a_keen_reader() {
    for driver in DRIVERS {
        let limits = Limits { udp_recv_queue: 300, udp_buffers: 128, ..Limits::default() };
        let config = Config { driver, limits, udp: vec![any()], ..Config::default() };
        let runtime = Runtime::start(config, move |mut core: Core<()>| async move {
            let socket = core.sockets.remove(0);
            // The core is busy while they come.
            let outside = UdpSocket::bind(any()).expect("a free port");
            for number in 0..400u16 {
                let sent = outside.send_to(&number.to_be_bytes(), socket.local_addr());
                assert_eq!(sent.expect("sent"), 2);
            }
            for number in 0..400u16 {
                let datagram = timeout(LONG, socket.recv()).await.expect("in time");
                assert_eq!(datagram.expect("no error").data[..], number.to_be_bytes());
            }
            assert_eq!(stats().datagrams_dropped, 0);
        });
        runtime.expect("it starts").join().expect("no panic");
    }
}

#[test]
fn unread_bytes_that_come_one_by_one_cost_no_more_than_the_limit() {
    for driver in DRIVERS {
        let config = Config { driver, tcp: vec![any()], ..Config::default() };
        let runtime = Runtime::start(config, move |core: Core<()>| async move {
            let listener = &core.listeners[0];
            let (unread, _) = listener.accept().await.expect("a connection");
            let (echoed, _) = listener.accept().await.expect("a connection");
            while let Ok(Some(bytes)) = echoed.recv().await {
                echoed.write(&bytes);
            }
            assert_eq!(stats().recv_pauses, 1);
            drop(unread);
        });
        let runtime = runtime.expect("it starts");
        let connect = || {
            let stream = TcpStream::connect(runtime.tcp_addrs()[0]).expect("a connection");
            stream.set_nodelay(true).expect("no delay");
            stream
        };
        let mut unread = connect();
        let mut echoed = connect();
        for _ in 0..2000 {
            unread.write_all(b"x").expect("sent");
            // Once this is answered, that was received.
            echoed.write_all(b"x").expect("sent");
            echoed.read_exact(&mut [0]).expect("an answer");
        }
        drop(echoed);
        runtime.join().expect("no panic");
    }
}

#[test]
fn a_storm_of_connections_is_accepted_one_by_one() {
    for driver in DRIVERS {
        let limits = Limits { accept_queue: 2, uring_entries: 2, ..Limits::default() };
        let config = Config { driver, limits, tcp: vec![any()], ..Config::default() };
        let runtime = Runtime::start(config, move |core: Core<()>| async move {
            let mut held = Vec::new();
            for number in 0..1000 {
                let accepted = timeout(LONG, core.listeners[0].accept()).await;
                held.push(accepted.expect("in time").expect("no error"));
                if number % 3 == 0 {
                    sleep(Duration::from_micros(100)).await;
                }
            }
        });
        let runtime = runtime.expect("it starts");
        let connect = |_| TcpStream::connect(runtime.tcp_addrs()[0]).expect("a connection");
        let streams: Vec<_> = (0..1000).map(connect).collect();
        runtime.join().expect("no panic");
        drop(streams);
    }
}

#[test]
fn limits_at_their_extremes_hold() {
    for driver in DRIVERS {
        let limits = Limits {
            linger: Duration::MAX,
            accept_backoff: Duration::MAX,
            tcp_buffer_size: 0,
            ..Limits::default()
        };
        let config = Config { driver, limits, tcp: vec![any()], ..Config::default() };
        let runtime = Runtime::start(config, move |core: Core<()>| async move {
            let (stream, _) = core.listeners[0].accept().await.expect("a connection");
            let bytes = stream.recv().await.expect("no error").expect("not the end");
            stream.write(&bytes);
            drop(stream);
            let before = stats().turns;
            sleep(Duration::from_millis(200)).await;
            assert!(stats().turns - before < 50, "the core waits and does not spin");
        });
        let runtime = runtime.expect("it starts");
        let mut stream = TcpStream::connect(runtime.tcp_addrs()[0]).expect("a connection");
        stream.write_all(b"x").expect("sent");
        stream.read_exact(&mut [0]).expect("an answer");
        runtime.join().expect("no panic");
    }
}
