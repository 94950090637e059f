//! Servers that are down, slow, broken or hostile.

use std::time::Duration;

use grenache_engine::{TcpListener, now, sleep, spawn_local};

use super::*;
use crate::Failure;

#[test]
fn a_refused_connection_has_not_run() {
    run(|any| async move {
        let listener = TcpListener::bind(any).expect("a free port");
        let target = Target::peer(listener.local_addr(), false);
        drop(listener);
        // The kernel is told in the next turn.
        sleep(Duration::from_millis(10)).await;
        let pool = pool();
        let failed = pool.exchange(&target, &post(b"x"), now() + LONG).await.expect_err("nobody");
        assert!(matches!(failed, Failed::Failure(Failure::Connect(_))), "{failed:?}");
        assert!(!failed.may_have_run());
        assert_eq!(pool.in_flight(target.addr), 0);
        pool.close().await;
    });
}

#[test]
fn a_server_that_never_answers_costs_the_deadline_to_the_millisecond() {
    run(|any| async move {
        let site = Site::start(any, |peer, _| async move { peer.hear_out().await });
        let pool = pool();
        // On a new connection each time, since the last one is broken off.
        for millis in [5, 50, 333] {
            let began = now();
            let limit = Duration::from_millis(millis);
            let failed = pool.exchange(&site.target, &post(b"x"), began + limit).await;
            let waited = now() - began;
            assert_eq!(failed.expect_err("no answer"), Failed::Timeout { may_have_run: true });
            assert!(waited >= limit && waited < limit + Duration::from_millis(100), "{waited:?}");
        }
        assert_eq!(site.accepted.get(), 3);
        site.end(&pool).await;
    });
}

#[test]
fn a_deadline_that_has_passed_sends_nothing() {
    run(|any| async move {
        let (pool, site) = (pool(), Site::echo(any));
        call_well(&pool, &site, b"x").await;
        let failed = pool.exchange(&site.target, &post(b"x"), now()).await.expect_err("too late");
        assert_eq!(failed, Failed::Timeout { may_have_run: false });
        site.end(&pool).await;
    });
}

#[test]
fn what_is_no_answer_is_told_and_the_connection_closed() {
    const BAD: &[(&str, &str)] = &[
        ("SSH-2.0-OpenSSH_9.9\r\n", "bad status line"),
        ("HTTP/1.1 abc\r\n\r\n", "bad status line"),
        ("\x15\x03\x03\0\x02\x02\x46", "TLS alert: the peer takes TLS only"),
        (
            "HTTP/1.1 200 OK\r\ncontent-length: 1\r\ncontent-length: 1\r\n\r\nx",
            "more than one Content-Length",
        ),
        ("HTTP/1.1 101 Go\r\n\r\n", "switched to a protocol nobody asked for"),
        ("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n", "bad chunk size"),
    ];
    run(|any| async move {
        let site = Site::start(any, |mut peer, number| async move {
            peer.request().await.expect("a request");
            peer.write(BAD[number].0);
            peer.hear_out().await;
        });
        let pool = pool();
        for (_, why) in BAD {
            let failed = call(&pool, &site, b"x").await.expect_err("no answer");
            assert_eq!(failed, Failed::Failure(Failure::Malformed((*why).into())));
            assert!(failed.may_have_run());
        }
        site.end(&pool).await;
    });
}

#[test]
fn a_connection_closed_instead_of_an_answer_may_have_run() {
    run(|any| async move {
        let site = Site::start(any, |mut peer, number| async move {
            peer.request().await.expect("a request");
            match number {
                0 => {}
                1 => peer.write("HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf"),
                2 => {
                    peer.write("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n4\r\nhalf\r\n")
                }
                _ => return peer.stream.abort(),
            }
            peer.stream.shutdown();
            peer.hear_out().await;
        });
        let pool = pool();
        let cut =
            Failed::Failure(Failure::Broken("connection closed in the middle of an answer".into()));
        for expected in [Failed::Closed, cut.clone(), cut] {
            let failed = call(&pool, &site, b"x").await.expect_err("no answer");
            assert_eq!(failed, expected);
            assert!(failed.may_have_run());
        }
        let failed = call(&pool, &site, b"x").await.expect_err("a reset");
        assert!(matches!(failed, Failed::Failure(Failure::Broken(_))), "{failed:?}");
        assert!(failed.may_have_run());
        site.end(&pool).await;
    });
}

#[test]
fn a_second_answer_is_nobodys() {
    run(|any| async move {
        let site = Site::start(any, |mut peer, number| async move {
            while let Some(body) = peer.request().await {
                peer.answer(&body);
                peer.answer(b"again");
                if number == 1 {
                    // It comes when the first was taken long ago.
                    sleep(Duration::from_millis(20)).await;
                    peer.answer(b"and again");
                }
            }
        });
        let pool = pool();
        for round in 0..10 {
            let body = format!("call {round}");
            assert_eq!(call_well(&pool, &site, body.as_bytes()).await, body);
            sleep(Duration::from_millis(30)).await;
        }
        assert_eq!(site.accepted.get(), 10, "no connection is used again");
        site.end(&pool).await;
    });
}

