//! Subscriptions that come and go.

use grenache_transports::zmtp::{Side, SocketType};

use crate::ours::{Came, Wire};
use crate::peer::{Language, Peer};
use crate::security::Security;
use crate::socket::Socket;

fn open(peer: &Peer, ours: SocketType, theirs: &str) -> (Wire, Socket) {
    let side = if ours.publishes() { Side::Bind } else { Side::Connect };
    Wire::open(side, ours, Security::Null.ours(side), peer.socket(theirs))
}

#[test]
fn theirs_of_what_we_publish() {
    for language in Language::BOTH {
        let peer = Peer::start(language);
        for ours in [SocketType::Pub, SocketType::Xpub] {
            let (mut wire, socket) = open(&peer, ours, "SUB");
            for prefix in ["a", "ab", "a", ""] {
                socket.subscribe(prefix);
                assert_eq!(wire.next(), Ok(Came::Subscribe(prefix.into())));
            }
            // It has to be unsubscribed from as often before it is cancelled.
            socket.unsubscribe("a");
            for prefix in ["ab", "a", ""] {
                socket.unsubscribe(prefix);
                assert_eq!(wire.next(), Ok(Came::Cancel(prefix.into())));
            }
            socket.subscribe("ab");
            assert_eq!(wire.next(), Ok(Came::Subscribe(b"ab".to_vec())));
            wire.send(&["abc", "heard"]);
            assert_eq!(socket.receive(), ["abc", "heard"]);
            let long = vec![b'x'; 4000];
            socket.subscribe(&long);
            assert_eq!(wire.next(), Ok(Came::Subscribe(long)));
            // libzmq loses those beyond its high-water mark of 1000, until something is received.
            for n in 0..500 {
                socket.subscribe(format!("topic {n}"));
            }
            for n in 0..500 {
                assert_eq!(wire.next(), Ok(Came::Subscribe(format!("topic {n}").into())));
            }
        }
    }
}

#[test]
fn ours_of_what_they_publish() {
    for language in Language::BOTH {
        let peer = Peer::start(language);
        for ours in [SocketType::Sub, SocketType::Xsub] {
            let (mut wire, socket) = open(&peer, ours, "XPUB");
            let heard = |wire: &mut Wire, topics: &[&str]| {
                for topic in ["a", "ab", "abc", "b", "end"] {
                    socket.send(&[topic, "message"]);
                }
                for topic in topics {
                    assert_eq!(wire.receive(), [topic.as_bytes(), b"message"]);
                }
            };
            for prefix in ["end", "ab", "b"] {
                wire.subscribe(prefix.as_bytes());
                assert_eq!(socket.receive(), [format!("\x01{prefix}")]);
            }
            heard(&mut wire, &["ab", "abc", "b", "end"]);
            wire.cancel(b"ab");
            assert_eq!(socket.receive(), [b"\0ab"]);
            heard(&mut wire, &["b", "end"]);
            wire.subscribe(b"");
            assert_eq!(socket.receive(), [b"\x01"]);
            heard(&mut wire, &["a", "ab", "abc", "b", "end"]);
            for prefix in ["", "b"] {
                wire.cancel(prefix.as_bytes());
                assert_eq!(socket.receive(), [format!("\0{prefix}")]);
            }
            heard(&mut wire, &["end"]);
        }
    }
}
