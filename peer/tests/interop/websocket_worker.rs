//! Our worker's WebSockets as Node's clients know them: those of Grenache, and the package `ws` by itself.

use std::time::Duration;

use grenache_peer::publish::{self, Publisher};
use grenache_peer::server::{self, Reply, Request, Services};
use grenache_peer::{Error, Fingerprint, Transport, Worker, worker};
use serde_json::{Value, json};

use crate::caller::{Caller, Options};
use crate::certificates::TRUSTED;
use crate::grapes::{self, Side, prefix};
use crate::port;
use crate::process::Process;
use crate::secure::{ClientSide, Clients, ServerSide};

/// A worker at a port, announced.
fn start(
    config: worker::Config,
    port: u16,
    setup: impl Fn(&mut Services) + Send + Sync + 'static,
) -> Worker {
    let config = worker::Config {
        listen: ([127, 0, 0, 1], port).into(),
        grapes: vec![format!("http://127.0.0.1:{}", grapes::api(Side::Rust))],
        ..config
    };
    let worker = Worker::start(config, move |_, services| setup(services)).expect("a worker");
    assert!(worker.announced());
    worker
}

/// A WebSocket of the package `ws`.
fn socket(worker: &Worker, more: Value) -> Process {
    let mut conf = more;
    conf["port"] = json!(worker.addr().port());
    Process::node("socket.js", &conf)
}

async fn echo(request: Request) -> Result<Reply, Error> {
    Ok(request.payload().clone().into())
}

#[test]
fn a_list_of_fingerprints_is_asked_before_the_upgrade() {
    let (known, unknown) = (TRUSTED.issue("known"), TRUSTED.issue("unknown"));
    let list: Vec<Fingerprint> = vec![known.sha1().parse().unwrap()];
    let server = ServerSide::new(&TRUSTED.issue("worker"), Clients::Required);
    let config = worker::Config { tls: Some(server.rust()), ..Default::default() };
    let prefix = prefix("ws:admit");
    let (service, ticker) = (format!("{prefix}:certificate"), format!("{prefix}:ticker"));
    let (name, publisher) = (service.clone(), Publisher::new(publish::Config::default()));
    let attached = publisher.clone();
    let worker = start(config, 0, move |services| {
        services.add(&name, |request: Request| async move {
            let certificate = request.certificate().expect("it was let in by it");
            Reply::json(&json!({"sha1": certificate.sha1().to_string()}))
        });
        services.publish(&ticker, &attached);
        let list = list.clone();
        services.admit(move |visitor| {
            visitor.certificate().is_some_and(|certificate| list.contains(&certificate.sha1()))
        });
    });
    grapes::wait_for_announced(Side::Rust, &service, worker.addr().port());

    let (good, bad) = (ClientSide::new(&known), ClientSide::new(&unknown));
    let mut caller = Caller::over(Transport::WebSocket, Side::Node, Side::Rust, Some(&good));
    let seen = caller.request(&service, "1", Options::default());
    assert_eq!(seen, Ok(json!({"sha1": known.sha1()}).to_string()));
    // Node's own client would die of it.
    let mut refused = socket(&worker, json!({"secure": bad.node()}));
    let error = refused.wait_for_event("error");
    assert_eq!(error["message"], json!("Unexpected server response: 401"));
    let mut ours = Caller::over(Transport::WebSocket, Side::Rust, Side::Rust, Some(&bad));
    let error = ours.request(&service, "1", Options::default()).expect_err("it is refused");
    assert!(error.contains("401"), "{error}");

    let conf = json!({"secure": good.node(), "protocol": "grenache.topics"});
    let mut hears = socket(&worker, conf);
    hears.wait_for_event("open");
    assert_eq!(hears.ask(&json!({"send": "+"})), Ok(Value::Null));
    assert_eq!(hears.ask(&json!({"settle": true})), Ok(Value::Null));
    publisher.publish("topic", "text").unwrap();
    assert_eq!(hears.wait_for_event("message")["text"], json!("topic\0text"));
    let stats = worker.stats();
    assert!(stats.requests == 1 && stats.refused >= 2, "{stats:?}");
}

#[test]
fn the_package_ws_hears_topics() {
    let publisher = Publisher::new(publish::Config::default());
    let attached = publisher.clone();
    let service = prefix("ws:topics");
    let worker = start(worker::Config::default(), 0, move |all| all.publish(&service, &attached));
    let mut topical = socket(&worker, json!({"protocol": "grenache.topics"}));
    assert_eq!(topical.wait_for_event("open")["protocol"], json!("grenache.topics"));
    let mut raw = socket(&worker, json!({}));
    raw.wait_for_event("open");
    let mut publish = || {
        for topic in ["trades.BTC", "", "größe"] {
            publisher.publish(topic, format!("of {topic}")).unwrap();
            assert_eq!(raw.wait_for_event("message")["text"], json!(format!("of {topic}")));
        }
        publisher.publish("größe", vec![0xff, 0x00]).unwrap();
        assert_eq!(raw.wait_for_event("message")["bytes"], json!([0xff, 0x00]));
    };
    // Nothing before the first topic is named.
    topical.ask(&json!({"settle": true})).unwrap();
    publish();
    let (trade, word) = ("trades.BTC\0of trades.BTC", "größe\0of größe");
    for (said, texts, also_bytes) in [
        ("+trades.", vec![trade], false),
        ("+gr\u{f6}", vec![trade, word], true),
        ("-trades.", vec![word], true),
    ] {
        topical.ask(&json!({"send": said})).unwrap();
        topical.ask(&json!({"settle": true})).unwrap();
        publish();
        for text in texts {
            assert_eq!(topical.wait_for_event("message")["text"], json!(text), "{said}");
        }
        if also_bytes {
            let bytes = ["größe\0".as_bytes(), &[0xff, 0x00]].concat();
            assert_eq!(topical.wait_for_event("message")["bytes"], json!(bytes), "{said}");
        }
    }
    topical.ask(&json!({"send": "no topic"})).unwrap();
    assert_eq!(topical.wait_for_event("closed")["code"], json!(1008));
    worker.stop();
    assert_eq!(raw.wait_for_event("closed")["code"], json!(1001));
}

