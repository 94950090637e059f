//! Bounds, and time.

use std::future::poll_fn;

use super::router::{Heard, Router};
use super::*;
use crate::Failure;
use crate::http::tests::run;

#[test]
fn beyond_what_one_connection_takes_there_is_another_up_to_the_limit() {
    run(|any| async move {
        let mut router = Router::plain();
        let site = router.start(any, |mut peer, _| async move {
            let mut requests = Vec::new();
            while let Ok(Some(request)) = timeout(Duration::from_millis(200), peer.request()).await
            {
                requests.push(request);
            }
            assert!(requests.len() <= 5, "{} on one", requests.len());
            requests.iter().for_each(|request| peer.reply(request, &request.payload));
            peer.hear_out().await;
        });
        (router.config.max_in_flight, router.config.max_connections) = (3, 2);
        let pool = router.pool();
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
        site.end(&pool).await;
    });
}

#[test]
fn a_reply_over_the_limit_is_told_and_the_connection_closed() {
    run(|any| async move {
        for mut router in Router::all() {
            let site = router.start(any, |mut peer, number| async move {
                let request = peer.request().await.expect("a request");
                peer.reply(&request, &request.payload);
                let request = peer.request().await.expect("a request");
                peer.reply(&request, &text(if number == 0 { 10_000 } else { 9_000 }));
                assert_eq!(peer.hear().await, None);
            });
            router.config.max_message = 10_000;
            let pool = router.pool();
            ask_well(&pool, &site, &number(1)).await;
            let failed = ask(&pool, &site, &number(2)).await.expect_err("too large");
            assert_eq!(failed, Failed::TooLarge { limit: 10_000 });
            ask_well(&pool, &site, &number(3)).await;
            ask_well(&pool, &site, &number(4)).await;
            site.end(&pool).await;
        }
    });
}

#[test]
fn an_idle_connection_is_closed_when_its_time_is_up() {
    run(|any| async move {
        let mut router = Router::plain();
        let site = router.start(any, |mut peer, number| async move {
            let request = peer.request().await.expect("a request");
            peer.reply(&request, &request.payload);
            let began = now();
            assert_eq!(peer.hear().await, None);
            if number > 0 {
                return;
            }
            let kept = now() - began;
            let about = Duration::from_millis(300)..Duration::from_millis(500);
            assert!(about.contains(&(kept + Duration::from_millis(10))), "{kept:?}");
        });
        router.config.idle_timeout = Duration::from_millis(300);
        let pool = router.pool();
        ask_well(&pool, &site, &number(1)).await;
        site.closed().await;
        ask_well(&pool, &site, &number(2)).await;
        assert_eq!(site.accepted.get(), 2, "the next call makes another");
        site.end(&pool).await;
    });
}

#[test]
fn a_worker_that_says_nothing_is_pinged_and_given_up() {
    let (ping_interval, ping_timeout) = (Duration::from_millis(80), Duration::from_millis(120));
    run(move |any| async move {
        for mut router in [Router::plain(), Router::curve(true)] {
            // It answers pings, and lastly the request. On its second connection it says nothing.
            let site = router.start(any, move |mut peer, number| async move {
                let request = peer.request().await.expect("a request");
                if number > 0 {
                    while let Ok(Some(_)) = poll_fn(|context| peer.channel.poll_recv(context)).await
                    {
                    }
                    return;
                }
                for round in 0..5 {
                    let ping = Heard::Ping(ping_interval + ping_timeout);
                    assert_eq!(peer.hear().await, Some(ping), "{round}");
                }
                peer.reply(&request, &request.payload);
                peer.hear_out().await;
            });
            (router.config.ping_interval, router.config.ping_timeout) =
                (ping_interval, ping_timeout);
            let pool = router.pool();
            let began = now();
            assert_eq!(ask_well(&pool, &site, &number(1)).await, number(1));
            assert!(now() - began >= 5 * ping_interval);
            // The first connection stays; so another pool is needed for another.
            let other = router.pool();
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
        }
    });
}