#[test]
fn an_answer_that_comes_before_the_request_is_sent_is_one() {
    run(|any| async move {
        let site = Site::start(any, |peer, _| async move {
            peer.stream.recv().await.expect("the beginning of a request");
            peer.write("HTTP/1.1 413 Too Large\r\ncontent-length: 3\r\n\r\nbig");
            // More than the kernels hold is still to come, and is not read.
            sleep(Duration::from_millis(200)).await;
            peer.hear_out().await;
        });
        let pool = pool();
        let body = vec![1; 9_000_000];
        for round in 1..=2 {
            let answer = call(&pool, &site, &body).await.expect("an answer");
            assert_eq!((answer.status, &answer.body[..]), (413, &b"big"[..]));
            assert_eq!(site.accepted.get(), round, "the connection is not used again");
        }
        site.end(&pool).await;
    });
}

#[test]
fn a_kept_connection_that_was_closed_is_replaced_unnoticed() {
    run(|any| async move {
        // It closes after every second answer, without a word.
        let site = Site::start(any, |mut peer, _| async move {
            for _ in 0..2 {
                let body = peer.request().await.expect("a request");
                peer.answer(&body);
            }
        });
        let pool = pool();
        for round in 0..20 {
            assert_eq!(call_well(&pool, &site, b"x").await, "x");
            if round % 4 == 3 {
                sleep(Duration::from_millis(10)).await;
            }
            // The FIN is on its way when the next call comes.
            sleep(Duration::from_millis(10)).await;
        }
        assert_eq!(site.accepted.get(), 10);
        site.end(&pool).await;
    });
}

#[test]
fn idle_connections_are_closed_when_nobody_or_the_server_wants_them() {
    run(|any| async move {
        let config = Config { idle_timeout: Duration::from_millis(1500), ..Config::default() };
        let pool = Pool::new(config, None);
        let site = Site::echo(any);
        call_well(&pool, &site, b"x").await;
        assert_eq!(site.open.get(), 1);
        sleep(Duration::from_millis(3000)).await;
        assert_eq!(site.open.get(), 0, "its time is up");
        site.end(&pool).await;

        // A server that says how long it keeps connections is taken by its word.
        let pool = super::pool();
        let site = Site::start(any, |mut peer, _| async move {
            while peer.request().await.is_some() {
                let answer =
                    "HTTP/1.1 200 OK\r\nKeep-Alive: timeout=2\r\ncontent-length: 1\r\n\r\nx";
                peer.write(answer);
            }
        });
        call_well(&pool, &site, b"x").await;
        sleep(Duration::from_millis(3100)).await;
        assert_eq!(site.open.get(), 0);
        site.end(&pool).await;
    });
}

#[test]
fn a_call_that_is_dropped_gives_its_place_back() {
    run(|any| async move {
        let site = Site::start(any, |mut peer, _| async move {
            while let Some(body) = peer.request().await {
                if body == b"never" {
                    return peer.hear_out().await;
                }
                peer.answer(&body);
            }
        });
        let pool = Pool::new(Config { max_connections: 2, ..Config::default() }, None);
        for round in 0..20 {
            let never = post(b"never");
            let calls = [(); 3].map(|()| {
                let (pool, to, never) = (pool.clone(), site.target.clone(), never.clone());
                spawn_local(async move { pool.exchange(&to, &never, now() + LONG).await })
            });
            // In every state: connecting, waiting for an answer, waiting for a connection.
            sleep(Duration::from_micros(100 * round)).await;
            calls.iter().for_each(JoinHandle::abort);
            assert_eq!(pool.in_flight(site.target.addr), 0);
            assert_eq!(call_well(&pool, &site, b"x").await, "x");
        }
        let end = now() + Duration::from_secs(5);
        while site.open.get() > 2 {
            assert!(now() < end, "{} connections", site.open.get());
            sleep(Duration::from_millis(5)).await;
        }
        site.end(&pool).await;
    });
}

#[test]
fn a_host_that_is_gone_costs_the_time_for_connecting() {
    // In the simulator alone: on a real machine every address of the loopback answers.
    let mut world = sim::World::new(3, sim::Network::default());
    let host = sim::Host::new([10, 0, 0, 1]);
    let main = |_: Core<()>| async {
        let config = Config { connect_timeout: Duration::from_millis(700), ..Config::default() };
        let pool = Pool::new(config, None);
        let nobody = Target::peer("10.0.0.2:7".parse().unwrap(), false);
        let began = now();
        let failed = pool.exchange(&nobody, &post(b"x"), began + LONG).await.expect_err("nobody");
        assert!(matches!(failed, Failed::Failure(Failure::Connect(_))), "{failed:?}");
        assert_eq!((now() - began).as_millis(), 700);
        let limit = Duration::from_millis(300);
        let failed = pool.exchange(&nobody, &post(b"x"), now() + limit).await;
        assert_eq!(failed.expect_err("nobody"), Failed::Timeout { may_have_run: false });
        pool.close().await;
    };
    let node = world.start(host, Engine::default(), main).expect("the node starts");
    world.run_for(Duration::from_secs(5));
    assert!(!world.is_running(node) && world.tasks_panicked() == 0);
}

#[test]
fn targets_that_cannot_be_written_are_refused() {
    run(|any| async move {
        let (pool, site) = (pool(), Site::echo(any));
        let request = Outgoing { target: "no path", ..post(b"x") };
        let failed = pool.exchange(&site.target, &request, now() + LONG).await.expect_err("bad");
        assert!(!failed.may_have_run() && site.accepted.get() == 0);
        let secure = Target { secure: true, ..site.target.clone() };
        let failed = pool.exchange(&secure, &post(b"x"), now() + LONG).await.expect_err("no TLS");
        assert!(matches!(failed, Failed::Failure(Failure::Tls(_))));
        site.end(&pool).await;
    });
}
