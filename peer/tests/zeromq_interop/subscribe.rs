//! Our subscriber, with libzmq's publishers.

use std::time::{Duration, Instant};

use grenache_engine::{sleep, timeout};
use grenache_peer::subscribe::{self, Message, Subscription};
use grenache_peer::{Handle, Subscribe, Transport, handle, zeromq};

use crate::mechanism::Mechanism;
use crate::peer::{DEADLINE, Language, Peer, apart};
use crate::port;
use crate::rig::{self, announce, text};
use crate::socket::Socket;

const fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// Our subscriber.
pub(crate) fn subscriber(transport: Transport, mechanism: Mechanism) -> Handle {
    let security = mechanism.security();
    with(transport, zeromq::Config { security, ..zeromq::Config::default() })
}

fn with(transport: Transport, zeromq: zeromq::Config) -> Handle {
    let subscribe = subscribe::Config { transport, zeromq, ..subscribe::Config::default() };
    let config = handle::Config { grapes: rig::grapes(), subscribe, ..Default::default() };
    Handle::start(config).expect("it starts")
}

async fn next(subscription: &mut Subscription) -> Message {
    timeout(DEADLINE, subscription.next()).await.expect("a message comes")
}

/// The next two things that an XPUB is told, in any order.
fn told_twice(xpub: &Socket) -> [Vec<u8>; 2] {
    let mut told = [xpub.receive(), xpub.receive()].map(|parts| parts[0].bytes().to_vec());
    told.sort();
    told
}

fn said(message: &Message) -> (Option<&str>, &[u8]) {
    (message.topic.as_deref(), &message.data)
}

#[test]
fn our_subscriber_hears_an_xpub_and_tells_it_what_it_wants() {
    for peer in Language::BOTH.map(Peer::start) {
        for mechanism in Mechanism::ALL {
            println!("{mechanism:?}");
            let handle = subscriber(Transport::ZeroMq, mechanism);
            let service = rig::service("xpub");
            let xpub = mechanism.server(peer.socket("XPUB")).bind();
            announce(&service, xpub.port());
            let done = handle.run(async move |context| {
                let to = Subscribe::new(&service).topic("a").topic("b");
                let mut subscription = context.subscriber.subscribe(to)?;
                let xpub = apart(move || {
                    assert_eq!(told_twice(&xpub), [b"\x01a", b"\x01b"]);
                    for parts in [
                        &[&b"ab"[..], b"heard"][..],
                        &[b"c", b"unheard"],
                        &[b"b"],
                        &[b"b", b"", b"of three parts"],
                        &[b"b", b"\xff\0"],
                    ] {
                        xpub.send(parts);
                    }
                    xpub
                })
                .await;
                assert_eq!(said(&next(&mut subscription).await), (Some("ab"), &b"heard"[..]));
                assert_eq!(said(&next(&mut subscription).await), (None, &b"b"[..]));
                assert_eq!(said(&next(&mut subscription).await), (Some("b"), &b"\xff\0"[..]));
                assert_eq!(subscription.stats().malformed, 1);
                subscription.add("c")?;
                subscription.remove("a");
                let xpub = apart(move || {
                    assert_eq!(told_twice(&xpub), [b"\0a", b"\x01c"]);
                    let large = text(10_000_000);
                    xpub.send(&["a", "unheard"]);
                    xpub.send(&["c", &large]);
                    (xpub, large)
                });
                let (xpub, large) = xpub.await;
                let message = next(&mut subscription).await;
                assert!(said(&message) == (Some("c"), large.as_bytes()));
                drop(subscription);
                apart(move || {
                    assert_eq!(told_twice(&xpub), [b"\0b", b"\0c"]);
                })
                .await;
                Ok(())
            });
            done.wait().unwrap();
        }
    }
}

#[test]
fn our_subscriber_finds_a_publisher_that_has_died_and_come_back() {
    for language in Language::BOTH {
        for (kind, mechanism) in
            [("PUB", Mechanism::Null), ("XPUB", Mechanism::Null), ("XPUB", Mechanism::Curve)]
        {
            println!("{language:?}, {kind}, {mechanism:?}");
            let (handle, service) = (subscriber(Transport::ZeroMq, mechanism), rig::service("pub"));
            let place = port::take();
            let start = || {
                let peer = Peer::start(language);
                let publisher = mechanism.server(peer.socket(kind)).open();
                publisher.bind(place.number);
                (peer, publisher)
            };
            let (mut peer, mut publisher) = start();
            announce(&service, place.number);
            let subscription = handle.subscribe(Subscribe::new(&service).topic("t").topic("u"));
            let mut subscription = subscription.wait().unwrap().into_iter();
            for round in 0..2 {
                if kind == "XPUB" {
                    assert_eq!(told_twice(&publisher), [b"\x01t", b"\x01u"]);
                }
                // A PUB does not say when it knows what is wanted.
                let text = format!("round {round}");
                std::thread::scope(|scope| {
                    let heard = scope.spawn(|| subscription.find(|message| message.data == text));
                    let until = Instant::now() + DEADLINE;
                    while !heard.is_finished() {
                        if Instant::now() > until {
                            // Then nothing more is awaited.
                            let _ = handle.stop();
                        }
                        publisher.send(&["s", "unwanted"]);
                        publisher.send(&["topic", &text]);
                        std::thread::sleep(ms(1));
                    }
                    let message = heard.join().unwrap().expect("it is heard");
                    assert_eq!(message.topic.as_deref(), Some("topic"));
                });
                if round == 0 {
                    peer.kill();
                    (peer, publisher) = start();
                }
            }
        }
    }
}

#[test]
fn our_subscriber_gives_up_a_publisher_that_is_stopped() {
    for language in Language::BOTH {
        let zeromq = zeromq::Config {
            ping_interval: ms(50),
            ping_timeout: ms(500),
            ..zeromq::Config::default()
        };
        let handle = with(Transport::ZeroMq, zeromq);
        let (service, peer) = (rig::service("stopped"), Peer::start(language));
        let xpub = peer.socket("XPUB").bind();
        announce(&service, xpub.port());
        let done = handle.run(async move |context| {
            let to = Subscribe::new(&service).topic("t");
            let mut subscription = context.subscriber.subscribe(to)?;
            timeout(DEADLINE, subscription.connected()).await.expect("it is found");
            let stopped = peer.clone();
            apart(move || stopped.stop()).await;
            let given_up = async {
                while subscription.stats().connected > 0 {
                    sleep(ms(1)).await;
                }
            };
            timeout(DEADLINE, given_up).await.expect("it is given up");
            let _xpub = apart(move || {
                peer.resume();
                for told in ["\x01t", "\0t", "\x01t"] {
                    assert_eq!(xpub.receive(), [told]);
                }
                xpub.send(&["t", "at last"]);
                xpub
            })
            .await;
            assert_eq!(said(&next(&mut subscription).await), (Some("t"), &b"at last"[..]));
            Ok(())
        });
        done.wait().unwrap();
    }
}
