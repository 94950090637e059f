//! What goes well.

use grenache_engine::yield_now;

use super::router::{Router, as_result};
use super::*;
use crate::http::tests::run;
use crate::zeromq::{Config, Form, Gate};

#[test]
fn all_calls_share_one_connection_and_are_answered_in_any_order() {
    run(|any| async move {
        for router in Router::all() {
            let site = router.start(any, |mut peer, _| async move {
                loop {
                    let mut requests = Vec::new();
                    while requests.len() < 64 {
                        let Some(request) = peer.request().await else { return };
                        requests.push(request);
                    }
                    for request in requests.iter().rev() {
                        peer.reply(request, &request.payload);
                    }
                }
            });
            let pool = router.pool();
            for round in 0..5 {
                let calls: Vec<_> =
                    (0..64).map(|call| start(&pool, &site, number(round * 64 + call))).collect();
                for (call, reply) in calls.into_iter().enumerate() {
                    let reply = reply.await.unwrap().expect("a reply");
                    let expected = as_result(&router, &number(round * 64 + call));
                    assert_eq!(reply.outcome, Ok(expected));
                }
            }
            assert_eq!((site.accepted.get(), site.open.get()), (1, 1));
            site.end(&pool).await;
        }
    });
}

#[test]
fn large_requests_and_replies_come_through_whole_and_others_beside_them() {
    run(|any| async move {
        for router in Router::all() {
            let (pool, site) = (router.pool(), router.echo(any));
            let sizes =
                [0, 1, 100, 250, 260, 16_200, 16_384, 65_536, 300_000, 5_000_000, 10, 20_000];
            let calls: Vec<_> = sizes.iter().map(|&size| start(&pool, &site, text(size))).collect();
            for (size, call) in sizes.iter().zip(calls) {
                let reply = call.await.unwrap().expect("a reply");
                assert!(reply.outcome == Ok(text(*size)), "{size} bytes");
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
fn the_form_is_what_the_worker_says_unless_it_is_set() {
    run(|any| async move {
        for (arrays, form, frames) in [
            (true, Form::Told, false),
            (false, Form::Told, true),
            (true, Form::Frames, true),
            (false, Form::Array, false),
        ] {
            let mut router = Router::new(arrays, Gate::Null);
            router.config.form = form;
            let site = router.start(any, move |mut peer, _| async move {
                let request = peer.request().await.expect("a request");
                assert_eq!(request.frames, frames, "{arrays} {form:?}");
                peer.reply(&request, &request.payload);
                peer.hear_out().await;
            });
            let pool = router.pool();
            assert_eq!(ask_well(&pool, &site, &text(5)).await, text(5));
            site.end(&pool).await;
        }
    });
}

#[test]
fn errors_and_busy_workers() {
    run(|any| async move {
        let site = Router::plain().start(any, |mut peer, _| async move {
            while let Some(request) = peer.request().await {
                let body = match &*request.payload.to_string() {
                    "1" => format!("[\"{}\",\"ERR_BUSY\",null,503]", request.rid),
                    _ => format!("[\"{}\",\"ERR_BUSY\",null]", request.rid),
                };
                peer.send(&[body.as_bytes()]);
            }
        });
        let pool = Router::plain().pool();
        let busy = ask(&pool, &site, &number(1)).await.expect("a reply");
        assert_eq!((busy.outcome, busy.busy), (Err("ERR_BUSY".into()), true));
        let error = ask(&pool, &site, &number(2)).await.expect("a reply");
        assert_eq!((error.outcome, error.busy), (Err("ERR_BUSY".into()), false));
        site.end(&pool).await;
    });
}

#[test]
fn results_and_errors_that_are_texts() {
    run(|any| async move {
        let router = Router::new(false, Gate::Null);
        let site = router.start(any, |mut peer, _| async move {
            while let Some(request) = peer.request().await {
                let result: &[u8] = match &*request.payload.to::<String>().expect("a text") {
                    "{\"a\": 1.50}" => b"say \"hi\"",
                    "fail" => b"ERR_NO: never",
                    _ => b"\xff",
                };
                peer.send(&[request.rid.as_bytes(), result]);
            }
        });
        let pool = router.pool();
        let object = Json::from_text("{\"a\": 1.50}").unwrap();
        let said = ask_well(&pool, &site, &object).await;
        assert_eq!(said.as_str(), "\"say \\\"hi\\\"\"");
        let failed = ask(&pool, &site, &Json::of("fail").unwrap()).await.expect("a reply");
        assert_eq!((failed.outcome, failed.busy), (Err("ERR_NO: never".into()), false));
        let unreadable = ask(&pool, &site, &Json::of("bytes").unwrap()).await.expect_err("bytes");
        assert!(matches!(unreadable, Failed::Failure(crate::Failure::Malformed(_))));
        assert!(unreadable.may_have_run());
        ask_well(&pool, &site, &object).await;
        assert_eq!(site.accepted.get(), 1, "the connection stays");
        site.end(&pool).await;
    });
}

#[test]
fn a_dial_goes_on_for_those_who_still_wait_for_it() {
    run(|any| async move {
        let router = Router::curve(true);
        let (pool, site) = (router.pool(), router.echo(any));
        let first = start(&pool, &site, number(1));
        let second = start(&pool, &site, number(2));
        yield_now().await;
        first.abort();
        assert_eq!(second.await.unwrap().expect("a reply").outcome, Ok(number(2)));
        assert_eq!(site.accepted.get(), 1);
        // Nobody waits for this one.
        let other = router.echo(any);
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
        let (pool, site) = (Router::plain().pool(), Router::plain().echo(any));
        ask_well(&pool, &site, &number(1)).await;
        drop(pool);
        site.closed().await;
        site.accepting.abort();
    });
}

#[test]
fn a_closed_pool_finishes_what_runs_and_takes_no_more() {
    run(|any| async move {
        let site = Router::plain().start(any, |mut peer, _| async move {
            let request = peer.request().await.expect("a request");
            sleep(Duration::from_millis(100)).await;
            peer.reply(&request, &request.payload);
            assert_eq!(peer.hear().await, None);
        });
        let pool = crate::zeromq::Pool::new(Config::default(), None);
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
