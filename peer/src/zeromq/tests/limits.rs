//! High-water marks, and what else has an end.

use bytes::BytesMut;
use grenache_transports::zmtp::frame;

use super::sockets::*;
use super::*;

/// Little room, so that it is soon used up.
fn narrow() -> Settings {
    Settings {
        connection: Config { send_high_water: 20_000, ..Config::default() },
        send_messages: 10,
        receive_messages: 10,
        ..quick()
    }
}

/// A socket, and somebody connected to it who does not read.
async fn with_mute(any: SocketAddr, socket: SocketType, peer: SocketType) -> (Socket, TcpStream) {
    let socket = Socket::new(socket, narrow()).unwrap();
    let mute = by_hand(socket.bind(TcpListener::bind(any).unwrap()), peer).await;
    until(&socket, |stats| stats.peers == 1).await;
    (socket, mute)
}

/// Reads messages of one part, of which there are `count`.
async fn read(stream: &TcpStream, count: usize) -> Vec<Vec<u8>> {
    let mut data = BytesMut::new();
    loop {
        let parts: Vec<Vec<u8>> = frame::Parts::new(&data).map(<[u8]>::to_vec).collect();
        if parts.len() >= count {
            assert_eq!(parts.len(), count);
            return parts;
        }
        let received = timeout(LONG, stream.recv()).await.expect("there is more");
        data.extend_from_slice(&received.unwrap().expect("there is more"));
    }
}

/// A message with its number at its beginning.
fn numbered(number: u32) -> Message {
    let mut part = vec![0; 50_000];
    part[..4].copy_from_slice(&number.to_be_bytes());
    Message::new(&[part])
}

#[test]
fn a_dealer_waits_for_room() {
    run(|any| async move {
        let (dealer, mute) = with_mute(any, SocketType::Dealer, SocketType::Dealer).await;
        let mut sent: u32 = 0;
        while timeout(ms(100), dealer.send(numbered(sent))).await.is_ok() {
            sent += 1;
            assert!(sent < 2000, "100 MB are on their way to somebody who does not read");
        }
        assert_eq!(dealer.try_send("no room").unwrap_err().code(), "ERR_BUSY");
        // What was waited for in vain was not sent. Once there is room, what waits is.
        let waiting = async { timeout(LONG, dealer.send(numbered(sent))).await.expect("room") };
        let (waited, parts) = both(waiting, read(&mute, sent as usize + 1)).await;
        waited.unwrap();
        for (number, part) in parts.iter().enumerate() {
            assert_eq!(part[..4], (number as u32).to_be_bytes());
        }
        let stats = dealer.stats();
        assert_eq!((stats.sent, stats.dropped), (u64::from(sent) + 1, 0));
    });
}

#[test]
fn a_router_drops_or_says_so() {
    run(|any| async move {
        for mandatory in [false, true] {
            let settings = Settings { mandatory, ..narrow() };
            let router = Socket::new(SocketType::Router, settings).unwrap();
            let to = router.bind(TcpListener::bind(any).unwrap());
            let _mute = by_hand(to, SocketType::Dealer).await;
            _mute.write(b"\0\x01a");
            let (identity, _) = recv(&router).await.split_first();
            let dealer = Socket::new(SocketType::Dealer, quick()).unwrap();
            dealer.connect(to);
            dealer.send("a").await.unwrap();
            let (other, _) = recv(&router).await.split_first();

            let mut refused = 0;
            for number in 0..200 {
                match router.send(numbered(number).with_first(&identity)).await {
                    Ok(()) => {}
                    Err(error) => {
                        refused += 1;
                        assert_eq!(error.code(), "ERR_BUSY");
                    }
                }
            }
            let nobody = router.send(["nobody", "a"]).await;
            assert_eq!(nobody.is_err(), mandatory);
            let stats = router.stats();
            assert_eq!(refused > 0, mandatory);
            assert_eq!(stats.dropped > 1, !mandatory);
            assert_eq!(stats.sent + stats.dropped + refused + u64::from(mandatory), 201);
            // Others are not touched.
            router.send(Message::from("b").with_first(&other)).await.unwrap();
            assert_eq!(recv(&dealer).await, Message::from("b"));
            assert_eq!(router.send("alone").await.unwrap_err().code(), "ERR_CONFIG");
        }
    });
}

