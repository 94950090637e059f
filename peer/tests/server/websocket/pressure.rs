//! Clients that do harm by how much they send, or how little they read: others of the same core notice nothing.

use std::io::Write;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::socket::{PING, Socket, TEXT, frame};
use crate::{Rig, on_both, until};

/// More than this on one core, and the others do notice. It leaves room for a machine that is busy with other tests.
const SOON: Duration = Duration::from_secs(1);

/// Asks again and again while `harm` is done, for some time, and gives the slowest answer.
fn asked_meanwhile(rig: &Rig, harm: impl Fn(&mut Socket, &AtomicBool) + Sync) -> Duration {
    let stopped = AtomicBool::new(false);
    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| harm(&mut rig.socket(), &stopped));
        }
        let (mut http, mut socket) = (rig.client(), rig.socket());
        let mut slowest = Duration::ZERO;
        let begun = Instant::now();
        while begun.elapsed() < Duration::from_millis(400) {
            for ask in 0..2 {
                let start = Instant::now();
                let answer = match ask {
                    0 => http.ask(r#"["r","echo",1]"#),
                    _ => socket.ask(r#"["r","echo",1]"#),
                };
                assert_eq!(answer, r#"["r",null,1]"#);
                slowest = slowest.max(start.elapsed());
            }
        }
        stopped.store(true, Ordering::SeqCst);
        slowest
    })
}

/// Sends the same on and on, for as long as it is taken.
fn pour(socket: &mut Socket, bytes: &[u8], stopped: &AtomicBool) {
    let timeout = Some(Duration::from_millis(50));
    socket.client.stream.set_write_timeout(timeout).expect("a timeout");
    while !stopped.load(Ordering::SeqCst) {
        // Cut wherever it does not fit any more: it is not read further then.
        let _full = socket.client.stream.write(bytes);
    }
}

#[test]
fn a_flood_of_pings() {
    on_both(|rig| {
        let pings = frame(PING, [b'x'; 125]).repeat(500);
        let slowest = asked_meanwhile(rig, |socket, stopped| pour(socket, &pings, stopped));
        assert!(slowest < SOON, "{slowest:?}");
    });
}

#[test]
fn requests_without_end_whose_answers_are_not_read() {
    on_both(|rig| {
        let requests = frame(TEXT, format!(r#"["r","echo","{}"]"#, "x".repeat(1000))).repeat(50);
        let slowest = asked_meanwhile(rig, |socket, stopped| pour(socket, &requests, stopped));
        assert!(slowest < SOON, "{slowest:?}");
        until("they are gone", || rig.worker.stats().connections == 0);
        assert_eq!(rig.worker.stats().held, 0);
    });
}

#[test]
fn small_requests_without_end() {
    on_both(|rig| {
        let requests = frame(TEXT, r#"["r","echo",1]"#).repeat(2000);
        let slowest = asked_meanwhile(rig, |socket, stopped| {
            let mut reader = socket.client.stream.try_clone().expect("a clone");
            thread::scope(|scope| {
                scope.spawn(move || std::io::copy(&mut reader, &mut std::io::sink()));
                pour(socket, &requests, stopped);
                let _ended = socket.client.stream.shutdown(std::net::Shutdown::Both);
            });
        });
        assert!(slowest < SOON, "{slowest:?}");
    });
}
