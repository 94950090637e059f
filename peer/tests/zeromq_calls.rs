//! Calls over ZeroMQ between clients and workers of ours.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use grenache_engine::sleep;
use grenache_grape::Grape;
use grenache_peer::server::{self, Reply, Services};
use grenache_peer::tls::{Authorities, ClientTls, Identity, ServerTls};
use grenache_peer::worker::{self, Context};
use grenache_peer::zeromq::{self, Form, Gate, Security, draw_keys};
use grenache_peer::{
    Call, Error, Failure, Handle, Json, StreamCall, Transport, Worker, client, handle,
};

const LOCAL: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 0);

fn grape() -> (Grape, Vec<String>) {
    let config = grenache_grape::Config { dht_port: 0, api_port: 0, ..Default::default() };
    let grape = Grape::start(config).expect("a grape");
    let grapes = vec![format!("http://{}", grape.api_addr())];
    (grape, grapes)
}

fn services(_: &Context, services: &mut Services) {
    services.add("echo", |request| async move {
        Ok::<_, Error>(Reply::from(request.payload().clone()))
    });
    services.add("sum", |request| async move {
        let numbers: Vec<f64> = request.json()?;
        Reply::json(&numbers.iter().sum::<f64>())
    });
    services.add("fail", |_| async { Err::<Reply, _>("ERR_NO: never".to_owned()) });
    services.add("slow", |request| async move {
        sleep(Duration::from_millis(200)).await;
        Ok::<_, Error>(Reply::from(request.payload().clone()))
    });
}

fn worker(grapes: &[String], gate: Gate) -> worker::Config {
    let server = server::Config { gate, ..Default::default() };
    worker::Config { listen: LOCAL, grapes: grapes.to_vec(), server, ..Default::default() }
}

fn over_zeromq(zeromq: zeromq::Config) -> client::Config {
    client::Config { transport: Transport::ZeroMq, zeromq, ..Default::default() }
}

fn secured(security: Security) -> client::Config {
    over_zeromq(zeromq::Config { security, ..Default::default() })
}

fn handle(grapes: &[String], client: client::Config) -> Handle {
    let config = handle::Config { grapes: grapes.to_vec(), client, ..Default::default() };
    Handle::start(config).expect("a handle")
}

fn call(service: &str, payload: &Json) -> Call {
    Call::new(service, payload.clone()).wait_for_service()
}

fn of<T: serde::Serialize + ?Sized>(value: &T) -> Json {
    Json::of(value).expect("JSON")
}

/// What is good of all workers.
fn is_well(handle: &Handle, form: Form) {
    let ask = |service, payload: &Json| handle.request(call(service, payload)).wait();
    for size in [0, 10, 300, 20_000, 3_000_000] {
        let text = of(&"z".repeat(size));
        assert_eq!(ask("echo", &text), Ok(text), "{size} bytes");
    }
    let object = Json::from_text("{\"a\": [1.50, null]}").unwrap();
    match form {
        // Texts both ways.
        Form::Frames => assert_eq!(ask("echo", &object), Ok(of(object.as_str()))),
        _ => {
            assert_eq!(ask("echo", &object), Ok(object));
            assert_eq!(ask("sum", &of(&[1.5, 2.0])), Ok(of(&3.5)));
        }
    }
    assert_eq!(ask("fail", &Json::null()), Err(Error::Remote("ERR_NO: never".into())));
    // On one connection, and the slow one does not hold the others up.
    let slow = handle.request(call("slow", &of("late")));
    let quick: Vec<_> =
        (0..200).map(|number| handle.request(call("echo", &of(&format!("{number}"))))).collect();
    for (number, asked) in quick.into_iter().enumerate() {
        assert_eq!(asked.wait(), Ok(of(&format!("{number}"))));
    }
    assert_eq!(slow.wait(), Ok(of("late")));
}

#[test]
fn in_both_forms() {
    let (_grape, grapes) = grape();
    let _worker = Worker::start(worker(&grapes, Gate::Null), services).expect("a worker");
    for form in [Form::Told, Form::Array, Form::Frames] {
        let config = zeromq::Config { form, ..Default::default() };
        is_well(&handle(&grapes, over_zeromq(config)), form);
    }
}

