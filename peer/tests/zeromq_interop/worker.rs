//! Our worker, asked by libzmq's DEALERs and REQs.

use std::thread;
use std::time::Duration;

use grenache_engine::DriverChoice;
use grenache_peer::server::Config;
use grenache_peer::worker;
use serde_json::{Value, json};

use crate::mechanism::Mechanism;
use crate::message::Part;
use crate::peer::{Language, Peer};
use crate::port;
use crate::rig::{self, text, until};
use crate::rpc::{self, Answer, Client, Form};
use crate::security::{self, PASSWORD, USER};
use crate::socket::{Builder, Socket};

const fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

fn with(mechanism: Mechanism) -> Config {
    Config { gate: mechanism.gate(), ..Config::default() }
}

fn error(text: &str) -> Answer {
    Answer::Error(text.into())
}

/// Says a request in a form.
fn send(socket: &Socket, form: Form, rid: &str, service: &str, payload: &str) {
    match form {
        Form::Frames => socket.send(&[rid, service, payload]),
        Form::Array => socket.send(&[json!([rid, service, payload]).to_string()]),
    }
}

/// Awaits an answer to a request of [`send`]: its id and what it says.
fn receive(socket: &Socket, form: Form) -> (String, Value) {
    let parts = socket.receive();
    match form {
        Form::Frames => {
            let text = |part: &Part| String::from_utf8(part.bytes().to_vec()).expect("a text");
            assert_eq!(parts.len(), 2);
            (text(&parts[0]), json!(text(&parts[1])))
        }
        Form::Array => {
            assert_eq!(parts.len(), 1);
            let answer: Value = serde_json::from_slice(parts[0].bytes()).expect("JSON");
            let rid = answer[0].as_str().expect("an id").to_string();
            (rid, if answer[1].is_null() { answer[2].clone() } else { answer[1].clone() })
        }
    }
}

#[test]
fn each_mechanism_form_and_socket_is_answered() {
    let peers = Language::BOTH.map(Peer::start);
    for mechanism in Mechanism::ALL {
        for driver in [DriverChoice::Auto, DriverChoice::Epoll] {
            let config = rig::config(0, with(mechanism));
            let worker = rig::start(worker::Config { driver, cores: 2, ..config });
            for peer in &peers {
                for form in Form::BOTH {
                    for kind in ["DEALER", "REQ"] {
                        println!("{mechanism:?}, {driver:?}, {form:?}, {kind}");
                        let socket = mechanism.client(peer.socket(kind));
                        // Such a REQ puts a number before the empty part.
                        let socket = match kind {
                            "REQ" => socket
                                .option("REQ_CORRELATE", i32::from(driver == DriverChoice::Epoll)),
                            _ => socket,
                        };
                        let socket = socket.connect(worker.addr().port());
                        talk(&socket.clone().client(form), form, mechanism);
                        socket.close();
                    }
                }
            }
            assert_eq!((worker.stats().malformed, worker.stats().refused), (0, 0));
            rig::stop(worker);
        }
    }
}

fn talk(client: &Client, form: Form, mechanism: Mechanism) {
    for text in ["hello", "", "größe 服务 \u{1f600}", "say \"hi\"\n\\", r#"{"a":1}"#, "null"] {
        assert_eq!(client.ask("echo", &json!(text)), Answer::Result(text.into()));
    }
    for text in ["ERR_X: why", "ERR_größe\n\u{1f600}"] {
        assert_eq!(client.ask("fail", &json!(text)), error(text));
    }
    assert_eq!(client.ask("nobody", &json!("x")), error("ERR_SERVICE_NOTFOUND"));
    let who = match mechanism {
        Mechanism::Null => json!([null, null]),
        Mechanism::Plain => json!([USER, null]),
        Mechanism::Curve => json!([null, security::client().public.to_string()]),
    };
    match form {
        Form::Frames => {
            assert_eq!(client.ask("who", &json!("")), Answer::Result(who.to_string().into()));
            assert_eq!(client.ask("fail", &json!("why")), error("ERR_REMOTE: why"));
        }
        Form::Array => {
            assert_eq!(client.ask("who", &json!("")), Answer::Result(who));
            assert_eq!(client.ask("fail", &json!("why")), error("why"));
            for value in [json!(null), json!(-1.5), json!(true), json!({"a": [1, {"b": null}]})] {
                assert_eq!(client.ask("echo", &value), Answer::Result(value));
            }
        }
    }
}

