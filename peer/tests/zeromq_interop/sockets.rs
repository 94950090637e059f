//! Our sockets with libzmq's: each pair of types, whoever binds, over each mechanism.

use std::net::SocketAddr;
use std::time::Duration;

use grenache_engine::{Config as Engine, Core, Runtime, TcpListener, sleep, timeout};
use grenache_peer::Backoff;
use grenache_peer::zeromq::{
    Config, Gate, KeyPair, Message, SecretKey, Security, Settings, Socket, SocketType, Stats,
};

use crate::message::{Generated, Part};
use crate::peer::{DEADLINE, Language, Peer, apart};
use crate::socket;

use SocketType::{Dealer, Pub, Rep, Req, Router, Sub, Xpub, Xsub};

const fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

fn keys(seed: u8) -> KeyPair {
    SecretKey::new([seed; 32]).into()
}

/// Runs a test on a core, with a process of each language.
fn with_both<F: Future<Output = ()> + 'static>(test: impl Fn(Peer) -> F + Send + Sync + 'static) {
    with_each(move |_, peer| test(peer));
}

fn with_each<F: Future<Output = ()> + 'static>(
    test: impl Fn(Language, Peer) -> F + Send + Sync + 'static,
) {
    let test = std::sync::Arc::new(test);
    for language in Language::BOTH {
        let (test, peer) = (test.clone(), Peer::start(language));
        let main = move |_: Core<()>| test(language, peer.clone());
        Runtime::start(Engine::default(), main).unwrap().join().unwrap();
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mechanism {
    Null,
    Plain,
    Curve,
}

const MECHANISMS: [Mechanism; 3] = [Mechanism::Null, Mechanism::Plain, Mechanism::Curve];

impl Mechanism {
    /// Settings of a socket of ours that knows what is needed on both sides.
    fn settings(self) -> Settings {
        let (gate, security) = match self {
            Self::Null => (Gate::Null, Security::Null),
            Self::Plain => (
                Gate::Plain([("user".to_owned(), "secret".to_owned())].into()),
                Security::Plain { user: "user".into(), password: "secret".into() },
            ),
            Self::Curve => (
                Gate::Curve { keys: keys(1), allow: Some([keys(2).public].into()) },
                Security::Curve { server: keys(1).public, keys: keys(2) },
            ),
        };
        let connection = Config { security, ..Config::default() };
        Settings { gate, connection, retry: Backoff::from_millis(5, 50), ..Settings::default() }
    }

    /// A socket of theirs that binds or connects.
    fn theirs(self, of: socket::Builder, binds: bool) -> socket::Builder {
        match (self, binds) {
            (Self::Null, _) => of,
            (Self::Plain, true) => of.plain_server("user", "secret"),
            (Self::Plain, false) => of.plain_client("user", "secret"),
            (Self::Curve, true) => of.curve_server(&keys(1), &[keys(2).public]),
            (Self::Curve, false) => of.curve_client(keys(1).public, &keys(2)),
        }
    }
}

fn local(port: u16) -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], port))
}

fn bind(socket: &Socket) -> u16 {
    socket.bind(TcpListener::bind(local(0)).expect("a free port")).port()
}

async fn until(socket: &Socket, wanted: impl Fn(&Stats) -> bool) -> Stats {
    let met = timeout(DEADLINE, socket.until(wanted)).await;
    met.unwrap_or_else(|_| panic!("{socket:?}: {:?}", socket.last_error()))
}

async fn recv(socket: &Socket) -> Message {
    let received = timeout(DEADLINE, socket.recv()).await;
    received.unwrap_or_else(|_| panic!("nothing comes: {socket:?}")).expect("a message")
}

async fn send(socket: &Socket, message: Message) {
    let sent = timeout(DEADLINE, socket.send(message)).await;
    sent.unwrap_or_else(|_| panic!("there is no room: {socket:?}")).expect("it is sent");
}

/// Theirs blocks the thread that uses it.
#[derive(Clone)]
struct Theirs(socket::Socket);

