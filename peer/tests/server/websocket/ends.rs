//! How WebSockets end: clients that close or vanish, and a worker that stops.

use std::io::Write;
use std::time::{Duration, Instant};

use grenache_peer::server::Config;

use crate::client::Client;
use crate::socket::{CLOSE, PING, PONG, Socket, TEXT, frame};
use crate::{on_both, until, with};

const fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

#[test]
fn a_client_that_closes_gets_its_code_back() {
    on_both(|rig| {
        for (payload, answer) in [
            (&b""[..], (1000, "")),
            (b"\x03\xe8", (1000, "")),
            (b"\x03\xe9leaves", (1001, "leaves")),
            (b"\x0b\xb8gr\xc3\xb6\xc3\x9fe", (3000, "größe")),
        ] {
            let mut socket = rig.socket();
            // What was answered before leaves before; what is asked after it is not read.
            let mut all = frame(TEXT, r#"["r","echo",1]"#);
            all.extend(frame(CLOSE, payload));
            all.extend(frame(TEXT, r#"["r","slow",1]"#));
            socket.client.send(all);
            assert_eq!(socket.answer(), r#"["r",null,1]"#);
            assert_eq!(socket.closed(), (answer.0, answer.1.into()));
        }
        until("all are gone", || rig.worker.stats().connections == 0);
        assert_eq!((rig.begun(), rig.worker.stats().malformed), (0, 0));
    });
}

#[test]
fn who_closes_or_hangs_up_cancels_its_handlers() {
    on_both(|rig| {
        let mut closes = rig.socket();
        let mut vanishes = rig.socket();
        for socket in [&mut closes, &mut vanishes] {
            socket.text(r#"[1,"slow",60000]"#).text(r#"[2,"slow",60000]"#);
            socket.text(r#"[3,"never dropped quietly",1]"#);
        }
        until("all run", || rig.worker.stats().in_flight == 6);
        closes.send(CLOSE, b"\x03\xe8");
        assert_eq!(closes.closed().0, 1000);
        until("two are dropped", || rig.dropped() == 2);
        drop(vanishes);
        until("all are dropped", || rig.dropped() == 4);
        until("nothing is left", || rig.worker.stats().connections == 0);
        let stats = rig.worker.stats();
        assert_eq!((stats.cancelled, stats.in_flight, stats.held), (6, 0, 0));
        assert_eq!(rig.socket().ask(r#"["r","echo",1]"#), r#"["r",null,1]"#);
    });
}

#[test]
fn a_large_answer_leaves_before_the_close_frame() {
    on_both(|rig| {
        let mut socket = rig.socket();
        socket.text(r#"["r","many",5000000]"#).send(CLOSE, b"\x03\xe8");
        assert_eq!(socket.answer().len(), 5_000_000 + 13);
        assert_eq!(socket.closed().0, 1000);
    });
}

#[test]
fn a_worker_that_stops_answers_what_runs_and_says_that_it_goes() {
    with(Config { drain_grace: ms(400), ..Config::default() }, |rig| {
        let (mut busy, mut idle) = (rig.socket(), rig.socket());
        busy.text(r#"[1,"slow",1200]"#);
        until("it runs", || rig.begun() == 1);
        idle.ask(r#"["r","echo",1]"#);
        let stopped = Instant::now();
        rig.worker.stop();
        // Who has just asked is answered.
        assert_eq!(busy.ask(r#"["r","echo",1]"#), r#"["r",null,1]"#);
        assert_eq!(idle.ask(r#"["r","echo",1]"#), r#"["r",null,1]"#);
        assert_eq!(idle.closed(), (1001, "the server goes down".into()));
        assert!(stopped.elapsed() >= ms(390), "{:?}", stopped.elapsed());
        // Now it is too late to ask, though another request still runs.
        assert_eq!(rig.worker.stats().in_flight, 1);
        assert_eq!(busy.ask(r#"["r","echo",1]"#), r#"["r","ERR_BUSY",null,503]"#);
        assert_eq!(busy.answer(), "[1,null,1200]");
        assert_eq!(busy.closed().0, 1001);
        // And not because it was broken off.
        assert!(stopped.elapsed() < ms(4500), "{:?}", stopped.elapsed());
        assert_eq!(rig.worker.stats().refused, 1);
    });
}

/// Who goes on asking is not served for ever.
#[test]
fn no_traffic_holds_up_a_worker_that_stops() {
    for first in [TEXT, PING] {
        with(Config { drain_grace: ms(200), ..Config::default() }, |rig| {
            let mut socket = rig.socket();
            socket.ask(r#"["r","echo",1]"#);
            rig.worker.stop();
            let stopped = Instant::now();
            let mut answers = 0;
            loop {
                let _gone = socket.client.stream.write_all(&frame(first, r#"["r","echo",1]"#));
                let frame = socket.next();
                if frame.first == CLOSE {
                    assert_eq!(frame.payload[..2], 1001_u16.to_be_bytes());
                    break;
                }
                answers += 1;
                std::thread::sleep(ms(10));
            }
            assert!((ms(190)..ms(4500)).contains(&stopped.elapsed()), "{:?}", stopped.elapsed());
            assert!(answers > 3, "it was not served in the time of grace");
        });
    }
}

#[test]
fn a_silent_client_is_pinged_and_a_dead_one_noticed() {
    let config = Config { ping_interval: ms(100), ping_timeout: ms(300), ..Config::default() };
    with(config, |rig| {
        let mut alive = rig.socket();
        let start = Instant::now();
        alive.text(r#"["r","slow",60000]"#);
        for _ in 0..4 {
            assert_eq!(alive.next().first, PING);
            alive.send(PONG, "");
        }
        assert!(start.elapsed() >= ms(400));
        // Anything that comes is a sign of life.
        assert_eq!(alive.next().first, PING);
        std::thread::sleep(ms(200));
        alive.text(r#"["r","echo",1]"#);
        assert_eq!(alive.answer(), r#"["r",null,1]"#);
        assert_eq!(alive.next().first, PING);
        let pinged = Instant::now();
        assert!(alive.client.breaks());
        assert!((ms(280)..ms(10_000)).contains(&pinged.elapsed()), "{:?}", pinged.elapsed());
        until("its handler is dropped", || rig.dropped() == 1);
    });
}

/// A client that takes what it is sent is alive, whatever it says.
#[test]
fn a_slow_reader_is_not_taken_for_dead() {
    let config = Config { ping_interval: ms(100), ping_timeout: ms(1000), ..Config::default() };
    with(config, |rig| {
        let mut socket = Socket::over(Client::narrow(rig.worker.addr()), "");
        socket.text(r#"["r","many later",[150,60000000]]"#);
        assert_eq!(socket.next().first, PING);
        socket.client.read_slowly(60_000_000, 40_000);
    });
}
