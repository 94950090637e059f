//! Each mechanism with each pair of socket types, bound and connected by either side.

use std::time::Duration;

use grenache_transports::zmtp::{Side, SocketType};

use crate::ours::{Came, IDENTITY, Wire};
use crate::peer::{Language, Peer};
use crate::security::Security;
use crate::socket::Socket;

const TYPES: [SocketType; 8] = [
    SocketType::Req,
    SocketType::Rep,
    SocketType::Dealer,
    SocketType::Router,
    SocketType::Pub,
    SocketType::Xpub,
    SocketType::Sub,
    SocketType::Xsub,
];

#[test]
fn python_bound_by_us() {
    all(Language::Python, Side::Bind);
}

#[test]
fn python_connected_by_us() {
    all(Language::Python, Side::Connect);
}

#[test]
fn node_bound_by_us() {
    all(Language::Node, Side::Bind);
}

#[test]
fn node_connected_by_us() {
    all(Language::Node, Side::Connect);
}

fn all(language: Language, side: Side) {
    let peer = Peer::start(language);
    let mut pairs = 0;
    for security in Security::ALL {
        for ours in TYPES {
            for theirs in TYPES.into_iter().filter(|theirs| ours.goes_with(*theirs)) {
                println!("{security:?}: our {ours}, their {theirs}");
                let socket = peer.socket(theirs.name()).identity("them").says_array();
                let (mut wire, socket) =
                    Wire::open(side, ours, security.ours(side), security.theirs(socket));
                let met = wire.peer();
                assert_eq!(met.socket, theirs);
                assert_eq!(met.properties.get("x-grenache-rpc"), Some(&b"array"[..]));
                // libzmq names itself to those whom it may be of use to.
                if matches!(theirs, SocketType::Req | SocketType::Dealer | SocketType::Router) {
                    assert_eq!(met.identity, b"them");
                }
                talk(&mut wire, &socket, theirs);
                socket.close();
                pairs += 1;
            }
        }
    }
    assert_eq!(pairs, 5 * 18);
}

/// Something each way.
fn talk(wire: &mut Wire, socket: &Socket, theirs: SocketType) {
    match theirs {
        SocketType::Req => {
            socket.send(&["?"]);
            assert_eq!(wire.receive(), [&b""[..], b"?"]);
            wire.send(&["", "!"]);
            assert_eq!(socket.receive(), ["!"]);
        }
        SocketType::Rep => {
            wire.send(&["", "?"]);
            assert_eq!(socket.receive(), ["?"]);
            socket.send(&["!"]);
            assert_eq!(wire.receive(), [&b""[..], b"!"]);
        }
        SocketType::Dealer => {
            socket.send(&["", "?"]);
            assert_eq!(wire.receive(), [&b""[..], b"?"]);
            wire.send(&["", "!"]);
            assert_eq!(socket.receive(), ["", "!"]);
        }
        SocketType::Router => {
            wire.send(&["", "?"]);
            assert_eq!(socket.receive(), [IDENTITY, "", "?"]);
            socket.send(&[IDENTITY, "", "!"]);
            assert_eq!(wire.receive(), [&b""[..], b"!"]);
        }
        SocketType::Sub | SocketType::Xsub => {
            if theirs == SocketType::Sub {
                socket.subscribe("a");
            } else {
                socket.send(&[b"\x01a"]);
            }
            assert_eq!(wire.next(), Ok(Came::Subscribe(b"a".to_vec())));
            wire.send(&["a", "heard"]);
            assert_eq!(socket.receive(), ["a", "heard"]);
            if theirs == SocketType::Sub {
                socket.unsubscribe("a");
            } else {
                socket.send(&[b"\0a"]);
            }
            assert_eq!(wire.next(), Ok(Came::Cancel(b"a".to_vec())));
        }
        SocketType::Xpub => {
            wire.subscribe(b"a");
            assert_eq!(socket.receive(), [b"\x01a"]);
            socket.send(&["b", "unheard"]);
            socket.send(&["a", "heard"]);
            assert_eq!(wire.receive(), [&b"a"[..], b"heard"]);
            wire.cancel(b"a");
            assert_eq!(socket.receive(), [b"\0a"]);
        }
        SocketType::Pub => {
            wire.subscribe(b"a");
            // A PUB does not tell when it has got to know.
            let first = loop {
                socket.send(&["b", "unheard"]);
                socket.send(&["a", "heard"]);
                if let Some(first) = wire.next_within(Duration::from_millis(10)) {
                    break first;
                }
            };
            assert_eq!(first, Ok(Came::Message(vec![b"a".to_vec(), b"heard".to_vec()])));
        }
    }
}
