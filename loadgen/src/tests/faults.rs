//! Whatever a server does wrong is counted, and the run goes on to its end.

use super::*;
use crate::outcome::Fault;

/// A thousand requests of which every hundredth is treated like this.
fn one_in_a_hundred(act: Act) -> Outcome {
    let (mut world, _) =
        world(move |number, _| if number % 100 == 99 { act.clone() } else { Act::Echo });
    run(&mut world, &Plan { end: End::Requests(1000), ..plan() })
}

fn failed(outcome: &Outcome) -> (Fault, u64) {
    assert_eq!(outcome.requests.failed.len(), 1, "{:?}", outcome.requests);
    assert_eq!(outcome.requests.answered, 990);
    let (fault, count) = outcome.requests.failed.iter().next().unwrap();
    (*fault, *count)
}

#[test]
fn every_kind_of_failure_is_counted_as_what_it_is() {
    for (act, fault, words) in [
        (Act::Never, Fault::Timeout, "none within 1s"),
        (Act::Close, Fault::Closed, "connection closed before the answer"),
        (Act::Reset, Fault::Reset, "connection reset by peer"),
        (Act::Raw(b"\x00\x01\x02 not HTTP\r\n\r\n"), Fault::Malformed, ""),
        (Act::Say(500, "[]"), Fault::Status, "status 500 '[]'"),
        (Act::Say(200, "[1,null,2]"), Fault::Wrong, "the answer of another request: '[1,null,2]'"),
        (Act::Say(200, "hello"), Fault::Wrong, "answered 'hello'"),
    ] {
        let outcome = one_in_a_hundred(act.clone());
        assert_eq!(failed(&outcome), (fault, 10), "{act:?}");
        let example = &outcome.requests.examples[&fault];
        assert!(example.contains(words), "{act:?}: {example}");
    }
}

#[test]
fn an_error_of_the_worker_is_told_in_its_words() {
    let mut world = World::new(1, network());
    let config = Config { tcp: vec![addr()], ..Config::default() };
    world
        .start(Host::new(SERVER), config, |core: Core<()>| async move {
            while let Ok((stream, _)) = core.listeners[0].accept().await {
                spawn_local(async move {
                    while let Ok(Some(received)) = stream.recv().await {
                        let text = String::from_utf8_lossy(&received).into_owned();
                        let rid = text.split('"').nth(1).unwrap();
                        let body = format!("[\"{rid}\",\"ERR_\\u0001BAD\",null]");
                        let head =
                            format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", body.len());
                        stream.write((head + &body).as_bytes());
                    }
                });
            }
        })
        .unwrap();
    let outcome = run(&mut world, &Plan { end: End::Requests(3), ..plan() });
    assert_eq!(outcome.requests.failed, [(Fault::Remote, 3)].into());
    assert_eq!(outcome.requests.examples[&Fault::Remote], "'ERR_\\u{1}BAD'");
}

#[test]
fn a_lost_answer_takes_its_pipeline_with_it() {
    let (mut world, _) = world(|number, _| if number == 10 { Act::Never } else { Act::Echo });
    let plan = Plan { end: End::Requests(100), in_flight: 4, ..plan() };
    let outcome = run(&mut world, &plan);
    // The next answer is that of another request: from there on the connection is of no use.
    assert_eq!(outcome.requests.failed.len(), 1, "{:?}", outcome.requests);
    let wrong = outcome.requests.failed[&Fault::Wrong];
    assert!((1..=4).contains(&wrong), "{:?}", outcome.requests);
    assert_eq!(outcome.requests.answered, 100 - wrong);
}

#[test]
fn a_server_that_dies_is_no_reason_to_hang() {
    let (mut world, server) = world(|_, _| Act::Echo);
    let running = start(&mut world, &plan());
    world.run_for(ms(4000));
    world.kill(server);
    let outcome = running.finish(&mut world, secs(60));
    assert!(outcome.window_s <= 10.01 && outcome.requests.answered > 10_000);
    assert!(outcome.requests.failures() >= 1, "{:?}", outcome.requests);
    assert!(outcome.requests.connect_failed >= 1);
    assert!(outcome.notes.iter().any(|note| note.contains("attempts to connect failed")));
}

#[test]
fn nobody_there_is_told() {
    let mut world = World::new(1, network());
    world
        .start(Host::new(SERVER), Config::default(), |_: Core<()>| std::future::pending())
        .unwrap();
    let running = start(&mut world, &plan());
    world.run_for(secs(1));
    let Ok((0, Report::Ready { connected: 0, why_not: Some(why), .. })) =
        running.reports.try_recv()
    else {
        panic!("no report")
    };
    assert_eq!(why, "10.0.0.1:1337: connection refused");
}

#[test]
fn a_server_that_closes_at_once_is_not_stormed() {
    let attempts = Rc::new(Cell::new(0_u64));
    let seen = attempts.clone();
    let mut world = World::new(1, network());
    let config = Config { tcp: vec![addr()], ..Config::default() };
    world
        .start(Host::new(SERVER), config, move |core: Core<()>| {
            let seen = seen.clone();
            async move {
                while let Ok((stream, _)) = core.listeners[0].accept().await {
                    seen.set(seen.get() + 1);
                    drop(stream);
                }
            }
        })
        .unwrap();
    let outcome = run(&mut world, &plan());
    assert_eq!(outcome.requests.answered, 0);
    assert!((10..100).contains(&attempts.get()), "{}", attempts.get());
}

#[test]
fn a_number_of_requests_that_cannot_be_sent_is_given_up() {
    let (mut world, server) = world(|_, _| Act::Echo);
    let running = start(&mut world, &Plan { end: End::Requests(1_000_000), ..plan() });
    world.run_for(ms(2000));
    world.kill(server);
    let began = world.now();
    let outcome = running.finish(&mut world, secs(3600));
    assert!(world.now() - began < secs(6), "{:?}", world.now() - began);
    assert!(outcome.requests.answered > 8000 && outcome.requests.failures() >= 1);
}
