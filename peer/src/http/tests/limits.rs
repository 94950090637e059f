//! Bounds, and the queue behind them.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use grenache_engine::{now, sleep, spawn_local};

use super::*;
use crate::Failure;

/// A server that answers after a rest, with a count of the requests that it has under way.
fn slow(any: SocketAddr, rest: Duration) -> (Site, Rc<Cell<(usize, usize)>>) {
    let busy = Rc::new(Cell::new((0, 0)));
    let counted = busy.clone();
    let site = Site::start(any, move |mut peer, _| {
        let busy = counted.clone();
        async move {
            while let Some(body) = peer.request().await {
                let (now, most) = busy.get();
                busy.set((now + 1, most.max(now + 1)));
                sleep(rest).await;
                busy.set((busy.get().0 - 1, busy.get().1));
                peer.answer(&body);
            }
        }
    });
    (site, busy)
}

#[test]
fn no_more_connections_than_may_be_and_who_came_first_is_served_first() {
    run(|any| async move {
        let (site, busy) = slow(any, Duration::from_millis(5));
        let pool = Pool::new(Config { max_connections: 3, ..Config::default() }, None);
        let served = Rc::new(RefCell::new(Vec::new()));
        let calls: Vec<_> = (0..30)
            .map(|number: usize| {
                let (pool, to, served) = (pool.clone(), site.target.clone(), served.clone());
                spawn_local(async move {
                    let body = number.to_string();
                    let answer = pool.exchange(&to, &post(body.as_bytes()), now() + LONG).await;
                    assert_eq!(answer.expect("an answer").body, body);
                    served.borrow_mut().push(number);
                })
            })
            .collect();
        for call in calls {
            call.await.expect("no panic");
        }
        assert_eq!((site.accepted.get(), busy.get()), (3, (0, 3)));
        // Three at a time are under way, so nobody is served before one who came three places earlier.
        for (at, number) in served.borrow().iter().enumerate() {
            assert!(number.abs_diff(at) <= 3, "{served:?}");
        }
        site.end(&pool).await;
    });
}

#[test]
fn the_queue_has_an_end_and_the_deadline_holds_in_it() {
    run(|any| async move {
        let (site, _) = slow(any, Duration::from_millis(200));
        let config = Config { max_connections: 1, max_waiting: 1, ..Config::default() };
        let pool = Pool::new(config, None);
        let start = |limit: Duration| {
            let (pool, to, until) = (pool.clone(), site.target.clone(), now() + limit);
            spawn_local(async move {
                let answer = pool.exchange(&to, &post(b"x"), until).await;
                (answer.map(|answer| answer.body), now())
            })
        };
        let began = now();
        let first = start(LONG);
        grenache_engine::yield_now().await;
        let second = start(Duration::from_millis(50));
        grenache_engine::yield_now().await;
        let (third, when) = start(LONG).await.unwrap();
        assert_eq!(third, Err(Failed::Full));
        assert!(when - began < Duration::from_millis(50));
        let (second, when) = second.await.unwrap();
        assert_eq!(second, Err(Failed::Timeout { may_have_run: false }));
        let waited = when - began;
        assert!(waited >= Duration::from_millis(50) && waited < Duration::from_millis(150));
        assert_eq!(first.await.unwrap().0, Ok("x".into()));
        site.end(&pool).await;
    });
}

#[test]
fn a_place_that_comes_to_nothing_goes_to_the_next() {
    run(|any| async move {
        // The first connection is never answered on, the others are.
        let site = Site::start(any, |mut peer, number| async move {
            while let Some(body) = peer.request().await {
                if number > 0 {
                    peer.answer(&body);
                }
            }
        });
        let pool = Pool::new(Config { max_connections: 1, ..Config::default() }, None);
        let start = |limit: Duration| {
            let (pool, to, until) = (pool.clone(), site.target.clone(), now() + limit);
            spawn_local(async move { pool.exchange(&to, &post(b"x"), until).await })
        };
        let first = start(Duration::from_millis(50));
        grenache_engine::yield_now().await;
        let others = [start(LONG), start(LONG), start(LONG)];
        assert!(matches!(first.await.unwrap(), Err(Failed::Timeout { may_have_run: true })));
        for other in others {
            assert_eq!(other.await.unwrap().expect("an answer").body, "x");
        }
        assert_eq!(site.accepted.get(), 2);
        site.end(&pool).await;
    });
}

#[test]
fn an_answer_over_the_limit_is_told() {
    run(|any| async move {
        let site = Site::echo(any);
        let pool = Pool::new(Config { max_reply: 10_000, ..Config::default() }, None);
        assert_eq!(call_well(&pool, &site, &[1; 10_000]).await.len(), 10_000);
        let failed = call(&pool, &site, &[1; 10_001]).await.expect_err("too large");
        assert_eq!(failed, Failed::TooLarge { limit: 10_000 });
        assert_eq!(call_well(&pool, &site, b"x").await, "x");
        site.end(&pool).await;
    });
}

#[test]
fn nobody_queues_for_a_host_that_is_gone() {
    let mut world = sim::World::new(4, sim::Network::default());
    let host = sim::Host::new([10, 0, 0, 1]);
    let main = |_: Core<()>| async {
        let limit = Duration::from_millis(700);
        let config = Config { connect_timeout: limit, max_connections: 2, ..Config::default() };
        let pool = Pool::new(config, None);
        let nobody = Target::peer("10.0.0.2:7".parse().unwrap(), false);
        let began = now();
        let calls: Vec<_> = (0..20)
            .map(|_| {
                let (pool, to) = (pool.clone(), nobody.clone());
                spawn_local(async move { pool.exchange(&to, &post(b"x"), now() + LONG).await })
            })
            .collect();
        for call in calls {
            let failed = call.await.unwrap().expect_err("nobody");
            assert!(matches!(failed, Failed::Failure(Failure::Connect(_))), "{failed:?}");
        }
        assert_eq!((now() - began).as_millis(), 700);
        pool.close().await;
    };
    let node = world.start(host, Engine::default(), main).expect("the node starts");
    world.run_for(Duration::from_secs(30));
    assert!(!world.is_running(node) && world.tasks_panicked() == 0);
}

#[test]
fn a_connection_whose_time_is_up_is_not_used_again() {
    run(|any| async move {
        let site = Site::start(any, |mut peer, _| async move {
            while peer.request().await.is_some() {
                let answer =
                    "HTTP/1.1 200 OK\r\nKeep-Alive: timeout=1\r\ncontent-length: 1\r\n\r\nx";
                peer.write(answer);
            }
        });
        let pool = pool();
        call_well(&pool, &site, b"x").await;
        // Half of the time that the server gives it is over; nobody has swept yet.
        sleep(Duration::from_millis(600)).await;
        call_well(&pool, &site, b"x").await;
        assert_eq!(site.accepted.get(), 2);
        site.end(&pool).await;
    });
}