impl Theirs {
    async fn send(&self, parts: &[&str]) {
        let (socket, parts) = (self.0.clone(), parts.iter().map(|part| part.to_string()));
        let parts: Vec<String> = parts.collect();
        apart(move || socket.send(&parts)).await;
    }

    async fn send_generated(&self, before: Vec<Vec<u8>>, generated: Generated) {
        let socket = self.0.clone();
        apart(move || socket.send_generated(&before, generated)).await;
    }

    async fn receive(&self) -> Vec<Part> {
        let socket = self.0.clone();
        apart(move || socket.receive()).await
    }

    async fn subscribe(&self, kind: SocketType, prefix: &str, wanted: bool) {
        let (socket, prefix) = (self.0.clone(), prefix.to_owned());
        apart(move || match (kind, wanted) {
            (Xsub, _) => socket.send(&[[&[u8::from(wanted)], prefix.as_bytes()].concat()]),
            (_, true) => socket.subscribe(prefix),
            (_, false) => socket.unsubscribe(prefix),
        })
        .await;
    }

    async fn event(&self, name: &'static str) -> String {
        let socket = self.0.clone();
        apart(move || socket.event(name)).await
    }
}

/// One of ours and one of theirs, connected.
async fn pair(
    peer: &Peer,
    ours: SocketType,
    theirs: SocketType,
    we_bind: bool,
    mechanism: Mechanism,
) -> (Socket, Theirs) {
    let settings = Settings { identity: b"ours".into(), ..mechanism.settings() };
    let ours = Socket::new(ours, settings).expect("settings that can be");
    let port = if we_bind { bind(&ours) } else { 0 };
    let peer = peer.clone();
    let theirs = apart(move || {
        let mut of = peer.socket(theirs.name()).reconnect(ms(10));
        // Publishers and subscribers have no use for a name.
        if matches!(theirs, Req | Rep | Dealer | Router) {
            of = of.identity("theirs");
        }
        let of = mechanism.theirs(of, !we_bind);
        if we_bind { of.connect(port) } else { of.bind() }
    })
    .await;
    if !we_bind {
        ours.connect(local(theirs.port()));
    }
    until(&ours, |stats| stats.peers == 1).await;
    (ours, Theirs(theirs))
}

/// Messages of one part to a hundred, of nothing to 100 KB each.
const MESSAGES: [(usize, usize); 7] =
    [(1, 0), (1, 1), (2, 255), (2, 256), (100, 0), (100, 300), (3, 100_000)];

/// What has to stand before a message, for a socket of this type to send it to one of that.
fn before(from: SocketType, to: SocketType, name: &str) -> Vec<Vec<u8>> {
    match (from, to) {
        (Dealer, Rep) => vec![vec![]],
        (Router, Router) => vec![name.into()],
        _ => vec![],
    }
}

fn whole(before: &[Vec<u8>], message: &[Vec<u8>]) -> Message {
    Message::new(&[before, message].concat())
}

/// A message there and back: the side that asks begins.
async fn there_and_back(
    (our_type, ours): (SocketType, &Socket),
    (their_type, theirs): (SocketType, &Theirs),
    generated: Generated,
) {
    let message = generated.make();
    if matches!(our_type, Req | Dealer) || our_type == their_type {
        let before = before(our_type, their_type, "theirs");
        send(ours, whole(&before, &message)).await;
        let received = theirs.receive().await;
        let (head, rest) = received.split_at(received.len() - message.len());
        assert_eq!(rest, message);
        let head = head.iter().map(|part| part.bytes().to_vec()).collect();
        theirs.send_generated(head, generated).await;
        assert!(recv(ours).await == whole(&before, &message), "{generated:?}");
    } else {
        let before = before(their_type, our_type, "ours");
        theirs.send_generated(before.clone(), generated).await;
        let received = recv(ours).await;
        let tail = received.parts().skip(received.len() - message.len());
        assert!(tail.eq(message.iter().map(|part| &part[..])), "{generated:?}");
        send(ours, received).await;
        assert_eq!(theirs.receive().await, [before, message].concat());
    }
}

