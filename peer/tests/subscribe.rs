//! Subscribers of several publishers, which come and go, in virtual time.

mod support;

use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use grenache_engine::{TcpListener, sleep, timeout};
use grenache_peer::link::{self, Link};
use grenache_peer::publish::{self, Publisher};
use grenache_peer::server::{self, Server, Services};
use grenache_peer::subscribe::{Config, Message, Subscription};
use grenache_peer::{Subscribe, Subscriber, Transport};
use support::{Directory, Fake, grape, ms, simulated};

/// Longer than a subscriber tries a publisher that is gone.
const LONG: Duration = Duration::from_secs(60);

/// A publisher that serves on this core.
struct Serving {
    publisher: Publisher,
    server: Rc<Server>,
    addr: SocketAddr,
}

impl Serving {
    fn at(addr: &str) -> Serving {
        let listener = TcpListener::bind(addr.parse().unwrap()).expect("a free port");
        let (publisher, addr) = (Publisher::new(publish::Config::default()), listener.local_addr());
        let mut services = Services::default();
        services.publish("ticker", &publisher);
        let server = Server::new(server::Config::default(), services);
        server.listen(listener);
        Serving { publisher, server, addr }
    }

    fn say(&self, text: &str) {
        self.publisher.publish("", text).expect("room for one more");
    }

    async fn stop(self) {
        self.server.drain(ms(500)).await;
    }
}

/// What publishers are listened to over.
const TRANSPORTS: [Transport; 2] = [Transport::WebSocket, Transport::ZeroMq];

fn subscribe(grape: &Fake, transport: Transport, to: Subscribe) -> Subscription {
    let link = Link::new(&[grape.addr.into()], link::Config::default(), None).unwrap();
    let subscriber =
        Subscriber::new(link, Config { transport, ..Config::default() }, None).unwrap();
    subscriber.subscribe(to).expect("topics that are some")
}

async fn next(subscription: &mut Subscription) -> (SocketAddr, String) {
    let next = timeout(LONG, subscription.next()).await;
    let message: Message = next.expect("a message comes");
    (message.from, message.text().unwrap().to_owned())
}

async fn until_connected(subscription: &Subscription, count: usize) {
    let connected = async {
        while subscription.stats().connected != count {
            sleep(ms(10)).await;
        }
    };
    timeout(LONG, connected).await.expect("they are found");
}

#[test]
fn all_publishers_are_heard_and_one_that_comes_back_late_is_heard_again() {
    for transport in TRANSPORTS {
        simulated(1, move || async move {
            let (a, b) = (Serving::at("127.0.0.1:7001"), Serving::at("127.0.0.1:7002"));
            let directory = Directory::default();
            directory.borrow_mut().insert("ticker".into(), vec![a.addr, b.addr]);
            let grape = grape(&directory);
            let mut all = subscribe(&grape, transport, Subscribe::new("ticker").all());
            until_connected(&all, 2).await;
            a.say("from a");
            assert_eq!(next(&mut all).await, (a.addr, "from a".into()));
            b.say("from b");
            assert_eq!(next(&mut all).await, (b.addr, "from b".into()));

            // It is announced all the while, as one that has died is, and given up before it is back at its place.
            a.stop().await;
            until_connected(&all, 1).await;
            sleep(LONG).await;
            let a = Serving::at("127.0.0.1:7001");
            until_connected(&all, 2).await;
            a.say("again");
            assert_eq!(next(&mut all).await, (a.addr, "again".into()));

            // A third one joins.
            let c = Serving::at("127.0.0.1:7003");
            directory.borrow_mut().get_mut("ticker").unwrap().push(c.addr);
            until_connected(&all, 3).await;
            c.say("from c");
            assert_eq!(next(&mut all).await, (c.addr, "from c".into()));
            drop(all);
            for serving in [a, b, c] {
                serving.stop().await;
            }
        });
    }
}

#[test]
fn of_several_publishers_one_is_heard_and_another_takes_its_place() {
    for transport in TRANSPORTS {
        simulated(2, move || async move {
            let (a, b) = (Serving::at("127.0.0.1:7001"), Serving::at("127.0.0.1:7002"));
            let directory = Directory::default();
            directory.borrow_mut().insert("ticker".into(), vec![a.addr, b.addr]);
            let grape = grape(&directory);
            let mut one = subscribe(&grape, transport, Subscribe::new("ticker"));
            until_connected(&one, 1).await;
            a.say("a");
            b.say("b");
            let (first, _) = next(&mut one).await;
            let (heard, other) = if first == a.addr { (a, b) } else { (b, a) };
            heard.stop().await;
            until_connected(&one, 0).await;
            until_connected(&one, 1).await;
            other.say("the other");
            assert_eq!(next(&mut one).await, (other.addr, "the other".into()));
            assert_eq!(one.stats().received, 2);
            drop(one);
            other.stop().await;
        });
    }
}

#[test]
fn a_publisher_outlives_its_workers_and_keeps_their_figures() {
    for transport in TRANSPORTS {
        simulated(3, move || async move {
            let publisher = Publisher::new(publish::Config::default());
            for served in 1..=3 {
                let listener = TcpListener::bind("127.0.0.1:7001".parse().unwrap()).unwrap();
                let directory = Directory::default();
                directory.borrow_mut().insert("ticker".into(), vec![listener.local_addr()]);
                let grape = grape(&directory);
                let mut services = Services::default();
                services.publish("ticker", &publisher);
                let server = Server::new(server::Config::default(), services);
                server.listen(listener);
                let mut one = subscribe(&grape, transport, Subscribe::new("ticker"));
                until_connected(&one, 1).await;
                publisher.publish("", "a message").unwrap();
                assert_eq!(next(&mut one).await.1, "a message");
                assert_eq!(publisher.stats().sent, served);
                drop(one);
                server.drain(ms(500)).await;
                drop(server);
                // It is told that the core is gone when it says something.
                publisher.publish("", "nobody is there").unwrap();
                sleep(ms(10)).await;
            }
            assert_eq!((publisher.stats().sent, publisher.stats().subscribers), (3, 0));
        });
    }
}
