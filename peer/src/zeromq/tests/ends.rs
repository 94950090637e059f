//! Peers that die and come back, and peers that are not let in.

use std::rc::Rc;

use grenache_engine::spawn_local;

use super::sockets::*;
use super::*;

fn named(identity: &str, handover: bool) -> Settings {
    Settings { identity: identity.into(), handover, ..quick() }
}

#[test]
fn a_second_peer_of_the_same_identity_is_refused_until_the_first_has_gone() {
    run(|any| async move {
        let router = Socket::new(SocketType::Router, quick()).unwrap();
        let to = router.bind(TcpListener::bind(any).unwrap());
        let first = Socket::new(SocketType::Dealer, named("name", false)).unwrap();
        first.connect(to);
        until(&router, |stats| stats.peers == 1).await;
        let second = Socket::new(SocketType::Dealer, named("name", false)).unwrap();
        second.connect(to);
        // It comes again and again.
        until(&router, |stats| stats.refused == 3).await;
        router.send(["name", "a"]).await.unwrap();
        assert_eq!(recv(&first).await, Message::from("a"));
        assert!(router.last_error().unwrap().to_string().contains("another peer"));
        drop(first);
        until(&router, |stats| stats.connections == 2).await;
        second.send("b").await.unwrap();
        assert_eq!(recv(&router).await, Message::from(["name", "b"]));
        assert!(second.stats().reconnects > 0);
    });
}

#[test]
fn or_takes_the_place_of_the_first() {
    run(|any| async move {
        let router = Socket::new(SocketType::Router, named("", true)).unwrap();
        let to = router.bind(TcpListener::bind(any).unwrap());
        let metadata = || Metadata::new(SocketType::Dealer).with_identity(b"name").unwrap();
        let connect = async || {
            let config = Config::default();
            let target = Target::peer(to, false);
            let met = crate::zeromq::connect(&target, metadata(), &config, None).await;
            Link::new(met.unwrap(), &config)
        };
        let mut first = connect().await;
        first.send(&"from the first".into());
        until_received(&router, 1).await;
        let mut second = connect().await;
        assert!(timeout(LONG, next(&mut first)).await.expect("its end").is_err());
        router.send(["name", "a"]).await.unwrap();
        assert_eq!(message(&mut second).await, Message::from("a"));
        assert_eq!(recv(&router).await, Message::from(["name", "from the first"]));
        let stats = router.stats();
        assert_eq!((stats.peers, stats.connections, stats.refused), (1, 2, 0));
        // That the first has gone changes nothing for who has its name now.
        router.send(["name", "b"]).await.unwrap();
        assert_eq!(message(&mut second).await, Message::from("b"));
    });
}

#[test]
fn subscriptions_are_said_again_whoever_has_died() {
    run(|any| async move {
        for publisher_binds in [true, false] {
            let publisher = || Socket::new(SocketType::Pub, quick()).unwrap();
            let subscriber = Socket::new(SocketType::Sub, quick()).unwrap();
            let mut to = any;
            for number in 0..3 {
                let publisher = publisher();
                if publisher_binds {
                    to = publisher.bind(TcpListener::bind(to).unwrap());
                } else if number == 0 {
                    to = subscriber.bind(TcpListener::bind(to).unwrap());
                }
                match (publisher_binds, number) {
                    (true, 0) => subscriber.connect(to),
                    (true, _) => {}
                    (false, _) => publisher.connect(to),
                }
                if number == 0 {
                    subscriber.subscribe("a").unwrap();
                } else {
                    // While nobody was there.
                    subscriber.subscribe(format!("b{number}")).unwrap();
                }
                until(&publisher, |stats| stats.subscriptions == number + 1).await;
                publisher.send("a").await.unwrap();
                assert_eq!(recv(&subscriber).await, Message::from("a"));
                publisher.close(LONG).await;
                until(&subscriber, |stats| stats.peers == 0).await;
            }
            let stats = subscriber.stats();
            assert_eq!(stats.reconnects, if publisher_binds { 2 } else { 0 });
            assert_eq!((stats.connections, stats.received), (3, 3));
        }
    });
}

#[test]
fn what_has_waited_for_a_peer_that_dies_goes_to_another() {
    run(|any| async move {
        let settings = Settings {
            connection: Config { send_high_water: 10_000, ..Config::default() },
            send_messages: 100,
            ..quick()
        };
        let dealer = Socket::new(SocketType::Dealer, settings).unwrap();
        let to = dealer.bind(TcpListener::bind(any).unwrap());
        let mute = by_hand(to, SocketType::Dealer).await;
        until(&dealer, |stats| stats.peers == 1).await;
        // More than the system and the connection keep.
        let mut sent: u32 = 0;
        let numbered =
            |number: u32| Message::new(&[[&number.to_be_bytes()[..], &[0; 50_000]].concat()]);
        while timeout(ms(100), dealer.send(numbered(sent))).await.is_ok() {
            sent += 1;
            assert!(sent < 2000, "100 MB are on their way to somebody who does not read");
        }
        mute.abort();
        until(&dealer, |stats| stats.peers == 0).await;
        let other = Socket::new(SocketType::Dealer, quick()).unwrap();
        other.connect(to);
        // What was in the connection is lost with it, the rest comes in order and once.
        let mut last = None;
        loop {
            let message = recv(&other).await;
            let number = u32::from_be_bytes(message.first()[..4].try_into().unwrap());
            assert!(last.is_none_or(|last| number == last + 1), "{number} after {last:?}");
            last = Some(number);
            if number == sent - 1 {
                break;
            }
        }
        assert!(other.stats().received >= 100);
    });
}

