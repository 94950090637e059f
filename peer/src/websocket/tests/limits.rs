//! Bounds, and time.

use super::*;

#[test]
fn beyond_what_one_connection_takes_there_is_another_up_to_the_limit() {
    run(|any| async move {
        let most = Rc::new(Cell::new(0));
        let counted = most.clone();
        let site = Site::start(any, move |mut peer, _| {
            let most = counted.clone();
            async move {
                let mut requests = Vec::new();
                while let Ok(Some(request)) =
                    timeout(Duration::from_millis(200), peer.request()).await
                {
                    requests.push(request);
                    most.set(most.get().max(requests.len()));
                }
                for (rid, payload) in &requests {
                    peer.reply(rid, payload);
                }
                peer.hear_out().await;
            }
        });
        let config = Config { max_in_flight: 3, max_connections: 2, ..Config::default() };
        let pool = Pool::new(config, None);
        let calls = |count: usize| -> Vec<_> {
            (0..count).map(|call| start(&pool, &site, number(call))).collect()
        };
        let first = calls(3);
        sleep(Duration::from_millis(50)).await;
        assert_eq!(site.accepted.get(), 1);
        let others = calls(5);
        for call in first.into_iter().chain(others) {
            assert!(call.await.unwrap().expect("a reply").outcome.is_ok());
        }
        assert_eq!(site.accepted.get(), 2, "no more connections than may be");
        assert!(most.get() <= 5, "{} on one", most.get());
        site.end(&pool).await;
    });
}

#[test]
fn if_there_is_no_other_connection_the_one_that_there_is_takes_more() {
    run(|any| async move {
        let site = Site::with(any, false, |stream, number| async move {
            if number == 0
                && let Some(peer) = Peer::accept(Channel::Plain(stream)).await
            {
                peer.echo().await;
            }
        });
        let pool = Pool::new(Config { max_in_flight: 1, ..Config::default() }, None);
        ask_well(&pool, &site, &number(0)).await;
        let calls: Vec<_> = (0..8).map(|call| start(&pool, &site, number(call))).collect();
        for call in calls {
            assert!(call.await.unwrap().expect("a reply").outcome.is_ok());
        }
        assert_eq!(site.open.get(), 1);
        site.end(&pool).await;
    });
}

#[test]
fn a_reply_over_the_limit_is_told_and_the_connection_closed() {
    run(|any| async move {
        let site = Site::start(any, |mut peer, number| async move {
            let (rid, payload) = peer.request().await.expect("a request");
            peer.reply(&rid, &payload);
            let (rid, _) = peer.request().await.expect("a request");
            peer.reply(&rid, &text(if number == 0 { 10_000 } else { 9_000 }));
            let expected = if number == 0 { code::TOO_BIG } else { code::NORMAL };
            assert_eq!(peer.closed().await, Some(expected));
        });
        let pool = Pool::new(Config { max_message: 10_000, ..Config::default() }, None);
        ask_well(&pool, &site, &number(1)).await;
        let failed = ask(&pool, &site, &number(2)).await.expect_err("too large");
        assert_eq!(failed, Failed::TooLarge { limit: 10_000 });
        ask_well(&pool, &site, &number(3)).await;
        ask_well(&pool, &site, &number(4)).await;
        site.end(&pool).await;
    });
}

#[test]
fn an_idle_connection_is_closed_when_its_time_is_up() {
    run(|any| async move {
        let site = Site::start(any, |mut peer, _| async move {
            let (rid, payload) = peer.request().await.expect("a request");
            peer.reply(&rid, &payload);
            let began = now();
            assert_eq!(peer.closed().await, Some(code::NORMAL));
            let kept = now() - began;
            let about = Duration::from_millis(300)..Duration::from_millis(500);
            assert!(about.contains(&(kept + Duration::from_millis(10))), "{kept:?}");
        });
        let config = Config { idle_timeout: Duration::from_millis(300), ..Config::default() };
        let pool = Pool::new(config, None);
        ask_well(&pool, &site, &number(1)).await;
        site.closed().await;
        site.end(&pool).await;
    });
}

