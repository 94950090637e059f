//! One connection.

use bytes::{Bytes, BytesMut};
use grenache_engine::{now, sleep};
use grenache_transports::zmtp::frame;

use super::*;

const PLAIN: [SocketType; 2] = [SocketType::Router, SocketType::Dealer];

/// Messages of one part to a hundred, of nothing to some megabytes.
fn messages() -> Vec<Message> {
    let mut messages: Vec<Message> =
        [1, 2, 3, 10, 100].map(|count| Message::new(&vec![b"part"; count])).into();
    for size in [0, 1, 255, 256, 16_383, 16_384, 100_000, 3_000_000] {
        let part: Vec<u8> = (0..size).map(|number| (number % 251) as u8).collect();
        messages.push(Message::new(&[&part]));
        messages.push(Message::new(&[&b"first"[..], &part, b"", b"last"]).with_first("head"));
    }
    messages
}

#[test]
fn messages_arrive_as_they_are_both_ways_and_over_every_mechanism() {
    run(|any| async move {
        for (gate, security) in mechanisms() {
            let (mut bound, mut connected) = pair(any, PLAIN, &gate, &with(security)).await;
            for message in messages() {
                bound.send(&message);
                connected.send(&message);
            }
            let all = |mut link: Link| async move {
                for message in messages() {
                    assert!(self::message(&mut link).await == message);
                }
                empty(&mut link).await;
                link
            };
            both(all(bound), all(connected)).await;
        }
    });
}

#[test]
fn subscriptions_arrive() {
    run(|any| async move {
        let sockets = [SocketType::Pub, SocketType::Sub];
        let (mut publisher, mut subscriber) =
            pair(any, sockets, &Gate::Null, &Config::default()).await;
        subscriber.subscribe(b"a");
        subscriber.cancel(b"a");
        subscriber.ping();
        let expected = [Incoming::Subscribe, Incoming::Cancel];
        for expected in expected {
            assert_eq!(next(&mut publisher).await, Ok(expected(Bytes::from_static(b"a"))));
        }
        // What a publisher is asked for is known once it has answered.
        assert!(
            poll_fn(|context| std::task::Poll::Ready(subscriber.poll_known(context).is_pending()))
                .await
        );
        let known = poll_fn(|context| {
            let _ = publisher.poll_recv(context);
            let _ = subscriber.poll_recv(context);
            subscriber.poll_known(context)
        });
        timeout(LONG, known).await.expect("an answer");
    });
}

#[test]
fn a_side_that_says_nothing_more_is_given_up_and_one_that_lives_is_not() {
    run(|any| async move {
        let config = Config { ping_interval: ms(100), ping_timeout: ms(100), ..Config::default() };
        let (mut bound, mut connected) = pair(any, PLAIN, &Gate::Null, &config).await;
        // Both are asked to receive, so both answer; nobody says anything else.
        let quiet = timeout(ms(1000), both_ends(&mut bound, &mut connected)).await;
        assert!(quiet.is_err(), "{quiet:?}");
        // One is not polled any more: a process that was stopped.
        let begun = now();
        let error = next(&mut bound).await.expect_err("no answer");
        assert!(error.to_string().contains("does not answer a PING"), "{error}");
        assert!(now() - begun < ms(1000));
        drop(connected);
    });
}

async fn both_ends(one: &mut Link, other: &mut Link) -> (Incoming, Incoming) {
    let (mut a, mut b) = (None, None);
    poll_fn(|context| {
        for (link, end) in [(&mut *one, &mut a), (&mut *other, &mut b)] {
            if end.is_none()
                && let std::task::Poll::Ready(incoming) = link.poll_recv(context)
            {
                *end = Some(incoming.expect("it lives"));
            }
        }
        std::task::Poll::Pending::<()>
    })
    .await;
    (a.unwrap(), b.unwrap())
}

#[test]
fn one_that_receives_nothing_for_a_while_still_gives_signs_of_life() {
    run(|any| async move {
        let config = Config { ping_interval: ms(100), ping_timeout: ms(100), ..Config::default() };
        let (mut bound, mut connected) = pair(any, PLAIN, &Gate::Null, &config).await;
        let over = timeout(
            ms(1000),
            poll_fn(|context| {
                bound.poll_paused(context);
                connected.poll_recv(context)
            }),
        );
        assert!(over.await.is_err(), "it is taken for dead");
    });
}