#[test]
fn questions_and_answers() {
    with_both(|peer| async move {
        for (ours, theirs) in [
            (Req, Rep),
            (Rep, Req),
            (Req, Router),
            (Router, Req),
            (Dealer, Rep),
            (Rep, Dealer),
            (Dealer, Router),
            (Router, Dealer),
            (Dealer, Dealer),
            (Router, Router),
        ] {
            for we_bind in [true, false] {
                for mechanism in MECHANISMS {
                    let (socket, peer) = pair(&peer, ours, theirs, we_bind, mechanism).await;
                    for (seed, (parts, size)) in MESSAGES.into_iter().enumerate() {
                        let generated = Generated { parts, size, seed: seed as u64 };
                        there_and_back((ours, &socket), (theirs, &peer), generated).await;
                    }
                    assert_eq!((socket.stats().dropped, socket.stats().malformed), (0, 0));
                    apart(move || peer.0.close()).await;
                }
            }
        }
    });
}

#[test]
fn large_messages() {
    with_both(|peer| async move {
        for we_bind in [true, false] {
            for mechanism in MECHANISMS {
                let (socket, theirs) = pair(&peer, Dealer, Router, we_bind, mechanism).await;
                let generated = Generated { parts: 2, size: 10_000_000, seed: 1 };
                there_and_back((Dealer, &socket), (Router, &theirs), generated).await;
            }
        }
    });
}

/// Our publisher: subscriptions are seen.
async fn publish(ours: Socket, theirs: Theirs, kind: SocketType) {
    for prefix in ["a", "b", "a"] {
        theirs.subscribe(kind, prefix, true).await;
    }
    until(&ours, |stats| stats.subscriptions == 2).await;
    for (seed, (parts, size)) in MESSAGES.into_iter().enumerate() {
        let message = Generated { parts, size, seed: seed as u64 }.make();
        send(&ours, whole(&[b"unheard".to_vec()], &message)).await;
        send(&ours, whole(&[b"abc".to_vec()], &message)).await;
        let expected = [vec![b"abc".to_vec()], message].concat();
        assert_eq!(theirs.receive().await, expected);
    }
    theirs.subscribe(kind, "a", false).await;
    theirs.subscribe(kind, "a", false).await;
    until(&ours, |stats| stats.subscriptions == 1).await;
    send(&ours, "abc".into()).await;
    send(&ours, "b".into()).await;
    assert_eq!(theirs.receive().await, ["b"]);
}

/// Theirs publishes until something arrives that begins with `topic`, and all that was on its way has come.
async fn until_heard(ours: &Socket, theirs: &Theirs, topic: &str) {
    let heard = async {
        loop {
            theirs.send(&[topic, "is it heard?"]).await;
            if timeout(ms(20), ours.recv()).await.is_ok() {
                return;
            }
        }
    };
    timeout(DEADLINE, heard).await.expect("it is heard");
    theirs.send(&[topic, "yes"]).await;
    while recv(ours).await.part(1) != Some(b"yes") {}
}

/// Our subscriber.
async fn subscribe(ours: Socket, theirs: Theirs) {
    for prefix in ["a", "b", "a"] {
        ours.subscribe(prefix).unwrap();
    }
    until_heard(&ours, &theirs, "b").await;
    for (seed, (parts, size)) in MESSAGES.into_iter().enumerate() {
        let generated = Generated { parts, size, seed: seed as u64 };
        theirs.send_generated(vec![b"unheard".to_vec()], generated).await;
        theirs.send_generated(vec![b"abc".to_vec()], generated).await;
        assert!(recv(&ours).await == whole(&[b"abc".to_vec()], &generated.make()));
    }
    ours.unsubscribe("a").unwrap();
    ours.unsubscribe("a").unwrap();
    ours.subscribe("c").unwrap();
    until_heard(&ours, &theirs, "c").await;
    theirs.send(&["abc"]).await;
    theirs.send(&["b", "heard"]).await;
    assert_eq!(recv(&ours).await, Message::from(["b", "heard"]));
}