#[test]
fn the_package_ws_compresses() {
    let server = server::Config { deflate: true, ..Default::default() };
    let config = worker::Config { server, ..Default::default() };
    let service = prefix("ws:deflate");
    let name = service.clone();
    let worker = start(config, 0, move |services| services.add(&name, echo));
    let texts = ["1".into(), format!("\"{}\"", "größe ".repeat(100_000)), "[1,2]".to_string()];
    for (deflate, agreed) in [
        (json!({"threshold": 0}), true),
        (json!({"threshold": 0, "serverNoContextTakeover": true}), true),
        (json!({"threshold": 0, "clientNoContextTakeover": true, "clientMaxWindowBits": 9}), true),
        (json!({"threshold": 0, "serverMaxWindowBits": 10}), true),
        (json!(false), false),
    ] {
        let mut socket = socket(&worker, json!({"deflate": deflate}));
        let open = socket.wait_for_event("open");
        let extensions = open["extensions"].as_str().unwrap_or_default();
        assert_eq!(extensions.contains("permessage-deflate"), agreed, "{deflate}");
        for _ in 0..3 {
            for text in &texts {
                let request = format!(r#"["r","{service}",{text}]"#);
                assert_eq!(socket.ask(&json!({"send": request})), Ok(Value::Null));
                let answer = socket.wait_for_event("message");
                assert!(answer["text"] == json!(format!(r#"["r",null,{text}]"#)), "{deflate}");
            }
        }
    }
}

#[test]
fn a_node_client_gets_its_answers_from_a_worker_that_stops_and_finds_the_next() {
    let place = port::take();
    let prefix = prefix("ws:restart");
    let (echoes, slow) = (format!("{prefix}:echo"), format!("{prefix}:slow"));
    let names = (echoes.clone(), slow.clone());
    let setup = move |services: &mut Services| {
        services.add(&names.0, echo);
        services.add(&names.1, |request: Request| async move {
            grenache_engine::sleep(Duration::from_millis(300)).await;
            echo(request).await
        });
    };
    let first = start(worker::Config::default(), place.number, setup.clone());
    grapes::wait_for_announced(Side::Rust, &echoes, place.number);
    grapes::wait_for_announced(Side::Rust, &slow, place.number);
    let mut caller = Caller::over(Transport::WebSocket, Side::Node, Side::Rust, None);
    assert_eq!(caller.request(&echoes, "1", Options::default()), Ok("1".into()));
    std::thread::scope(|scope| {
        let asked = scope.spawn(|| caller.request(&slow, "\"begun\"", Options::default()));
        while first.stats().in_flight == 0 {
            std::thread::sleep(Duration::from_millis(1));
        }
        first.stop();
        assert_eq!(asked.join().unwrap(), Ok("\"begun\"".into()));
    });
    first.join().unwrap();
    let _second = start(worker::Config::default(), place.number, setup);
    assert_eq!(caller.request(&echoes, "2", Options::default()), Ok("2".into()));
}

/// Node's subscriber says that it is disconnected, and hears the next worker once its owner has it subscribe again.
#[test]
fn a_node_subscriber_comes_back_to_a_worker_that_was_started_again() {
    let place = port::take();
    let service = prefix("ws:again");
    let start = |publisher: &Publisher| {
        let (name, attached) = (service.clone(), publisher.clone());
        let config = worker::Config::default();
        start(config, place.number, move |services| services.publish(&name, &attached))
    };
    let publisher = Publisher::new(publish::Config::default());
    let first = start(&publisher);
    grapes::wait_for_announced(Side::Rust, &service, place.number);
    let conf = json!({"grape": grapes::api(Side::Rust), "service": service});
    let mut subscriber = Process::node("subscriber.js", &conf);
    for (number, mut worker) in [Some(first), None].into_iter().enumerate() {
        if worker.is_none() {
            worker = Some(start(&publisher));
            subscriber.ask(&json!({"sub": true})).unwrap();
        }
        subscriber.wait_for_event("connected");
        publisher.publish("", format!("message {number}")).unwrap();
        let message = subscriber.wait_for_event("message");
        assert_eq!(message["message"], json!(format!("message {number}")));
        let worker = worker.expect("one runs");
        worker.stop();
        worker.join().unwrap();
        subscriber.wait_for_event("disconnected");
    }
}
