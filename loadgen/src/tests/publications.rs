//! Subscribers, of publishers of every manner.

use grenache_transports::ws::{self, Kind, Role, frame};

use super::websocket::accept;
use super::*;
use crate::outcome::Fault;

/// A publisher that sends ten messages of `bytes` every 100 ms to each subscriber, and ends with the connection that is number
/// `ends` after a second. It says which prefixes were asked for.
fn publisher(bytes: usize, topics: bool, ends: Option<u64>) -> (World, Rc<RefCell<Vec<String>>>) {
    let mut world = World::new(1, network());
    let asked = Rc::new(RefCell::new(Vec::new()));
    let (seen, number) = (asked.clone(), Rc::new(Cell::new(0)));
    let config = Config { tcp: vec![addr()], ..Config::default() };
    world
        .start(Host::new(SERVER), config, move |core: Core<()>| {
            let (seen, number) = (seen.clone(), number.clone());
            async move {
                while let Ok((stream, _)) = core.listeners[0].accept().await {
                    let ends = ends == Some(number.replace(number.get() + 1));
                    let seen = seen.clone();
                    spawn_local(publish(Rc::new(stream), bytes, topics, ends, seen));
                }
            }
        })
        .unwrap();
    (world, asked)
}

async fn publish(
    stream: Rc<TcpStream>,
    bytes: usize,
    topics: bool,
    ends: bool,
    asked: Rc<RefCell<Vec<String>>>,
) {
    accept(&stream, topics.then_some("grenache.topics")).await;
    let said = stream.clone();
    spawn_local(async move {
        let mut connection = ws::Connection::new(Role::Server, ws::Config::default());
        while let Ok(Some(mut received)) = said.recv().await {
            let mut input = &mut received[..];
            while let Some(event) = connection.receive(&mut input).unwrap() {
                if let ws::Event::Message(message) = event {
                    asked.borrow_mut().push(String::from_utf8_lossy(message.data).into_owned());
                }
            }
        }
    });
    let mut out = BytesMut::new();
    (0..10).for_each(|_| frame::write_message(&mut out, Kind::Text, None, &vec![b'x'; bytes]));
    let begun = now();
    loop {
        sleep(ms(100)).await;
        if ends && now() - begun > secs(1) {
            let mut out = BytesMut::new();
            let close = ws::Close { code: 1008, reason: "too slow" };
            frame::write_close(&mut out, None, Some(close));
            stream.write(&out);
            return sleep(secs(60)).await;
        }
        // Whoever does not read gets no more.
        if stream.queued() < 1 << 20 {
            stream.write(&out);
        }
    }
}

fn listen(topic: Option<&str>, stalled: usize) -> Plan {
    let topics = topic.map(str::to_owned).into_iter().collect();
    let what = What::Listen { feed: Feed::Ws, topics, stalled };
    Plan { what, connections: 10, in_flight: 0, end: End::After(secs(10)), ..plan() }
}

#[test]
fn what_is_heard_is_counted() {
    // In one frame each, and in frames that do not fit into a buffer.
    for bytes in [0, 100, 20_000] {
        let (mut world, _) = publisher(bytes, false, None);
        let outcome = run(&mut world, &Plan { warm_up: secs(1), ..listen(None, 0) });
        let heard = outcome.heard.unwrap();
        assert!((9_800..=10_200).contains(&heard.messages), "{heard:?}");
        assert_eq!(heard.bytes, heard.messages * bytes as u64);
        assert!(heard.fewest >= 980 && heard.most <= 1_020, "{heard:?}");
        assert!((980.0..=1_020.0).contains(&outcome.rate), "{}", outcome.rate);
        assert_eq!((outcome.seconds.len(), outcome.seconds[5].connections), (10, 10));
        assert_eq!((outcome.requests.sent, outcome.requests.failures()), (0, 0));
    }
}

#[test]
fn those_that_read_nothing_are_not_counted() {
    let (mut world, _) = publisher(100, false, None);
    let outcome = run(&mut world, &listen(None, 3));
    let heard = outcome.heard.unwrap();
    assert_eq!(heard.stalled, 3);
    assert!((6_800..=7_000).contains(&heard.messages) && heard.fewest > 900, "{heard:?}");
    assert_eq!(outcome.seconds[5].connections, 10);
}

#[test]
fn a_subscription_that_ends_is_counted_and_made_anew() {
    let (mut world, _) = publisher(100, false, Some(4));
    let outcome = run(&mut world, &listen(None, 0));
    assert_eq!(outcome.requests.failed, [(Fault::Closed, 1)].into());
    assert_eq!(
        outcome.requests.examples[&Fault::Closed],
        "the server has closed with 1008 'too slow'"
    );
    let heard = outcome.heard.unwrap();
    assert!(heard.fewest > 900, "{heard:?}");
}

#[test]
fn topics_are_asked_for_by_all_also_by_those_that_read_nothing() {
    let (mut world, asked) = publisher(100, true, None);
    let outcome = run(&mut world, &listen(Some("trades."), 1));
    assert!(outcome.heard.unwrap().messages > 8_000);
    assert_eq!(*asked.borrow(), vec!["+trades."; 10]);
}

#[test]
fn a_publisher_without_topics_is_no_use_to_who_wants_them() {
    let (mut world, _) = publisher(100, false, None);
    let running = start(&mut world, &listen(Some("a"), 0));
    world.run_for(secs(1));
    let Ok((0, Report::Ready { connected: 0, why_not: Some(why), .. })) =
        running.reports.try_recv()
    else {
        panic!("no report")
    };
    assert_eq!(why, "10.0.0.1:1337: the publisher knows no topics: listen without --topic");
}