#[test]
fn publications() {
    with_both(|peer| async move {
        for we_bind in [true, false] {
            for mechanism in MECHANISMS {
                for (ours, theirs) in [(Pub, Sub), (Pub, Xsub), (Xpub, Sub), (Xpub, Xsub)] {
                    let (socket, peer) = pair(&peer, ours, theirs, we_bind, mechanism).await;
                    publish(socket, peer, theirs).await;
                }
                for (ours, theirs) in [(Sub, Pub), (Sub, Xpub), (Xsub, Pub), (Xsub, Xpub)] {
                    let (socket, peer) = pair(&peer, ours, theirs, we_bind, mechanism).await;
                    subscribe(socket, peer).await;
                }
            }
        }
    });
}

#[test]
fn subscriptions_are_shown() {
    with_both(|peer| async move {
        let (ours, theirs) = pair(&peer, Xpub, Sub, true, Mechanism::Null).await;
        theirs.subscribe(Sub, "a", true).await;
        assert_eq!(recv(&ours).await, Message::from(b"\x01a"));
        theirs.subscribe(Sub, "a", false).await;
        assert_eq!(recv(&ours).await, Message::from(b"\0a"));
        let (ours, theirs) = pair(&peer, Xsub, Xpub, false, Mechanism::Null).await;
        send(&ours, b"\x01a".into()).await;
        assert_eq!(theirs.receive().await, [b"\x01a"]);
        send(&ours, Message::from(["said", "upwards"])).await;
        assert_eq!(theirs.receive().await, ["said", "upwards"]);
        drop(ours);
        assert_eq!(theirs.receive().await, [b"\0a"]);
    });
}

#[test]
fn who_is_not_let_in() {
    with_both(|peer| async move {
        for mechanism in [Mechanism::Plain, Mechanism::Curve] {
            // By us.
            let ours = Socket::new(Router, mechanism.settings()).unwrap();
            let (port, of) = (bind(&ours), peer.clone());
            let theirs = apart(move || match mechanism {
                Mechanism::Curve => {
                    of.socket("DEALER").curve_client(keys(1).public, &keys(3)).connect(port)
                }
                _ => of.socket("DEALER").plain_client("user", "guessed").connect(port),
            })
            .await;
            // In PLAIN, libzmq 4.3.5 knows an ERROR only as it misspells it itself.
            let (event, why) = match mechanism {
                Mechanism::Curve => ("handshake_failed_auth", "400"),
                _ => ("handshake_failed_protocol", "ZMTP_UNEXPECTED_COMMAND"),
            };
            assert_eq!(Theirs(theirs).event(event).await, why);
            until(&ours, |stats| stats.refused > 0).await;
            assert_eq!(ours.stats().connections, 0);
            // By them.
            let of = peer.clone();
            let theirs = apart(move || mechanism.theirs(of.socket("ROUTER"), true).bind()).await;
            let mut settings = mechanism.settings();
            settings.connection.security = match mechanism {
                Mechanism::Curve => Security::Curve { server: keys(1).public, keys: keys(3) },
                _ => Security::Plain { user: "user".into(), password: "guessed".into() },
            };
            let ours = Socket::new(Dealer, settings).unwrap();
            ours.connect(local(theirs.port()));
            assert_eq!(Theirs(theirs).event("handshake_failed_auth").await, "400");
            let told = async {
                while ours.last_error().is_none() {
                    sleep(ms(5)).await;
                }
            };
            timeout(DEADLINE, told).await.expect("it is told");
            let error = ours.last_error().unwrap().to_string();
            assert!(error.contains("refused: 400"), "{error}");
        }
        // A server with another key than the client was given.
        let ours = Socket::new(Router, Mechanism::Curve.settings()).unwrap();
        let (port, of) = (bind(&ours), peer.clone());
        let dealer =
            apart(move || of.socket("DEALER").curve_client(keys(4).public, &keys(2)).connect(port));
        let _mistaken = dealer.await;
        until(&ours, |stats| stats.refused > 0).await;
        assert!(ours.last_error().unwrap().to_string().contains("this server's public key"));
    });
}

