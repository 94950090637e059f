//! Connections to publishers, made again and again.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use grenache_engine::{JoinHandle, sleep, spawn_local};

use super::Shared;
use super::feed::Feed;
use super::{websocket, zeromq};
use crate::backoff::Random;
use crate::client::Transport;
use crate::error::Error;

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
    match shared.config.transport {
        Transport::ZeroMq => zeromq::listen(shared, to, feed).await,
        _ => websocket::listen(shared, to, feed).await,
    }
}

/// What the publisher was told of topics.
#[derive(Default)]
pub(super) struct Said {
    version: u64,
    topics: BTreeSet<String>,
}

/// What it is to be told.
pub(super) enum Say<'a> {
    Add(&'a str),
    Remove(&'a str),
    /// That it has heard all there was to say at first.
    Ping,
}

impl Said {
    pub(super) fn catch_up(&mut self, feed: &Feed, mut say: impl FnMut(Say<'_>)) {
        if self.version == feed.version() {
            return;
        }
        let wanted = feed.topics();
        for topic in wanted.difference(&self.topics) {
            say(Say::Add(topic));
        }
        for topic in self.topics.difference(&wanted) {
            say(Say::Remove(topic));
        }
        if self.version == 0 {
            // When it is answered, all that was said before is known there.
            say(Say::Ping);
        }
        self.version = feed.version();
        self.topics = wanted;
    }
}

/// A publisher that is counted as connected, as long as this lives.
pub(super) struct Connected {
    feed: Rc<Feed>,
    counted: bool,
}

impl Connected {
    /// A connection that was made, on which the topics are still to be said.
    pub(super) fn new(feed: &Rc<Feed>) -> Connected {
        feed.update(|stats| stats.connections += 1);
        Connected { feed: feed.clone(), counted: false }
    }

    pub(super) fn is_counted(&self) -> bool {
        self.counted
    }

    pub(super) fn count(&mut self) {
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
