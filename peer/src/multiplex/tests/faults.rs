//! Workers that are down, slow, broken or hostile.

use std::cell::RefCell;
use std::future::poll_fn;

use super::router::{Heard, Router, as_result};
use super::*;
use crate::Failure;
use crate::http::tests::run;
use crate::zeromq::{Config, Gate};

#[test]
fn a_refused_connection_has_not_run() {
    run(|any| async move {
        let listener = TcpListener::bind(any).expect("a free port");
        let target = Target::peer(listener.local_addr(), false);
        drop(listener);
        // The kernel is told in the next turn.
        sleep(Duration::from_millis(10)).await;
        let pool = Router::plain().pool();
        let failed = ask_until(&pool, &target, &number(1), now() + LONG).await.expect_err("nobody");
        assert!(matches!(failed, Failed::Failure(Failure::Connect(_))), "{failed:?}");
        assert!(!failed.may_have_run());
        pool.close().await;
    });
}

#[test]
fn what_is_no_zeromq_has_not_run() {
    const ANSWERS: [&[u8]; 5] = [
        b"SSH-2.0-OpenSSH_9.9\r\n",
        b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n",
        // ZMTP 2.0.
        b"\xff\0\0\0\0\0\0\0\x01\x7f\x01\x05\0\0",
        // The beginning of a greeting.
        b"\xff\0\0\0\0\0\0\0\x01\x7f\x03",
        b"",
    ];
    run(|any| async move {
        let site = Site::with(any, false, |stream, number| async move {
            let Ok(Some(_)) = stream.recv().await else { return };
            stream.write(ANSWERS[number]);
            stream.shutdown();
            while let Ok(Some(_)) = stream.recv().await {}
        });
        let pool = Router::plain().pool();
        for answer in ANSWERS {
            let failed = ask(&pool, &site, &number(1)).await.expect_err("no ZeroMQ");
            assert!(!failed.may_have_run());
            let connect = matches!(failed, Failed::Failure(Failure::Connect(_)));
            assert!(connect, "{answer:?}: {failed:?}");
        }
        site.end(&pool).await;
    });
}

#[test]
fn a_worker_that_never_greets_costs_the_time_for_connecting() {
    run(|any| async move {
        let site = Site::with(any, false, |stream, _| async move {
            while let Ok(Some(_)) = stream.recv().await {}
        });
        let mut router = Router::plain();
        let connect_timeout = Duration::from_millis(300);
        router.config.connect_timeout = connect_timeout;
        let pool = router.pool();
        let began = now();
        let calls: Vec<_> = (0..5).map(|call| start(&pool, &site, number(call))).collect();
        for call in calls {
            let failed = call.await.unwrap().expect_err("no ZeroMQ");
            assert!(matches!(failed, Failed::Failure(Failure::Connect(_))), "{failed:?}");
        }
        let took = now() - began;
        assert!(took >= connect_timeout && took < 2 * connect_timeout, "{took:?}");
        let until = now() + Duration::from_millis(50);
        let failed = ask_until(&pool, &site.target, &number(1), until).await.expect_err("late");
        assert_eq!(failed, Failed::Timeout { may_have_run: false });
        site.end(&pool).await;
    });
}

#[test]
fn deadlines_are_exact_and_a_late_answer_is_nobodys() {
    run(|any| async move {
        for router in Router::all() {
            // Each answer comes with the next request.
            let site = router.start(any, |mut peer, _| async move {
                let mut last = None;
                while let Some(request) = peer.request().await {
                    if let Some(before) = last.replace(request.clone()) {
                        peer.reply(&before, &before.payload);
                    }
                    if request.payload == text(3) {
                        peer.reply(&request, &request.payload);
                    }
                }
            });
            let pool = router.pool();
            for millis in [5, 50, 333] {
                let limit = Duration::from_millis(millis);
                let began = now();
                let late = ask_until(&pool, &site.target, &number(1), began + limit).await;
                let waited = now() - began;
                assert_eq!(late.expect_err("no answer"), Failed::Timeout { may_have_run: true });
                assert!(
                    waited >= limit && waited < limit + Duration::from_millis(100),
                    "{waited:?}"
                );
                assert_eq!(ask_well(&pool, &site, &text(3)).await, text(3));
            }
            let failed = ask_until(&pool, &site.target, &number(1), now()).await;
            assert_eq!(failed.expect_err("too late"), Failed::Timeout { may_have_run: false });
            assert_eq!(site.accepted.get(), 1, "the connection stays");
            site.end(&pool).await;
        }
    });
}

