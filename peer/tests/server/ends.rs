//! How requests and connections end: clients that hang up, and a worker that stops.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use grenache_engine::DriverChoice;
use grenache_peer::server;

use crate::client::post;
use crate::{Rig, on_both, until};

fn each(test: impl Fn(Rig)) {
    for driver in [DriverChoice::Auto, DriverChoice::Epoll] {
        test(Rig::start(driver, server::Config::default()));
    }
}

#[test]
fn who_hangs_up_cancels_the_handler() {
    on_both(|rig| {
        let mut client = rig.client();
        client.send(post(r#"[1,"slow",60000]"#)).send(post(r#"[2,"slow",60000]"#));
        until("both run", || rig.begun() == 2);
        drop(client);
        until("both are dropped", || rig.dropped() == 2);
        until("nothing is left", || rig.worker.stats().connections == 0);
        let stats = rig.worker.stats();
        assert_eq!((stats.cancelled, stats.in_flight), (2, 0));
    });
}

#[test]
fn answers_that_are_known_reach_who_has_only_ended_its_side() {
    on_both(|rig| {
        let mut client = rig.client();
        client.send(post(r#"["r","many",3000000]"#)).finish();
        assert_eq!(client.answer().body.len(), 3_000_000 + 13);
        assert!(client.ends());
    });
}

#[test]
fn a_worker_that_stops_finishes_what_runs() {
    each(|rig| {
        let mut busy = rig.client();
        busy.send(post(r#"[1,"slow",300]"#)).send(post(r#"[2,"echo",2]"#));
        until("it runs", || rig.begun() == 1);
        let mut idle = rig.client();
        idle.ask(r#"["r","echo",1]"#);
        rig.worker.stop();
        // Who has no request is told to go soon; who has one gets its answer.
        assert!(idle.ends());
        let first = busy.answer();
        assert_eq!((first.text(), first.closes()), ("[1,null,300]", false));
        let second = busy.answer();
        assert_eq!((second.text(), second.closes()), ("[2,null,2]", true));
        assert!(busy.ends());
        let addr = rig.worker.addr();
        rig.worker.join().expect("no panic");
        assert!(TcpStream::connect(addr).is_err(), "nobody listens");
    });
}

#[test]
fn a_worker_that_stops_does_not_wait_for_ever() {
    for driver in [DriverChoice::Auto, DriverChoice::Epoll] {
        let config = grenache_peer::worker::Config {
            listen: "127.0.0.1:0".parse().unwrap(),
            driver,
            drain: Duration::from_millis(200),
            ..Default::default()
        };
        let dropped = Arc::<AtomicUsize>::default();
        let drops = dropped.clone();
        let worker = grenache_peer::Worker::start(config, move |_, services| {
            crate::add_services(services, Arc::default(), drops.clone());
        })
        .expect("it starts");
        let mut client = crate::Client::connect(worker.addr());
        client.send(post(r#"["r","slow",60000]"#));
        until("it runs", || worker.stats().in_flight == 1);
        let start = Instant::now();
        worker.stop();
        assert!(client.breaks());
        worker.join().expect("no panic");
        assert!(start.elapsed() < Duration::from_secs(5));
        assert_eq!(dropped.load(Ordering::SeqCst), 1);
    }
}

/// Clients that send one request after the other, until they are told to close or cannot connect, lose none of them.
#[test]
fn stopping_under_load_loses_nothing() {
    each(|rig| {
        let addr = rig.worker.addr();
        let answered = Arc::<AtomicUsize>::default();
        let stopped = Arc::new(AtomicBool::new(false));
        let clients: Vec<_> = (0..16)
            .map(|number| {
                let (answered, stopped) = (answered.clone(), stopped.clone());
                std::thread::spawn(move || {
                    let service = if number % 2 == 0 { "echo" } else { "slow" };
                    let request = post(&format!(r#"["r","{service}",1]"#));
                    while let Ok(mut stream) = TcpStream::connect(addr) {
                        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
                        loop {
                            let sent = stream.write_all(request.as_bytes());
                            let mut answer = [0; 1024];
                            let read = sent.and_then(|()| stream.read(&mut answer)).unwrap_or(0);
                            if read == 0 {
                                // A connection that came too late was never taken.
                                assert!(stopped.load(Ordering::SeqCst), "lost before the stop");
                                return;
                            }
                            let text = String::from_utf8_lossy(&answer[..read]);
                            assert!(text.ends_with(r#"["r",null,1]"#), "{text}");
                            answered.fetch_add(1, Ordering::SeqCst);
                            if text.contains("connection: close") {
                                break;
                            }
                        }
                    }
                })
            })
            .collect();
        until("all are at work", || answered.load(Ordering::SeqCst) > 500);
        stopped.store(true, Ordering::SeqCst);
        let Rig { worker, dropped, .. } = rig;
        worker.stop();
        let stats = || worker.stats();
        until("all are served", || stats().connections == 0);
        clients.into_iter().for_each(|client| client.join().expect("no loss"));
        // What was begun was answered.
        assert_eq!(stats().requests, answered.load(Ordering::SeqCst) as u64);
        assert_eq!((stats().cancelled, dropped.load(Ordering::SeqCst)), (0, 0));
        worker.join().expect("no panic");
    });
}