#[test]
fn a_worker_of_3_0_is_not_pinged() {
    run(|any| async move {
        let mut router = Router::plain();
        router.old = true;
        let site = router.start(any, |mut peer, _| async move {
            let request = peer.request().await.expect("a request");
            let heard = timeout(Duration::from_millis(500), peer.hear()).await;
            assert!(heard.is_err(), "{heard:?}");
            peer.reply(&request, &request.payload);
            peer.hear_out().await;
        });
        router.config.ping_interval = Duration::from_millis(50);
        router.config.ping_timeout = Duration::from_millis(50);
        let pool = router.pool();
        assert_eq!(ask_well(&pool, &site, &number(1)).await, number(1));
        site.end(&pool).await;
    });
}

#[test]
fn a_worker_that_has_named_a_time_to_live_is_given_up_after_it() {
    let ttl = Duration::from_millis(300);
    run(move |any| async move {
        let router = Router::plain();
        let site = router.start(any, move |mut peer, _| async move {
            peer.request().await.expect("a request");
            peer.ping(ttl);
            peer.hear_out().await;
        });
        let pool = router.pool();
        let began = now();
        let failed = ask(&pool, &site, &number(1)).await.expect_err("it is dead");
        let took = now() - began;
        assert!(matches!(failed, Failed::Failure(Failure::Broken(_))), "{failed:?}");
        assert!(took >= ttl && took < ttl + Duration::from_millis(100), "{took:?}");
        site.end(&pool).await;
    });
}

#[test]
fn the_time_to_live_of_a_ping_is_kept_to_a_worker_that_talks() {
    let (ping_interval, ping_timeout) = (Duration::from_millis(100), Duration::from_millis(150));
    run(move |any| async move {
        for mut router in [Router::plain(), Router::curve(true)] {
            let site = router.start(any, move |mut peer, _| async move {
                let request = peer.request().await.expect("a request");
                let Some(Heard::Ping(ttl)) = peer.hear().await else { panic!("no ping") };
                assert!(ttl > ping_interval);
                let (began, mut heard) = (now(), now());
                while now() - began < 4 * ttl {
                    // So it says something all the while, and nothing else has to be asked.
                    peer.send(&[b"[\"nobody\",null,0]"]);
                    if let Ok(said) = timeout(ping_interval / 3, peer.hear()).await {
                        assert!(matches!(said, Some(Heard::Ping(_))), "{said:?}");
                        heard = now();
                    }
                    assert!(now() - heard < ttl, "nothing for {:?}", now() - heard);
                }
                peer.reply(&request, &request.payload);
                peer.hear_out().await;
            });
            (router.config.ping_interval, router.config.ping_timeout) =
                (ping_interval, ping_timeout);
            let pool = router.pool();
            assert_eq!(ask_well(&pool, &site, &number(1)).await, number(1));
            site.end(&pool).await;
        }
    });
}

#[test]
fn a_large_request_that_gets_through_slowly_is_no_sign_of_death() {
    const SIZE: usize = 22_000_000;
    const PIECE: usize = 256 * 1024;
    run(|any| async move {
        let mut router = Router::curve(true);
        let site = router.start(any, |peer, _| async move {
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
        });
        let (ping_interval, ping_timeout) =
            (Duration::from_millis(100), Duration::from_millis(500));
        (router.config.ping_interval, router.config.ping_timeout) = (ping_interval, ping_timeout);
        let pool = router.pool();
        let began = now();
        let failed = ask(&pool, &site, &text(SIZE)).await.expect_err("it goes");
        assert!(failed.may_have_run());
        let silent = Failed::Failure(Failure::Broken("it does not answer a ping".into()));
        assert!(failed != silent, "{failed:?}");
        assert!(now() - began > 2 * (ping_interval + ping_timeout), "it was no test");
        site.end(&pool).await;
    });
}

#[test]
fn what_a_worker_does_not_read_stays_within_bounds() {
    run(|any| async move {
        for mut router in [Router::plain(), Router::curve(false)] {
            let site = router.start(any, |mut peer, _| async move {
                let request = peer.request().await.expect("a request");
                peer.reply(&request, &request.payload);
                // It is there and reads no more, but asks for signs of life.
                for _ in 0..400 {
                    (0..10).for_each(|_| peer.ping(Duration::ZERO));
                    sleep(Duration::from_millis(2)).await;
                }
            });
            router.config.max_connections = 1;
            let pool = router.pool();
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
        }
    });
}