#[test]
fn a_publisher_drops_what_a_slow_subscriber_has_no_room_for() {
    run(|any| async move {
        let (publisher, mute) = with_mute(any, SocketType::Pub, SocketType::Sub).await;
        let other = Socket::new(SocketType::Sub, quick()).unwrap();
        other.connect(publisher.bind(TcpListener::bind(any).unwrap()));
        other.subscribe("").unwrap();
        mute.write(b"\x04\x0a\x09SUBSCRIBE");
        until(&publisher, |stats| stats.subscriptions == 2).await;
        let mut number = 0;
        while publisher.stats().dropped < 10 {
            publisher.send(numbered(number)).await.unwrap();
            assert_eq!(recv(&other).await, numbered(number));
            number += 1;
            assert!(number < 2000, "100 MB are on their way to somebody who does not read");
        }
        let kept = number as usize - 10;
        let parts = read(&mute, kept).await;
        assert!(
            (0..kept as u32)
                .eq(parts.iter().map(|part| u32::from_be_bytes(part[..4].try_into().unwrap())))
        );
        // It has caught up, and gets what comes from now on.
        publisher.send(numbered(number)).await.unwrap();
        assert_eq!(read(&mute, 1).await[0][..4], number.to_be_bytes());
    });
}

#[test]
fn whoever_takes_nothing_is_sent_no_more() {
    run(|any| async move {
        let dealer = Socket::new(SocketType::Dealer, quick()).unwrap();
        let slow = Socket::new(SocketType::Dealer, narrow()).unwrap();
        dealer.connect(slow.bind(TcpListener::bind(any).unwrap()));
        let settings = Settings { send_messages: 10, ..quick() };
        let sender = Socket::new(SocketType::Dealer, settings).unwrap();
        sender.connect(slow.bind(TcpListener::bind(any).unwrap()));
        let mut sent = 0;
        while timeout(ms(100), sender.send(numbered(sent))).await.is_ok() {
            sent += 1;
            assert!(sent < 2000, "100 MB are on their way to somebody who takes nothing");
        }
        assert_eq!(slow.stats().received, 10);
        // Another peer is read from all the while.
        dealer.send("other").await.unwrap();
        until_received(&slow, 11).await;
        let mut numbers = vec![];
        for _ in 0..=sent {
            let message = recv(&slow).await;
            if message != Message::from("other") {
                numbers.push(u32::from_be_bytes(message.first()[..4].try_into().unwrap()));
            }
        }
        assert!((0..sent).eq(numbers));
    });
}

#[test]
fn peers_and_subscriptions_have_an_end() {
    run(|any| async move {
        let settings =
            Settings { max_peers: 2, max_subscriptions: 3, max_subscription_bytes: 10, ..narrow() };
        let publisher = Socket::new(SocketType::Pub, settings).unwrap();
        let to = publisher.bind(TcpListener::bind(any).unwrap());
        // One that never ends its handshake counts as well.
        let silent = raw(to).await;
        let stream = by_hand(to, SocketType::Sub).await;
        until(&publisher, |stats| stats.peers == 1).await;
        let third = raw(to).await;
        until(&publisher, |stats| stats.refused == 1).await;
        while let Ok(Some(_)) = third.recv().await {}
        drop(silent);
        until(&publisher, |stats| stats.refused == 2).await;

        for prefix in [b'a', b'b', b'c', b'b', b'a'] {
            stream.write(&[&b"\x04\x0b\x09SUBSCRIBE"[..], &[prefix]].concat());
        }
        until(&publisher, |stats| stats.subscriptions == 3).await;
        stream.write(b"\x04\x0b\x09SUBSCRIBEd");
        let stats = until(&publisher, |stats| stats.peers == 0).await;
        assert_eq!(stats.subscriptions, 0);
        assert!(publisher.last_error().unwrap().to_string().contains("more than it may"));
        let stream = by_hand(to, SocketType::Sub).await;
        stream.write(b"\x04\x15\x09SUBSCRIBE0123456789a");
        until(&publisher, |stats| stats.connections == 2).await;
        until(&publisher, |stats| stats.peers == 0).await;
    });
}

#[test]
fn what_has_come_is_taken_even_if_its_peer_has_gone() {
    run(|any| async move {
        let settings = Settings { max_peers: 3, ..narrow() };
        let router = Socket::new(SocketType::Router, settings).unwrap();
        let to = router.bind(TcpListener::bind(any).unwrap());
        for number in 1..=3_u64 {
            let gone = by_hand(to, SocketType::Dealer).await;
            gone.write(b"\0\x01a\0\x01b");
            until_received(&router, 2 * number).await;
            drop(gone);
            until(&router, |stats| stats.peers == 0).await;
        }
        // There is no place for another until something is taken.
        drop(raw(to).await);
        until(&router, |stats| stats.refused == 1).await;
        let mut parts = vec![];
        for _ in 0..6 {
            let message = recv(&router).await;
            assert_eq!((message.len(), message.first()[0]), (2, 0));
            parts.push(message.part(1).unwrap()[0]);
        }
        assert_eq!(parts, b"aaabbb");
        by_hand(to, SocketType::Dealer).await;
        until(&router, |stats| stats.connections == 4).await;
    });
}
