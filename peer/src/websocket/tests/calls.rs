//! What goes well.

use super::*;

#[test]
fn all_calls_share_one_connection_and_are_answered_in_any_order() {
    run(|any| async move {
        let site = Site::start(any, |mut peer, _| async move {
            loop {
                let mut requests = Vec::new();
                while requests.len() < 64 {
                    let Some(request) = peer.request().await else { return };
                    requests.push(request);
                }
                for (rid, payload) in requests.iter().rev() {
                    peer.reply(rid, payload);
                }
            }
        });
        let pool = pool();
        for round in 0..5 {
            let calls: Vec<_> =
                (0..64).map(|call| start(&pool, &site, number(round * 64 + call))).collect();
            for (call, reply) in calls.into_iter().enumerate() {
                let reply = reply.await.unwrap().expect("a reply");
                assert_eq!(reply.outcome, Ok(number(round * 64 + call)));
            }
        }
        assert_eq!((site.accepted.get(), site.open.get()), (1, 1));
        site.end(&pool).await;
    });
}

#[test]
fn large_requests_and_replies_come_through_whole_and_others_beside_them() {
    run(|any| async move {
        for deflate in [false, true] {
            let pool = Pool::new(Config { deflate, ..Config::default() }, None);
            let site = Site::echo(any);
            let sizes = [0, 1, 100, 16_200, 16_384, 16_500, 65_536, 300_000, 5_000_000, 10, 20_000];
            let calls: Vec<_> = sizes.iter().map(|&size| start(&pool, &site, text(size))).collect();
            for (size, call) in sizes.iter().zip(calls) {
                let reply = call.await.unwrap().expect("a reply");
                assert!(reply.outcome == Ok(text(*size)), "{size} bytes, deflate: {deflate}");
            }
            for size in sizes {
                assert!(ask_well(&pool, &site, &text(size)).await == text(size), "{size} bytes");
            }
            assert_eq!(site.accepted.get(), 1);
            site.end(&pool).await;
        }
    });
}

#[test]
fn what_is_large_only_before_it_is_compressed_leaves_at_once() {
    run(|any| async move {
        let pool = Pool::new(Config { deflate: true, ..Config::default() }, None);
        let site = Site::echo(any);
        let blank = Json::of(&" ".repeat(100_000)).unwrap();
        let until = now() + Duration::from_secs(2);
        let reply = ask_until(&pool, &site.target, &blank, until).await.expect("a reply");
        assert!(reply.outcome == Ok(blank));
        site.end(&pool).await;
    });
}

#[test]
fn errors_and_busy_workers() {
    run(|any| async move {
        let site = Site::start(any, |mut peer, _| async move {
            while let Some((rid, payload)) = peer.request().await {
                let mut body = BytesMut::new();
                match &*payload.to_string() {
                    "1" => envelope::encode_busy(&mut body, &rid),
                    _ => envelope::encode_reply(&mut body, &rid, Err("ERR_BUSY")),
                }
                peer.text(&body);
            }
        });
        let pool = pool();
        let busy = ask(&pool, &site, &number(1)).await.expect("a reply");
        assert_eq!((busy.outcome, busy.busy), (Err("ERR_BUSY".into()), true));
        let error = ask(&pool, &site, &number(2)).await.expect("a reply");
        assert_eq!((error.outcome, error.busy), (Err("ERR_BUSY".into()), false));
        site.end(&pool).await;
    });
}

#[test]
fn a_dial_goes_on_for_those_who_still_wait_for_it() {
    run(|any| async move {
        let (pool, site) = (pool(), Site::echo(any));
        let first = start(&pool, &site, number(1));
        let second = start(&pool, &site, number(2));
        yield_now().await;
        first.abort();
        assert_eq!(second.await.unwrap().expect("a reply").outcome, Ok(number(2)));
        assert_eq!(site.accepted.get(), 1);
        // Nobody waits for this one.
        let other = Site::echo(any);
        let third = start(&pool, &other, number(3));
        yield_now().await;
        third.abort();
        other.closed().await;
        other.accepting.abort();
        site.end(&pool).await;
    });
}

#[test]
fn a_pool_that_is_dropped_closes_its_connections() {
    run(|any| async move {
        let (pool, site) = (pool(), Site::echo(any));
        ask_well(&pool, &site, &number(1)).await;
        drop(pool);
        site.closed().await;
        site.accepting.abort();
    });
}

#[test]
fn a_closed_pool_finishes_what_runs_and_takes_no_more() {
    run(|any| async move {
        let site = Site::start(any, |mut peer, _| async move {
            let (rid, payload) = peer.request().await.expect("a request");
            sleep(Duration::from_millis(100)).await;
            peer.reply(&rid, &payload);
            assert_eq!(peer.closed().await, Some(code::NORMAL));
        });
        let pool = pool();
        let running = start(&pool, &site, number(1));
        sleep(Duration::from_millis(50)).await;
        let began = now();
        pool.close().await;
        assert!(now() - began >= Duration::from_millis(30), "it waits for what runs");
        assert_eq!(running.await.unwrap().expect("a reply").outcome, Ok(number(1)));
        let refused = ask(&pool, &site, &number(2)).await.expect_err("closed");
        assert_eq!(refused, Failed::Stopped);
        assert_eq!(site.accepted.get(), 1);
        site.end(&pool).await;
    });
}