#[test]
fn a_call_that_is_dropped_leaves_the_connection_as_it_is() {
    run(|any| async move {
        for router in Router::all() {
            let site = router.start(any, |mut peer, _| async move {
                while let Some(request) = peer.request().await {
                    if request.payload == text(3) {
                        peer.reply(&request, &request.payload);
                    }
                }
            });
            let pool = router.pool();
            assert_eq!(ask_well(&pool, &site, &text(3)).await, text(3));
            for round in 0..10 {
                let never = [number(1), text(3_000_000), text(100_000), number(2)];
                let calls = never.map(|payload| start(&pool, &site, payload));
                // Before, while and after they leave.
                sleep(Duration::from_micros(200 * round)).await;
                calls.iter().for_each(JoinHandle::abort);
                assert_eq!(pool.load(), 0);
                assert_eq!(ask_well(&pool, &site, &text(3)).await, text(3));
            }
            assert_eq!(site.accepted.get(), 1);
            site.end(&pool).await;
        }
    });
}

#[test]
fn when_the_connection_ends_all_calls_on_it_fail_at_once() {
    run(|any| async move {
        let site = Router::plain().start(any, |mut peer, number| async move {
            for _ in 0..10 {
                peer.request().await.expect("a request");
            }
            match number {
                0 => peer.channel.abort(),
                1 => peer.channel.shutdown(),
                2 => {
                    // Half a message.
                    peer.channel.write(&[0, 100, b'[']);
                    peer.channel.shutdown();
                }
                _ => peer.channel.write(b"\x04\x0a\x05ERROR\x03400"),
            }
            peer.hear_out().await;
        });
        let pool = Router::plain().pool();
        for ending in 0..4 {
            let began = now();
            let calls: Vec<_> = (0..10).map(|call| start(&pool, &site, number(call))).collect();
            for call in calls {
                let failed = call.await.unwrap().expect_err("no answer");
                match ending {
                    0 => assert!(matches!(failed, Failed::Failure(Failure::Broken(_)))),
                    3 => {
                        let why = Failure::Broken("refused: 400".into());
                        assert_eq!(failed, Failed::Failure(why));
                    }
                    _ => assert_eq!(failed, Failed::Closed, "{ending}"),
                }
                assert!(failed.may_have_run());
            }
            assert!(now() - began < Duration::from_secs(5), "at once");
            assert_eq!(pool.load(), 0);
            assert_eq!(site.accepted.get(), ending + 1, "each on a new connection");
        }
        site.end(&pool).await;
    });
}

#[test]
fn what_has_not_begun_to_leave_has_not_run() {
    run(|any| async move {
        for router in Router::all() {
            // It reads the beginning of the first request, and no more.
            let site = router.start(any, |peer, _| async move {
                poll_fn(|context| peer.channel.poll_recv(context)).await.expect("bytes");
                sleep(Duration::from_millis(300)).await;
                peer.channel.abort();
            });
            let pool = router.pool();
            let first = start(&pool, &site, text(30_000_000));
            sleep(Duration::from_millis(100)).await;
            let others = [number(1), text(50_000)].map(|payload| start(&pool, &site, payload));
            let failed = first.await.unwrap().expect_err("it broke");
            assert!(failed.may_have_run(), "{failed:?}");
            for other in others {
                let failed = other.await.unwrap().expect_err("it broke");
                assert!(!failed.may_have_run(), "{failed:?}");
            }
            site.end(&pool).await;
        }
    });
}