#[test]
fn a_time_to_live_that_has_passed_ends_the_connection() {
    run(|any| async move {
        let listener = TcpListener::bind(any).expect("a free port");
        let config = Config { ping_interval: Duration::MAX, ..Config::default() };
        let accepting = accept(&listener, SocketType::Router, &Gate::Null, &config);
        let hand = by_hand(listener.local_addr(), SocketType::Dealer);
        let (met, stream) = both(accepting, hand).await;
        let mut link = Link::new(met.unwrap(), &config);
        // 0.3 s, and then a message, which takes that back.
        stream.write(b"\x04\x07\x04PING\0\x03");
        let silence = timeout(ms(100), next(&mut link)).await;
        assert!(silence.is_err(), "{silence:?}");
        stream.write(b"\0\x01a");
        assert_eq!(message(&mut link).await, Message::from("a"));
        assert!(timeout(ms(1000), next(&mut link)).await.is_err());
        stream.write(b"\x04\x07\x04PING\0\x03");
        let begun = now();
        assert!(next(&mut link).await.is_err());
        assert!((ms(200)..ms(1000)).contains(&(now() - begun)));
    });
}

#[test]
fn whoever_does_not_read_is_sent_no_more_than_there_is_room_for() {
    run(|any| async move {
        let listener = TcpListener::bind(any).expect("a free port");
        let config = Config { ping_interval: ms(300), ping_timeout: ms(300), ..Config::default() };
        let accepting = accept(&listener, SocketType::Router, &Gate::Null, &config);
        let hand = by_hand(listener.local_addr(), SocketType::Dealer);
        let (met, stream) = both(accepting, hand).await;
        let mut link = Link::new(met.unwrap(), &config);
        let message = Message::from(&[7; 50_000]);
        let mut sent = 0;
        // Room for what the system keeps, and then no more.
        while timeout(ms(200), poll_fn(|context| link.poll_room(context))).await.is_ok() {
            link.send(&message);
            sent += 1;
            assert!(sent < 2000, "100 MB are on their way to somebody who does not read");
        }
        assert!(link.queued() < config.send_high_water + 100_000);
        // Signs of life are asked for and not answered, since they are not read; so it is read from no more at a time.
        let ping = b"\x04\x07\x04PING\0\0".repeat(1000);
        let begun = now();
        let flooded = loop {
            stream.write(&ping);
            match timeout(ms(10), next(&mut link)).await {
                Ok(end) => break end,
                Err(_) => assert!(link.queued() < config.send_high_water + 200_000),
            }
            assert!(now() - begun < Duration::from_secs(10), "it is never given up");
        };
        assert!(flooded.is_err());
    });
}

#[test]
fn a_large_message_to_a_slow_reader_is_no_sign_of_death() {
    run(|any| async move {
        let listener = TcpListener::bind(any).expect("a free port");
        let config = Config { ping_interval: ms(200), ping_timeout: ms(100), ..Config::default() };
        let accepting = accept(&listener, SocketType::Router, &Gate::Null, &config);
        let hand = by_hand(listener.local_addr(), SocketType::Dealer);
        let (met, stream) = both(accepting, hand).await;
        let mut link = Link::new(met.unwrap(), &config);
        let part = vec![7; 20_000_000];
        link.send(&Message::new(&[&part]));
        let slowly = async {
            let mut taken = 0;
            while taken < part.len() {
                let read = stream.recv().await.unwrap().expect("it goes on").len();
                taken += read;
                if taken % 1_000_000 < read {
                    sleep(ms(50)).await;
                }
            }
        };
        let mut slowly = Box::pin(slowly);
        let end = poll_fn(|context| {
            if let std::task::Poll::Ready(end) = link.poll_recv(context) {
                panic!("{end:?}");
            }
            slowly.as_mut().poll(context)
        });
        timeout(LONG, end).await.expect("it arrives");
    });
}

#[test]
fn bad_bytes_end_it_and_others_are_not_touched() {
    run(|any| async move {
        let config = Config { max_message: 1000, max_parts: 10, ..Config::default() };
        let parts = |count: usize| b"\x01\0".repeat(count);
        let mut long = BytesMut::new();
        frame::write_header(&mut long, false, 1001);
        for (bad, why) in [
            (b"\xff\0".to_vec(), "bad frame flags"),
            (long.to_vec(), "frame too large"),
            (parts(11), "too many parts"),
            (b"\x04\x06\x05READY".to_vec(), "a command that is not due"),
        ] {
            let listener = TcpListener::bind(any).expect("a free port");
            let accepting = accept(&listener, SocketType::Router, &Gate::Null, &config);
            let hand = by_hand(listener.local_addr(), SocketType::Dealer);
            let (met, stream) = both(accepting, hand).await;
            let mut link = Link::new(met.unwrap(), &config);
            stream.write(b"\0\x01a");
            stream.write(&bad);
            assert_eq!(message(&mut link).await, Message::from("a"));
            for _ in 0..2 {
                let error = next(&mut link).await.expect_err("it is over").to_string();
                assert!(error.contains(why), "{error}");
            }
            drop(link);
            while let Ok(Some(_)) = stream.recv().await {}
        }
    });
}
