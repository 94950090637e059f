//! KRPC over UDP: requests are told apart by their transaction ids.

use grenache_dht::encode::{Ask, write_query};
use grenache_dht::krpc::{self, Body, Method};

use super::*;
use crate::outcome::{Arrivals, Fault};

/// A node that answers what `act` says: how long after a query, if at all.
fn node(act: impl Fn(u64) -> Option<Duration> + 'static) -> (World, Rc<Cell<u64>>) {
    let mut world = World::new(1, network());
    let (act, tokens) = (Rc::new(act), Rc::new(Cell::new(0)));
    let config = Config { udp: vec![addr()], ..Config::default() };
    let asked = tokens.clone();
    world
        .start(Host::new(SERVER), config, move |core: Core<()>| {
            let (act, asked) = (act.clone(), asked.clone());
            async move {
                let socket = Rc::new(core.sockets.into_iter().next().unwrap());
                let mut number = 0;
                while let Ok(datagram) = socket.recv().await {
                    let message = krpc::parse(&datagram.data).unwrap();
                    let Body::Query(method, Some(fields)) = message.body else { panic!() };
                    let answer = match method {
                        // It wants to know who asks, as nodes do.
                        Method::GetPeers if message.transaction == b"t" => {
                            asked.set(asked.get() + 1);
                            let mut ping = Vec::new();
                            let id = grenache_dht::NodeId::new([7; 20]);
                            write_query(&mut ping, b"zz", &id, &Ask::Ping);
                            socket.send_to(&ping, datagram.from);
                            &b"d1:rd2:id20:000000000000000000005:token2:oke"[..]
                        }
                        Method::GetPeers => {
                            b"d1:rd2:id20:000000000000000000005:token2:ok6:valuesl6:abcdefee"
                        }
                        Method::AnnouncePeer if fields.token == Some(b"ok") => {
                            b"d1:rd2:id20:00000000000000000000e"
                        }
                        _ => b"d1:eli203e9:bad tokene",
                    };
                    let mut answer = answer.to_vec();
                    answer
                        .extend_from_slice(format!("1:t{}:", message.transaction.len()).as_bytes());
                    answer.extend_from_slice(message.transaction);
                    answer.extend_from_slice(if answer.starts_with(b"d1:r") {
                        b"1:y1:re"
                    } else {
                        b"1:y1:ee"
                    });
                    let when = if message.transaction == b"t" {
                        Some(Duration::ZERO)
                    } else {
                        number += 1;
                        act(number - 1)
                    };
                    let (socket, from) = (socket.clone(), datagram.from);
                    if let Some(when) = when {
                        spawn_local(async move {
                            sleep(when).await;
                            socket.send_to(&answer, from);
                        });
                    }
                }
            }
        })
        .unwrap();
    (world, tokens)
}

#[test]
fn answers_come_in_any_order() {
    let (mut world, _) = node(|number| Some(ms(1 + number * 7 % 10)));
    let plan = Plan { what: What::DhtGetPeers, in_flight: 16, end: End::Requests(5000), ..plan() };
    let outcome = run(&mut world, &plan);
    assert_eq!((outcome.requests.answered, outcome.requests.empty), (5000, 0));
    assert!((5000.0..7000.0).contains(&outcome.latency.uncorrected.p50));
}

#[test]
fn lost_and_late_answers_are_counted() {
    // Every hundredth is lost, every hundredth comes too late.
    let (mut world, _) = node(|number| match number % 100 {
        50 => None,
        99 => Some(ms(1500)),
        _ => Some(ms(1)),
    });
    let plan = Plan { what: What::DhtGetPeers, in_flight: 4, ..plan() };
    let outcome = run(&mut world, &plan);
    let requests = &outcome.requests;
    let timeouts = requests.failed[&Fault::Timeout];
    assert_eq!(requests.failed.len(), 1, "{requests:?}");
    assert!(timeouts.abs_diff(requests.sent / 50) <= 1, "{requests:?}");
    // The run does not wait for the last of those that come too late.
    assert!(requests.unasked.abs_diff(timeouts / 2) <= 4, "{requests:?}");
}

#[test]
fn announcements_bear_the_token_of_the_node() {
    let (mut world, tokens) = node(|_| Some(Duration::ZERO));
    let plan =
        Plan { what: What::DhtAnnounce(1337), end: End::After(secs(150)), in_flight: 1, ..plan() };
    let pace = Pace::Open { rate: 10.0, arrivals: Arrivals::Fixed };
    let outcome = run(&mut world, &Plan { pace, ..plan });
    assert_eq!((outcome.requests.answered, outcome.requests.failures()), (1500, 0));
    // In the beginning and every minute after: tokens do not last.
    assert_eq!(tokens.get(), 3);
}

#[test]
fn an_open_loop_on_one_socket_waits_for_nobody() {
    let (mut world, _) = node(|_| Some(ms(500)));
    let pace = Pace::Open { rate: 1000.0, arrivals: Arrivals::Fixed };
    let plan = Plan { what: What::DhtGetPeers, pace, in_flight: 65_536, ..plan() };
    let outcome = run(&mut world, &plan);
    let requests = &outcome.requests;
    assert_eq!((requests.sent, requests.late, requests.failures()), (10_000, 0, 0));
    assert!((500..=502).contains(&outcome.seconds[5].in_flight), "{:?}", outcome.seconds[5]);
}
