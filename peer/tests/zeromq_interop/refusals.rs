//! Who is not let in, by them and by us, and what either side is told.

use grenache_transports::zmtp::{Error, Insecure, Mechanism, Side, SocketType, Unsupported};

use crate::ours::{Came, End, Ours, Wire};
use crate::peer::{Language, Peer};
use crate::security::{PASSWORD, Security, USER, client, entropy, keys, server};
use crate::socket::{Builder, Socket};

const SIDES: [Side; 2] = [Side::Bind, Side::Connect];

/// What libzmq has to say about a peer. Of some that it does not like it only says that they are gone.
const VERDICTS: [&str; 5] = [
    "handshake_succeeded",
    "handshake_failed_auth",
    "handshake_failed_protocol",
    "handshake_failed_no_detail",
    "disconnected",
];

/// A process of each language.
fn both() -> [Peer; 2] {
    Language::BOTH.map(Peer::start)
}

/// Connected both ways: what comes of it for us, and what libzmq says.
fn meet(
    peers: &[Peer],
    ours: impl Fn(Side) -> Ours,
    theirs: impl Fn(Builder) -> Builder,
    mut check: impl FnMut(Result<Came, End>, Socket),
) {
    for peer in peers {
        for side in SIDES {
            let dealer = theirs(peer.socket("DEALER"));
            let (mut wire, socket) = Wire::lay(side, SocketType::Router, ours(side), dealer);
            let met = wire.next();
            drop(wire);
            check(met, socket);
        }
    }
}

fn verdict(socket: &Socket) -> (String, String) {
    socket.event_of(&VERDICTS)
}

fn plain(user: &str, password: &str) -> Ours {
    let mechanism = Mechanism::plain_client(user.as_bytes(), password.as_bytes());
    Ours { mechanism: mechanism.expect("short ones"), ..Security::Null.ours(Side::Bind) }
}

#[test]
fn our_user_or_password_is_wrong() {
    let peers = both();
    for (user, password) in [(USER, "wrong"), (USER, ""), ("", PASSWORD), ("nobody", PASSWORD)] {
        meet(
            &peers,
            |_| plain(user, password),
            |dealer| Security::PlainClient.theirs(dealer),
            |met, socket| {
                assert_eq!(met, Err(End::Refused(b"400".to_vec())), "{user} {password}");
                assert_eq!(verdict(&socket), ("handshake_failed_auth".into(), "400".into()));
            },
        );
    }
}

#[test]
fn their_user_or_password_is_wrong() {
    let peers = both();
    for (user, password) in [(USER, "wrong"), ("nobody", PASSWORD)] {
        meet(
            &peers,
            |side| Security::PlainServer.ours(side),
            |dealer| dealer.plain_client(user, password),
            |met, socket| {
                assert_eq!(met, Err(End::NotLetIn), "{user} {password}");
                // Not `400`: in PLAIN, libzmq 4.3.5 knows an ERROR only as it misspells it itself.
                let why = ("handshake_failed_protocol".into(), "ZMTP_UNEXPECTED_COMMAND".into());
                assert_eq!(verdict(&socket), why);
            },
        );
    }
}

#[test]
fn our_key_is_not_let_in() {
    meet(
        &both(),
        |side| Ours {
            mechanism: Mechanism::curve_client(server().public, keys(3), entropy()),
            ..Security::CurveClient.ours(side)
        },
        |dealer| Security::CurveClient.theirs(dealer),
        |met, socket| {
            assert_eq!(met, Err(End::Refused(b"400".to_vec())));
            assert_eq!(verdict(&socket), ("handshake_failed_auth".into(), "400".into()));
        },
    );
}

#[test]
fn their_key_is_not_let_in() {
    meet(
        &both(),
        |side| Security::CurveServer.ours(side),
        |dealer| dealer.curve_client(server().public, &keys(3)),
        |met, socket| {
            assert_eq!(met, Err(End::NotLetIn));
            assert_eq!(verdict(&socket), ("handshake_failed_auth".into(), "400".into()));
        },
    );
}

#[test]
fn we_know_another_key_of_the_server() {
    meet(
        &both(),
        |side| Ours {
            mechanism: Mechanism::curve_client(keys(4).public, client(), entropy()),
            ..Security::CurveClient.ours(side)
        },
        |dealer| Security::CurveClient.theirs(dealer),
        |met, socket| {
            assert_eq!(met, Err(End::Closed));
            let why = ("handshake_failed_protocol".into(), "ZMTP_CRYPTOGRAPHIC".into());
            assert_eq!(verdict(&socket), why);
        },
    );
}

#[test]
fn they_know_another_key_of_the_server() {
    meet(
        &both(),
        |side| Security::CurveServer.ours(side),
        |dealer| dealer.curve_client(keys(4).public, &client()),
        |met, socket| {
            assert_eq!(met, Err(End::Failed(Error::Insecure(Insecure::Hello))));
            assert_eq!(verdict(&socket).0, "handshake_failed_no_detail");
        },
    );
}

#[test]
fn mechanisms_differ() {
    let peers = both();
    let pairs =
        Security::ALL.into_iter().flat_map(|ours| Security::ALL.map(|theirs| (ours, theirs)));
    let name = |security: Security| security.ours(Side::Bind).mechanism.name();
    for (ours, theirs) in pairs.filter(|(ours, theirs)| name(*ours) != name(*theirs)) {
        println!("we are {ours:?}, they expect {theirs:?}");
        meet(
            &peers,
            |side| ours.ours(side),
            |dealer| theirs.theirs(dealer),
            |met, socket| {
                // libzmq does not come to name its mechanism when it sees ours.
                let differ = End::Failed(Error::Unsupported(Unsupported::Mechanism));
                assert!(met == Err(End::Closed) || met == Err(differ), "{met:?}");
                let why = ("handshake_failed_protocol".into(), "ZMTP_MECHANISM_MISMATCH".into());
                assert_eq!(verdict(&socket), why);
            },
        );
    }
}

#[test]
fn socket_types_do_not_go_together() {
    let peers = both();
    for security in Security::ALL {
        println!("{security:?}");
        meet(
            &peers,
            |side| security.ours(side),
            |dealer| security.theirs(dealer.kind("SUB")),
            |met, socket| {
                // Whoever comes to see the other's type first closes.
                let we_are_first =
                    !matches!(security, Security::PlainClient | Security::CurveClient);
                let unsupported = End::Failed(Error::Unsupported(Unsupported::SocketType));
                assert_eq!(met, Err(if we_are_first { unsupported } else { End::Closed }));
                assert_ne!(verdict(&socket).0, "handshake_succeeded");
            },
        );
    }
}
