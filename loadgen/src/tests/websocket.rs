//! WebSocket: many requests on one connection, and what servers say between the answers.

use bytes::Bytes;
use grenache_transports::ws::handshake::Offer;
use grenache_transports::ws::{self, Kind, Role, frame};

use super::*;
use crate::outcome::Fault;

/// What a server does about a message.
#[derive(Debug, Clone, PartialEq)]
enum Does {
    /// The right answer, after so long.
    Answers(Duration),
    /// This, with the id in place of `ID`.
    Says(&'static str),
    /// Pings, and answers once the pong has come.
    Pings,
    /// These bytes.
    Writes(&'static [u8]),
    Closes(u16),
}

/// A server that asks `does` about each message by its number, and counts pongs and close frames.
fn world(does: impl Fn(u64) -> Does + 'static) -> (World, Rc<Cell<(u64, u16)>>) {
    let mut world = World::new(1, network());
    let (does, number) = (Rc::new(does), Rc::new(Cell::new(0)));
    let told = Rc::new(Cell::new((0, 0)));
    let seen = told.clone();
    let config = Config { tcp: vec![addr()], ..Config::default() };
    world
        .start(Host::new(SERVER), config, move |core: Core<()>| {
            let (does, number, seen) = (does.clone(), number.clone(), seen.clone());
            async move {
                while let Ok((stream, _)) = core.listeners[0].accept().await {
                    let (does, number, seen) = (does.clone(), number.clone(), seen.clone());
                    spawn_local(converse(Rc::new(stream), does, number, seen));
                }
            }
        })
        .unwrap();
    (world, told)
}

/// Answers a handshake, naming `protocol`.
pub(super) async fn accept(stream: &TcpStream, protocol: Option<&str>) {
    let mut asked = Connection::new(http::Config::default());
    let mut out = BytesMut::new();
    while out.is_empty() {
        let received = stream.recv().await.unwrap().unwrap();
        if let Some(Event::Request(request)) = asked.receive(&mut &received[..]).unwrap() {
            Offer::read(&request.head).unwrap().accept(&mut out, protocol, None);
        }
    }
    stream.write(&out);
}

async fn converse(
    stream: Rc<TcpStream>,
    does: Rc<impl Fn(u64) -> Does>,
    number: Rc<Cell<u64>>,
    seen: Rc<Cell<(u64, u16)>>,
) {
    accept(&stream, None).await;
    let mut connection = ws::Connection::new(Role::Server, ws::Config::default());
    let mut owed = None;
    while let Ok(Some(mut received)) = stream.recv().await {
        let mut input = &mut received[..];
        while let Some(event) = connection.receive(&mut input).unwrap() {
            let mut out = BytesMut::new();
            let (pongs, code) = seen.get();
            match event {
                ws::Event::Message(message) => {
                    let does = does(number.replace(number.get() + 1));
                    let (kind, right) = right(message);
                    match does {
                        Does::Answers(Duration::ZERO) => {
                            frame::write_message(&mut out, kind, None, &right);
                        }
                        Does::Answers(after) => {
                            let stream = stream.clone();
                            spawn_local(async move {
                                sleep(after).await;
                                let mut out = BytesMut::new();
                                frame::write_message(&mut out, kind, None, &right);
                                stream.write(&out);
                            });
                        }
                        Does::Says(text) => {
                            let id = String::from_utf8_lossy(right.get(2..38).unwrap_or_default())
                                .into_owned();
                            let text = text.replace("ID", &id);
                            frame::write_message(&mut out, kind, None, text.as_bytes());
                        }
                        Does::Pings => {
                            frame::write_ping(&mut out, None, b"are you there");
                            owed = Some((kind, right));
                        }
                        Does::Writes(bytes) => out.extend_from_slice(bytes),
                        Does::Closes(code) => {
                            let close = ws::Close { code, reason: "enough" };
                            frame::write_close(&mut out, None, Some(close));
                        }
                    }
                }
                ws::Event::Pong(payload) => {
                    assert_eq!(payload, b"are you there");
                    seen.set((pongs + 1, code));
                    let (kind, right) = owed.take().unwrap();
                    frame::write_message(&mut out, kind, None, &right);
                }
                ws::Event::Close(close) => seen.set((pongs, close.unwrap().code)),
                ws::Event::Ping(_) => panic!("nobody pings a server"),
            }
            stream.write(&out);
        }
    }
}

/// The right answer to a request; anything else goes back as it is.
fn right(message: ws::Message<'_>) -> (Kind, Bytes) {
    let right = match serde_json::from_slice::<[serde_json::Value; 3]>(message.data) {
        Ok([rid, _, payload]) => serde_json::to_vec(&(rid, (), payload)).unwrap().into(),
        Err(_) => Bytes::copy_from_slice(message.data),
    };
    (message.kind, right)
}

fn calls() -> Plan {
    let payload = Payload::Value(Json::of("hello").unwrap());
    Plan { what: What::Rpc(payload, Transport::Ws), in_flight: 16, ..plan() }
}

#[test]
fn answers_come_in_any_order_on_one_connection() {
    let (mut world, _) = world(|number| Does::Answers(ms(1 + number * 7 % 10)));
    let outcome = run(&mut world, &Plan { end: End::Requests(5000), ..calls() });
    let requests = &outcome.requests;
    assert_eq!((requests.answered, requests.failures(), requests.unasked), (5000, 0, 0));
    assert!((5000.0..7000.0).contains(&outcome.latency.uncorrected.p50));
    assert_eq!((outcome.load.transport.as_str(), outcome.load.what.as_str()), ("ws", "rpc"));
}

#[test]
fn a_slow_answer_is_given_up_alone() {
    let (mut world, _) = world(|number| Does::Answers(if number == 40 { ms(1500) } else { ms(1) }));
    let outcome = run(&mut world, &calls());
    let requests = &outcome.requests;
    assert_eq!(requests.failed, [(Fault::Timeout, 1)].into());
    // It comes later, and is told from those that were asked for.
    assert_eq!((requests.answered, requests.unasked), (requests.sent - 1, 1));
}

#[test]
fn refusals_and_errors_are_told_apart() {
    let (mut world, _) = world(|number| match number {
        10 => Does::Says(r#"["ID","ERR_BUSY",null,503]"#),
        20 => Does::Says(r#"["ID","ERR_BUSY",null]"#),
        30 => Does::Says(r#" [ "ID" , null , "spaced" ] "#),
        _ => Does::Answers(Duration::ZERO),
    });
    let outcome = run(&mut world, &Plan { end: End::Requests(100), ..calls() });
    let requests = &outcome.requests;
    assert_eq!(requests.failed, [(Fault::Busy, 1), (Fault::Remote, 1)].into());
    assert_eq!(requests.answered, 98);
}

#[test]
fn pings_are_answered() {
    let (mut world, told) =
        world(|number| if number % 10 == 9 { Does::Pings } else { Does::Answers(ms(0)) });
    let outcome = run(&mut world, &Plan { end: End::Requests(100), in_flight: 1, ..calls() });
    assert_eq!((outcome.requests.answered, told.get().0), (100, 10));
}

#[test]
fn what_ends_a_connection_is_counted_as_what_it_is_and_answered() {
    for (does, fault, words, code) in [
        (Does::Closes(1001), Fault::Closed, "the server has closed with 1001 'enough'", 1001),
        (Does::Writes(b"\xf1\x00"), Fault::Malformed, "reserved bits are set", 1002),
        (Does::Writes(b"\x81\x01\xff"), Fault::Malformed, "text is not UTF-8", 1007),
        (Does::Says("hello"), Fault::Wrong, "a message that is no answer: 'hello'", 0),
        (Does::Says("[null,\"ERR_REQUEST_PARSE\",null]"), Fault::Wrong, "another request", 0),
    ] {
        let made = does.clone();
        let (mut world, told) =
            world(move |number| if number == 50 { made.clone() } else { Does::Answers(ms(1)) });
        let outcome = run(&mut world, &Plan { end: End::Requests(100), in_flight: 4, ..calls() });
        let requests = &outcome.requests;
        // Those in flight with it fail with it; the others go on, on another connection.
        assert_eq!(requests.failed.keys().collect::<Vec<_>>(), [&fault], "{requests:?}");
        assert!((1..=4).contains(&requests.failures()), "{requests:?}");
        assert_eq!(requests.answered, 100 - requests.failures());
        assert!(requests.examples[&fault].contains(words), "{requests:?}");
        assert_eq!(told.get().1, code, "{does:?}");
    }
}

#[test]
fn who_does_not_upgrade_cannot_be_connected_to() {
    let (mut world, _) = super::world(|_, _| Act::Say(404, "nobody"));
    let running = start(&mut world, &calls());
    world.run_for(secs(1));
    let Ok((0, Report::Ready { connected: 0, why_not: Some(why), .. })) =
        running.reports.try_recv()
    else {
        panic!("no report")
    };
    assert_eq!(why, "10.0.0.1:1337: the server answers 404 instead of upgrading");
}

#[test]
fn an_echo_has_to_be_the_same() {
    let (mut world, _) = world(|number| match number {
        500 => Does::Says("something else"),
        _ => Does::Answers(Duration::ZERO),
    });
    for bytes in [0, 20, 70_000] {
        let what = What::Echo(bytes);
        let plan = Plan { what, end: End::Requests(300), in_flight: 8, ..plan() };
        let requests = run(&mut world, &plan).requests;
        let wrong = u64::from(bytes == 20);
        assert_eq!((requests.answered, requests.failures()), (300 - wrong, wrong), "{bytes}");
        assert!(requests.failed.keys().all(|fault| *fault == Fault::Wrong));
    }
}
