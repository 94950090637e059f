//! Finding the first nodes, and finding them again.

use crate::config::Config;
use crate::dht::Dht;
use crate::event::Event;
use crate::key::Key;
use crate::lookup::{Goal, Traversal, Waiter};
use bytes::Bytes;
use core::net::SocketAddrV4;
use core::time::Duration;

/// The bootstrap addresses, and when to ask them again.
///
/// Node asks them at its start and then only after minutes without any node. Here those that are not in
/// the table are asked again, after ever longer pauses: a node that was not up yet is found soon, and
/// two halves of a network that lost each other meet again.
#[derive(Debug)]
pub(crate) struct Bootstrap {
    addresses: Vec<SocketAddrV4>,
    retry_min: Duration,
    retry_max: Duration,
    pause: Duration,
    /// How many of them were not in the table the last time.
    missing: usize,
    next: Option<Duration>,
    running: bool,
    ready: bool,
}

impl Bootstrap {
    pub(crate) fn new(config: &Config, now: Duration) -> Self {
        Self {
            addresses: config.bootstrap.clone(),
            retry_min: config.bootstrap_retry_min,
            retry_max: config.bootstrap_retry_max.max(config.bootstrap_retry_min),
            pause: config.bootstrap_retry_min,
            missing: 0,
            next: (config.shard == 0).then_some(now),
            running: false,
            ready: false,
        }
    }

    pub(crate) fn addresses(&self) -> impl Iterator<Item = SocketAddrV4> + '_ {
        self.addresses.iter().copied()
    }

    pub(crate) fn next(&self) -> Option<Duration> {
        self.next.filter(|_| !self.running)
    }

    /// The node at `addr` turned out to be ourselves.
    pub(crate) fn is_self(&mut self, addr: SocketAddrV4) {
        self.addresses.retain(|&address| address != addr);
    }
}

impl Dht {
    /// Replaces the bootstrap addresses, as when their names were resolved late, and asks them.
    pub fn set_bootstrap(&mut self, now: Duration, addresses: Vec<SocketAddrV4>) {
        self.bootstrap.addresses = addresses;
        self.bootstrap.pause = self.bootstrap.retry_min;
        if self.config.shard == 0 {
            self.bootstrap.next = Some(now);
            self.run_bootstrap(now);
        }
    }

    /// Looks for our own id if it is time, beginning at the bootstrap nodes that we do not know.
    pub(crate) fn run_bootstrap(&mut self, now: Duration) {
        if self.bootstrap.next().is_none_or(|at| now < at) {
            return;
        }
        let known = |addr| self.table.entries().any(|entry| entry.contact.addr == addr);
        let unknown: Vec<_> = self.bootstrap.addresses().filter(|&addr| !known(addr)).collect();
        if unknown.len() != self.bootstrap.missing {
            self.bootstrap.missing = unknown.len();
            self.bootstrap.pause = self.bootstrap.retry_min;
        }
        if unknown.is_empty() && self.bootstrap.ready {
            // Look again soon whether one of them is gone.
            let any = !self.bootstrap.addresses.is_empty();
            self.bootstrap.next = any.then(|| now + self.bootstrap.retry_min);
            return;
        }
        self.bootstrap.running = true;
        let key = Key::from(Bytes::copy_from_slice(self.config.id.as_bytes()));
        let mut traversal = Traversal::new(&self.config, key, Goal::Nodes, Waiter::Bootstrap);
        traversal.add_seeds(unknown.into_iter());
        self.traverse(now, traversal);
    }

    /// The search for our own id is at its end.
    pub(crate) fn bootstrap_done(&mut self, now: Duration) {
        let bootstrap = &mut self.bootstrap;
        bootstrap.running = false;
        if !core::mem::replace(&mut bootstrap.ready, true) {
            self.notice(Event::Ready);
        }
        let bootstrap = &mut self.bootstrap;
        bootstrap.next = Some(now + bootstrap.pause);
        bootstrap.pause = (bootstrap.pause * 2).min(bootstrap.retry_max);
    }
}