#[test]
fn what_is_said_not_to_have_run_never_arrives() {
    run(|any| async move {
        for mut router in [Router::plain(), Router::curve(true)] {
            let arrived = Rc::new(RefCell::new(Vec::new()));
            let told = arrived.clone();
            // It says that it has nothing more to say, and only then reads what the client has sent and goes on sending.
            let site = router.start(any, move |mut peer, _| {
                let told = told.clone();
                async move {
                    sleep(Duration::from_millis(300)).await;
                    peer.channel.shutdown();
                    while let Some(request) = peer.request().await {
                        let (number, _): (usize, String) = request.payload.to().expect("a pair");
                        told.borrow_mut().push(number);
                    }
                }
            });
            router.config.max_connections = 1;
            let pool = router.pool();
            let filler = "x".repeat(10_000);
            let payload = |number: usize| Json::of(&(number, &filler)).unwrap();
            let calls: Vec<_> =
                (0..1500).map(|number| start(&pool, &site, payload(number))).collect();
            let mut not_run = Vec::new();
            for (number, call) in calls.into_iter().enumerate() {
                if !call.await.unwrap().expect_err("no answer").may_have_run() {
                    not_run.push(number);
                }
            }
            site.closed().await;
            let arrived = arrived.take();
            assert!(!not_run.is_empty() && !arrived.is_empty(), "it was no test");
            let both: Vec<_> = not_run.iter().filter(|number| arrived.contains(number)).collect();
            assert!(both.is_empty(), "{both:?}");
            site.end(&pool).await;
        }
    });
}

#[test]
fn a_kept_connection_that_was_closed_is_replaced_unnoticed() {
    run(|any| async move {
        for router in [Router::plain(), Router::curve(false)] {
            // It goes after every second answer, without a word.
            let site = router.start(any, |mut peer, _| async move {
                for _ in 0..2 {
                    let Some(request) = peer.request().await else { return };
                    peer.reply(&request, &request.payload);
                }
            });
            let pool = router.pool();
            for round in 0..20 {
                assert_eq!(ask_well(&pool, &site, &text(round)).await, text(round));
                sleep(Duration::from_millis(10)).await;
            }
            assert_eq!(site.accepted.get(), 10);
            site.end(&pool).await;
        }
    });
}

#[test]
fn what_is_not_the_protocol_ends_the_connection() {
    run(|any| async move {
        const PART: &[u8] = &[1, 1, b'x'];
        let long = |flags: u8, length: u64| [&[flags][..], &length.to_be_bytes()].concat();
        let cases: Rc<Vec<(Router, Vec<u8>)>> = Rc::new(vec![
            (Router::plain(), long(2, 1 << 40)),
            (Router::plain(), vec![0x80, 1, b'x']),
            (Router::plain(), vec![0x05, 1, b'x']),
            (Router::plain(), long(2, 1 << 63)),
            (Router::plain(), long(6, 1 << 30)),
            (Router::plain(), b"\x04\x06\x05HELLO".to_vec()),
            (Router::plain(), b"\x04\x05\x04PING".to_vec()),
            (Router::plain(), PART.repeat(Config::default().max_parts + 1)),
            (Router::curve(true), vec![0, 1, b'x']),
            (Router::curve(true), [b"\x00\x22\x07MESSAGE", &[9; 26][..]].concat()),
        ]);
        for (case, (router, bytes)) in cases.iter().enumerate() {
            let script = cases.clone();
            let site = router.start(any, move |mut peer, _| {
                let script = script.clone();
                async move {
                    peer.request().await.expect("a request");
                    peer.channel.write(&script[case].1);
                    assert_eq!(peer.hear().await, None);
                }
            });
            let pool = router.pool();
            let failed = ask(&pool, &site, &number(1)).await.expect_err("no answer");
            assert!(failed.may_have_run());
            match case {
                0 => assert_eq!(failed, Failed::TooLarge { limit: 64 * 1024 * 1024 }),
                _ => assert!(
                    matches!(failed, Failed::Failure(Failure::Malformed(_))),
                    "{bytes:x?}: {failed:?}"
                ),
            }
            site.end(&pool).await;
        }
    });
}

#[test]
fn messages_that_answer_nothing_are_passed_over() {
    run(|any| async move {
        for router in Router::all() {
            let site = router.start(any, |mut peer, _| async move {
                while let Some(request) = peer.request().await {
                    let rid = request.rid.as_bytes();
                    let stranger = b"0b5c7ba4-4f1c-4c67-8d7a-9a3f1f0d2b11";
                    let quoted = format!("\"{}\"", request.rid);
                    let messages: [&[&[u8]]; 13] = [
                        &[b""],
                        &[b"hello"],
                        &[b"[]"],
                        &[b"{\"a\":1}"],
                        &[b"\xff"],
                        &[b"[\"0b5c7ba4-4f1c-4c67-8d7a-9a3f1f0d2b11\",null,1]"],
                        &[b"[\"short\",null,1]"],
                        &[stranger, b"1"],
                        &[b"\xff", b"1"],
                        &[quoted.as_bytes(), b"1"],
                        &[rid],
                        &[rid, b"1", b"2"],
                        &[b"", rid, b"1"],
                    ];
                    messages.into_iter().for_each(|parts| peer.send(parts));
                    peer.reply(&request, &request.payload);
                    // A second answer is nobody's.
                    peer.reply(&request, &request.payload);
                }
            });
            let pool = router.pool();
            for round in 0..10 {
                let expected = as_result(&router, &number(round));
                assert_eq!(ask_well(&pool, &site, &number(round)).await, expected);
            }
            assert_eq!(site.accepted.get(), 1);
            site.end(&pool).await;
        }
    });
}

