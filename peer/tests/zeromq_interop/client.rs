//! Our client, with workers made of libzmq's ROUTERs.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use grenache_peer::zeromq::{self, Security};
use grenache_peer::{Call, Error, Failure, Handle, Json, Transport, client, handle};
use serde_json::{Value, json};

use crate::mechanism::Mechanism;
use crate::peer::{Language, Peer};
use crate::rig::{self, announce, text};
use crate::rpc::{Form, Worker};
use crate::security::{self, PASSWORD, USER};

const fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// A client of ours.
fn client(zeromq: zeromq::Config) -> Handle {
    let client = client::Config { transport: Transport::ZeroMq, zeromq, ..Default::default() };
    let config = handle::Config { grapes: rig::grapes(), client, ..Default::default() };
    Handle::start(config).expect("it starts")
}

fn with(security: Security) -> zeromq::Config {
    zeromq::Config { security, ..zeromq::Config::default() }
}

fn call(service: &str, payload: &Value) -> Call {
    Call::new(service, Json::of(payload).expect("JSON")).timeout(ms(20_000)).attempts(1)
}

fn addr(worker: &Worker) -> SocketAddr {
    ([127, 0, 0, 1], worker.port()).into()
}

/// What a worker of this form makes of a payload.
fn echoed(form: Form, payload: &Value) -> Value {
    match (form, payload) {
        (Form::Frames, other) if !other.is_string() => json!(other.to_string()),
        _ => payload.clone(),
    }
}

#[test]
fn workers_of_both_forms_are_found_and_asked() {
    let peers = Language::BOTH.map(Peer::start);
    let forms = [
        // What they take, whether they say so, and what we are told of it.
        (Form::Array, true, zeromq::Form::Told),
        (Form::Frames, false, zeromq::Form::Told),
        (Form::Array, false, zeromq::Form::Array),
        (Form::Frames, true, zeromq::Form::Frames),
    ];
    for mechanism in Mechanism::ALL {
        for (form, says, configured) in forms {
            let ours = zeromq::Config { form: configured, ..with(mechanism.security()) };
            let handle = client(ours);
            for peer in &peers {
                println!("{mechanism:?}, {form:?}, configured: {configured:?}");
                let router = mechanism.server(peer.socket("ROUTER"));
                let router = if says { router.says_array() } else { router };
                let worker = router.bind().serve(form);
                let service = rig::service("found");
                for name in ["echo", "fail"] {
                    announce(&format!("{service}:{name}"), worker.port());
                }
                let texts =
                    ["hello", "", "größe 服务 \u{1f600}", "say \"hi\"\n\\"].map(Value::from);
                let others = [json!(null), json!(1.5), json!({"a": [1, {"b": null}]})];
                for payload in texts.into_iter().chain(others) {
                    let expected = echoed(form, &payload);
                    let by_name = handle.request(call(&format!("{service}:echo"), &payload));
                    assert_eq!(by_name.wait().unwrap().to::<Value>().unwrap(), expected);
                    let by_address = handle.request_at(addr(&worker), call("echo", &payload));
                    assert_eq!(by_address.wait().unwrap().to::<Value>().unwrap(), expected);
                }
                for text in ["ERR_X: why", "ERR_größe\n\u{1f600}"] {
                    let failed = handle.request(call(&format!("{service}:fail"), &json!(text)));
                    assert_eq!(failed.wait(), Err(Error::Remote(text.into())));
                }
                if form == Form::Array {
                    let failed = handle.request_at(addr(&worker), call("fail", &json!("why")));
                    assert_eq!(failed.wait(), Err(Error::Remote("why".into())));
                }
            }
        }
    }
}

/// A worker of each form and language, with a client that has settings of its own.
fn each(zeromq: &zeromq::Config, test: impl Fn(&Handle, &Worker, Form)) {
    for language in Language::BOTH {
        for form in Form::BOTH {
            println!("{language:?}, {form:?}");
            let router = Peer::start(language).socket("ROUTER");
            let router = if form == Form::Array { router.says_array() } else { router };
            test(&client(zeromq.clone()), &router.bind().serve(form), form);
        }
    }
}

#[test]
fn many_are_under_way_on_one_connection() {
    each(&zeromq::Config::default(), |handle, worker, _| {
        let to = addr(worker);
        // The worker answers it after the next.
        let late = handle.request_at(to, call("later", &json!("late")));
        let asked: Vec<_> = (0..500)
            .map(|number| handle.request_at(to, call("echo", &json!(format!("{number}")))))
            .collect();
        for (number, asked) in asked.into_iter().enumerate() {
            assert_eq!(asked.wait().unwrap().to::<String>().unwrap(), number.to_string());
        }
        assert_eq!(late.wait().unwrap().to::<String>().unwrap(), "late");
        let next = || worker.socket.event_of(&["request", "handshake_succeeded"]).0;
        let requests = (0..502).filter(|_| next() == "request").count();
        assert_eq!(requests, 501, "they came on one connection");
    });
}

