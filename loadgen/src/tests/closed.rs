//! Closed loops: the next request when an answer has come.

use super::*;
use crate::outcome::Fault;

#[test]
fn an_answer_asks_for_the_next_request() {
    let (mut world, _) = world(|_, _| Act::Echo);
    let outcome = run(&mut world, &plan());
    // 200 µs there and back make 5,000 in a second; the simulator's turns take a little.
    assert!((4500.0..=5000.0).contains(&outcome.rate), "{}", outcome.rate);
    let latency = &outcome.latency.uncorrected;
    assert!((200.0..230.0).contains(&latency.p50) && latency.max < 300.0, "{latency:?}");
    assert_eq!(outcome.requests.failures(), 0);
    assert_eq!((outcome.seconds.len(), outcome.window_s), (10, 10.0));
    assert!(outcome.seconds.iter().all(|second| second.in_flight == 1 && second.connections == 1));
}

#[test]
fn more_connections_and_more_on_each_are_as_many_at_once() {
    for (connections, in_flight) in [(8, 1), (1, 8), (2, 4)] {
        let (mut world, _) = world(|_, now| Act::EchoAt(now + ms(10)));
        let plan = Plan { connections, in_flight, ..plan() };
        let outcome = run(&mut world, &plan);
        // A server that answers in order makes the second wait for the first.
        let at_once = if in_flight == 1 { connections } else { outcome.load.connections };
        let rate = at_once as f64 * 98.0;
        assert!((rate * 0.95..rate * 1.03).contains(&outcome.rate), "{}", outcome.rate);
        let all = (connections * in_flight) as u64;
        assert!(outcome.seconds.iter().all(|second| second.in_flight == all), "{connections}");
    }
}

#[test]
fn what_is_before_the_window_does_not_count() {
    // Slow in the first three seconds, fast after.
    let begun = Cell::new(None);
    let (mut world, _) = world(move |_, now| {
        let start = begun.get().unwrap_or(now);
        begun.set(Some(start));
        if now < start + ms(2900) { Act::EchoAt(now + ms(50)) } else { Act::Echo }
    });
    let running = start(&mut world, &Plan { warm_up: secs(3), ..plan() });
    let seconds = running.seconds.clone();
    let outcome = running.finish(&mut world, secs(60));
    assert!(outcome.latency.uncorrected.max < 1000.0, "{:?}", outcome.latency);
    assert_eq!((outcome.seconds.len(), seconds.borrow().len()), (10, 13));
    assert!(seconds.borrow()[0].p50 > 50_000.0);
}

#[test]
fn counted_requests_are_sent_and_answered() {
    let (mut world, _) = world(|_, _| Act::Echo);
    let plan = Plan { end: End::Requests(1234), connections: 3, in_flight: 2, ..plan() };
    let outcome = run(&mut world, &plan);
    assert_eq!((outcome.requests.sent, outcome.requests.answered), (1234, 1234));
    // Until the last answer, which is earlier than a second.
    assert!(outcome.window_s > 0.03 && outcome.window_s < 0.5, "{}", outcome.window_s);
    assert!((outcome.rate * outcome.window_s - 1234.0).abs() < 0.01);
}

#[test]
fn a_connection_is_made_anew_after_its_number_of_requests() {
    let (mut world, _) = world(|_, _| Act::Echo);
    let plan = Plan {
        end: End::Requests(1000),
        requests_per_connection: Some(10),
        in_flight: 3,
        ..plan()
    };
    let outcome = run(&mut world, &plan);
    assert_eq!((outcome.requests.answered, outcome.requests.failures()), (1000, 0));
    // The first was made before the window began.
    assert!((99..=100).contains(&outcome.requests.connections), "{:?}", outcome.requests);
}

#[test]
fn stalls_show_when_they_are_corrected_for() {
    // 200 ms every 5 s: one request in some 20,000, but a user who comes at any time meets one at 4 %.
    let (mut world, _) = world(|_, now| {
        let phase = Duration::from_nanos((now.as_nanos() % secs(5).as_nanos()) as u64);
        if phase < ms(200) { Act::EchoAt(now + ms(200) - phase) } else { Act::Echo }
    });
    let outcome = run(&mut world, &Plan { end: End::After(secs(50)), ..plan() });
    let latency = &outcome.latency;
    assert!(latency.uncorrected.p99_9 < 300.0, "{:?}", latency.uncorrected.p99_9);
    assert!(latency.corrected.p99_9 > 150_000.0, "{:?}", latency.corrected.p99_9);
    assert!((195_000.0..205_000.0).contains(&latency.corrected.max));
    assert!(!outcome.requests.failed.contains_key(&Fault::Timeout));
}

#[test]
fn an_interrupted_run_tells_what_it_has() {
    let (mut world, _) = world(|number, _| if number == 700 { Act::Never } else { Act::Echo });
    let running = start(&mut world, &Plan { timeout: secs(60), ..plan() });
    world.run_for(ms(3500));
    world.stop(running.node);
    let began = world.now();
    let outcome = running.finish(&mut world, secs(3600));
    assert!(world.now() - began <= ms(100), "nobody waits for the answer");
    assert_eq!((outcome.requests.answered, outcome.requests.abandoned), (700, 1));
    assert!((3.3..=3.5).contains(&outcome.window_s), "{}", outcome.window_s);
}

#[test]
fn services_are_asked_for_by_their_weights() {
    let asked = Rc::new(RefCell::new([0_u64; 2]));
    let seen = asked.clone();
    let mut world = World::new(1, network());
    let config = Config { tcp: vec![addr()], ..Config::default() };
    world
        .start(Host::new(SERVER), config, move |core: Core<()>| {
            let seen = seen.clone();
            async move {
                let (stream, _) = core.listeners[0].accept().await.unwrap();
                let mut connection = Connection::new(http::Config::default());
                while let Ok(Some(received)) = stream.recv().await {
                    let mut input = &received[..];
                    while let Some(Event::Request(request)) =
                        connection.receive(&mut input).unwrap()
                    {
                        let [rid, service, _]: [String; 3] =
                            serde_json::from_slice(request.body).unwrap();
                        seen.borrow_mut()[usize::from(service == "rare")] += 1;
                        let body = format!("[\"{rid}\",null,0]");
                        let head =
                            format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", body.len());
                        stream.write((head + &body).as_bytes());
                    }
                }
            }
        })
        .unwrap();
    let mut plan = Plan { end: End::Requests(10_000), ..plan() };
    let service = |name: &str, weight| Service { name: name.to_owned(), weight };
    plan.targets[0].services = vec![service("often", 9.0), service("rare", 1.0)];
    let outcome = run(&mut world, &plan);
    assert_eq!(outcome.requests.answered, 10_000);
    assert!((900..1100).contains(&asked.borrow()[1]), "{asked:?}");
}

#[test]
fn what_is_interrupted_in_the_warm_up_was_not_measured() {
    let (mut world, _) = world(|_, _| Act::Echo);
    let running = start(&mut world, &Plan { warm_up: secs(5), connections: 4, ..plan() });
    world.run_for(ms(2500));
    world.stop(running.node);
    let outcome = running.finish(&mut world, secs(60));
    assert_eq!((outcome.requests.sent, outcome.requests.abandoned), (0, 0));
}
