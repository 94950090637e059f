//! Each type of socket with each that it goes with.

use grenache_engine::now;

use super::sockets::*;
use super::*;

/// Two sockets that are connected: the first has bound, or the second.
async fn joined(
    any: SocketAddr,
    types: [SocketType; 2],
    first_binds: bool,
    (gate, security): (Gate, Security),
) -> [Socket; 2] {
    let settings =
        || Settings { connection: with(security.clone()), gate: gate.clone(), ..quick() };
    let sockets = types.map(|socket| Socket::new(socket, settings()).unwrap());
    let [bound, connected] = if first_binds { [0, 1] } else { [1, 0] };
    let to = sockets[bound].bind(TcpListener::bind(any).expect("a free port"));
    sockets[connected].connect(to);
    for socket in &sockets {
        until(socket, |stats| stats.peers == 1).await;
    }
    sockets
}

/// Both ways to join them, over each mechanism.
fn ways() -> Vec<(bool, (Gate, Security))> {
    let ways = mechanisms().map(|mechanism| [true, false].map(|first| (first, mechanism.clone())));
    ways.into_iter().flatten().collect()
}

/// Parts of all sizes.
fn parts() -> Vec<Vec<Vec<u8>>> {
    let mut messages: Vec<Vec<Vec<u8>>> = vec![vec![b"part".to_vec(); 100], vec![vec![]; 3]];
    messages.extend([1, 256, 70_000, 1_000_000].map(|size| vec![vec![7; size], vec![8; size]]));
    messages
}

#[test]
fn a_rep_answers_a_req_and_a_dealer() {
    run(|any| async move {
        for (first, mechanism) in ways() {
            let types = [SocketType::Rep, SocketType::Req];
            let [rep, req] = joined(any, types, first, mechanism.clone()).await;
            for parts in parts() {
                req.send(Message::new(&parts)).await.unwrap();
                let asked = recv(&rep).await;
                assert!(asked == Message::new(&parts));
                rep.send(asked.with_first("answer")).await.unwrap();
                assert!(recv(&req).await == Message::new(&parts).with_first("answer"));
            }

            // What stands before the empty part goes back as it is.
            let types = [SocketType::Rep, SocketType::Dealer];
            let [rep, dealer] = joined(any, types, first, mechanism).await;
            dealer.send(["hop", "other hop", "", "question", ""]).await.unwrap();
            dealer.send(["no", "envelope"]).await.unwrap();
            dealer.send(["", "", "second"]).await.unwrap();
            assert_eq!(recv(&rep).await, Message::from(["question", ""]));
            rep.send("answer").await.unwrap();
            let answer = Message::from(["hop", "other hop", "", "answer"]);
            assert_eq!(recv(&dealer).await, answer);
            assert_eq!(recv(&rep).await, Message::from(["", "second"]));
            rep.send("answer").await.unwrap();
            assert_eq!(recv(&dealer).await, Message::from(["", "answer"]));
            assert_eq!(rep.stats().malformed, 1);
        }
    });
}

#[test]
fn a_router_knows_dealers_reqs_and_routers() {
    run(|any| async move {
        for (first, mechanism) in ways() {
            let types = [SocketType::Router, SocketType::Dealer];
            let [router, dealer] = joined(any, types, first, mechanism.clone()).await;
            for parts in parts() {
                dealer.send(Message::new(&parts)).await.unwrap();
                let received = recv(&router).await;
                let (identity, message) = received.clone().split_first();
                assert_eq!((identity.len(), identity[0]), (5, 0));
                assert!(message.unwrap() == Message::new(&parts));
                router.send(received).await.unwrap();
                assert!(recv(&dealer).await == Message::new(&parts));
            }

            let types = [SocketType::Router, SocketType::Req];
            let [router, req] = joined(any, types, first, mechanism.clone()).await;
            req.send("question").await.unwrap();
            let (identity, rest) = recv(&router).await.split_first();
            assert_eq!(rest, Some(Message::from(["", "question"])));
            router.send(Message::from(["", "answer"]).with_first(&identity)).await.unwrap();
            assert_eq!(recv(&req).await, Message::from("answer"));

            let types = [SocketType::Dealer, SocketType::Dealer];
            let [one, other] = joined(any, types, first, mechanism.clone()).await;
            one.send("a").await.unwrap();
            other.send("b").await.unwrap();
            assert_eq!((recv(&one).await, recv(&other).await), ("b".into(), "a".into()));
        }
        // Two routers have to know each other by names.
        let named = |identity: &str| Settings { identity: identity.into(), ..quick() };
        let one = Socket::new(SocketType::Router, named("one")).unwrap();
        let other = Socket::new(SocketType::Router, named("other")).unwrap();
        other.connect(one.bind(TcpListener::bind(any).unwrap()));
        until(&one, |stats| stats.peers == 1).await;
        one.send(["other", "a"]).await.unwrap();
        let received = recv(&other).await;
        assert_eq!(received, Message::from(["one", "a"]));
        other.send(received).await.unwrap();
        assert_eq!(recv(&one).await, Message::from(["other", "a"]));
    });
}

