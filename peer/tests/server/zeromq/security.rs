//! Who is let in.

use std::collections::BTreeMap;

use grenache_peer::server::{Config, Reply, Request, Services};
use grenache_peer::worker;
use grenache_peer::zeromq::{Gate, KeyPair, draw_keys};
use grenache_transports::zmtp::{Mechanism, Side, SocketType};

use crate::dealer::Peer;
use crate::{echo, workers};

/// What is seen of another mechanism.
const OTHER: &str = "the peer asks for another security mechanism";

fn config(gate: Gate) -> worker::Config {
    let server = Config { gate, ..Config::default() };
    worker::Config { server, ..Default::default() }
}

async fn who(request: Request) -> Result<Reply, grenache_peer::Error> {
    let key = request.curve_key().map(|key| key.to_string());
    Reply::json(&(key, request.user()))
}

fn setup(services: &mut Services) {
    services.add("who", who);
    services.add("echo", echo);
}

fn curve(server: &KeyPair, client: &KeyPair) -> Mechanism {
    let mut entropy = [0; 96];
    rand::fill(&mut entropy);
    Mechanism::curve_client(server.public, client.clone(), entropy)
}

#[test]
fn plain_knows_users_by_their_passwords() {
    let users = BTreeMap::from([("ann".into(), "secret".into()), ("bob".into(), String::new())]);
    workers(config(Gate::Plain(users)), setup, |worker| {
        let connect = |user: &str, password: &str| {
            let plain = Mechanism::plain_client(user.as_bytes(), password.as_bytes());
            Peer::connect(worker.addr(), SocketType::Dealer, plain.expect("short enough"))
        };
        for (user, password) in [("ann", "secret"), ("bob", "")] {
            let mut peer = connect(user, password);
            let answer = format!(r#"["r",null,[null,"{user}"]]"#);
            assert_eq!(peer.ask(&[r#"["r","who",1]"#]), [answer]);
        }
        for (user, password) in [("ann", "secre"), ("ann", ""), ("carl", "secret"), ("", "")] {
            assert_eq!(connect(user, password).refused.as_deref(), Some("400"), "{user}");
        }
        // Nor without a password, or with another mechanism.
        assert_eq!(Peer::dealer(worker.addr()).refused.as_deref(), Some(OTHER));
        let mechanism = curve(&draw_keys(), &draw_keys());
        let peer = Peer::connect(worker.addr(), SocketType::Dealer, mechanism);
        assert_eq!(peer.refused.as_deref(), Some(OTHER));
        assert_eq!((worker.stats().requests, worker.stats().malformed), (2, 6));
    });
}

#[test]
fn curve_knows_clients_by_their_keys() {
    let (ours, known, unknown) = (draw_keys(), draw_keys(), draw_keys());
    for allow in [None, Some([known.public].into())] {
        let anybody = allow.is_none();
        let gate = Gate::Curve { keys: ours.clone(), allow };
        workers(config(gate), setup, |worker| {
            let connect = |server: &KeyPair, client: &KeyPair| {
                Peer::connect(worker.addr(), SocketType::Dealer, curve(server, client))
            };
            let mut peer = connect(&ours, &known);
            let answer = format!(r#"["r",null,["{}",null]]"#, known.public);
            assert_eq!(peer.ask(&[r#"["r","who",1]"#]), [answer]);
            assert_eq!(peer.ask(&["", "r", "echo", "x"]), ["", "r", "x"]);
            let large = format!(r#"["r","echo","{}"]"#, "x".repeat(3_000_000));
            assert_eq!(peer.ask(&[&large])[0].len(), large.len() - 2);
            // What was begun first may come last: boxes leave in the order they were closed in.
            for _ in 0..20 {
                peer.send(&[br#"["r","many later",[3,100000]]"#]).send(&[br#"["s","echo",1]"#]);
            }
            for _ in 0..40 {
                assert_eq!(peer.texts().len(), 1);
            }
            let mut other = connect(&ours, &unknown);
            match anybody {
                true => assert_eq!(other.ask(&[r#"["r","echo",1]"#]), [r#"["r",null,1]"#]),
                false => assert_eq!(other.refused.as_deref(), Some("400")),
            }
            // Who does not know our key gets no answer.
            assert_eq!(connect(&unknown, &known).refused.as_deref(), Some("closed"));
            assert_eq!(Peer::dealer(worker.addr()).refused.as_deref(), Some(OTHER));
        });
    }
}

#[test]
fn the_hook_is_asked_once_for_a_connection() {
    let ours = draw_keys();
    let (known, unknown) = (draw_keys(), draw_keys());
    let gate = Gate::Curve { keys: ours.clone(), allow: None };
    let key = known.public;
    let setup = move |services: &mut Services| {
        services.add("echo", echo);
        services.admit(move |visitor| {
            assert!(visitor.peer_addr().ip().is_loopback());
            assert_eq!(
                (visitor.target(), visitor.header("host"), visitor.user()),
                ("", None, None)
            );
            visitor.curve_key() == Some(key)
        });
    };
    workers(config(gate), setup, |worker| {
        let connect = |client: &KeyPair| {
            Peer::connect(worker.addr(), SocketType::Dealer, curve(&ours, client))
        };
        let mut peer = connect(&known);
        for _ in 0..3 {
            assert_eq!(peer.ask(&[r#"["r","echo",1]"#]), [r#"["r",null,1]"#]);
        }
        // The handshake is over when the hook is asked.
        assert_eq!(connect(&unknown).next(), None);
        let stats = worker.stats();
        assert_eq!((stats.requests, stats.refused), (3, 1));
    });
    let setup = |services: &mut Services| {
        services.add("echo", echo);
        services.admit(|_| panic!("as it was told"));
    };
    workers(config(Gate::Null), setup, |worker| {
        let mechanism = Mechanism::null(Side::Connect);
        let mut peer = Peer::connect(worker.addr(), SocketType::Dealer, mechanism);
        assert_eq!(peer.next(), None);
        assert_eq!((worker.stats().panics, worker.stats().refused), (1, 1));
    });
}
