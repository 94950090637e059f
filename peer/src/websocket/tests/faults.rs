//! Workers that are down, slow, broken or hostile.

use std::cell::RefCell;

use super::*;

/// A frame of a server's, of any kind.
fn raw(first: u8, payload: &[u8]) -> Vec<u8> {
    [&[first, payload.len() as u8], payload].concat()
}

#[test]
fn a_refused_connection_has_not_run() {
    run(|any| async move {
        let listener = TcpListener::bind(any).expect("a free port");
        let target = Target::peer(listener.local_addr(), false);
        drop(listener);
        // The kernel is told in the next turn.
        sleep(Duration::from_millis(10)).await;
        let pool = pool();
        let failed = ask_until(&pool, &target, &number(1), now() + LONG).await.expect_err("nobody");
        assert!(matches!(failed, Failed::Failure(Failure::Connect(_))), "{failed:?}");
        assert!(!failed.may_have_run());
        pool.close().await;
    });
}

#[test]
fn what_is_no_websocket_has_not_run() {
    const ANSWERS: [(&str, Failure); 5] = [
        ("HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n", Failure::Connect(String::new())),
        ("HTTP/1.1 503 Busy\r\ncontent-length: 0\r\n\r\n", Failure::Busy),
        ("SSH-2.0-OpenSSH_9.9\r\n", Failure::Connect(String::new())),
        (
            "HTTP/1.1 101 Go\r\nupgrade: websocket\r\nconnection: upgrade\r\n\
              sec-websocket-accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n",
            Failure::Connect(String::new()),
        ),
        ("", Failure::Connect(String::new())),
    ];
    run(|any| async move {
        let site = Site::with(any, false, |stream, number| async move {
            let Ok(Some(_)) = stream.recv().await else { return };
            stream.write(ANSWERS[number].0.as_bytes());
            if ANSWERS[number].0.is_empty() {
                return stream.shutdown();
            }
            while let Ok(Some(_)) = stream.recv().await {}
        });
        let pool = pool();
        for (answer, expected) in ANSWERS {
            let failed = ask(&pool, &site, &number(1)).await.expect_err("no WebSocket");
            assert!(!failed.may_have_run());
            let Failed::Failure(failure) = failed else { panic!("{answer}: {failed:?}") };
            let kind = std::mem::discriminant(&failure);
            assert_eq!(kind, std::mem::discriminant(&expected), "{answer}: {failure}");
        }
        site.end(&pool).await;
    });
}

