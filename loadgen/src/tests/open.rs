//! Open loops: requests on a schedule, whether answers come or not.

use super::*;
use crate::outcome::Arrivals;

fn open(rate: f64, connections: usize) -> Plan {
    Plan { pace: Pace::Open { rate, arrivals: Arrivals::Fixed }, connections, ..plan() }
}

#[test]
fn the_rate_is_kept() {
    for arrivals in [Arrivals::Fixed, Arrivals::Poisson] {
        let (mut world, _) = world(|_, _| Act::Echo);
        let plan = Plan { pace: Pace::Open { rate: 1000.0, arrivals }, ..open(0.0, 100) };
        let outcome = run(&mut world, &plan);
        assert!((960.0..1040.0).contains(&outcome.rate), "{}", outcome.rate);
        let requests = &outcome.requests;
        assert_eq!((requests.late, requests.unsent, requests.failures()), (0, 0, 0));
        let difference = outcome.latency.corrected.p50 - outcome.latency.uncorrected.p50;
        assert!(difference.abs() < 100.0, "{difference}");
    }
}

#[test]
fn it_does_not_wait_for_answers() {
    // Every answer takes half a second; 100 a second need 50 connections.
    let (mut world, _) = world(|_, now| Act::EchoAt(now + ms(500)));
    let outcome = run(&mut world, &open(100.0, 1000));
    let requests = &outcome.requests;
    assert_eq!((requests.sent, requests.late, requests.unsent), (1000, 0, 0));
    assert!((50..60).contains(&outcome.seconds[9].connections), "{:?}", outcome.seconds[9]);
    assert!(outcome.latency.corrected.max < 502_000.0);
}

#[test]
fn what_cannot_leave_in_time_is_counted() {
    // One connection that takes 100 ms for each answer, 20 a second: half of them never leave.
    let (mut world, _) = world(|_, now| Act::EchoAt(now + ms(100)));
    let outcome = run(&mut world, &open(20.0, 1));
    let requests = &outcome.requests;
    assert_eq!(requests.sent + requests.unsent, 200);
    assert!((95..=104).contains(&requests.sent) && requests.late >= 90, "{requests:?}");
    assert!((9.5..10.1).contains(&outcome.rate));
    // The last to leave waited for half of the run; the server never took longer than 100 ms.
    assert!(outcome.latency.corrected.max > 4_500_000.0);
    assert!(outcome.latency.uncorrected.max < 102_000.0);
    assert!(outcome.notes.iter().any(|note| note.contains("could not leave")));
}

#[test]
fn a_stall_shows_in_corrected_latencies_alone() {
    // 200 ms every 5 s, at 1,000 a second on one connection.
    let (mut world, _) = world(|_, now| {
        let phase = Duration::from_nanos((now.as_nanos() % secs(5).as_nanos()) as u64);
        if phase < ms(200) { Act::EchoAt(now + ms(200) - phase) } else { Act::Echo }
    });
    let outcome = run(&mut world, &Plan { end: End::After(secs(50)), ..open(1000.0, 1) });
    let latency = &outcome.latency;
    assert!(latency.uncorrected.p99_9 < 1000.0, "{}", latency.uncorrected.p99_9);
    assert!(
        (150_000.0..205_000.0).contains(&latency.corrected.p99_9),
        "{}",
        latency.corrected.p99_9
    );
    assert_eq!((outcome.requests.sent, outcome.requests.unsent), (50_000, 0));
}

#[test]
fn counted_requests_come_to_an_end() {
    let (mut world, _) = world(|_, _| Act::Echo);
    let outcome = run(&mut world, &Plan { end: End::Requests(500), ..open(1000.0, 10) });
    assert_eq!((outcome.requests.sent, outcome.requests.answered), (500, 500));
    assert!((0.49..0.52).contains(&outcome.window_s), "{}", outcome.window_s);
}

#[test]
fn the_same_seed_is_the_same_run() {
    let of = |seed| {
        let (mut world, _) = world(|_, _| Act::Echo);
        let pace = Pace::Open { rate: 500.0, arrivals: Arrivals::Poisson };
        run(&mut world, &Plan { seed, pace, ..open(0.0, 10) }).requests.sent
    };
    assert_eq!(of(1), of(1));
    assert_ne!(of(1), of(2));
}

#[test]
fn a_slow_schedule_is_not_taken_for_a_dead_server() {
    let (mut world, _) = world(|_, _| Act::Echo);
    // A request every 20 s, of which each may take a second.
    let outcome = run(&mut world, &Plan { end: End::Requests(10), ..open(0.05, 2) });
    assert_eq!((outcome.requests.sent, outcome.requests.answered), (10, 10));
}
