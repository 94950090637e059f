//! A bridge that has to say more than what a worker behind has said.

use std::time::Duration;

use grenache_grape::Grape;
use grenache_peer::bridge::{self, Bridge, Route};
use grenache_peer::server::Reply;
use grenache_peer::{
    Call, Error, Failure, Handle, Json, StreamCall, Transport, Worker, client, handle, server,
    worker,
};

fn grape() -> (Grape, Vec<String>) {
    let config = grenache_grape::Config { dht_port: 0, api_port: 0, ..Default::default() };
    let grape = Grape::start(config).expect("a grape");
    let url = format!("http://{}", grape.api_addr());
    (grape, vec![url])
}

fn client_config(transport: Transport) -> client::Config {
    client::Config { transport, ..client::Config::default() }
}

/// A bridge for `a` that is announced as `name` and speaks `transport` to the workers behind.
fn start_bridge(grapes: &[String], transport: Transport, name: &str) -> Worker {
    let route = Route { service: "a".into(), name: name.into() };
    let bridge = Bridge::new(bridge::Config { routes: vec![route], ..Default::default() });
    let bridge = bridge.expect("it can be");
    let config = worker::Config {
        listen: "127.0.0.1:0".parse().unwrap(),
        grapes: grapes.to_vec(),
        client: client_config(transport),
        ..worker::Config::default()
    };
    let setup = move |context: &_, services: &mut _| bridge.carry_requests(context, services);
    let worker = Worker::start(config, setup).expect("it starts");
    assert!(worker.announced());
    worker
}

#[test]
fn what_nobody_has_begun_may_be_sent_elsewhere() {
    let (_grape, grapes) = grape();
    let config = worker::Config {
        listen: "127.0.0.1:0".parse().unwrap(),
        grapes: grapes.clone(),
        // Always too many.
        server: server::Config { max_in_flight: 0, ..server::Config::default() },
        ..worker::Config::default()
    };
    let worker = Worker::start(config, |_, services| {
        services.add("a", |_| async { Ok::<_, Error>(Reply::from(Json::null())) });
        services.add_stream("a", |_| async { Ok::<_, Error>(()) });
    });
    let worker = worker.expect("it starts");
    assert!(worker.announced());
    for behind in [Transport::Http, Transport::WebSocket] {
        let name = format!("{behind:?}");
        let bridge = start_bridge(&grapes, behind, &name);
        for over in [Transport::Http, Transport::WebSocket] {
            let config = handle::Config {
                grapes: grapes.clone(),
                client: client_config(over),
                ..handle::Config::default()
            };
            let handle = Handle::start(config).expect("it starts");
            for gzip in [false, true] {
                if gzip && over != Transport::Http {
                    continue;
                }
                let call = Call::new(&name, Json::null()).attempts(1);
                let call = if gzip { call.gzip() } else { call };
                let error = handle.request(call).wait().expect_err("nobody has begun");
                let busy = Error::Request { to: bridge.addr(), failure: Failure::Busy };
                assert_eq!(error, busy, "{over:?} over a bridge to {behind:?}, gzip: {gzip}");
                assert!(!error.may_have_run());
            }
            if (over, behind) == (Transport::Http, Transport::Http) {
                let call = StreamCall::new(&name).timeout(Duration::from_secs(30));
                let stream = handle.stream(call).wait().expect("the bridge is there");
                stream.finish().wait().expect("it can be");
                let error = stream.reply().wait().expect_err("nobody has begun");
                assert!(
                    matches!(&error, Error::Remote(_)) && error.code() == "ERR_BUSY",
                    "{error}"
                );
            }
        }
        bridge.stop();
        bridge.join().expect("no core panics");
    }
    assert_eq!(worker.stats().requests, 0);
}

#[test]
fn headers_go_on_and_a_call_of_the_bridge_is_one_of_the_worker() {
    let (_grape, grapes) = grape();
    let config = worker::Config {
        listen: "127.0.0.1:0".parse().unwrap(),
        grapes: grapes.clone(),
        ..worker::Config::default()
    };
    let worker = Worker::start(config, |_, services| {
        services.add("a", |request| async move {
            let seen = ["x-trace", "content-type", "grc-compress"].map(|name| request.header(name));
            Reply::json(&seen)
        });
    });
    let worker = worker.expect("it starts");
    assert!(worker.announced());
    let _bridge = start_bridge(&grapes, Transport::Http, "a:bridge");
    let handle = Handle::start(handle::Config { grapes, ..handle::Config::default() });
    let call = Call::new("a:bridge", Json::null()).header("X-Trace", "größe 1").gzip();
    let call = call.header("content-type", "text/plain");
    let seen = handle.expect("it starts").request(call).wait().expect("a reply");
    assert_eq!(seen.to::<[Option<String>; 3]>().unwrap(), [Some("größe 1".into()), None, None]);
    assert_eq!(worker.stats().requests, 1);
}
