use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use grenache_engine::{Config, Core, Full, Limits, Sender, sleep, spawn_local, yield_now};

use super::{On, run};

pub(crate) fn messages_between_all_cores_keep_their_order(on: On) {
    const COUNT: u32 = 5000;
    // More cores than this machine has, and a ring that is full most of the time.
    let limits = Limits { mesh_ring: 64, ..Limits::default() };
    let config = Config { cores: 4, limits, ..Config::default() };
    run(on, config, |core: Core<u32>| async move {
        let mesh = core.mesh.clone();
        let sending = spawn_local(async move {
            for number in 0..COUNT {
                for to in 0..4 {
                    let mut message = number;
                    while let Err(Full(back)) = mesh.send(to, message) {
                        message = back;
                        yield_now().await;
                    }
                }
            }
        });
        let mut next = [0; 4];
        while next != [COUNT; 4] {
            let (from, number) = core.mesh.recv().await;
            let Sender::Core(from) = from else { panic!("nobody posts here") };
            assert_eq!(number, next[from], "out of order from {from}");
            next[from] += 1;
        }
        sending.await.expect("no panic");
        assert!(core.mesh.try_recv().is_none());
    });
}

pub(crate) fn a_full_ring_gives_the_message_back(on: On) {
    let limits = Limits { mesh_ring: 8, ..Limits::default() };
    let config = Config { cores: 2, limits, ..Config::default() };
    run(on, config, |core: Core<u32>| async move {
        if core.index == 0 {
            // What is written in one turn stays unseen by the other core till its end.
            for number in 0..8 {
                core.mesh.send(1, number).expect("room");
            }
            assert_eq!(core.mesh.send(1, 8), Err(Full(8)));
            core.mesh.recv().await;
            for number in 0..8 {
                core.mesh.send(1, number).expect("room again");
            }
        } else {
            for round in 0..16 {
                assert_eq!(core.mesh.recv().await, (Sender::Core(0), round % 8));
                if round == 7 {
                    core.mesh.send(0, 0).expect("room");
                }
            }
        }
    });
}

pub(crate) fn a_parked_core_is_woken(on: On) {
    let config = Config { cores: 2, ..Config::default() };
    run(on, config, |core: Core<u32>| async move {
        for round in 0..300 {
            if core.index == 0 {
                if round % 100 == 0 {
                    // Long enough for the other core to be parked.
                    sleep(Duration::from_millis(20)).await;
                }
                core.mesh.send(1, round).expect("room");
                assert_eq!(core.mesh.recv().await, (Sender::Core(1), round));
            } else {
                let (from, number) = core.mesh.recv().await;
                assert_eq!((from, number), (Sender::Core(0), round));
                core.mesh.send(0, number).expect("room");
            }
        }
    });
}

pub(crate) fn a_core_can_send_to_itself(on: On) {
    let limits = Limits { mesh_ring: 2, ..Limits::default() };
    run(on, Config { limits, ..Config::default() }, |core: Core<&'static str>| async move {
        let mesh = core.mesh.clone();
        let receiving = spawn_local(async move { mesh.recv().await });
        yield_now().await;
        core.mesh.send(0, "me").expect("room");
        assert_eq!(receiving.await, Ok((Sender::Core(0), "me")));
        core.mesh.send(0, "1").expect("room");
        core.mesh.send(0, "2").expect("room");
        assert_eq!(core.mesh.send(0, "3"), Err(Full("3")));
    });
}

pub(crate) fn messages_left_over_are_dropped(on: On) {
    struct Counted(Arc<AtomicUsize>);
    impl Drop for Counted {
        fn drop(&mut self) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }
    let drops = Arc::new(AtomicUsize::new(0));
    let counter = drops.clone();
    run(on, Config { cores: 2, ..Config::default() }, move |core: Core<Counted>| {
        let counter = counter.clone();
        async move {
            for _ in 0..30 {
                assert!(core.mesh.send(1 - core.index, Counted(counter.clone())).is_ok());
            }
            assert!(core.mesh.send(core.index, Counted(counter.clone())).is_ok());
        }
    });
    assert_eq!(drops.load(Ordering::Relaxed), 62);
}
