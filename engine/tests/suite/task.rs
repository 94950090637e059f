use std::cell::Cell;
use std::rc::Rc;

use grenache_engine::{
    Config, Core, JoinError, JoinHandle, fill_random, live_tasks, spawn_local, stats, yield_now,
};

use super::{On, run, run_alone};

/// Counts its drop.
struct Guard(Rc<Cell<u32>>);

impl Drop for Guard {
    fn drop(&mut self) {
        self.0.set(self.0.get() + 1);
    }
}

pub(crate) fn results_come_through_handles(on: On) {
    run_alone(on, || async {
        let handles: Vec<_> = (0..100u32).map(|n| spawn_local(async move { n * n })).collect();
        for (n, handle) in handles.into_iter().enumerate() {
            assert_eq!(handle.await, Ok((n * n) as u32));
        }
        let outer = spawn_local(async { spawn_local(async { "inner" }).await });
        assert_eq!(outer.await, Ok(Ok("inner")));
        assert_eq!(live_tasks(), 1, "only main is left");
    });
}

pub(crate) fn an_aborted_task_is_dropped(on: On) {
    run_alone(on, || async {
        let drops = Rc::new(Cell::new(0));
        let guard = Guard(drops.clone());
        let task = spawn_local(async move {
            let _guard = guard;
            std::future::pending::<()>().await;
        });
        yield_now().await;
        assert!(!task.is_finished());
        task.abort();
        assert_eq!(drops.get(), 1);
        assert!(task.is_finished());
        task.abort();
        assert_eq!(task.await, Err(JoinError::Aborted));
    });
}

pub(crate) fn a_panic_stays_in_its_task(on: On) {
    run_alone(on, || async {
        let drops = Rc::new(Cell::new(0));
        let guard = Guard(drops.clone());
        let bad: JoinHandle<()> = spawn_local(async move {
            let _guard = guard;
            yield_now().await;
            panic!("meant to happen");
        });
        assert_eq!(bad.await, Err(JoinError::Panicked));
        assert_eq!(drops.get(), 1);
        assert_eq!(stats().tasks_panicked, 1);
        assert_eq!(spawn_local(async { 1 }).await, Ok(1));
    });
}

pub(crate) fn tasks_end_with_main(on: On) {
    let drops = std::sync::Arc::new(std::sync::atomic::AtomicU32::new(0));
    struct Shared(std::sync::Arc<std::sync::atomic::AtomicU32>);
    impl Drop for Shared {
        fn drop(&mut self) {
            self.0.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        }
    }
    let counter = drops.clone();
    run(on, Config::default(), move |_: Core<()>| {
        let counter = counter.clone();
        async move {
            for _ in 0..10 {
                let guard = Shared(counter.clone());
                spawn_local(async move {
                    let _guard = guard;
                    std::future::pending::<()>().await;
                });
            }
        }
    });
    assert_eq!(drops.load(std::sync::atomic::Ordering::Relaxed), 10);
}

pub(crate) fn a_task_may_abort_itself(on: On) {
    run_alone(on, || async {
        let slot: Rc<Cell<Option<JoinHandle<()>>>> = Rc::default();
        let own = slot.clone();
        let drops = Rc::new(Cell::new(0));
        let guard = Guard(drops.clone());
        let handle = spawn_local(async move {
            let _guard = guard;
            own.take().expect("the handle").abort();
            yield_now().await;
            unreachable!("it was aborted");
        });
        slot.set(Some(handle));
        yield_now().await;
        yield_now().await;
        assert_eq!(drops.get(), 1);
        assert_eq!(stats().tasks_panicked, 0);
    });
}

pub(crate) fn random_bytes_differ(on: On) {
    run_alone(on, || async {
        let mut seen = std::collections::HashSet::new();
        for _ in 0..100 {
            let mut bytes = [0; 16];
            fill_random(&mut bytes);
            assert!(seen.insert(bytes));
        }
    });
}
