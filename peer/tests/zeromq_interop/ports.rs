//! One port of ours, asked over every transport by every kind of client: all of them are told the same.

use grenache_peer::server::Config;
use grenache_peer::tls::{Authorities, ClientTls, Clients, Identity, ServerTls};
use grenache_peer::{
    Call, Handle, Json, Publisher, Transport, Worker, client, handle, publish, worker, zeromq,
};
use serde_json::{Value, json};

use crate::certificates::{Pair, TRUSTED};
use crate::mechanism::Mechanism;
use crate::peer::{Language, Peer};
use crate::process::Process;
use crate::rig;
use crate::rpc::{self, Form};

/// A client of any kind.
enum Client {
    Ours(Handle),
    /// Of grenache-nodejs-http or grenache-nodejs-ws.
    Node(Process),
    Libzmq(rpc::Client),
}

impl Client {
    fn ask(&mut self, service: &str, payload: &Value) -> Result<Value, String> {
        match self {
            Client::Ours(handle) => {
                let call = Call::new(service, Json::of(payload).expect("JSON"));
                let reply = handle.request(call).wait().map_err(|error| error.to_string())?;
                Ok(reply.to().expect("JSON"))
            }
            Client::Node(process) => {
                let command = json!({
                    "call": "request",
                    "service": service,
                    "payload": payload.to_string(),
                });
                let text = process.ask(&command)?["text"].as_str().expect("a text").to_string();
                Ok(serde_json::from_str(&text).expect("JSON"))
            }
            Client::Libzmq(client) => match client.ask(service, payload) {
                rpc::Answer::Result(result) => Ok(result),
                rpc::Answer::Error(text) | rpc::Answer::Busy(text) => Err(text),
            },
        }
    }

    fn ours(transport: Transport, mechanism: Mechanism, tls: Option<&ClientTls>) -> Client {
        let security = mechanism.security();
        let zeromq = zeromq::Config { security, ..zeromq::Config::default() };
        let client = client::Config { transport, zeromq, ..client::Config::default() };
        let grapes = rig::grapes();
        let config =
            handle::Config { grapes, client, client_tls: tls.cloned(), ..Default::default() };
        Client::Ours(Handle::start(config).expect("it starts"))
    }

    fn node(transport: &str, secure: Option<&Pair>) -> Client {
        let secure =
            secure.map(|pair| json!({"key": pair.key, "cert": pair.cert, "ca": TRUSTED.pem()}));
        let conf = json!({"grape": rig::grape(), "transport": transport, "secure": secure});
        let mut process = Process::node("caller.js", &conf);
        process.wait_for_event("ready");
        Client::Node(process)
    }
}

/// Starts a worker with all services under a name of the test's own.
fn serve(mechanism: Mechanism, tls: Option<ServerTls>) -> (Worker, String) {
    let server = Config { gate: mechanism.gate(), ..Config::default() };
    let config = worker::Config { grapes: rig::grapes(), tls, cores: 2, ..rig::config(0, server) };
    let prefix = format!("{}:", rig::service("port"));
    let begin = prefix.clone();
    let worker = Worker::start(config, move |_, services| {
        rig::add_services(services, &begin);
        // Announced, and nobody there.
        services.announce(&format!("{begin}nobody"));
    });
    let worker = worker.expect("it starts");
    assert!(worker.announced());
    (worker, prefix)
}

/// libzmq's, in both languages and forms.
fn libzmq(peers: &[Peer], mechanism: Mechanism, worker: &Worker) -> Vec<(String, Client, Form)> {
    let mut all = Vec::new();
    for peer in peers {
        for form in Form::BOTH {
            let dealer = mechanism.client(peer.socket("DEALER")).connect(worker.addr().port());
            let name = format!("libzmq {}, {form:?}", all.len());
            all.push((name, Client::Libzmq(dealer.client(form)), form));
        }
    }
    all
}