#[test]
fn heartbeats() {
    with_both(|peer| async move {
        // Both ask each other all the while, and neither is given up, though nobody says anything or receives.
        let mut settings = Mechanism::Null.settings();
        settings.connection.ping_interval = ms(100);
        settings.connection.ping_timeout = ms(400);
        let ours = Socket::new(Router, settings.clone()).unwrap();
        let (port, of) = (bind(&ours), peer.clone());
        let theirs = apart(move || {
            let dealer = of.socket("DEALER").identity("theirs").reconnect(ms(10));
            dealer.heartbeat(ms(100), ms(400), ms(500)).connect(port)
        });
        let theirs = Theirs(theirs.await);
        until(&ours, |stats| stats.peers == 1).await;
        sleep(ms(1500)).await;
        let stats = ours.stats();
        assert_eq!((stats.peers, stats.connections), (1, 1), "{:?}", ours.last_error());

        // A process that is stopped is noticed, and comes back.
        let of = peer.clone();
        apart(move || of.stop()).await;
        until(&ours, |stats| stats.peers == 0).await;
        assert!(ours.last_error().unwrap().to_string().contains("does not answer a PING"));
        let of = peer.clone();
        apart(move || of.resume()).await;
        until(&ours, |stats| stats.peers == 1).await;
        send(&ours, Message::from(["theirs", "again"])).await;
        assert_eq!(theirs.receive().await, ["again"]);

        // So are we, when our core stands still.
        theirs.event("handshake_succeeded").await;
        std::thread::sleep(ms(1500));
        theirs.event("disconnected").await;
        until(&ours, |stats| stats.peers == 1 && stats.connections >= 3).await;
    });
}

/// Listens on a port again, which may take a moment to be free.
async fn again(port: u16) -> TcpListener {
    let bound = async {
        loop {
            match TcpListener::bind(local(port)) {
                Ok(listener) => return listener,
                Err(_) => sleep(ms(5)).await,
            }
        }
    };
    timeout(DEADLINE, bound).await.expect("the port is free again")
}

#[test]
fn whoever_dies_comes_back() {
    with_each(|language, peer| async move {
        // Theirs, which has bound: it is connected to again, and told again what we want.
        let sub = Socket::new(Sub, Mechanism::Null.settings()).unwrap();
        let dealer = Socket::new(Dealer, Mechanism::Null.settings()).unwrap();
        sub.subscribe("a").unwrap();
        let mut process = Peer::start(language);
        let mut ports = [0, 0];
        for life in 0..3 {
            let of = process.clone();
            let [publisher, router] = apart(move || {
                let [publisher, router] = ["PUB", "ROUTER"].map(|kind| of.socket(kind).open());
                [(publisher.bind(ports[0]), publisher), (router.bind(ports[1]), router)]
            })
            .await;
            if life == 0 {
                ports = [publisher.0, router.0];
                sub.connect(local(ports[0]));
                dealer.connect(local(ports[1]));
            }
            until(&sub, |stats| stats.peers == 1).await;
            until(&dealer, |stats| stats.peers == 1).await;
            until_heard(&sub, &Theirs(publisher.1), "a").await;
            send(&dealer, "alive".into()).await;
            assert_eq!(Theirs(router.1).receive().await[1..], ["alive"]);
            process.kill();
            until(&sub, |stats| stats.peers == 0).await;
            until(&dealer, |stats| stats.peers == 0).await;
            process = apart(move || Peer::start(language)).await;
        }
        assert_eq!((sub.stats().reconnects, dealer.stats().reconnects), (2, 2));

        // Ours, which has bound.
        let mut port = 0;
        let mut theirs = None;
        for _ in 0..3 {
            let publisher = Socket::new(Pub, Mechanism::Null.settings()).unwrap();
            port = publisher.bind(again(port).await).port();
            if theirs.is_none() {
                let of = peer.clone();
                let sub = apart(move || of.socket("SUB").reconnect(ms(10)).connect(port)).await;
                let sub = Theirs(sub);
                sub.subscribe(Sub, "a", true).await;
                theirs = Some(sub);
            }
            until(&publisher, |stats| stats.subscriptions == 1).await;
            send(&publisher, "alive".into()).await;
            assert_eq!(theirs.as_ref().unwrap().receive().await, ["alive"]);
            publisher.close(DEADLINE).await;
        }
    });
}
