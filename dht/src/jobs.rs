//! Announcements and puts: finding the nodes, asking them to store, counting who did.

use crate::answers::value_size;
use crate::dht::Dht;
use crate::encode::Ask;
use crate::error::Error;
use crate::event::Event;
use crate::key::Key;
use crate::lookup::{Goal, Traversal, Waiter};
use crate::store::{Job, Store};
use crate::token_cache::Target;
use crate::transaction::Purpose;
use core::net::{Ipv4Addr, SocketAddrV4};
use core::time::Duration;
use std::sync::Arc;

impl Store {
    /// What the target with this index is asked.
    pub(crate) fn ask(&self, target: usize) -> Ask<'_> {
        let token = &self.targets[target].token;
        match &self.job {
            Job::Announce { port, .. } => {
                Ask::AnnouncePeer { info_hash: self.key.as_bytes(), port: *port, token }
            }
            Job::Put { put, .. } => Ask::Put { item: put, token },
        }
    }

    /// Whether it does no harm if a node gets the query twice: the second copy of a mutable put would
    /// be answered with a conflict.
    fn may_resend(&self) -> bool {
        match &self.job {
            Job::Announce { .. } => true,
            Job::Put { put, .. } => put.mutable.is_none(),
        }
    }
}

impl Dht {
    /// Begins a job with the nodes that gave tokens not long ago, or by looking for the nodes.
    pub(crate) fn begin_job(&mut self, now: Duration, key: Key, job: Job) {
        match &job {
            Job::Announce { port, .. } => {
                if let Some(host) = self.config.host {
                    self.store_own_peer(now, &key, host, *port);
                }
            }
            Job::Put { put, .. } => {
                if put.mutable.is_none() && value_size(&put.v) <= self.config.max_value {
                    let _ = self.items.put(put.target(), put.to_stored(), None);
                }
            }
        }
        match self.token_cache.get(now, &key) {
            Some(targets) => self.store(now, key, job, targets, true),
            None => self.find_targets(now, key, job),
        }
    }

    fn find_targets(&mut self, now: Duration, key: Key, job: Job) {
        match job {
            Job::Announce { .. } => self.find_peers(now, key, Waiter::Store(job)),
            Job::Put { .. } => {
                let waiter = Waiter::Store(job);
                let traversal = Traversal::new(&self.config, key, Goal::Value, waiter);
                self.traverse(now, traversal);
            }
        }
    }

    /// Asks `targets` to do the job, or does it here if there are none.
    pub(crate) fn store(
        &mut self,
        now: Duration,
        key: Key,
        job: Job,
        targets: Arc<[Target]>,
        cached: bool,
    ) {
        if targets.is_empty() {
            return self.store_here(now, &key, job);
        }
        let number = self.number();
        self.stores.insert(number, Store::new(key, job, targets, cached));
        self.set_phase(now, number);
        self.advance_store(now, number);
    }

    /// A lone grape keeps what it is given, where Node's answers "No nodes to query" and forgets it.
    fn store_here(&mut self, now: Duration, key: &Key, job: Job) {
        match job {
            Job::Announce { op, port, local } => {
                let host = self.config.host.unwrap_or(local);
                // With a host it was stored at the start.
                let stored =
                    self.config.host.is_some() || self.store_own_peer(now, key, host, port);
                let result = if stored { Ok(1) } else { Err(Error::NoNodes) };
                self.end(Event::Announced { op, result });
            }
            Job::Put { op, put } => {
                let target = put.target();
                let result = if value_size(&put.v) > self.config.max_value {
                    Err(Error::NoNodes)
                } else if let Some(signed) = &put.mutable {
                    self.items.put(target, put.to_stored(), signed.cas).map_err(|conflict| {
                        let (code, text) = conflict.error();
                        Error::Refused { code, text: text.to_owned() }
                    })
                } else {
                    // Stored at the start.
                    Ok(())
                };
                self.end(Event::PutDone { op, result: result.map(|()| target) });
            }
        }
    }

    fn store_own_peer(&mut self, now: Duration, key: &Key, ip: Ipv4Addr, port: u16) -> bool {
        let port = if port == 0 { self.config.port } else { port };
        self.store_peer(now, key, SocketAddrV4::new(ip, port))
    }

    /// Asks as many targets as may be.
    pub(crate) fn advance_store(&mut self, now: Duration, number: u64) {
        while let Some(store) = self.stores.get_mut(&number) {
            let Some(target) = store.targets.get(store.next) else { break };
            if store.in_flight >= self.config.concurrency.max(1) {
                break;
            }
            if self.transactions.len() >= self.config.max_queries {
                if !core::mem::replace(&mut store.in_line, true) {
                    self.line.push_back(number);
                }
                return;
            }
            let (contact, index) = (target.contact, store.next);
            store.next += 1;
            store.in_flight += 1;
            let may_resend = store.may_resend();
            let purpose = Purpose::Store(number, index);
            self.ask(now, contact.addr, Some(contact.id), purpose, may_resend);
        }
        if self.stores.get(&number).is_some_and(Store::is_done)
            && let Some(store) = self.stores.remove(&number)
        {
            self.settle_phases();
            self.end_store(now, store);
        }
    }

    /// A target has done it, or has not and may have said why.
    pub(crate) fn take_stored(
        &mut self,
        now: Duration,
        number: u64,
        result: Result<(), Option<(u16, String)>>,
    ) {
        let Some(store) = self.stores.get_mut(&number) else { return };
        store.in_flight -= 1;
        match result {
            Ok(()) => store.stored += 1,
            Err(refusal) => {
                store.failed = true;
                store.refusal = refusal.or(store.refusal.take());
            }
        }
        self.advance_store(now, number);
    }

    /// Ends a store that takes too long; who has not answered has not done it.
    pub(crate) fn cut_store(&mut self, now: Duration, number: u64) {
        if let Some(mut store) = self.stores.remove(&number) {
            store.failed = true;
            self.end_store(now, store);
        }
    }

    fn end_store(&mut self, now: Duration, store: Store) {
        if store.failed {
            // Some token was too old, or some node has gone: look anew the next time.
            self.token_cache.remove(&store.key);
        }
        if store.stored == 0 && store.refusal.is_none() && store.cached {
            // Node answers "All queries failed" here until its tables age out. With fresh tokens it
            // may well work.
            return self.find_targets(now, store.key, store.job);
        }
        let stored = if store.stored > 0 {
            Ok(store.stored)
        } else {
            Err(match store.refusal {
                Some((code, text)) => Error::Refused { code, text },
                None => Error::AllQueriesFailed,
            })
        };
        match store.job {
            Job::Announce { op, .. } => self.end(Event::Announced { op, result: stored }),
            Job::Put { op, put } => {
                let target = put.target();
                if stored.is_ok()
                    && let Some(signed) = &put.mutable
                    && value_size(&put.v) <= self.config.max_value
                {
                    // Others have it now; a newer version here stays.
                    let _ = self.items.put(target, put.to_stored(), signed.cas);
                }
                self.end(Event::PutDone { op, result: stored.map(|_| target) });
            }
        }
    }
}
