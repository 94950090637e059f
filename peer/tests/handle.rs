//! The handle as programs use it that are not built on the engine: from threads, from tokio, from cores.

use std::future::pending;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use grenache_engine::{live_tasks, shutdown, sleep, spawn_local, timeout, yield_now};
use grenache_peer::handle::Config;
use grenache_peer::{Asked, Call, Error, Handle, Json};

fn start(config: Config) -> Handle {
    Handle::start(config).expect("a handle")
}

/// Waits for something that other threads bring about.
fn eventually(what: &str, condition: impl Fn() -> bool) {
    let start = Instant::now();
    while !condition() {
        assert!(start.elapsed() < Duration::from_secs(20), "{what}");
        thread::sleep(Duration::from_millis(1));
    }
}

/// Tasks on the core that the next job goes to; of a handle of one core.
fn tasks(handle: &Handle) -> usize {
    handle.run(async |_| Ok(live_tasks())).wait().unwrap()
}

/// Work that tells when it has begun and when it was dropped.
fn held(handle: &Handle) -> (Asked<()>, mpsc::Receiver<()>, Arc<()>) {
    let (begun, has_begun) = mpsc::channel();
    let (held, kept) = (Arc::new(()), Arc::new(()));
    let kept_there = kept.clone();
    drop(held);
    let asked = handle.run(async move |_| {
        let _kept = kept_there;
        begun.send(()).unwrap();
        pending().await
    });
    (asked, has_begun, kept)
}

#[test]
fn threads_call_at_once() {
    let handle = start(Config { cores: 3, ..Config::default() });
    let threads: Vec<_> = (0..8_u64)
        .map(|thread| {
            let handle = handle.clone();
            thread::spawn(move || {
                let asked: Vec<_> = (0..500_u64)
                    .map(|call| {
                        handle.run(async move |_| {
                            if call % 7 == 0 {
                                sleep(Duration::from_micros(call)).await;
                            }
                            Ok(thread * 1000 + call)
                        })
                    })
                    .collect();
                let sum: u64 = asked.into_iter().map(|asked| asked.wait().unwrap()).sum();
                assert_eq!(sum, thread * 1000 * 500 + 499 * 500 / 2);
            })
        })
        .collect();
    threads.into_iter().for_each(|thread| thread.join().unwrap());
    assert_eq!(handle.in_flight(), 0);
    handle.stop().unwrap();
}

#[test]
fn cores_take_turns() {
    let handle = start(Config { cores: 2, ..Config::default() });
    let used: Vec<usize> =
        (0..6).map(|_| handle.run(async |context| Ok(context.core)).wait().unwrap()).collect();
    assert_eq!(used.iter().filter(|core| **core == 0).count(), 3, "{used:?}");
}

#[test]
fn futures_run_on_tokio() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).build().unwrap();
    let handle = start(Config::default());
    runtime.block_on(async {
        let tasks: Vec<_> = (0..2000_usize)
            .map(|call| {
                let handle = handle.clone();
                tokio::spawn(async move {
                    handle
                        .run(async move |_| {
                            yield_now().await;
                            Ok(call)
                        })
                        .await
                })
            })
            .collect();
        for (call, task) in tasks.into_iter().enumerate() {
            assert_eq!(task.await.unwrap(), Ok(call));
        }
    });
    // A task of tokio that is dropped takes its call with it.
    let (asked, has_begun, kept) = held(&handle);
    let task = runtime.spawn(asked);
    has_begun.recv().unwrap();
    task.abort();
    eventually("the work is dropped", || Arc::strong_count(&kept) == 1);
    drop(runtime);
}

#[test]
fn cores_may_ask_but_not_wait() {
    let handle = start(Config::default());
    let own = handle.clone();
    let result = handle.run(async move |_| {
        let refused = own.run(async |_| Ok(())).wait().unwrap_err();
        assert_eq!(refused.code(), "ERR_CONFIG");
        own.run(async |_| Ok("from a core")).await
    });
    assert_eq!(result.wait().unwrap(), "from a core");
    // From the cores of another engine.
    let other = start(Config::default());
    let asked = other.run(async move |_| handle.run(async |_| Ok(7)).await);
    assert_eq!(asked.wait().unwrap(), 7);
}

#[test]
fn what_nobody_waits_for_is_dropped() {
    let handle = start(Config::default());
    let before = tasks(&handle);
    let calls: Vec<_> = (0..3000).map(|_| held(&handle)).collect();
    for (_, has_begun, _) in &calls {
        has_begun.recv().unwrap();
    }
    assert_eq!(handle.in_flight(), 3000);
    assert_eq!(tasks(&handle), before + 3000);
    let kept: Vec<_> = calls.into_iter().map(|(_, _, kept)| kept).collect();
    eventually("all are dropped", || kept.iter().all(|kept| Arc::strong_count(kept) == 1));
    eventually("their places are free", || handle.in_flight() == 0);
    assert_eq!(tasks(&handle), before);
    // Nothing of those dropped before they began.
    for _ in 0..3000 {
        drop(held(&handle));
    }
    eventually("their places are free", || handle.in_flight() == 0);
    assert_eq!(tasks(&handle), before);
}

#[test]
fn too_many_are_refused() {
    let handle = start(Config { max_calls: 3, ..Config::default() });
    let calls: Vec<_> = (0..3).map(|_| held(&handle)).collect();
    let refused = handle.run(async |_| Ok(())).wait().unwrap_err();
    assert_eq!(refused.code(), "ERR_BUSY");
    assert!(!refused.may_have_run());
    drop(calls);
    eventually("their places are free", || handle.in_flight() == 0);
    handle.run(async |_| Ok(())).wait().unwrap();
}