#[test]
fn ten_megabytes_there_and_back() {
    each(&zeromq::Config::default(), |handle, worker, _| {
        for size in [0, 1, 254, 255, 256, 70_000, 1_000_000, 10_000_000] {
            let text = json!(text(size));
            let echo = handle.request_at(addr(worker), call("echo", &text)).wait().unwrap();
            assert!(echo.to::<Value>().unwrap() == text, "{size} bytes");
        }
    });
    let small = zeromq::Config { max_message: 1000, ..zeromq::Config::default() };
    each(&small, |handle, worker, _| {
        let large = handle.request_at(addr(worker), call("echo", &json!(text(2000)))).wait();
        let expected = Error::ReplyTooLarge { to: addr(worker), limit: 1000 };
        assert_eq!(large, Err(expected));
        assert!(handle.request_at(addr(worker), call("echo", &json!("x"))).wait().is_ok());
    });
}

#[test]
fn busy_has_not_begun() {
    each(&zeromq::Config::default(), |handle, worker, form| {
        let to = addr(worker);
        let error = handle.request_at(to, call("busy", &json!("x"))).wait().unwrap_err();
        match form {
            Form::Array => {
                assert_eq!(error, Error::Request { to, failure: Failure::Busy });
                assert!(!error.may_have_run());
            }
            // Which cannot be said in it.
            Form::Frames => {
                assert_eq!(error, Error::Remote("ERR_BUSY".into()));
                assert!(error.may_have_run());
            }
        }
    });
}

#[test]
fn deadlines_end_a_call_and_nothing_else() {
    each(&zeromq::Config::default(), |handle, worker, _| {
        let to = addr(worker);
        let late = handle.request_at(to, call("later", &json!("late")).timeout(ms(200)));
        let never = handle.request_at(to, call("never", &json!("x")).timeout(ms(300)));
        for (asked, limit) in [(late, 200), (never, 300)] {
            let expected = Error::Timeout { limit: ms(limit), to: Some(to), may_have_run: true };
            assert_eq!(asked.wait(), Err(expected));
        }
        // With this the answer to `later` comes, which nobody waits for any more.
        for text in ["1", "2"] {
            let echo = handle.request_at(to, call("echo", &json!(text)));
            assert_eq!(echo.wait().unwrap().to::<String>().unwrap(), text);
        }
        assert_eq!(handle.in_flight(), 0);
    });
}

/// A client that looks soon whether a worker is there.
fn pinging(timeout: Duration) -> Handle {
    let (ping_interval, ping_timeout) = (ms(50), timeout);
    client(zeromq::Config { ping_interval, ping_timeout, ..zeromq::Config::default() })
}

#[test]
fn a_worker_that_is_alive_may_take_its_time() {
    let (handle, limit) = (pinging(ms(1000)), ms(1500));
    let mut asked = Vec::new();
    for peer in Language::BOTH.map(Peer::start) {
        for router in
            [peer.socket("ROUTER"), peer.socket("ROUTER").heartbeat(ms(50), ms(1000), ms(1000))]
        {
            let worker = router.bind().serve(Form::Frames);
            let never = call("never", &json!("x")).timeout(limit);
            asked.push((handle.request_at(addr(&worker), never), worker));
        }
    }
    for (never, worker) in asked {
        let to = addr(&worker);
        let expected = Error::Timeout { limit, to: Some(to), may_have_run: true };
        assert_eq!(never.wait(), Err(expected));
        assert!(handle.request_at(to, call("echo", &json!("x"))).wait().is_ok());
        for _ in 0..2 {
            assert_eq!(worker.socket.event_of(&["request", "disconnected"]).0, "request");
        }
    }
}

#[test]
fn a_worker_that_is_stopped_is_given_up() {
    for language in Language::BOTH {
        let peer = Peer::start(language);
        let worker = peer.socket("ROUTER").bind().serve(Form::Frames);
        let (to, handle) = (addr(&worker), pinging(ms(500)));
        let never = handle.request_at(to, call("never", &json!("x")));
        worker.request();
        peer.stop();
        let error = never.wait().unwrap_err();
        assert!(matches!(error, Error::Request { .. }) && error.may_have_run(), "{error}");
        peer.resume();
        let echo = handle.request_at(to, call("echo", &json!("x")).attempts(10));
        assert_eq!(echo.wait().unwrap().to::<String>().unwrap(), "x");
    }
}