/// Asks all of them the same, turn by turn and at once.
fn all_are_told_the_same(clients: Vec<(String, Client, Form)>, worker: &Worker, prefix: &str) {
    let large = rig::text(1_000_000);
    let text = |text: &str| (json!(text), Ok(json!(text)));
    let failed = |text: &str| (json!(text), Err(text.to_string()));
    let unknown = (json!("x"), Err("ERR_SERVICE_NOTFOUND".to_string()));
    // What every form can say; the rest goes in arrays.
    let questions = [
        ("echo", text("hello")),
        ("echo", text("")),
        ("echo", text("größe 服务 \u{1f600} \"quoted\" \\ \n\t\u{1}")),
        ("echo", text(r#"{"a":1}"#)),
        ("echo", text(&large)),
        ("fail", failed("ERR_ACCOUNT: no such account")),
        ("fail", failed("ERR_größe \"quoted\" \\ \n\u{1f600}")),
        ("fail", failed(&format!("ERR_LONG {large}"))),
        ("nobody", unknown),
    ];
    let value = |value: Value| (value.clone(), Ok(value));
    let only_arrays = [
        ("echo", value(json!(null))),
        ("echo", value(json!(-1.5))),
        ("echo", value(json!({"a": [1, {"b": null}], "größe": "服务"}))),
        ("fail", failed("no name of an error")),
    ];
    let count = clients.len() as u64;
    std::thread::scope(|scope| {
        for (name, mut client, form) in clients {
            let (questions, only_arrays) = (&questions, &only_arrays);
            scope.spawn(move || {
                let more = only_arrays.iter().filter(|_| form == Form::Array);
                for (service, (payload, expected)) in questions.iter().chain(more) {
                    let answer = client.ask(&format!("{prefix}{service}"), payload);
                    assert!(answer == *expected, "{name}, {service}");
                }
            });
        }
    });
    let stats = worker.stats();
    assert!(stats.requests >= count * 8, "{stats:?}");
    assert_eq!((stats.malformed, stats.refused, stats.in_flight), (0, 0, 0));
}

#[test]
fn without_security() {
    let (worker, prefix) = serve(Mechanism::Null, None);
    let mut clients = libzmq(&Language::BOTH.map(Peer::start), Mechanism::Null, &worker);
    for transport in [Transport::Http, Transport::WebSocket, Transport::ZeroMq] {
        let client = Client::ours(transport, Mechanism::Null, None);
        clients.push((format!("our {transport:?}"), client, Form::Array));
    }
    for transport in ["http", "ws"] {
        clients.push((format!("Node's {transport}"), Client::node(transport, None), Form::Array));
    }
    all_are_told_the_same(clients, &worker, &prefix);
}

#[test]
fn with_tls_and_curve_beside_and_inside_it() {
    let (ours, theirs) = (TRUSTED.issue("worker"), TRUSTED.issue("client"));
    let authorities = || Authorities::from_pem(TRUSTED.pem().as_bytes()).expect("PEM");
    let identity =
        |pair: &Pair| Identity::from_pem(pair.cert.as_bytes(), pair.key.as_bytes()).expect("PEM");
    let mut server = ServerTls::new(identity(&ours));
    server.clients = Clients::Required(authorities());
    let mut tls = ClientTls::new(authorities());
    tls.identity = Some(identity(&theirs));
    let (worker, prefix) = serve(Mechanism::Curve, Some(server));
    let mut clients = libzmq(&Language::BOTH.map(Peer::start), Mechanism::Curve, &worker);
    for (transport, tls) in [
        (Transport::Http, Some(&tls)),
        (Transport::WebSocket, Some(&tls)),
        (Transport::ZeroMq, Some(&tls)),
        (Transport::ZeroMq, None),
    ] {
        let client = Client::ours(transport, Mechanism::Curve, tls);
        let name = format!("our {transport:?}, TLS: {}", tls.is_some());
        clients.push((name, client, Form::Array));
    }
    for transport in ["http", "ws"] {
        let client = Client::node(transport, Some(&theirs));
        clients.push((format!("Node's {transport}"), client, Form::Array));
    }
    all_are_told_the_same(clients, &worker, &prefix);
    // Who has neither is not let in.
    let service = format!("{prefix}echo");
    for transport in [Transport::Http, Transport::WebSocket, Transport::ZeroMq] {
        let mut client = Client::ours(transport, Mechanism::Null, None);
        let refused = client.ask(&service, &json!("x")).expect_err("it is not let in");
        assert!(refused.starts_with("ERR_"), "{transport:?}: {refused}");
    }
}

#[test]
fn calls_and_publications_on_one_port() {
    let peers = Language::BOTH.map(Peer::start);
    for mechanism in Mechanism::ALL {
        let publisher = Publisher::new(publish::Config::default());
        let server = Config { gate: mechanism.gate(), ..Config::default() };
        let attached = publisher.clone();
        let worker = Worker::start(rig::config(0, server), move |_, services| {
            rig::add_services(services, "");
            services.publish("ticker", &attached);
        });
        let worker = worker.expect("it starts");
        let port = worker.addr().port();
        for (count, peer) in (1..).zip(&peers) {
            let dealer = mechanism.client(peer.socket("DEALER")).connect(port);
            let sub = mechanism.client(peer.socket("SUB")).connect(port);
            sub.subscribe("t");
            rig::until("it listens", || publisher.stats().listening == count);
            let mut dealer = Client::Libzmq(dealer.client(Form::Array));
            for turn in 0..10 {
                publisher.publish("t", turn.to_string()).expect("room");
                assert_eq!(dealer.ask("echo", &json!(turn)), Ok(json!(turn)));
                assert_eq!(sub.receive(), ["t", &turn.to_string()]);
            }
        }
        assert_eq!(worker.stats().malformed, 0);
    }
}