#[test]
fn subscribers_get_what_they_have_subscribed_to() {
    run(|any| async move {
        for (first, mechanism) in ways() {
            for types in [
                [SocketType::Pub, SocketType::Sub],
                [SocketType::Xpub, SocketType::Sub],
                [SocketType::Pub, SocketType::Xsub],
            ] {
                let [publisher, subscriber] = joined(any, types, first, mechanism.clone()).await;
                publisher.send("nobody hears it").await.unwrap();
                for prefix in ["a", "ab", "b.", "ab"] {
                    subscriber.subscribe(prefix).unwrap();
                }
                until(&publisher, |stats| stats.subscriptions == 3).await;
                let publish = async |parts: &[&str]| {
                    publisher.send(Message::new(parts)).await.unwrap();
                };
                for parts in [&["abc", "1"][..], &["b", "2"], &["b.c"], &["ca"], &["a", "", "3"]] {
                    publish(parts).await;
                }
                for parts in [&["abc", "1"][..], &["b.c"], &["a", "", "3"]] {
                    assert_eq!(recv(&subscriber).await, Message::new(parts));
                }
                // It was asked for twice.
                subscriber.unsubscribe("ab").unwrap();
                subscriber.unsubscribe("a").unwrap();
                subscriber.unsubscribe("unknown").unwrap();
                until(&publisher, |stats| stats.subscriptions == 2).await;
                for parts in [&["a"][..], &["abc"], &["b."]] {
                    publish(parts).await;
                }
                for parts in [&["abc"], &["b."]] {
                    assert_eq!(recv(&subscriber).await, Message::new(parts));
                }
                let stats = publisher.stats();
                assert_eq!((stats.sent, stats.dropped), (5, 0));
                drop(subscriber);
                until(&publisher, |stats| stats.subscriptions == 0).await;
            }
        }
    });
}

#[test]
fn an_xpub_shows_subscriptions_and_an_xsub_says_them() {
    run(|any| async move {
        let types = [SocketType::Xpub, SocketType::Xsub];
        let [xpub, xsub] = joined(any, types, true, (Gate::Null, Security::Null)).await;
        // A second subscriber, so that not every change is news.
        let other = Socket::new(SocketType::Sub, quick()).unwrap();
        other.connect(xpub.bind(TcpListener::bind(any).unwrap()));
        other.subscribe("a").unwrap();
        assert_eq!(recv(&xpub).await, Message::from(b"\x01a"));
        xsub.send(b"\x01a").await.unwrap();
        xsub.send(b"\x01b").await.unwrap();
        assert_eq!(recv(&xpub).await, Message::from(b"\x01b"));
        until(&xpub, |stats| stats.subscriptions == 3).await;
        xpub.send("a").await.unwrap();
        assert_eq!((recv(&xsub).await, recv(&other).await), ("a".into(), "a".into()));
        // Whatever else an XSUB sends is for the users of XPUBs.
        xsub.send(["said", "upwards"]).await.unwrap();
        assert_eq!(recv(&xpub).await, Message::from(["said", "upwards"]));
        xsub.send(b"\0a").await.unwrap();
        xsub.send(b"\0b").await.unwrap();
        assert_eq!(recv(&xpub).await, Message::from(b"\0b"));
        drop(other);
        assert_eq!(recv(&xpub).await, Message::from(b"\0a"));
    });
}

