//! Several requests under way on one connection.

use std::time::Duration;

use grenache_engine::{JoinHandle, now, sleep, spawn_local};
use grenache_transports::http::Field;

use super::*;

fn pool_of(connections: usize, pipelined: usize) -> Pool {
    let config =
        Config { max_connections: connections, max_pipelined: pipelined, ..Config::default() };
    Pool::new(config, None)
}

fn start(
    pool: &Pool,
    site: &Site,
    body: &str,
    idempotent: bool,
    limit: Duration,
) -> JoinHandle<Result<Bytes, Failed>> {
    let (pool, to, until) = (pool.clone(), site.target.clone(), now() + limit);
    let request = Outgoing { idempotent, ..post(body.as_bytes()) };
    spawn_local(async move { pool.exchange(&to, &request, until).await.map(|answer| answer.body) })
}

/// A server that answers only when so many requests lie before it, in their order.
fn in_batches(any: SocketAddr, of: usize) -> Site {
    Site::start(any, move |mut peer, _| async move {
        loop {
            let mut batch = Vec::new();
            while batch.len() < of {
                let Some(body) = peer.request().await else { return };
                batch.push(body);
            }
            batch.iter().for_each(|body| peer.answer(body));
        }
    })
}

#[test]
fn idempotent_calls_share_a_connection_and_get_their_own_answers() {
    run(|any| async move {
        // Nobody would be answered if they did not come together.
        let (pool, site) = (pool_of(1, 8), in_batches(any, 8));
        for round in 0..5 {
            let body = |at: usize| format!("call {at} of {round}");
            let calls: Vec<_> =
                (0..16).map(|at| start(&pool, &site, &body(at), true, LONG)).collect();
            for (at, call) in calls.into_iter().enumerate() {
                assert_eq!(call.await.unwrap().expect("an answer"), body(at));
            }
        }
        assert_eq!(site.accepted.get(), 1);
        site.end(&pool).await;
    });
}

#[test]
fn other_calls_do_not() {
    run(|any| async move {
        let (pool, site) = (pool_of(1, 8), in_batches(any, 2));
        let limit = Duration::from_millis(100);
        let calls = [(); 2].map(|()| start(&pool, &site, "x", false, limit));
        for call in calls {
            assert!(matches!(call.await.unwrap(), Err(Failed::Timeout { .. })));
        }
        site.end(&pool).await;
    });
}

#[test]
fn one_who_leaves_does_not_take_the_others_answers() {
    run(|any| async move {
        let (pool, site) = (pool_of(1, 4), in_batches(any, 4));
        for round in 0..3 {
            let short = Duration::from_millis(30);
            let left = [(); 2].map(|()| start(&pool, &site, "left", true, short));
            let stays = start(&pool, &site, "stays", true, LONG);
            for call in left {
                let outcome = call.await.unwrap();
                assert_eq!(outcome, Err(Failed::Timeout { may_have_run: true }));
            }
            // With the fourth, the server answers all; two more find no room before that, whatever has become of the first.
            let more: Vec<_> = (0..5)
                .map(|at| start(&pool, &site, &format!("more {at} of {round}"), true, LONG))
                .collect();
            assert_eq!(stays.await.unwrap(), Ok("stays".into()));
            for (at, call) in more.into_iter().enumerate() {
                assert_eq!(call.await.unwrap().unwrap(), format!("more {at} of {round}"));
            }
        }
        assert_eq!(site.accepted.get(), 1);
        site.end(&pool).await;
    });
}

#[test]
fn after_the_last_answer_the_others_are_told() {
    run(|any| async move {
        let site = Site::start(any, |mut peer, _| async move {
            peer.request().await.expect("a request");
            peer.request().await.expect("a request");
            peer.write("HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 1\r\n\r\nx");
            // It says so and does not do it.
            peer.hear_out().await;
        });
        let pool = pool_of(1, 2);
        let calls = [(); 2].map(|()| start(&pool, &site, "x", true, LONG));
        let [first, second] = calls;
        assert_eq!(first.await.unwrap(), Ok("x".into()));
        assert_eq!(second.await.unwrap(), Err(Failed::Closed));
        site.end(&pool).await;
    });
}

#[test]
fn what_is_queued_behind_a_request_does_not_hide_that_it_has_left() {
    run(|any| async move {
        let site = Site::start(any, |peer, _| async move {
            sleep(Duration::from_millis(600)).await;
            peer.hear_out().await;
        });
        let pool = pool_of(1, 32);
        let first = start(&pool, &site, "x", true, Duration::from_millis(300));
        sleep(Duration::from_millis(50)).await;
        // More than the kernels take.
        let large = vec![b'x'; 450_000];
        let others = [(); 31].map(|()| {
            let (pool, to, large) = (pool.clone(), site.target.clone(), large.clone());
            spawn_local(async move {
                let fields = [Field::new("x", &large).expect("a field")];
                let request = Outgoing { fields: &fields, idempotent: true, ..post(b"x") };
                pool.exchange(&to, &request, now() + Duration::from_millis(400)).await.map(drop)
            })
        });
        assert_eq!(first.await.unwrap(), Err(Failed::Timeout { may_have_run: true }));
        for other in others {
            assert!(matches!(other.await.unwrap(), Err(Failed::Timeout { .. })));
        }
        site.end(&pool).await;
    });
}

#[test]
fn a_connection_that_breaks_fails_all_that_are_under_way_on_it() {
    run(|any| async move {
        let site = Site::start(any, |mut peer, _| async move {
            let first = peer.request().await.expect("a request");
            for _ in 0..3 {
                peer.request().await.expect("a request");
            }
            peer.answer(&first);
        });
        let pool = pool_of(1, 4);
        let calls = [(); 4].map(|()| start(&pool, &site, "x", true, LONG));
        let mut outcomes = Vec::new();
        for call in calls {
            outcomes.push(call.await.unwrap());
        }
        assert_eq!(outcomes[0], Ok("x".into()));
        assert!(
            outcomes[1..].iter().all(|outcome| *outcome == Err(Failed::Closed)),
            "{outcomes:?}"
        );
        site.end(&pool).await;
    });
}
