//! ZeroMQ: calls in both forms, publications, CURVE, and what goes wrong.

use grenache_transports::zmtp::curve::{KeyPair, SecretKey};
use grenache_transports::zmtp::{self, Mechanism, Metadata, Side, SocketType};
use serde_json::Value;

use super::*;
use crate::outcome::Fault;
use crate::what::Curve;

/// What a worker does about a request.
#[derive(Debug, Clone, PartialEq)]
enum Does {
    /// The right answer, after so long.
    Answers(Duration),
    /// This, with the id in place of `ID`, a word in each part.
    Says(&'static str),
    /// A PING, and the answer after it.
    Pings,
    /// These bytes.
    Writes(&'static [u8]),
    Closes,
}

/// A side of every connection to the server.
#[derive(Clone)]
struct Our {
    metadata: Metadata,
    /// CURVE's, if it is spoken.
    keys: Option<KeyPair>,
}

impl Our {
    fn router() -> Self {
        let metadata = Metadata::new(SocketType::Router).with("X-Grenache-Rpc", b"array").unwrap();
        Self { metadata, keys: None }
    }

    fn open(&self, out: &mut BytesMut) -> zmtp::Connection {
        let mechanism = match &self.keys {
            None => Mechanism::null(Side::Bind),
            Some(keys) => Mechanism::curve_server(keys.clone(), [5; 96]),
        };
        zmtp::Connection::new(self.metadata.clone(), mechanism, zmtp::Config::default(), out)
    }
}

fn keys(byte: u8) -> KeyPair {
    SecretKey::new([byte; 32]).into()
}

/// What every connection to the server is given to.
fn server<F: Future<Output = ()> + 'static>(serve: impl Fn(Rc<TcpStream>) -> F + 'static) -> World {
    let mut world = World::new(1, network());
    let serve = Rc::new(serve);
    let config = Config { tcp: vec![addr()], ..Config::default() };
    world
        .start(Host::new(SERVER), config, move |core: Core<()>| {
            let serve = serve.clone();
            async move {
                while let Ok((stream, _)) = core.listeners[0].accept().await {
                    spawn_local(serve(Rc::new(stream)));
                }
            }
        })
        .unwrap();
    world
}

/// A worker that asks `does` about each request by its number.
fn worker(our: Our, does: impl Fn(u64) -> Does + 'static) -> World {
    let (does, number) = (Rc::new(does), Rc::new(Cell::new(0)));
    server(move |stream| work(stream, our.clone(), does.clone(), number.clone()))
}

async fn work(
    stream: Rc<TcpStream>,
    our: Our,
    does: Rc<impl Fn(u64) -> Does>,
    number: Rc<Cell<u64>>,
) {
    let mut out = BytesMut::new();
    let connection = Rc::new(RefCell::new(our.open(&mut out)));
    stream.write(&out);
    while let Ok(Some(received)) = stream.recv().await {
        let mut input = &received[..];
        loop {
            let mut out = BytesMut::new();
            let mut met = connection.borrow_mut();
            let request: Option<Vec<Vec<u8>>> = match met.receive(&mut input, &mut out) {
                Ok(None) => {
                    stream.write(&out);
                    break;
                }
                Ok(Some(zmtp::Event::Credentials(_))) => {
                    met.accept(&mut out).unwrap();
                    None
                }
                Ok(Some(zmtp::Event::Message(message))) => {
                    Some(message.parts().map(<[u8]>::to_vec).collect())
                }
                Ok(Some(_)) => None,
                Err(_) => return stream.write(&out),
            };
            drop(met);
            stream.write(&out);
            let Some(request) = request else { continue };
            let right = right(&request);
            let id = String::from_utf8(match &request[..] {
                [array] => array[2..38].to_vec(),
                parts => parts[0].clone(),
            });
            let id = id.unwrap();
            let after = match does(number.replace(number.get() + 1)) {
                Does::Answers(after) => after,
                Does::Says(words) => {
                    let said: Vec<_> =
                        words.split(' ').map(|word| word.replace("ID", &id)).collect();
                    let said: Vec<&[u8]> = said.iter().map(String::as_bytes).collect();
                    send(&connection, &stream, &said);
                    continue;
                }
                Does::Pings => {
                    let mut out = BytesMut::new();
                    connection.borrow_mut().ping(secs(1), &mut out).unwrap();
                    stream.write(&out);
                    Duration::ZERO
                }
                Does::Writes(bytes) => {
                    stream.write(bytes);
                    continue;
                }
                Does::Closes => return,
            };
            let (connection, stream) = (connection.clone(), stream.clone());
            spawn_local(async move {
                sleep(after).await;
                let right: Vec<&[u8]> = right.iter().map(Vec::as_slice).collect();
                send(&connection, &stream, &right);
            });
        }
    }
}

fn send(connection: &RefCell<zmtp::Connection>, stream: &TcpStream, parts: &[&[u8]]) {
    let mut out = BytesMut::new();
    connection.borrow_mut().send(parts, &mut out).unwrap();
    stream.write(&out);
}

/// The right answer to a request: its payload.
fn right(request: &[Vec<u8>]) -> Vec<Vec<u8>> {
    match request {
        [array] => {
            let [rid, _, payload]: [Value; 3] = serde_json::from_slice(array).unwrap();
            vec![serde_json::to_vec(&(rid, (), payload)).unwrap()]
        }
        [rid, name, payload] => {
            assert_eq!((&name[..], &payload[..]), (&b"rest:test"[..], &b"hello"[..]));
            vec![rid.clone(), payload.clone()]
        }
        _ => panic!("no request: {request:?}"),
    }
}

fn calls(form: Form) -> Plan {
    let payload = Payload::Value(Json::of("hello").unwrap());
    Plan { what: What::Rpc(payload, Transport::Zmq(form)), in_flight: 16, ..plan() }
}

/// Why not one connection was made.
fn why_not(world: &mut World, plan: &Plan) -> String {
    let running = start(world, plan);
    world.run_for(secs(2));
    let Ok((0, Report::Ready { connected: 0, why_not: Some(why), .. })) =
        running.reports.try_recv()
    else {
        panic!("no report")
    };
    why
}

#[test]
fn answers_come_in_any_order_on_one_connection_in_both_forms() {
    for (form, name) in [(Form::Array, "zmq"), (Form::Frames, "zmq frames")] {
        let mut world = worker(Our::router(), |number| Does::Answers(ms(1 + number * 7 % 10)));
        let outcome = run(&mut world, &Plan { end: End::Requests(5000), ..calls(form) });
        let requests = &outcome.requests;
        assert_eq!((requests.answered, requests.failures(), requests.unasked), (5000, 0, 0));
        assert!((5000.0..7000.0).contains(&outcome.latency.uncorrected.p50));
        assert_eq!((outcome.load.transport.as_str(), outcome.load.what.as_str()), (name, "rpc"));
    }
}

#[test]
fn a_slow_answer_is_given_up_alone() {
    let slow = |number| Does::Answers(if number == 40 { ms(1500) } else { ms(1) });
    let mut world = worker(Our::router(), slow);
    let outcome = run(&mut world, &calls(Form::Array));
    let requests = &outcome.requests;
    assert_eq!(requests.failed, [(Fault::Timeout, 1)].into());
    // It comes later, and is told from those that were asked for.
    assert_eq!((requests.answered, requests.unasked), (requests.sent - 1, 1));
}

#[test]
fn refusals_and_errors_are_told_apart() {
    let mut world = worker(Our::router(), |number| match number {
        10 => Does::Says(r#"["ID","ERR_BUSY",null,503]"#),
        20 => Does::Says(r#"["ID","ERR_BUSY",null]"#),
        _ => Does::Answers(Duration::ZERO),
    });
    let outcome = run(&mut world, &Plan { end: End::Requests(100), ..calls(Form::Array) });
    let requests = &outcome.requests;
    assert_eq!(requests.failed, [(Fault::Busy, 1), (Fault::Remote, 1)].into());
    assert_eq!(requests.answered, 98);

    let mut world = worker(Our::router(), |number| match number {
        10 => Does::Says("ID ERR_NO"),
        20 => Does::Says("ID no_ERR_"),
        _ => Does::Answers(Duration::ZERO),
    });
    let outcome = run(&mut world, &Plan { end: End::Requests(100), ..calls(Form::Frames) });
    let requests = &outcome.requests;
    assert_eq!(requests.failed, [(Fault::Remote, 1)].into());
    assert_eq!(requests.examples[&Fault::Remote], "'ERR_NO'");
    assert_eq!(requests.answered, 99);
}

#[test]
fn pings_are_answered_between_answers() {
    let pings = |number| if number % 10 == 9 { Does::Pings } else { Does::Answers(ms(0)) };
    let mut world = worker(Our::router(), pings);
    let plan = Plan { end: End::Requests(100), in_flight: 1, ..calls(Form::Array) };
    assert_eq!(run(&mut world, &plan).requests.answered, 100);
}

#[test]
fn what_ends_a_connection_is_counted_as_what_it_is() {
    let (array, frames) = (Form::Array, Form::Frames);
    for (form, does, fault, words) in [
        (array, Does::Closes, Fault::Closed, "the server has closed the connection"),
        (array, Does::Writes(b"\xf1\x00"), Fault::Malformed, "bad frame flags"),
        (
            array,
            Does::Writes(b"\x04\x0a\x05ERROR\x03400"),
            Fault::Closed,
            "refuses this side: '400'",
        ),
        (array, Does::Says("hello"), Fault::Wrong, "a message that is no answer: 'hello'"),
        (array, Does::Says("ID hello"), Fault::Wrong, "an answer of several parts"),
        (array, Does::Says("[null,\"ERR_REQUEST_PARSE\",null]"), Fault::Wrong, "another request"),
        (frames, Does::Says("hello"), Fault::Wrong, "not id and result: 'hello'"),
        (frames, Does::Says("ID hello you"), Fault::Wrong, "not id and result"),
        (frames, Does::Says("who hello"), Fault::Wrong, "another request: 'who hello'"),
    ] {
        let made = does.clone();
        let mut world = worker(Our::router(), move |number| match number {
            50 => made.clone(),
            _ => Does::Answers(ms(1)),
        });
        let plan = Plan { end: End::Requests(100), in_flight: 4, ..calls(form) };
        let requests = run(&mut world, &plan).requests;
        // Those in flight with it fail with it; the others go on, on another connection.
        assert_eq!(requests.failed.keys().collect::<Vec<_>>(), [&fault], "{does:?}: {requests:?}");
        assert!((1..=4).contains(&requests.failures()), "{does:?}: {requests:?}");
        assert_eq!(requests.answered, 100 - requests.failures());
        assert!(requests.examples[&fault].contains(words), "{does:?}: {requests:?}");
    }
}

#[test]
fn a_worker_that_takes_no_arrays_is_called_in_parts() {
    let our = Our { metadata: Metadata::new(SocketType::Router), keys: None };
    let mut world = worker(our.clone(), |_| Does::Answers(ms(1)));
    let why = why_not(&mut world, &calls(Form::Array));
    assert!(why.ends_with("call it with --zmq-form frames"), "{why}");
    let mut world = worker(our, |_| Does::Answers(ms(1)));
    let outcome = run(&mut world, &Plan { end: End::Requests(100), ..calls(Form::Frames) });
    assert_eq!(outcome.requests.answered, 100);
}

#[test]
fn what_is_no_worker_cannot_be_connected_to() {
    let mut http = server(async |stream: Rc<TcpStream>| {
        stream.write(b"HTTP/1.1 400 Bad Request\r\n\r\n");
        sleep(secs(60)).await;
    });
    let publisher = Our { metadata: Metadata::new(SocketType::Pub), keys: None };
    let mut publisher = worker(publisher, |_| Does::Closes);
    let mut gone = server(async |_| {});
    let mut silent = server(async |stream: Rc<TcpStream>| {
        let mut out = BytesMut::new();
        let _greeted = Our::router().open(&mut out);
        stream.write(&out[..10]);
        sleep(secs(60)).await;
    });
    for (world, words) in [
        (&mut http, "not a ZMTP greeting"),
        (&mut publisher, "the server refuses this side: 'Invalid socket type'"),
        (&mut gone, "the server has closed the connection before the handshake was over"),
        (&mut silent, "not within 1s"),
    ] {
        assert_eq!(why_not(world, &calls(Form::Array)), format!("10.0.0.1:1337: {words}"));
    }
}

fn encrypted(plan: Plan, server: &KeyPair) -> Plan {
    let curve = Curve { server: server.public, keys: keys(2) };
    Plan { security: Security::Curve(curve), ..plan }
}

#[test]
fn calls_are_encrypted() {
    for form in [Form::Array, Form::Frames] {
        let our = Our { keys: Some(keys(1)), ..Our::router() };
        let mut world = worker(our, |_| Does::Answers(ms(1)));
        let plan = Plan { end: End::Requests(100), ..encrypted(calls(form), &keys(1)) };
        let outcome = run(&mut world, &plan);
        assert_eq!(outcome.requests.answered, 100);
        assert!(outcome.load.transport.ends_with(", curve"), "{}", outcome.load.transport);
    }
}

#[test]
fn keys_that_do_not_fit_are_told() {
    let our = Our { keys: Some(keys(1)), ..Our::router() };
    let mut world = worker(our, |_| Does::Answers(ms(1)));
    let why = why_not(&mut world, &encrypted(calls(Form::Array), &keys(3)));
    assert!(why.contains("it may have another key than --curve-server"), "{why}");
    let why = why_not(&mut world, &calls(Form::Array));
    assert!(why.ends_with("the peer asks for another security mechanism"), "{why}");
}

/// A publisher of ten messages every 100 ms to each subscriber: one in two parts under the topic `trades.x`, one in one part, and
/// so on. It says what was subscribed to.
fn publisher(our: Our, bytes: usize) -> (World, Rc<RefCell<Vec<String>>>) {
    let asked = Rc::new(RefCell::new(Vec::new()));
    let seen = asked.clone();
    (server(move |stream| publish(stream, our.clone(), bytes, seen.clone())), asked)
}

async fn publish(stream: Rc<TcpStream>, our: Our, bytes: usize, asked: Rc<RefCell<Vec<String>>>) {
    let mut out = BytesMut::new();
    let connection = Rc::new(RefCell::new(our.open(&mut out)));
    stream.write(&out);
    while let Ok(Some(received)) = stream.recv().await {
        let mut input = &received[..];
        let (mut out, mut met) = (BytesMut::new(), connection.borrow_mut());
        let mut begins = false;
        while let Some(event) = met.receive(&mut input, &mut out).unwrap() {
            match event {
                zmtp::Event::Credentials(_) => met.accept(&mut out).unwrap(),
                zmtp::Event::Subscribe(prefix) => {
                    asked.borrow_mut().push(String::from_utf8_lossy(prefix).into_owned());
                    begins = true;
                }
                _ => {}
            }
        }
        stream.write(&out);
        if begins {
            let (connection, stream) = (connection.clone(), stream.clone());
            spawn_local(async move {
                let message = vec![b'x'; bytes];
                // Whoever does not read gets no more.
                while stream.queued() < 1 << 20 {
                    sleep(ms(100)).await;
                    for _ in 0..5 {
                        send(&connection, &stream, &[b"trades.x", &message]);
                        send(&connection, &stream, &[&message]);
                    }
                }
            });
        }
    }
}

fn listen(topics: &[&str], stalled: usize) -> Plan {
    let topics = topics.iter().map(|&topic| topic.to_owned()).collect();
    let what = What::Listen { feed: Feed::Zmq, topics, stalled };
    Plan { what, connections: 10, in_flight: 0, end: End::After(secs(10)), ..plan() }
}

#[test]
fn what_is_heard_is_counted() {
    let publishes = Our { metadata: Metadata::new(SocketType::Pub), keys: None };
    let secret = Our { keys: Some(keys(1)), ..publishes.clone() };
    for (our, bytes) in [(&publishes, 0), (&publishes, 100), (&publishes, 20_000), (&secret, 100)] {
        let (mut world, asked) = publisher(our.clone(), bytes);
        let plan = Plan { warm_up: secs(1), ..listen(&[], 0) };
        let plan = if our.keys.is_some() { encrypted(plan, &keys(1)) } else { plan };
        let outcome = run(&mut world, &plan);
        let heard = outcome.heard.unwrap();
        assert!((9_800..=10_200).contains(&heard.messages), "{heard:?}");
        // Topics are among what is said.
        assert_eq!(heard.bytes, heard.messages * (bytes as u64 + 4));
        assert!(heard.fewest >= 980 && heard.most <= 1_020, "{heard:?}");
        assert_eq!((outcome.seconds.len(), outcome.seconds[5].connections), (10, 10));
        assert_eq!(*asked.borrow(), vec![""; 10]);
        assert!(outcome.load.transport.starts_with("zmq"), "{}", outcome.load.transport);
    }
}

#[test]
fn prefixes_are_asked_for_by_all_also_by_those_that_read_nothing() {
    let publishes = Our { metadata: Metadata::new(SocketType::Pub), keys: None };
    let (mut world, asked) = publisher(publishes, 100);
    let outcome = run(&mut world, &listen(&["trades.", "quotes."], 3));
    assert_eq!(outcome.load.payload, "topics trades.*, quotes.*");
    let heard = outcome.heard.unwrap();
    assert!(heard.stalled == 3 && heard.messages > 6_000, "{heard:?}");
    let asked = asked.borrow();
    assert_eq!(asked.len(), 20);
    assert!(asked.chunks(2).all(|pair| pair == ["trades.", "quotes."]), "{asked:?}");
}