#[test]
fn messages_go_to_peers_in_turn_and_are_taken_from_peers_in_turn() {
    run(|any| async move {
        let dealer = Socket::new(SocketType::Dealer, quick()).unwrap();
        let to = dealer.bind(TcpListener::bind(any).unwrap());
        let peers: Vec<Socket> =
            (0..3).map(|_| Socket::new(SocketType::Dealer, quick()).unwrap()).collect();
        peers.iter().for_each(|peer| peer.connect(to));
        until(&dealer, |stats| stats.peers == 3).await;
        for number in 0..9_u8 {
            dealer.send(&[number]).await.unwrap();
        }
        let mut seen = vec![];
        for peer in &peers {
            let mut turns = vec![];
            for _ in 0..3 {
                turns.push(recv(peer).await.first()[0]);
            }
            assert!(turns[1] == turns[0] + 3 && turns[2] == turns[1] + 3, "{turns:?}");
            seen.extend(turns);
        }
        seen.sort_unstable();
        assert_eq!(seen, (0..9).collect::<Vec<u8>>());

        // One that says much does not keep the others from being heard.
        for _ in 0..100 {
            peers[0].send("much").await.unwrap();
        }
        until_received(&dealer, 100).await;
        peers[1].send("little").await.unwrap();
        peers[2].send("little").await.unwrap();
        until_received(&dealer, 102).await;
        let mut first: Vec<Message> = vec![];
        for _ in 0..4 {
            first.push(recv(&dealer).await);
        }
        assert_eq!(first.iter().filter(|message| message.first() == b"little").count(), 2);
    });
}

#[test]
fn who_takes_turns_says_so_when_it_is_not_their_turn() {
    run(|any| async move {
        let types = [SocketType::Rep, SocketType::Req];
        let [rep, req] = joined(any, types, true, (Gate::Null, Security::Null)).await;
        let code = |error: crate::Error| error.code().to_owned();
        assert_eq!(rep.send("answer").await.map_err(code), Err("ERR_CONFIG".into()));
        assert_eq!(req.recv().await.map_err(code), Err("ERR_CONFIG".into()));
        req.send("question").await.unwrap();
        assert_eq!(req.send("another").await.map_err(code), Err("ERR_CONFIG".into()));
        assert_eq!(recv(&rep).await, Message::from("question"));
        assert_eq!(rep.recv().await.map_err(code), Err("ERR_CONFIG".into()));
        // A receiver that is not waited for any more loses nothing.
        assert!(timeout(ms(1), req.recv()).await.is_err());
        rep.send("answer").await.unwrap();
        assert_eq!(recv(&req).await, Message::from("answer"));
        // Types that only send, or receive.
        for (socket, receives) in [(SocketType::Pub, false), (SocketType::Sub, true)] {
            let socket = Socket::new(socket, quick()).unwrap();
            let wrong =
                if receives { socket.send("a").await } else { socket.recv().await.map(drop) };
            assert_eq!(wrong.map_err(code), Err("ERR_CONFIG".into()));
            assert_eq!(socket.subscribe("a").is_ok(), receives);
        }
        let bad = Settings { identity: vec![0, 1], ..quick() };
        let bad = Socket::new(SocketType::Req, bad).map(drop).map_err(code);
        assert_eq!(bad, Err("ERR_CONFIG".into()));
    });
}

#[test]
fn all_that_was_sent_leaves_before_a_socket_is_closed() {
    run(|any| async move {
        let types = [SocketType::Dealer, SocketType::Dealer];
        let [one, other] = joined(any, types, true, (Gate::Null, Security::Null)).await;
        for _ in 0..30 {
            one.send(&[7; 300_000]).await.unwrap();
        }
        let all = async {
            for _ in 0..30 {
                assert_eq!(recv(&other).await.first().len(), 300_000);
            }
        };
        both(one.close(LONG), all).await;
        // Who has nobody to send to is closed when there is no more time for it.
        let lonely = Socket::new(SocketType::Dealer, quick()).unwrap();
        let begun = now();
        lonely.close(LONG).await;
        assert!(now() - begun < ms(1000));
    });
}
