//! Signs of life, and what comes of their absence.

use std::time::{Duration, Instant};

use grenache_transports::zmtp::{Side, SocketType};
use grenache_transports::{Due, Heartbeat};

use crate::ours::{Came, End, Wire};
use crate::peer::{DEADLINE, Language, Peer};
use crate::security::Security;
use crate::socket::{Builder, Socket};

/// In clear, and encrypted.
const SECURITIES: [Security; 2] = [Security::Null, Security::CurveClient];

const fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

fn each(theirs: impl Fn(Builder) -> Builder, check: impl Fn(Wire, Socket)) {
    for language in Language::BOTH {
        let peer = Peer::start(language);
        for security in SECURITIES {
            println!("{language:?}, {security:?}");
            let dealer = security.theirs(theirs(peer.socket("DEALER")));
            let side = Side::Connect;
            let (wire, socket) = Wire::open(side, SocketType::Router, security.ours(side), dealer);
            check(wire, socket);
        }
    }
}

#[test]
fn their_pings_are_answered() {
    // For longer than they would wait if nothing were answered.
    let theirs = |dealer: Builder| dealer.heartbeat(ms(50), ms(1000), ms(5000));
    each(theirs, |mut wire, socket| {
        let until = Instant::now() + ms(1200);
        let mut pings = 0;
        while pings < 3 || Instant::now() < until {
            assert_eq!(wire.next(), Ok(Came::Ping(ms(5000))));
            pings += 1;
        }
        socket.send(&["still there"]);
        assert_eq!(wire.receive(), [b"still there"]);
    });
}

#[test]
fn they_give_us_up_if_we_do_not_answer() {
    each(
        |dealer| dealer.heartbeat(ms(50), ms(100), ms(0)),
        |_wire, socket| {
            socket.event("disconnected");
        },
    );
}

#[test]
fn our_pings_are_answered() {
    each(
        |dealer| dealer,
        |mut wire, socket| {
            for _ in 0..3 {
                wire.ping(ms(0));
                assert!(wire.read(DEADLINE).is_some_and(|bytes| bytes > 0), "a PONG comes");
                assert_eq!(wire.take(), None);
            }
            socket.send(&["still there"]);
            assert_eq!(wire.receive(), [b"still there"]);
        },
    );
}

#[test]
fn they_give_us_up_after_our_time_to_live() {
    each(
        |dealer| dealer,
        |mut wire, socket| {
            wire.ping(ms(200));
            assert_eq!(wire.next(), Err(End::Closed));
            socket.event("disconnected");
        },
    );
}

#[test]
fn a_stopped_peer_is_noticed() {
    each(
        |dealer| dealer,
        |mut wire, socket| {
            let began = Instant::now();
            let mut heartbeat = Heartbeat::new(ms(20), ms(1000), began.elapsed());
            let mut answered = 0;
            loop {
                let now = began.elapsed();
                match heartbeat.due(now) {
                    Due::Ping => wire.ping(ms(5000)),
                    Due::Dead => break,
                    Due::Nothing => {
                        if wire.read(heartbeat.next() - now).is_some() {
                            assert_eq!(wire.take(), None);
                            heartbeat.heard(began.elapsed());
                            answered += 1;
                            if answered == 3 {
                                socket.peer.stop();
                            }
                        }
                    }
                }
            }
            socket.peer.resume();
            socket.peer.resume();
            assert!(answered >= 3, "{answered} PINGs were answered before it was stopped");
        },
    );
}
