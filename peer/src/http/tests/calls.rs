//! What goes well.

use std::time::Duration;

use grenache_engine::{JoinHandle, now, sleep, spawn_local};

use super::*;

#[test]
fn one_connection_serves_calls_after_one_another() {
    run(|any| async move {
        let (pool, site) = (pool(), Site::echo(any));
        for round in 0..100 {
            let body = format!("call {round}");
            assert_eq!(call_well(&pool, &site, body.as_bytes()).await, body);
        }
        assert_eq!((site.accepted.get(), site.open.get()), (1, 1));
        site.end(&pool).await;
    });
}

#[test]
fn calls_at_once_have_connections_of_their_own_and_the_last_used_is_used_next() {
    run(|any| async move {
        let (pool, site) = (pool(), Site::echo(any));
        let calls: Vec<JoinHandle<_>> = (0..8)
            .map(|_| {
                let (pool, to) = (pool.clone(), site.target.clone());
                spawn_local(async move { pool.exchange(&to, &post(b"x"), now() + LONG).await })
            })
            .collect();
        grenache_engine::yield_now().await;
        assert_eq!(pool.in_flight(site.target.addr), 8);
        for call in calls {
            assert_eq!(call.await.unwrap().unwrap().body, "x");
        }
        assert_eq!(site.accepted.get(), 8);
        for _ in 0..20 {
            call_well(&pool, &site, b"y").await;
        }
        assert_eq!((site.accepted.get(), site.open.get()), (8, 8));
        site.end(&pool).await;
    });
}

#[test]
fn large_bodies_come_through_whole_both_ways() {
    run(|any| async move {
        let (pool, site) = (pool(), Site::echo(any));
        let large: Vec<u8> = (0..5_000_000u32).map(|n| (n ^ (n >> 7) ^ (n >> 15)) as u8).collect();
        for size in [0, 1, 8191, 8192, 8193, 100_000, 5_000_000] {
            let body = call_well(&pool, &site, &large[..size]).await;
            assert!(body == large[..size], "{size} bytes");
        }
        assert_eq!(site.accepted.get(), 1, "large bodies spoil no connection");
        site.end(&pool).await;
    });
}

#[test]
fn chunked_answers_come_through_wherever_they_are_cut() {
    const CHUNKED: &str = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\ngrc-compress: gzip\r\n\r\n\
        5;x=y\r\nhello\r\n7\r\n, world\r\n0\r\nt: u\r\n\r\n";
    run(|any| async move {
        let site = Site::start(any, |mut peer, _| async move {
            let mut cut = 0;
            while peer.request().await.is_some() {
                let (front, back) = CHUNKED.split_at(cut);
                peer.write(front);
                sleep(Duration::from_micros(200)).await;
                peer.write(back);
                cut += 1;
            }
        });
        let pool = pool();
        for cut in 0..=CHUNKED.len() {
            let answer = call(&pool, &site, b"x").await.expect("an answer");
            assert_eq!((answer.body, answer.gzip), ("hello, world".into(), true), "cut at {cut}");
        }
        assert_eq!(site.accepted.get(), 1);
        site.end(&pool).await;
    });
}

#[test]
fn a_server_that_says_close_is_believed() {
    run(|any| async move {
        let site = Site::start(any, |mut peer, number| async move {
            peer.request().await.expect("a request");
            peer.write(match number % 3 {
                0 => "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 2\r\n\r\nok",
                1 => "HTTP/1.0 200 OK\r\ncontent-length: 2\r\n\r\nok",
                _ => "HTTP/1.1 200 OK\r\n\r\nok",
            });
            if number % 3 == 2 {
                peer.stream.shutdown();
            }
            peer.hear_out().await;
        });
        let pool = pool();
        for round in 1..=9 {
            assert_eq!(call_well(&pool, &site, b"x").await, "ok");
            assert_eq!(site.accepted.get(), round);
        }
        site.end(&pool).await;
    });
}

#[test]
fn an_error_status_is_an_answer() {
    run(|any| async move {
        let site = Site::start(any, |mut peer, _| async move {
            while peer.request().await.is_some() {
                peer.write("HTTP/1.1 503 Busy\r\ncontent-length: 4\r\n\r\nlate");
            }
        });
        let pool = pool();
        for _ in 0..3 {
            let answer = call(&pool, &site, b"x").await.expect("an answer");
            assert_eq!((answer.status, &answer.body[..], answer.gzip), (503, &b"late"[..], false));
        }
        assert_eq!(site.accepted.get(), 1);
        site.end(&pool).await;
    });
}

#[test]
fn a_pool_that_is_dropped_closes_its_connections() {
    run(|any| async move {
        let (pool, site) = (pool(), Site::echo(any));
        call_well(&pool, &site, b"x").await;
        drop(pool);
        site.end(&super::pool()).await;
    });
}

#[test]
fn a_closed_pool_finishes_what_runs_and_takes_no_more() {
    run(|any| async move {
        let site = Site::start(any, |mut peer, _| async move {
            while let Some(body) = peer.request().await {
                sleep(Duration::from_millis(100)).await;
                peer.answer(&body);
            }
        });
        let pool = Pool::new(Config { max_connections: 1, ..Config::default() }, None);
        let start = |pool: &Pool| {
            let (pool, to) = (pool.clone(), site.target.clone());
            spawn_local(async move { pool.exchange(&to, &post(b"x"), now() + LONG).await })
        };
        let (running, waiting) = (start(&pool), start(&pool));
        sleep(Duration::from_millis(50)).await;
        let began = now();
        pool.close().await;
        assert!(now() - began >= Duration::from_millis(30), "it waits for what runs");
        assert_eq!(running.await.unwrap().expect("an answer").body, "x");
        assert_eq!(waiting.await.unwrap().expect_err("it had not begun"), Failed::Stopped);
        assert_eq!(call(&pool, &site, b"x").await.expect_err("closed"), Failed::Stopped);
        site.end(&pool).await;
    });
}