#[test]
fn a_req_whose_peer_has_gone_is_told_and_asks_again() {
    run(|any| async move {
        let req = Socket::new(SocketType::Req, quick()).unwrap();
        let mut to = any;
        for number in 0..3 {
            let rep = Socket::new(SocketType::Rep, quick()).unwrap();
            to = rep.bind(TcpListener::bind(to).unwrap());
            if number == 0 {
                req.connect(to);
            }
            timeout(LONG, req.send("question")).await.expect("it is connected").unwrap();
            assert_eq!(recv(&rep).await, Message::from("question"));
            drop(rep);
            let lost = timeout(LONG, req.recv()).await.expect("an error");
            assert_eq!(lost.unwrap_err().code(), "ERR_TRANSPORT_CLOSE");
        }
        let rep = Socket::new(SocketType::Rep, quick()).unwrap();
        rep.bind(TcpListener::bind(to).unwrap());
        req.send("question").await.unwrap();
        recv(&rep).await;
        rep.send("answer").await.unwrap();
        assert_eq!(recv(&req).await, Message::from("answer"));
        assert_eq!(req.stats().reconnects, 3);
    });
}

#[test]
fn a_rep_whose_peer_has_gone_goes_on_with_the_next() {
    run(|any| async move {
        let rep = Socket::new(SocketType::Rep, quick()).unwrap();
        let to = rep.bind(TcpListener::bind(any).unwrap());
        let req = Socket::new(SocketType::Req, quick()).unwrap();
        req.connect(to);
        req.send("question").await.unwrap();
        recv(&rep).await;
        drop(req);
        until(&rep, |stats| stats.peers == 0).await;
        rep.send("answer").await.unwrap();
        assert_eq!(rep.stats().dropped, 1);
        let other = Socket::new(SocketType::Req, quick()).unwrap();
        other.connect(to);
        other.send("question").await.unwrap();
        recv(&rep).await;
        rep.send("answer").await.unwrap();
        assert_eq!(recv(&other).await, Message::from("answer"));
    });
}

#[test]
fn who_is_not_let_in_is_counted_and_others_go_on() {
    run(|any| async move {
        let [_, (gate, security), _] = mechanisms();
        let settings = Settings {
            gate,
            connection: Config { connect_timeout: ms(100), ..Config::default() },
            ..quick()
        };
        let rep = Socket::new(SocketType::Rep, settings).unwrap();
        let to = rep.bind(TcpListener::bind(any).unwrap());
        let wrong = Security::Plain { user: "ann".into(), password: "guessed".into() };
        let req = |security| {
            let settings = Settings { connection: with(security), ..quick() };
            let req = Socket::new(SocketType::Req, settings).unwrap();
            req.connect(to);
            req
        };
        let (refused, good) = (req(wrong), req(security));
        let silent = raw(to).await;
        let garbage = raw(to).await;
        garbage.write(b"GET / HTTP/1.1\r\n\r\n");
        until(&rep, |stats| stats.refused >= 5 && stats.peers == 1).await;
        good.send("question").await.unwrap();
        recv(&rep).await;
        rep.send("answer").await.unwrap();
        assert_eq!(recv(&good).await, Message::from("answer"));
        assert_eq!(refused.stats().connections, 0);
        let told = refused.last_error().expect("it is told").to_string();
        assert!(told.contains("refused: 400"), "{told}");
        drop((silent, garbage));
    });
}

#[test]
fn what_was_bound_or_connected_can_be_taken_back() {
    run(|any| async move {
        let rep = Socket::new(SocketType::Rep, quick()).unwrap();
        let to = rep.bind(TcpListener::bind(any).unwrap());
        let req = Socket::new(SocketType::Req, quick()).unwrap();
        req.connect(to);
        until(&rep, |stats| stats.peers == 1).await;
        assert!(req.disconnect(to) && !req.disconnect(to));
        until(&rep, |stats| stats.peers == 0).await;
        req.connect(to);
        until(&rep, |stats| stats.peers == 1).await;
        // Connections that others have made stay.
        assert!(rep.disconnect(to));
        req.send("question").await.unwrap();
        assert_eq!(recv(&rep).await, Message::from("question"));
        let other = Socket::new(SocketType::Req, quick()).unwrap();
        other.connect(to);
        assert!(timeout(ms(200), other.send("question")).await.is_err());
    });
}

#[test]
fn sockets_may_be_used_by_several_tasks_at_once() {
    run(|any| async move {
        let router = Rc::new(Socket::new(SocketType::Router, quick()).unwrap());
        let to = router.bind(TcpListener::bind(any).unwrap());
        let echo = |router: Rc<Socket>| async move {
            while let Ok(message) = router.recv().await {
                router.send(message).await.unwrap();
            }
        };
        let echoes = [(); 3].map(|()| spawn_local(echo(router.clone())));
        let dealer = Rc::new(Socket::new(SocketType::Dealer, quick()).unwrap());
        dealer.connect(to);
        let ask = |dealer: Rc<Socket>| async move {
            for _ in 0..30 {
                dealer.send("a").await.unwrap();
                assert_eq!(dealer.recv().await, Ok(Message::from("a")));
            }
        };
        let asking: Vec<_> = (0..10).map(|_| spawn_local(ask(dealer.clone()))).collect();
        for asking in asking {
            timeout(LONG, asking).await.expect("all are answered").unwrap();
        }
        echoes.iter().for_each(|echo| echo.abort());
    });
}