#[test]
fn with_passwords_and_with_keys() {
    let (server, allowed) = (draw_keys(), draw_keys());
    let users = BTreeMap::from([("ann".to_owned(), "secret".to_owned())]);
    let login = |password: &str| Security::Plain { user: "ann".into(), password: password.into() };
    let knowing = |server: &zeromq::KeyPair, keys: &zeromq::KeyPair| Security::Curve {
        server: server.public,
        keys: keys.clone(),
    };
    let only = Gate::Curve { keys: server.clone(), allow: Some([allowed.public].into()) };
    for (gate, good, bad) in [
        (Gate::Plain(users), login("secret"), [login("wrong"), Security::Null]),
        (
            only,
            knowing(&server, &allowed),
            [knowing(&server, &draw_keys()), knowing(&draw_keys(), &allowed)],
        ),
    ] {
        let (_grape, grapes) = grape();
        let worker = Worker::start(worker(&grapes, gate), services).expect("a worker");
        is_well(&handle(&grapes, secured(good)), Form::Told);
        for security in bad {
            let shown = format!("{security:?}");
            let stranger = handle(&grapes, secured(security));
            let before = worker.stats().requests;
            let error = stranger.request(call("echo", &of("hello"))).wait().expect_err(&shown);
            let connect = |error: &Error| {
                matches!(error, Error::Request { failure: Failure::Connect(_), .. })
            };
            assert!(connect(&error) && !error.may_have_run(), "{shown}: {error:?}");
            assert_eq!(worker.stats().requests, before);
        }
    }
}

#[test]
fn over_tls_too() {
    let made = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).expect("a certificate");
    let (certificate, key) = (made.cert.pem(), made.signing_key.serialize_pem());
    let identity = Identity::from_pem(certificate.as_bytes(), key.as_bytes()).expect("a pair");
    let authorities = Authorities::from_pem(certificate.as_bytes()).expect("a certificate");
    let (_grape, grapes) = grape();
    let tls = Some(ServerTls::new(identity));
    let secure = worker::Config { tls, ..worker(&grapes, Gate::Null) };
    let _worker = Worker::start(secure, services).expect("a worker");
    let config = handle::Config {
        grapes,
        client: secured(Security::Null),
        client_tls: Some(ClientTls::new(authorities)),
        ..Default::default()
    };
    is_well(&Handle::start(config).expect("a handle"), Form::Told);
}

#[test]
fn what_is_https_alone_is_refused_by_name() {
    let (_grape, grapes) = grape();
    let handle = handle(&grapes, secured(Security::Null));
    let error = handle.request(call("echo", &of("hello")).gzip()).wait().expect_err("gzip");
    assert!(error.to_string().contains("not over ZeroMQ"), "{error}");
    let error = handle.stream(StreamCall::new("echo")).wait().map(|_| ()).expect_err("a stream");
    assert!(error.to_string().contains("not over ZeroMQ"), "{error}");
}

#[test]
fn a_worker_that_stops_answers_what_it_has_and_its_services_call_over_zeromq() {
    let (_grape, grapes) = grape();
    let behind = Worker::start(worker(&grapes, Gate::Null), services).expect("a worker");
    let front = worker::Config { client: secured(Security::Null), ..worker(&grapes, Gate::Null) };
    let front = Worker::start(front, |context, services| {
        let client = context.client.clone();
        services.add("front", move |request| {
            let client = client.clone();
            async move {
                let reply = client.request(call("slow", request.payload())).await?;
                Ok::<_, Error>(Reply::from(reply))
            }
        });
    });
    let front = front.expect("a worker");
    let handle = handle(&grapes, secured(Security::Null));
    assert_eq!(handle.request(call("front", &of("one"))).wait(), Ok(of("one")));
    let asked = handle.request(call("front", &of("two")));
    while front.stats().requests < 2 {
        std::thread::yield_now();
    }
    front.stop();
    assert_eq!(asked.wait(), Ok(of("two")));
    front.join().expect("no panic");
    behind.stop();
    behind.join().expect("no panic");
}