#[test]
fn answers_that_come_in_two_at_every_byte() {
    run(|any| async move {
        for router in Router::all() {
            let site = router.start(any, |mut peer, _| async move {
                let mut cut = 0;
                while let Some(request) = peer.request().await {
                    let answer = peer.encode_reply(&request, &request.payload);
                    let (front, back) = answer.split_at(cut % answer.len());
                    cut += 1;
                    peer.channel.write(front);
                    sleep(Duration::from_millis(1)).await;
                    peer.channel.write(back);
                }
            });
            let pool = router.pool();
            for _ in 0..160 {
                assert_eq!(ask_well(&pool, &site, &text(20)).await, text(20));
            }
            assert_eq!(site.accepted.get(), 1);
            site.end(&pool).await;
        }
    });
}

#[test]
fn a_ping_is_answered_behind_the_large_request_that_leaves() {
    run(|any| async move {
        for router in Router::all() {
            let clear = router.gate == Gate::Null;
            let site = router.start(any, move |mut peer, _| async move {
                peer.tap = Some(Vec::new());
                // Nothing is read until the client can send no more.
                sleep(Duration::from_millis(50)).await;
                peer.ping(Duration::ZERO);
                sleep(Duration::from_millis(50)).await;
                let large = peer.request().await.expect("a request");
                assert!(large.payload == text(20_000_000));
                // What is out of order does not decrypt.
                let small = peer.request().await.expect("a request");
                let came = peer.tap.take().unwrap_or_default();
                let at = |bytes: &[u8]| came.windows(bytes.len()).position(|part| part == bytes);
                if clear {
                    let pong = at(b"\x04PONG").expect("an answer");
                    assert!(pong > 20_000_000 && pong < at(small.rid.as_bytes()).unwrap());
                }
                peer.reply(&small, &small.payload);
                peer.reply(&large, &text(1));
                peer.hear_out().await;
            });
            let pool = router.pool();
            let large = start(&pool, &site, text(20_000_000));
            sleep(Duration::from_millis(20)).await;
            let small = start(&pool, &site, text(2));
            assert_eq!(large.await.unwrap().expect("a reply").outcome, Ok(text(1)));
            assert_eq!(small.await.unwrap().expect("a reply").outcome, Ok(text(2)));
            site.end(&pool).await;
        }
    });
}

#[test]
fn pings_both_ways_between_requests_of_all_sizes() {
    run(|any| async move {
        for mut router in Router::all() {
            router.config.ping_interval = Duration::from_millis(3);
            let pings = Rc::new(Cell::new(0));
            let counted = pings.clone();
            let site = router.start(any, move |mut peer, _| {
                let counted = counted.clone();
                async move {
                    loop {
                        match timeout(Duration::from_millis(5), peer.hear()).await {
                            Ok(None) => return,
                            Ok(Some(Heard::Request(request))) => {
                                peer.ping(Duration::from_secs(10));
                                peer.reply(&request, &request.payload);
                            }
                            Ok(Some(Heard::Ping(_))) => counted.set(counted.get() + 1),
                            Err(_) => peer.ping(Duration::from_secs(10)),
                        }
                    }
                }
            });
            let pool = router.pool();
            for _ in 0..3 {
                let sizes = [2_000_000, 10, 20_000, 300_000, 700, 16_300, 1_000_000, 5];
                let calls = sizes.map(|size| start(&pool, &site, text(size)));
                for (size, call) in sizes.into_iter().zip(calls) {
                    let reply = call.await.unwrap().expect("a reply");
                    assert!(reply.outcome == Ok(text(size)), "{size} bytes");
                }
                sleep(Duration::from_millis(20)).await;
            }
            assert!(pings.get() > 0, "it was no test");
            assert_eq!(site.accepted.get(), 1);
            site.end(&pool).await;
        }
    });
}
