//! Publishers and subscribers of both sides.

use grenache_peer::publish::{Config, Publisher};
use grenache_peer::{Handle, Subscribe, Worker, handle, worker};
use serde_json::json;

use crate::grapes::{self, Side, prefix};
use crate::port;
use crate::process::Process;

fn publisher(service: &str, listen: u16) -> (Worker, Publisher) {
    let publisher = Publisher::new(Config::default());
    let config = worker::Config {
        listen: ([127, 0, 0, 1], listen).into(),
        grapes: vec![format!("http://127.0.0.1:{}", grapes::api(Side::Rust))],
        ..worker::Config::default()
    };
    let (name, attached) = (service.to_string(), publisher.clone());
    let worker = Worker::start(config, move |_, services| services.publish(&name, &attached));
    let worker = worker.expect("a worker");
    assert!(worker.announced());
    (worker, publisher)
}

fn handle() -> Handle {
    let grapes = vec![format!("http://127.0.0.1:{}", grapes::api(Side::Rust))];
    Handle::start(handle::Config { grapes, ..Default::default() }).expect("a handle")
}

#[test]
fn a_node_subscriber_hears_our_publisher() {
    let service = prefix("pub:ours");
    let (_worker, publisher) = publisher(&service, 0);
    let conf = json!({"grape": grapes::api(Side::Rust), "service": service});
    let mut subscriber = Process::node("subscriber.js", &conf);
    subscriber.wait_for_event("connected");
    for (topic, text) in [("", "first"), ("any", "größe \u{1f600}"), ("other", "")] {
        publisher.publish(topic, text).unwrap();
        assert_eq!(subscriber.wait_for_event("message")["message"], json!(text));
    }
    let large = "x".repeat(1_000_000);
    publisher.publish("", large.clone()).unwrap();
    assert!(subscriber.wait_for_event("message")["message"] == json!(large));
    assert_eq!(publisher.stats().subscribers, 1);
}

#[test]
fn our_subscriber_hears_a_node_publisher() {
    let service = prefix("pub:node");
    let port = port::take();
    let conf = json!({"grape": grapes::api(Side::Rust), "service": service, "port": port.number});
    let mut publisher = Process::node("publisher.js", &conf);
    publisher.wait_for_event("announced");
    let handle = handle();
    // It knows no topics, and sends everything.
    let subscribe = Subscribe::new(&service).topic("trades.");
    let mut messages = handle.subscribe(subscribe).wait().unwrap().into_iter();
    for text in ["first", "größe \u{1f600}", "", &"x".repeat(1_000_000)] {
        assert_eq!(publisher.ask(&json!({"message": text})), Ok(json!(1)));
        let message = messages.next().expect("it goes on");
        assert_eq!((message.topic.as_deref(), message.text()), (None, Some(text)));
    }
}

#[test]
fn our_subscriber_gets_the_topics_it_wants_and_comes_back() {
    let service = prefix("pub:topics");
    let place = port::take();
    let (worker, first) = publisher(&service, place.number);
    let handle = handle();
    let subscribe = Subscribe::new(&service).topic("trades.").topic("news");
    let mut messages = handle.subscribe(subscribe).wait().unwrap().into_iter();
    let mut next = || {
        let message = messages.next().expect("it goes on");
        (message.topic.clone().unwrap(), message.text().unwrap().to_string())
    };
    for (topic, text) in [("trades.BTC", "1"), ("quotes.BTC", "2"), ("", "3"), ("newsflash", "4")] {
        first.publish(topic, text).unwrap();
    }
    assert_eq!(next(), ("trades.BTC".into(), "1".into()));
    assert_eq!(next(), ("newsflash".into(), "4".into()));
    worker.stop();
    worker.join().unwrap();
    assert_eq!(first.stats().subscribers, 0);
    // Another one at the same place; the subscriber finds it by itself, and says its topics again.
    let (_worker, second) = publisher(&service, place.number);
    let mut number = 0;
    let came = std::thread::scope(|scope| {
        let came = scope.spawn(&mut next);
        // What is published before the topics are known again is for nobody.
        while !came.is_finished() {
            second.publish("trades.ETH", number.to_string()).unwrap();
            second.publish("quotes.ETH", "not wanted").unwrap();
            number += 1;
            std::thread::sleep(std::time::Duration::from_millis(1));
        }
        came.join().unwrap()
    });
    assert_eq!(came.0, "trades.ETH");
}