#[test]
fn a_worker_that_says_nothing_is_pinged_and_given_up() {
    run(|any| async move {
        let site = Site::start(any, |mut peer, number| async move {
            let (rid, _) = peer.request().await.expect("a request");
            for round in 0..5 {
                assert_eq!(peer.hear().await, Some(Heard::Ping(Vec::new())), "{round}");
                if number == 0 {
                    // Whether it is the answer to the ping or anything else does not matter.
                    let mut out = BytesMut::new();
                    match round % 2 {
                        0 => frame::write_pong(&mut out, None, b""),
                        _ => frame::write_ping(&mut out, None, b"?"),
                    }
                    peer.channel.write(&out);
                    if round % 2 == 1 {
                        assert_eq!(peer.hear().await, Some(Heard::Pong(b"?".to_vec())));
                    }
                } else {
                    return peer.hear_out().await;
                }
            }
            peer.reply(&rid, &super::number(number));
            peer.hear_out().await;
        });
        let (ping_interval, ping_timeout) = (Duration::from_millis(80), Duration::from_millis(120));
        let pool = Pool::new(Config { ping_interval, ping_timeout, ..Config::default() }, None);
        let began = now();
        assert_eq!(ask_well(&pool, &site, &number(1)).await, number(0));
        assert!(now() - began >= 5 * ping_interval);
        // The first connection stays; so another pool is needed for another.
        let other = Pool::new(Config { ping_interval, ping_timeout, ..Config::default() }, None);
        let began = now();
        let failed = ask(&other, &site, &number(2)).await.expect_err("it is dead");
        let took = now() - began;
        let why = Failure::Broken("it does not answer a ping".into());
        assert_eq!(failed, Failed::Failure(why));
        assert!(failed.may_have_run());
        let least = ping_interval + ping_timeout;
        assert!(took >= least && took < least + Duration::from_millis(100), "{took:?}");
        other.close().await;
        site.end(&pool).await;
    });
}

#[test]
fn a_large_request_that_gets_through_slowly_is_no_sign_of_death() {
    const SIZE: usize = 22_000_000;
    const PIECE: usize = 256 * 1024;
    run(|any| async move {
        let site = Site::start(any, |peer, _| async move {
            // Read slowly, without a word, until what is left lies in the kernel's buffers.
            let mut body = 0;
            while body < SIZE {
                let Ok(Some(data)) = poll_fn(|context| peer.channel.poll_recv(context)).await
                else {
                    return;
                };
                let before = body / PIECE;
                body += data.len();
                if body / PIECE > before && body < SIZE - 8_000_000 {
                    sleep(Duration::from_millis(30)).await;
                }
            }
            peer.close(code::GOING_AWAY);
        });
        let (ping_interval, ping_timeout) =
            (Duration::from_millis(100), Duration::from_millis(500));
        let pool = Pool::new(Config { ping_interval, ping_timeout, ..Config::default() }, None);
        let began = now();
        let failed = ask(&pool, &site, &text(SIZE)).await.expect_err("it goes");
        assert_eq!(failed, Failed::Closed);
        assert!(now() - began > 2 * (ping_interval + ping_timeout), "it was no test");
        site.end(&pool).await;
    });
}

#[test]
fn what_a_worker_does_not_read_stays_within_bounds() {
    run(|any| async move {
        let site = Site::start(any, |mut peer, _| async move {
            let (rid, payload) = peer.request().await.expect("a request");
            peer.reply(&rid, &payload);
            // It is there and reads no more.
            sleep(Duration::from_secs(2)).await;
        });
        let pool = Pool::new(Config { max_connections: 1, ..Config::default() }, None);
        ask_well(&pool, &site, &number(1)).await;
        // Given up one after another, these would be 100 MB.
        for _ in 0..10 {
            let calls: Vec<_> = (0..1000).map(|_| start(&pool, &site, text(10_000))).collect();
            sleep(Duration::from_millis(20)).await;
            calls.iter().for_each(JoinHandle::abort);
            let held = pool.queued();
            assert!(held < 512 * 1024, "{held} bytes");
        }
        assert_eq!((site.accepted.get(), pool.load()), (1, 0));
        site.end(&pool).await;
    });
}