#[test]
fn a_worker_that_never_upgrades_costs_the_time_for_connecting() {
    run(|any| async move {
        let site = Site::with(any, false, |stream, _| async move {
            while let Ok(Some(_)) = stream.recv().await {}
        });
        let connect_timeout = Duration::from_millis(300);
        let pool = Pool::new(Config { connect_timeout, ..Config::default() }, None);
        let began = now();
        let calls: Vec<_> = (0..5).map(|call| start(&pool, &site, number(call))).collect();
        for call in calls {
            let failed = call.await.unwrap().expect_err("no WebSocket");
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
        // Each answer comes with the next request.
        let site = Site::start(any, |mut peer, _| async move {
            let mut last = None;
            while let Some((rid, payload)) = peer.request().await {
                if let Some((rid, payload)) = last.replace((rid, payload)) {
                    peer.reply(&rid, &payload);
                }
                if let Some((rid, payload)) = &last
                    && payload.to_string() == "0"
                {
                    peer.reply(rid, payload);
                }
            }
        });
        let pool = pool();
        for millis in [5, 50, 333] {
            let limit = Duration::from_millis(millis);
            let began = now();
            let late = ask_until(&pool, &site.target, &number(1), began + limit).await;
            let waited = now() - began;
            assert_eq!(late.expect_err("no answer"), Failed::Timeout { may_have_run: true });
            assert!(waited >= limit && waited < limit + Duration::from_millis(100), "{waited:?}");
            assert_eq!(ask_well(&pool, &site, &number(0)).await, number(0));
        }
        let failed = ask_until(&pool, &site.target, &number(1), now()).await.expect_err("too late");
        assert_eq!(failed, Failed::Timeout { may_have_run: false });
        assert_eq!(site.accepted.get(), 1, "the connection stays");
        site.end(&pool).await;
    });
}

#[test]
fn a_call_that_is_dropped_leaves_the_connection_as_it_is() {
    run(|any| async move {
        let site = Site::start(any, |mut peer, _| async move {
            while let Some((rid, payload)) = peer.request().await {
                if payload.as_bytes()[0] == b'0' {
                    peer.reply(&rid, &payload);
                }
            }
        });
        let pool = pool();
        assert_eq!(ask_well(&pool, &site, &number(0)).await, number(0));
        for round in 0..20 {
            let never = [number(1), text(3_000_000), text(100_000), number(2)];
            let calls = never.map(|payload| start(&pool, &site, payload));
            // Before, while and after they leave.
            sleep(Duration::from_micros(100 * round)).await;
            calls.iter().for_each(JoinHandle::abort);
            assert_eq!(pool.load(), 0);
            assert_eq!(ask_well(&pool, &site, &number(0)).await, number(0));
        }
        assert_eq!(site.accepted.get(), 1);
        site.end(&pool).await;
    });
}

#[test]
fn when_the_connection_ends_all_calls_on_it_fail_at_once() {
    run(|any| async move {
        let site = Site::start(any, |mut peer, number| async move {
            for _ in 0..10 {
                peer.request().await.expect("a request");
            }
            match number {
                0 => peer.channel.abort(),
                1 => peer.channel.shutdown(),
                2 => peer.close(code::GOING_AWAY),
                3 => peer.close(code::INTERNAL),
                _ => {
                    // Half a message.
                    peer.channel.write(&[0x81, 100, b'[']);
                    peer.channel.shutdown();
                }
            }
            match number {
                // A close frame is answered by one.
                2 => assert_eq!(peer.closed().await, Some(code::GOING_AWAY)),
                3 => assert_eq!(peer.closed().await, Some(code::INTERNAL)),
                _ => peer.hear_out().await,
            }
        });
        let pool = pool();
        for ending in 0..5 {
            let began = now();
            let calls: Vec<_> = (0..10).map(|call| start(&pool, &site, number(call))).collect();
            for call in calls {
                let failed = call.await.unwrap().expect_err("no answer");
                match ending {
                    0 | 3 => assert!(
                        matches!(failed, Failed::Failure(Failure::Broken(_))),
                        "{ending}: {failed:?}"
                    ),
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
        // It reads the head of the first request, and no more.
        let site = Site::start(any, |peer, _| async move {
            poll_fn(|context| peer.channel.poll_recv(context)).await.expect("bytes");
            sleep(Duration::from_millis(300)).await;
            peer.channel.abort();
        });
        let pool = pool();
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
    });
}

#[test]
fn what_is_said_not_to_have_run_never_arrives() {
    run(|any| async move {
        let arrived = Rc::new(RefCell::new(Vec::new()));
        let told = arrived.clone();
        // It says that it has nothing more to say, and only then reads what the client has sent and goes on sending.
        let site = Site::start(any, move |mut peer, _| {
            let told = told.clone();
            async move {
                sleep(Duration::from_millis(300)).await;
                peer.channel.shutdown();
                while let Some((_, payload)) = peer.request().await {
                    let (number, _): (usize, String) = payload.to().expect("a pair");
                    told.borrow_mut().push(number);
                }
            }
        });
        let pool = Pool::new(Config { max_connections: 1, ..Config::default() }, None);
        let filler = "x".repeat(10_000);
        let payload = |number: usize| Json::of(&(number, &filler)).unwrap();
        let calls: Vec<_> = (0..1500).map(|number| start(&pool, &site, payload(number))).collect();
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
    });
}

#[test]
fn a_deadline_that_passes_while_the_request_waits_in_the_kernel_says_nothing() {
    run(|any| async move {
        let arrived = Rc::new(Cell::new(0));
        let told = arrived.clone();
        let site = Site::start(any, move |mut peer, _| {
            let told = told.clone();
            async move {
                sleep(Duration::from_millis(300)).await;
                while peer.request().await.is_some() {
                    told.set(told.get() + 1);
                }
            }
        });
        let pool = Pool::new(Config { max_connections: 1, ..Config::default() }, None);
        let until = now() + Duration::from_millis(150);
        let calls: Vec<_> = (0..1500)
            .map(|_| {
                let (pool, to) = (pool.clone(), site.target.clone());
                spawn_local(async move { ask_until(&pool, &to, &text(10_000), until).await })
            })
            .collect();
        let mut may_have_run = 0;
        for call in calls {
            match call.await.unwrap().expect_err("no answer") {
                Failed::Timeout { may_have_run: true } => may_have_run += 1,
                Failed::Timeout { may_have_run: false } => {}
                failed => panic!("{failed:?}"),
            }
        }
        assert!(may_have_run < 1500, "it was no test");
        pool.close().await;
        site.closed().await;
        assert!(arrived.get() <= may_have_run, "{} of {may_have_run}", arrived.get());
        site.end(&pool).await;
    });
}

#[test]
fn after_a_close_frame_new_calls_take_a_new_connection() {
    run(|any| async move {
        let site = Site::start(any, |mut peer, _| async move {
            for _ in 0..2 {
                let Some((rid, payload)) = peer.request().await else { return };
                peer.reply(&rid, &payload);
            }
            peer.close(code::GOING_AWAY);
            peer.hear_out().await;
        });
        let pool = pool();
        for round in 0..20 {
            assert_eq!(ask_well(&pool, &site, &number(round)).await, number(round));
            // The close frame is on its way when the next call comes.
            sleep(Duration::from_millis(10)).await;
        }
        assert_eq!(site.accepted.get(), 10);
        site.end(&pool).await;
    });
}

#[test]
fn a_kept_connection_that_was_closed_is_replaced_unnoticed() {
    run(|any| async move {
        // It goes after every second answer, without a word.
        let site = Site::start(any, |mut peer, _| async move {
            for _ in 0..2 {
                let Some((rid, payload)) = peer.request().await else { return };
                peer.reply(&rid, &payload);
            }
        });
        let pool = pool();
        for round in 0..20 {
            assert_eq!(ask_well(&pool, &site, &number(round)).await, number(round));
            sleep(Duration::from_millis(10)).await;
        }
        assert_eq!(site.accepted.get(), 10);
        site.end(&pool).await;
    });
}

#[test]
fn what_is_not_the_protocol_closes_with_the_code_for_it() {
    run(|any| async move {
        let cases: Rc<Vec<(Vec<u8>, u16)>> = Rc::new(vec![
            (raw(0xc1, b"x"), code::PROTOCOL),
            (raw(0x83, b"x"), code::PROTOCOL),
            (raw(0x80, b"x"), code::PROTOCOL),
            (raw(0x09, b"x"), code::PROTOCOL),
            (vec![0x81, 0x81, 0, 0, 0, 0, b'x'], code::PROTOCOL),
            (vec![0x81, 126, 0, 1, b'x'], code::PROTOCOL),
            (raw(0x81, b"\xff"), code::INVALID),
            (raw(0x88, b"x"), code::PROTOCOL),
            (raw(0x88, &[3, 237]), code::PROTOCOL),
            (vec![0x81, 127, 1, 0, 0, 0, 0, 0, 0, 0], code::TOO_BIG),
        ]);
        let script = cases.clone();
        let site = Site::start(any, move |mut peer, number| {
            let cases = script.clone();
            async move {
                peer.request().await.expect("a request");
                let (bytes, code) = &cases[number];
                peer.channel.write(bytes);
                assert_eq!(peer.closed().await, Some(*code), "{bytes:x?}");
                assert_eq!(peer.hear().await, None);
            }
        });
        let pool = pool();
        for (bytes, code) in &*cases {
            let failed = ask(&pool, &site, &number(1)).await.expect_err("no answer");
            assert!(failed.may_have_run());
            match *code {
                code::TOO_BIG => assert!(matches!(failed, Failed::TooLarge { .. })),
                _ => assert!(
                    matches!(failed, Failed::Failure(Failure::Malformed(_))),
                    "{bytes:x?}: {failed:?}"
                ),
            }
        }
        site.end(&pool).await;
    });
}

#[test]
fn messages_that_answer_nothing_are_passed_over() {
    run(|any| async move {
        let site = Site::start(any, |mut peer, _| async move {
            while let Some((rid, payload)) = peer.request().await {
                for other in [
                    "",
                    "hello",
                    "[]",
                    "{\"a\":1}",
                    "[null,\"ERR\",null]",
                    "[\"0b5c7ba4-4f1c-4c67-8d7a-9a3f1f0d2b11\",null,1]",
                    "[\"short\",null,1]",
                ] {
                    peer.text(other.as_bytes());
                }
                peer.channel.write(&raw(0x82, b"\xff\x00"));
                peer.channel.write(&raw(0x8a, b"nobody asked"));
                // In two fragments, with a ping between them.
                let reply = format!("[{rid},null,{payload}]");
                let (front, back) = reply.split_at(reply.len() / 2);
                peer.channel.write(&raw(0x01, front.as_bytes()));
                peer.channel.write(&raw(0x89, b"between"));
                peer.channel.write(&raw(0x80, back.as_bytes()));
                assert_eq!(peer.hear().await, Some(Heard::Pong(b"between".to_vec())));
                // A second answer is nobody's.
                peer.text(reply.as_bytes());
            }
        });
        let pool = pool();
        for round in 0..10 {
            assert_eq!(ask_well(&pool, &site, &number(round)).await, number(round));
        }
        assert_eq!(site.accepted.get(), 1);
        site.end(&pool).await;
    });
}

#[test]
fn a_ping_is_answered_behind_the_large_request_that_leaves() {
    run(|any| async move {
        let site = Site::start(any, |mut peer, _| async move {
            // Nothing is read until the client can send no more.
            sleep(Duration::from_millis(50)).await;
            peer.channel.write(&raw(0x89, b"there?"));
            sleep(Duration::from_millis(50)).await;
            let Some(Heard::Request(rid, payload)) = peer.hear().await else { panic!() };
            assert!(payload == text(20_000_000));
            assert_eq!(peer.hear().await, Some(Heard::Pong(b"there?".to_vec())));
            let Some(Heard::Request(..)) = peer.hear().await else { panic!() };
            peer.reply(&rid, &number(1));
            peer.hear_out().await;
        });
        let pool = pool();
        let large = start(&pool, &site, text(20_000_000));
        sleep(Duration::from_millis(20)).await;
        let small = start(&pool, &site, number(2));
        assert_eq!(large.await.unwrap().expect("a reply").outcome, Ok(number(1)));
        small.abort();
        site.end(&pool).await;
    });
}
