use std::time::Duration;

use grenache_engine::{Config, Core, Limits, UdpSocket, sleep, spawn_local, stats};

use super::{Numbers, On, any, run, run_alone};

fn bind() -> UdpSocket {
    UdpSocket::bind(any()).expect("a free port")
}

pub(crate) fn echoes_datagrams_of_all_sizes(on: On) {
    let config = Config { udp: vec![any()], ..Config::default() };
    run(on, config, |mut core: Core<()>| async move {
        let server = core.sockets.remove(0);
        let address = server.local_addr();
        spawn_local(async move {
            while let Ok(datagram) = server.recv().await {
                assert!(server.send_to(&datagram.data, datagram.from));
            }
        });
        let client = bind();
        let mut numbers = Numbers(1);
        for size in (0..2048).step_by(61).chain([2048]) {
            let sent = numbers.bytes(size);
            assert!(client.send_to(&sent, address));
            let echo = client.recv().await.expect("an echo");
            assert_eq!(echo.from, address);
            assert_eq!(&echo.data[..], sent);
        }
    });
}

pub(crate) fn a_batch_arrives_whole_and_in_order(on: On) {
    run_alone(on, || async {
        let (sender, receiver) = (bind(), bind());
        let mut next = 0u32;
        for _ in 0..10 {
            for number in next..next + 200 {
                assert!(sender.send_to(&number.to_le_bytes(), receiver.local_addr()));
            }
            for number in next..next + 200 {
                let datagram = receiver.recv().await.expect("a datagram");
                assert_eq!(&datagram.data[..], number.to_le_bytes());
            }
            assert!(receiver.try_recv().is_none());
            next += 200;
        }
        assert_eq!(stats().datagrams_sent, 2000);
        assert_eq!(stats().datagrams_received, 2000);
    });
}

pub(crate) fn datagrams_over_the_limit_are_counted_drops(on: On) {
    run_alone(on, || async {
        let (sender, receiver) = (bind(), bind());
        sender.send_to(&[1; 2049], receiver.local_addr());
        sender.send_to(&[2; 2048], receiver.local_addr());
        let datagram = receiver.recv().await.expect("a datagram");
        assert_eq!(datagram.data[..], [2; 2048]);
        assert_eq!(stats().datagrams_oversized, 1);
        // More than a datagram can hold is refused by the system.
        sender.send_to(&vec![3; 70_000], receiver.local_addr());
        while stats().datagrams_failed == 0 {
            sleep(Duration::from_millis(1)).await;
        }
    });
}

pub(crate) fn a_full_send_queue_refuses(on: On) {
    let limits = Limits { udp_send_queue: 10, ..Limits::default() };
    run(on, Config { limits, ..Config::default() }, |_: Core<()>| async {
        let (sender, receiver) = (bind(), bind());
        for _ in 0..2 {
            for _ in 0..10 {
                assert!(sender.send_to(b"room", receiver.local_addr()));
            }
            assert!(!sender.send_to(b"no room", receiver.local_addr()));
            for _ in 0..10 {
                receiver.recv().await.expect("a datagram");
            }
        }
        assert_eq!(stats().datagrams_refused, 2);
    });
}

pub(crate) fn unread_datagrams_are_counted_drops(on: On) {
    let limits = Limits { udp_recv_queue: 5, ..Limits::default() };
    run(on, Config { limits, ..Config::default() }, |_: Core<()>| async {
        let (sender, receiver) = (bind(), bind());
        for number in 0..8u8 {
            sender.send_to(&[number], receiver.local_addr());
        }
        while stats().datagrams_dropped < 3 {
            sleep(Duration::from_millis(1)).await;
        }
        for number in 0..5u8 {
            assert_eq!(receiver.recv().await.expect("a datagram").data[..], [number]);
        }
        assert!(receiver.try_recv().is_none());
    });
}

pub(crate) fn held_datagrams_starve_nobody(on: On) {
    let limits = Limits { udp_buffers: 4, ..Limits::default() };
    run(on, Config { limits, ..Config::default() }, |_: Core<()>| async {
        let (sender, receiver) = (bind(), bind());
        let mut held = Vec::new();
        for number in 0..50u8 {
            sender.send_to(&[number], receiver.local_addr());
            held.push(receiver.recv().await.expect("a datagram"));
        }
        let numbers: Vec<u8> = held.iter().map(|datagram| datagram.data[0]).collect();
        assert_eq!(numbers, (0..50).collect::<Vec<u8>>());
    });
}