#[test]
fn json_goes_through_as_it_is_and_what_is_no_request_is_told_so() {
    let worker = rig::serve(Config::default());
    for language in Language::BOTH {
        let dealer = Peer::start(language).socket("DEALER").connect(worker.addr().port());
        let no_request = r#"[null,"ERR_REQUEST_PARSE",null]"#;
        for (request, answer) in [
            (
                &[r#"["r", "echo", {"a":[1.50, "\u20ac"]}]"#][..],
                r#"["r",null,{"a":[1.50, "\u20ac"]}]"#,
            ),
            (&[r#"[7,"echo"]"#], "[7,null,null]"),
            (&[""], no_request),
            (&["[1]"], no_request),
            (&["r", "echo"], no_request),
            (&["r", "echo", "1", "2"], no_request),
            (&["x"; 100], no_request),
        ] {
            dealer.send(request);
            assert_eq!(dealer.receive(), [answer]);
        }
        // What was before an empty part is what it was.
        dealer.send(&["one", "two", "", r#"["r","echo",1]"#]);
        assert_eq!(dealer.receive(), ["one", "two", "", r#"["r",null,1]"#]);
        dealer.send(&["one", "", "r", "echo", ""]);
        assert_eq!(dealer.receive(), ["one", "", "r", ""]);
        // An id is any bytes; what is asked is a text.
        dealer.send(&[&b"\xff\0"[..], b"echo", b"x"]);
        assert_eq!(dealer.receive(), [&b"\xff\0"[..], b"x"]);
        dealer.send(&[&b"r"[..], b"echo", b"\xff"]);
        assert_eq!(dealer.receive(), ["r", "ERR_REQUEST_PARSE"]);
    }
    assert_eq!((worker.stats().malformed, worker.stats().accepted), (12, 2));
}

#[test]
fn many_are_under_way_and_answered_in_the_order_of_handlers() {
    const MANY: usize = 300;
    for form in Form::BOTH {
        let worker = rig::serve(Config::default());
        let dealers = Language::BOTH
            .map(|language| Peer::start(language).socket("DEALER").connect(worker.addr().port()));
        for dealer in &dealers {
            for number in 0..MANY {
                send(dealer, form, &format!("wait {number}"), "wait", &number.to_string());
            }
        }
        until("all are under way", || worker.stats().in_flight == 2 * MANY as u64);
        for dealer in &dealers {
            // These are answered while the others wait.
            for number in 0..MANY {
                send(dealer, form, &format!("echo {number}"), "echo", &number.to_string());
            }
            for number in 0..MANY {
                let answer = (format!("echo {number}"), json!(number.to_string()));
                assert_eq!(receive(dealer, form), answer);
            }
        }
        send(&dealers[0], form, "go", "go", "");
        assert_eq!(receive(&dealers[0], form).0, "go");
        for dealer in &dealers {
            let mut seen: Vec<_> = (0..MANY).map(|_| receive(dealer, form)).collect();
            seen.sort_by_key(|(_, payload)| payload.as_str().unwrap().parse::<usize>().unwrap());
            for (number, (rid, payload)) in seen.iter().enumerate() {
                assert_eq!(
                    (&**rid, payload),
                    (&*format!("wait {number}"), &json!(number.to_string()))
                );
            }
        }
        assert_eq!(worker.stats().in_flight, 0);
    }
}

#[test]
fn payloads_from_nothing_to_ten_megabytes() {
    let peers = Language::BOTH.map(Peer::start);
    for mechanism in [Mechanism::Null, Mechanism::Curve] {
        let worker = rig::serve(with(mechanism));
        for peer in &peers {
            let dealer = mechanism.client(peer.socket("DEALER")).connect(worker.addr().port());
            for size in [0, 1, 254, 255, 256, 8191, 70_000, 1_000_000, 10_000_000] {
                let text = text(size);
                dealer.send(&["rid", "echo", &text]);
                dealer.send(&[&format!("[1,\"echo\",\"{text}\"]")]);
                assert_eq!(dealer.receive(), ["rid", &text]);
                assert_eq!(dealer.receive(), [format!("[1,null,\"{text}\"]")]);
            }
        }
        until("nothing is held", || worker.stats().held == 0);
    }
}

#[test]
fn what_is_too_much_at_once_is_busy_and_has_not_begun() {
    for form in Form::BOTH {
        for language in Language::BOTH {
            let worker = rig::serve(Config { max_concurrent: 2, ..Config::default() });
            let peer = Peer::start(language);
            let dealer = peer.socket("DEALER").connect(worker.addr().port());
            send(&dealer, form, "1", "wait", "");
            send(&dealer, form, "2", "wait", "");
            until("they wait", || worker.stats().in_flight == 2);
            match form {
                Form::Frames => {
                    dealer.send(&["3", "echo", ""]);
                    assert_eq!(dealer.receive(), ["3", "ERR_BUSY"]);
                }
                Form::Array => {
                    dealer.send(&[r#"["3","echo",1]"#]);
                    assert_eq!(dealer.receive(), [r#"["3","ERR_BUSY",null,503]"#]);
                }
            }
            // A connection has no say in what others may.
            let other = peer.socket("DEALER").connect(worker.addr().port()).client(form);
            assert_eq!(other.ask("go", &json!("")), Answer::Result("".into()));
            let mut done = [receive(&dealer, form).0, receive(&dealer, form).0];
            done.sort();
            assert_eq!(done, ["1", "2"]);
            let stats = worker.stats();
            assert_eq!((stats.requests, stats.refused, stats.in_flight), (3, 1, 0));
        }
    }
}

/// What libzmq says of a handshake that has come to something.
const VERDICTS: [&str; 5] = [
    "handshake_succeeded",
    "handshake_failed_auth",
    "handshake_failed_protocol",
    "handshake_failed_no_detail",
    "disconnected",
];

/// How libzmq is not let in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Refused {
    /// It is told that its credentials are wrong.
    Told,
    /// It is told so in PLAIN, where libzmq 4.3.5 knows an ERROR only as it misspells it itself.
    ToldInPlain,
    /// It cannot be told anything that it would understand.
    Untold,
    /// It sees by itself that the mechanisms are not the same, and hangs up before it has said its own.
    Unequal,
}

/// Connects it once; what libzmq says, and why.
fn verdict(dealer: Builder, port: u16) -> (String, String) {
    dealer.option("RECONNECT_IVL", -1).connect(port).event_of(&VERDICTS)
}

#[test]
fn who_is_not_let_in_disturbs_nobody() {
    let (server, client, stranger) = (security::server(), security::client(), security::keys(9));
    for language in Language::BOTH {
        let peer = Peer::start(language);
        let dealer = || peer.socket("DEALER");
        let plain = |user, password| dealer().plain_client(user, password);
        let curve = |server, keys| dealer().curve_client(server, keys);
        let null = vec![
            (plain(USER, PASSWORD), Refused::Unequal),
            (curve(server.public, &client), Refused::Unequal),
        ];
        let by_password = vec![
            (plain(USER, "wrong"), Refused::ToldInPlain),
            (plain("nobody", PASSWORD), Refused::ToldInPlain),
            (dealer(), Refused::Unequal),
            (curve(server.public, &client), Refused::Unequal),
        ];
        let by_key = vec![
            (curve(server.public, &stranger), Refused::Told),
            (curve(stranger.public, &client), Refused::Untold),
            (curve(client.public, &client), Refused::Untold),
            (dealer(), Refused::Unequal),
            (plain(USER, PASSWORD), Refused::Unequal),
        ];
        let all =
            [(Mechanism::Null, null), (Mechanism::Plain, by_password), (Mechanism::Curve, by_key)];
        for (mechanism, refused) in all {
            let worker = rig::serve(with(mechanism));
            let good = mechanism.client(dealer()).connect(worker.addr().port());
            let good = good.client(Form::Array);
            let (count, mut counted) = (refused.len() as u64, 0);
            for (number, (bad, how)) in (1..).zip(refused) {
                let (event, why) = verdict(bad, worker.addr().port());
                println!("{mechanism:?}, {how:?}: {event} {why}");
                match how {
                    Refused::Told => assert_eq!((&*event, &*why), ("handshake_failed_auth", "400")),
                    Refused::ToldInPlain => assert_eq!(why, "ZMTP_UNEXPECTED_COMMAND"),
                    Refused::Untold => assert_eq!(event, "handshake_failed_no_detail"),
                    Refused::Unequal => assert_eq!(why, "ZMTP_MECHANISM_MISMATCH"),
                }
                counted += u64::from(how != Refused::Unequal);
                assert_eq!(good.ask("echo", &json!(number)), Answer::Result(json!(number)));
                until("it is counted", || worker.stats().malformed == counted);
            }
            until("they are gone", || worker.stats().connections == 1);
            let stats = worker.stats();
            assert_eq!((stats.requests, stats.accepted), (count, count + 1), "{stats:?}");
        }
    }
}

#[test]
fn one_that_is_alive_is_kept_however_long_it_says_nothing() {
    let pings = Config { ping_interval: ms(50), ping_timeout: ms(1000), ..Config::default() };
    let worker = rig::serve(pings);
    let mut clients = Vec::new();
    for language in Language::BOTH {
        let peer = Peer::start(language);
        for dealer in
            [peer.socket("DEALER"), peer.socket("DEALER").heartbeat(ms(50), ms(1000), ms(1000))]
        {
            clients.push(dealer.connect(worker.addr().port()).client(Form::Array));
        }
    }
    thread::scope(|scope| {
        for client in &clients {
            scope.spawn(|| {
                assert_eq!(client.ask("slow", &json!(1500)), Answer::Result(json!(1500)));
            });
        }
    });
    let stats = worker.stats();
    assert_eq!((stats.accepted, stats.connections, stats.cancelled), (4, 4, 0));
}

#[test]
fn one_that_is_stopped_is_given_up_and_may_come_back() {
    // By our PINGs, or by the time to live that its own have named.
    let pinging = Config { ping_interval: ms(50), ping_timeout: ms(500), ..Config::default() };
    for (config, heartbeat) in [(pinging, false), (Config::default(), true)] {
        let worker = rig::serve(config);
        let port = worker.addr().port();
        let other = Peer::python().socket("DEALER").connect(port).client(Form::Array);
        assert_eq!(other.ask("echo", &json!(1)), Answer::Result(json!(1)));
        for language in Language::BOTH {
            println!("{language:?}, heartbeat of their own: {heartbeat}");
            let peer = Peer::start(language);
            let dealer = peer.socket("DEALER").reconnect(ms(10));
            let dealer = match heartbeat {
                true => dealer.heartbeat(ms(50), ms(20_000), ms(500)),
                false => dealer,
            };
            let client = dealer.connect(port).client(Form::Array);
            assert_eq!(client.ask("echo", &json!(1)), Answer::Result(json!(1)));
            client.socket.event("handshake_succeeded");
            // It has a request under way, whose handler is dropped with it.
            client.socket.send(&[r#"["r","slow",60000]"#]);
            // While this is answered it has time for a PING of its own.
            client.socket.send(&[r#"["s","slow",300]"#]);
            assert_eq!(client.socket.receive(), [r#"["s",null,300]"#]);
            let cancelled = worker.stats().cancelled;
            peer.stop();
            until("it is given up", || worker.stats().connections == 1);
            until("its handler is dropped", || worker.stats().cancelled == cancelled + 1);
            assert_eq!(other.ask("echo", &json!(2)), Answer::Result(json!(2)));
            peer.resume();
            client.socket.event("disconnected");
            client.socket.event("handshake_succeeded");
            assert_eq!(client.ask("echo", &json!(3)), Answer::Result(json!(3)));
            client.socket.close();
            until("it has gone", || worker.stats().connections == 1);
        }
    }
}

#[test]
fn a_dealer_finds_a_worker_that_comes_late_and_one_that_comes_back() {
    for language in Language::BOTH {
        for mechanism in Mechanism::ALL {
            let place = port::take();
            let start = || rig::start(rig::config(place.number, with(mechanism)));
            let dealer = mechanism.client(Peer::start(language).socket("DEALER"));
            let client = dealer.reconnect(ms(10)).connect(place.number).client(Form::Frames);
            for round in 0..3 {
                // It is asked while nobody is there.
                let asked = thread::spawn({
                    let client = client.clone();
                    move || client.ask("echo", &json!(format!("asked {round}")))
                });
                client.socket.event("connect_retried");
                let worker = start();
                assert_eq!(asked.join().unwrap(), Answer::Result(format!("asked {round}").into()));
                client.socket.event("handshake_succeeded");
                rig::stop(worker);
                client.socket.event("disconnected");
            }
        }
    }
}

#[test]
fn reqs_behind_libzmqs_proxy_are_answered() {
    let worker = rig::serve(Config::default());
    let between = Peer::python();
    let port = rpc::proxy(&between, worker.addr().port());
    let clients: Vec<_> = Form::BOTH
        .into_iter()
        .flat_map(|form| Language::BOTH.map(|language| (form, Peer::start(language))))
        .map(|(form, peer)| peer.socket("REQ").connect(port).client(form))
        .collect();
    thread::scope(|scope| {
        for (number, client) in clients.iter().enumerate() {
            scope.spawn(move || {
                for turn in 0..50 {
                    let text = format!("{number}: {turn}");
                    assert_eq!(client.ask("echo", &json!(text)), Answer::Result(text.into()));
                    assert_eq!(client.ask("fail", &json!("ERR_X")), error("ERR_X"));
                }
            });
        }
    });
    // All of them are one to us.
    let stats = worker.stats();
    assert_eq!((stats.accepted, stats.requests, stats.malformed), (1, 400, 0));
}