#[test]
fn a_panic_ends_its_work_only() {
    let handle = start(Config::default());
    let panicked = handle.run(async |_| -> Result<(), Error> { panic!("as the test wants") });
    assert_eq!(panicked.wait(), Err(Error::Stopped));
    // Also one before there is a future.
    let panicked =
        handle.run(|_| -> std::future::Ready<Result<(), Error>> { panic!("as the test wants") });
    assert_eq!(panicked.wait(), Err(Error::Stopped));
    assert_eq!(handle.run(async |_| Ok(1)).wait(), Ok(1));
    handle.stop().unwrap();
}

#[test]
fn a_stop_lets_work_finish() {
    let handle = start(Config::default());
    let (go, gone) = oneshot::async_channel();
    let asked = handle.run(async move |_| {
        shutdown().await;
        gone.await.map_err(|_| Error::Stopped)
    });
    let stopping = {
        let handle = handle.clone();
        thread::spawn(move || handle.stop())
    };
    eventually("the handle is closed", || {
        handle.run(async |_| Ok(())).wait() == Err(Error::Stopped)
    });
    go.send("finished").unwrap();
    assert_eq!(asked.wait(), Ok("finished"));
    stopping.join().unwrap().unwrap();
    assert_eq!(handle.run(async |_| Ok(())).wait(), Err(Error::Stopped));
    assert_eq!(handle.stop(), Ok(()));
    assert_eq!(handle.in_flight(), 0);
}

#[test]
fn a_stop_waits_no_longer_than_it_may() {
    let handle = start(Config { drain: Duration::from_millis(50), ..Config::default() });
    let (asked, has_begun, kept) = held(&handle);
    has_begun.recv().unwrap();
    let start = Instant::now();
    handle.stop().unwrap();
    assert!(start.elapsed() >= Duration::from_millis(50));
    assert_eq!(asked.wait(), Err(Error::Stopped));
    assert_eq!(Arc::strong_count(&kept), 1);
}

#[test]
fn a_call_that_gets_no_reply_does_not_hold_up_a_stop() {
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let handle = start(Config { drain: Duration::from_millis(50), ..Config::default() });
    let call = Call::new("a", Json::null()).timeout(Duration::from_secs(30));
    let asked = handle.request_at(silent.local_addr().unwrap(), call);
    let (_connection, _) = silent.accept().unwrap();
    let start = Instant::now();
    handle.stop().unwrap();
    assert!(start.elapsed() < Duration::from_secs(10), "{:?}", start.elapsed());
    assert_eq!(asked.wait(), Err(Error::Stopped));
}

#[test]
fn every_call_ends_when_it_stops_under_load() {
    for round in 0..20 {
        let handle = start(Config { cores: 2, max_calls: 500, ..Config::default() });
        let answered = Arc::new(AtomicUsize::new(0));
        let threads: Vec<_> = (0..4)
            .map(|_| {
                let (handle, answered) = (handle.clone(), answered.clone());
                thread::spawn(move || {
                    let mut waiting = Vec::new();
                    loop {
                        let asked = handle.run(async |_| {
                            let _ = timeout(Duration::from_micros(300), pending::<()>()).await;
                            Ok(())
                        });
                        waiting.push(asked);
                        if waiting.len() < 100 {
                            continue;
                        }
                        let results: Vec<_> = waiting.drain(..).map(Asked::wait).collect();
                        let fine = results.iter().filter(|result| result.is_ok()).count();
                        answered.fetch_add(fine, Ordering::Relaxed);
                        if results.contains(&Err(Error::Stopped)) {
                            return;
                        }
                        assert!(
                            results
                                .iter()
                                .flat_map(|result| result.as_ref().err())
                                .all(|error| error.code() == "ERR_BUSY")
                        );
                    }
                })
            })
            .collect();
        eventually("some are answered", || answered.load(Ordering::Relaxed) > round * 50);
        handle.stop().unwrap();
        threads.into_iter().for_each(|thread| thread.join().unwrap());
        assert_eq!(handle.in_flight(), 0);
    }
}

#[test]
fn the_last_clone_stops_the_engine() {
    let handle = start(Config::default());
    let (ended, has_ended) = mpsc::channel();
    let asked = handle.run(async move |_| {
        spawn_local(async move {
            shutdown().await;
            ended.send(()).unwrap();
        });
        Ok(())
    });
    asked.wait().unwrap();
    let clone = handle.clone();
    drop(handle);
    clone.run(async |_| Ok(())).wait().unwrap();
    assert!(has_ended.try_recv().is_err());
    drop(clone);
    has_ended.recv_timeout(Duration::from_secs(20)).expect("the engine has ended");
}

#[test]
fn the_last_clone_may_end_on_the_engines_own_core() {
    let handle = start(Config::default());
    let clone = handle.clone();
    let (go, gone) = oneshot::async_channel::<()>();
    let asked = handle.run(async move |_| {
        let _ = gone.await;
        clone.stop()?;
        drop(clone);
        Ok("finished")
    });
    drop(handle);
    go.send(()).unwrap();
    assert_eq!(asked.wait(), Ok("finished"));
}

#[test]
fn settings_that_cannot_be() {
    for config in
        [Config { cores: 0, ..Config::default() }, Config { max_calls: 0, ..Config::default() }]
    {
        assert_eq!(Handle::start(config).err().unwrap().code(), "ERR_CONFIG");
    }
}
