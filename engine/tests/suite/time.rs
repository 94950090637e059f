use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Duration;

use grenache_engine::{
    Elapsed, next_turn, now, sleep, sleep_until, spawn_local, timeout, yield_now,
};

use super::tcp::pair;
use super::{Numbers, On, run_alone};

pub(crate) fn timers_fire_in_order_and_never_early(on: On) {
    run_alone(on, || async {
        let fired = Rc::new(RefCell::new(Vec::new()));
        let mut numbers = Numbers(2);
        let begin = now() + Duration::from_millis(5);
        let tasks: Vec<_> = (0..300)
            .map(|_| {
                let deadline = begin + Duration::from_micros(numbers.below(200_000));
                let fired = fired.clone();
                spawn_local(async move {
                    sleep_until(deadline).await;
                    assert!(now() >= deadline, "early");
                    fired.borrow_mut().push(deadline);
                })
            })
            .collect();
        for task in tasks {
            task.await.expect("no panic");
        }
        assert!(fired.borrow().is_sorted());
        assert_eq!(fired.borrow().len(), 300);
    });
}

pub(crate) fn a_dropped_timer_does_not_fire(on: On) {
    run_alone(on, || async {
        let fired = Rc::new(Cell::new(false));
        let flag = fired.clone();
        let task = spawn_local(async move {
            sleep(Duration::from_millis(10)).await;
            flag.set(true);
        });
        yield_now().await;
        task.abort();
        let begin = now();
        sleep(Duration::from_millis(30)).await;
        assert!(!fired.get());
        assert!(now() - begin >= Duration::from_millis(30));
    });
}

pub(crate) fn a_timeout_ends_a_wait(on: On) {
    run_alone(on, || async {
        let never = std::future::pending::<()>();
        assert_eq!(timeout(Duration::from_millis(5), never).await, Err(Elapsed));
        assert_eq!(timeout(Duration::from_secs(60), async { 7 }).await, Ok(7));
        let late = async {
            sleep(Duration::from_millis(2)).await;
            8
        };
        assert_eq!(timeout(Duration::from_secs(60), late).await, Ok(8));
    });
}

pub(crate) fn long_and_short_timers_coexist(on: On) {
    run_alone(on, || async {
        for days in 1..1000u32 {
            spawn_local(sleep(Duration::from_secs(86_400) * days));
        }
        spawn_local(sleep(Duration::MAX));
        for _ in 0..20 {
            let begin = now();
            sleep(Duration::from_micros(300)).await;
            assert!(now() - begin >= Duration::from_micros(300));
        }
    });
}

pub(crate) fn yielding_lets_others_run(on: On) {
    run_alone(on, || async {
        let count = Rc::new(Cell::new(0));
        for _ in 0..10 {
            let count = count.clone();
            spawn_local(async move {
                for _ in 0..100 {
                    count.set(count.get() + 1);
                    yield_now().await;
                }
            });
        }
        for round in 0..100 {
            assert!(count.get() >= round * 10);
            yield_now().await;
        }
        // A task that never rests starves neither timers nor others.
        let busy = spawn_local(async {
            loop {
                yield_now().await;
            }
        });
        sleep(Duration::from_millis(3)).await;
        busy.abort();
    });
}

pub(crate) fn the_next_turn_comes_after_the_sockets(on: On) {
    run_alone(on, || async {
        let (client, server) = pair().await;
        let came = Rc::new(Cell::new(0));
        let count = came.clone();
        let reading = spawn_local(async move {
            while let Ok(Some(received)) = server.recv().await {
                count.set(count.get() + received.len());
            }
        });
        for round in 1..=50 {
            client.write(b"x");
            let mut turns = 0;
            while came.get() < round {
                next_turn().await;
                turns += 1;
                // A task that only yields is polled 256 times before anything leaves.
                assert!(turns < 200, "{turns} turns");
            }
        }
        // A task that never rests starves no timers.
        let waits = spawn_local(async {
            loop {
                next_turn().await;
            }
        });
        sleep(Duration::from_millis(3)).await;
        waits.abort();
        drop(client);
        reading.await.expect("no panic");
    });
}
