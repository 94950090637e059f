//! Connections to publishers, made again and again.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::future::poll_fn;
use std::net::SocketAddr;
use std::rc::Rc;
use std::task::Poll;
use std::time::Duration;

use grenache_engine::{JoinHandle, sleep, spawn_local};

use super::Shared;
use super::feed::Feed;
use super::message::Message;
use crate::backoff::Random;
use crate::error::Error;
use crate::http::Target;
use crate::publish::{PROTOCOL, add_topic, remove_topic};
use crate::websocket::{Masks, Socket, connect};

/// As Node asks for it.
const PATH: &str = "/ws";

/// As good as no limit.
const FOR_EVER: Duration = Duration::from_secs(u32::MAX as u64);

/// Listens to one of the publishers, and to another if that one is lost.
pub(super) async fn listen_to_one(shared: Rc<Shared>, service: &str, feed: Rc<Feed>) {
    let random = Random::new();
    let mut failures = 0;
    let mut lost: Option<SocketAddr> = None;
    loop {
        let known = match shared.link.wait_for_service(service, FOR_EVER).await {
            Ok(known) => known,
            Err(error) => {
                feed.failed(error);
                failures += 1;
                sleep(shared.config.retry.pause(failures, &random)).await;
                continue;
            }
        };
        // Another than the one that was lost, if there is one.
        let others: Vec<SocketAddr> =
            known.iter().copied().filter(|addr| Some(*addr) != lost || known.len() == 1).collect();
        let to = others[random.below(others.len())];
        let (received, error) = listen(&shared, to, &feed).await;
        feed.failed(error);
        lost = Some(to);
        failures = if received { 1 } else { failures + 1 };
        sleep(shared.config.retry.pause(failures, &random)).await;
        shared.link.forget(service);
    }
}

/// Listens to all publishers, as they come and go.
pub(super) async fn listen_to_all(shared: Rc<Shared>, service: &str, feed: Rc<Feed>) {
    let connections = Connections::default();
    loop {
        match shared.link.wait_for_service(service, FOR_EVER).await {
            Ok(known) => {
                let known: BTreeSet<SocketAddr> = known.iter().copied().collect();
                let mut tasks = connections.0.borrow_mut();
                // One that works is kept even if it is announced no more; one that was given up is tried again if it still is.
                tasks.retain(|_, task| !task.is_finished());
                for addr in known {
                    tasks.entry(addr).or_insert_with(|| {
                        spawn_local(listen_again(shared.clone(), addr, feed.clone()))
                    });
                }
            }
            Err(error) => feed.failed(error),
        }
        sleep(shared.config.lookup_interval).await;
        shared.link.forget(service);
    }
}

/// The tasks of connections, which end with this.
#[derive(Default)]
struct Connections(RefCell<BTreeMap<SocketAddr, JoinHandle<()>>>);

impl Drop for Connections {
    fn drop(&mut self) {
        self.0.take().into_values().for_each(|task| task.abort());
    }
}

/// Failures in a row after which a publisher is given up, until it is looked up again.
const GIVE_UP: u32 = 5;

async fn listen_again(shared: Rc<Shared>, to: SocketAddr, feed: Rc<Feed>) {
    let random = Random::new();
    let mut failures = 0;
    while failures < GIVE_UP {
        let (received, error) = listen(&shared, to, &feed).await;
        feed.failed(error);
        failures = if received { 1 } else { failures + 1 };
        sleep(shared.config.retry.pause(failures, &random)).await;
    }
}

/// Listens until the connection ends. Says whether it had been made.
async fn listen(shared: &Shared, to: SocketAddr, feed: &Rc<Feed>) -> (bool, Error) {
    let config = &shared.config.websocket;
    let target = Target::peer(to, shared.tls.is_some());
    let connected = connect(&target, PATH, Some(PROTOCOL), config, shared.tls.as_ref()).await;
    let mut socket = match connected {
        Ok(upgraded) => Socket::new(upgraded, Some(Masks::new()), config),
        Err(failure) => return (false, Error::Request { to, failure }),
    };
    feed.update(|stats| stats.connections += 1);
    let mut connected = Connected { feed: feed.clone(), counted: false };
    let topical = socket.has_protocol();
    let mut said = Said::default();
    if !topical {
        connected.count();
    }
    let error = poll_fn(|context| {
        loop {
            if topical {
                said.catch_up(feed, &mut socket);
            }
            if topical && socket.pongs() > 0 {
                connected.count();
            }
            if feed.poll_room(context).is_pending() {
                return Poll::Pending;
            }
            match socket.poll_recv(context) {
                Poll::Ready(Ok(Some(message))) => {
                    feed.push(Message::read(to, message.kind, message.data, topical));
                }
                Poll::Ready(Ok(None)) => return Poll::Ready(Error::Closed { to }),
                Poll::Ready(Err(error)) => return Poll::Ready(error),
                Poll::Pending if topical && socket.pongs() > 0 && !connected.counted => {}
                Poll::Pending => return Poll::Pending,
            }
        }
    })
    .await;
    (true, error)
}

/// What the publisher was told of topics.
#[derive(Default)]
struct Said {
    version: u64,
    topics: BTreeSet<String>,
}

impl Said {
    fn catch_up(&mut self, feed: &Feed, socket: &mut Socket) {
        if self.version == feed.version() {
            return;
        }
        let wanted = feed.topics();
        for topic in wanted.difference(&self.topics) {
            socket.send_text(&add_topic(topic));
        }
        for topic in self.topics.difference(&wanted) {
            socket.send_text(&remove_topic(topic));
        }
        if self.version == 0 {
            // When it is answered, all that was said before is known there.
            socket.ping();
        }
        self.version = feed.version();
        self.topics = wanted;
    }
}

/// A publisher that is counted as connected, as long as this lives.
struct Connected {
    feed: Rc<Feed>,
    counted: bool,
}

impl Connected {
    fn count(&mut self) {
        if !std::mem::replace(&mut self.counted, true) {
            self.feed.found();
        }
    }
}

impl Drop for Connected {
    fn drop(&mut self) {
        if self.counted {
            self.feed.update(|stats| stats.connected -= 1);
        }
    }
}