#[test]
fn a_worker_that_dies_ends_its_calls_at_once_and_may_come_back() {
    for language in Language::BOTH {
        for mechanism in Mechanism::ALL {
            let handle = client(with(mechanism.security()));
            let peer = Peer::start(language);
            let worker = mechanism.server(peer.socket("ROUTER")).bind().serve(Form::Frames);
            let service = rig::service("death");
            for name in ["echo", "never"] {
                announce(&format!("{service}:{name}"), worker.port());
            }
            let never = call(&format!("{service}:never"), &json!("x"));
            let asked: Vec<_> = (0..20).map(|_| handle.request(never.clone())).collect();
            (0..20).for_each(|_| drop(worker.request()));
            let begun = Instant::now();
            peer.kill();
            for asked in asked {
                let error = asked.wait().unwrap_err();
                println!("{language:?}, {mechanism:?}: {error}");
                assert!(error.may_have_run());
                assert!(!matches!(error, Error::Timeout { .. }), "{error}");
            }
            assert!(begun.elapsed() < ms(10_000));
            // Now it is certain that a call is not begun.
            let echo = call(&format!("{service}:echo"), &json!("x"));
            let error = handle.request(echo.clone()).wait().unwrap_err();
            assert!(!error.may_have_run(), "{error}");
            let again = mechanism.server(Peer::start(language).socket("ROUTER")).open();
            again.bind(worker.port());
            let _again = again.serve(Form::Frames);
            let echo = handle.request(echo.attempts(10)).wait().expect("it is there again");
            assert_eq!(echo.to::<String>().unwrap(), "x");
        }
    }
}

#[test]
fn another_worker_takes_what_a_dead_one_may_not_have_done_and_may_do_it_again() {
    for language in Language::BOTH {
        let handle = client(zeromq::Config::default());
        let service = format!("{}:later", rig::service("again"));
        let dies = Peer::start(language);
        let first = dies.socket("ROUTER").bind().serve(Form::Frames);
        announce(&service, first.port());
        let asked = handle.request(call(&service, &json!("x")).attempts(5).idempotent());
        first.request();
        let second = Peer::start(language).socket("ROUTER").bind().serve(Form::Frames);
        announce(&service, second.port());
        dies.kill();
        second.request();
        // It answers what it has been asked once there is another answer to give.
        let other = handle.request_at(addr(&second), call("echo", &json!("y")));
        assert_eq!(other.wait().unwrap().to::<String>().unwrap(), "y");
        assert_eq!(asked.wait().unwrap().to::<String>().unwrap(), "x");
    }
}

#[test]
fn who_is_refused_is_told_in_one_line_and_nothing_has_run() {
    let (server, known, stranger) = (security::server(), security::client(), security::keys(9));
    let plain = |user: &str, password: &str| Security::Plain {
        user: user.into(),
        password: password.into(),
    };
    let curve = |server, keys| Security::Curve { server, keys };
    let cases = [
        (Mechanism::Plain, plain(USER, "wrong"), "refused: 400"),
        (Mechanism::Plain, plain("nobody", PASSWORD), "refused: 400"),
        (Mechanism::Plain, Security::Null, "security"),
        (Mechanism::Plain, curve(server.public, known.clone()), "security"),
        (Mechanism::Curve, curve(server.public, stranger.clone()), "refused: 400"),
        (Mechanism::Curve, curve(stranger.public, known.clone()), "security"),
        (Mechanism::Curve, Security::Null, "security"),
        (Mechanism::Curve, plain(USER, PASSWORD), "security"),
        (Mechanism::Null, plain(USER, PASSWORD), "security"),
        (Mechanism::Null, curve(server.public, known.clone()), "security"),
    ];
    for language in Language::BOTH {
        let peer = Peer::start(language);
        for (mechanism, security, why) in cases.clone() {
            let worker = mechanism.server(peer.socket("ROUTER")).bind().serve(Form::Frames);
            let good = client(with(mechanism.security()));
            let echo = call("echo", &json!("x"));
            assert!(good.request_at(addr(&worker), echo.clone()).wait().is_ok());
            let error = client(with(security.clone())).request_at(addr(&worker), echo.clone());
            let error = error.wait().unwrap_err();
            println!("{mechanism:?}, {security:?}: {error}");
            let said = error.to_string();
            let begins = format!("ERR_REQUEST_GENERIC: {}: no connection: ", addr(&worker));
            assert!(said.starts_with(&begins) && said.contains(why), "{said}");
            assert!(!said.contains('\n') && !said.contains(PASSWORD), "{said}");
            assert!(!error.may_have_run());
            assert!(good.request_at(addr(&worker), echo).wait().is_ok());
        }
    }
}
