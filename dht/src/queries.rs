//! Our queries: traversals, and their place in the line when too many queries are in flight.

use crate::dht::Dht;
use crate::encode::{Ask, write_query};
use crate::id::NodeId;
use crate::key::Key;
use crate::lookup::{Goal, Step, Traversal, Waiter};
use crate::transaction::{Purpose, TRANSACTION_ID, Transaction};
use core::net::SocketAddrV4;
use core::time::Duration;

impl Dht {
    /// Looks for the peers of a key, together with others who do.
    pub(crate) fn find_peers(&mut self, now: Duration, key: Key, waiter: Waiter) {
        if let Some(&(number, running)) = self.newest.get(&key)
            && let Some(traversal) = self.traversals.get_mut(&number)
            // One that has heard answers may have missed what was stored since.
            && (traversal.answered == 0 || running >= self.config.max_parallel_lookups)
        {
            traversal.waiters.push(waiter);
            return;
        }
        let traversal = Traversal::new(&self.config, key, Goal::Peers, waiter);
        self.traverse(now, traversal);
    }

    /// Starts a traversal from the closest contacts, or from the bootstrap nodes if there are none.
    pub(crate) fn traverse(&mut self, now: Duration, mut traversal: Traversal) {
        let number = self.number();
        let key = traversal.key.as_bytes();
        let mut found = core::mem::take(&mut self.found);
        self.table.closest(key, self.config.k, false, &mut found);
        found.iter().for_each(|&contact| traversal.add(contact));
        if found.is_empty() {
            traversal.add_seeds(self.bootstrap.addresses());
        }
        self.found = found;
        if traversal.goal == Goal::Peers {
            let newest = self.newest.entry(traversal.key.clone()).or_insert((number, 0));
            *newest = (number, newest.1 + 1);
        }
        self.traversals.insert(number, traversal);
        self.set_phase(now, number);
        self.advance(now, number);
    }

    pub(crate) fn set_phase(&mut self, now: Duration, number: u64) {
        let (traversals, stores) = (&self.traversals, &self.stores);
        let alive = traversals.len() + stores.len();
        self.phases.set(now + self.config.phase_timeout, number, alive, |_, number| {
            traversals.contains_key(&number) || stores.contains_key(&number)
        });
    }

    pub(crate) fn settle_phases(&mut self) {
        let (traversals, stores) = (&self.traversals, &self.stores);
        self.phases
            .settle(|_, number| traversals.contains_key(&number) || stores.contains_key(&number));
    }

    /// Ends a traversal or store that takes too long.
    pub(crate) fn end_phase(&mut self, now: Duration, number: u64) {
        if let Some(traversal) = self.traversals.get_mut(&number) {
            traversal.finish();
            self.advance(now, number);
        } else {
            self.cut_store(now, number);
        }
    }

    /// Lets a traversal ask what it can.
    pub(crate) fn advance(&mut self, now: Duration, number: u64) {
        while let Some(traversal) = self.traversals.get_mut(&number) {
            match traversal.next() {
                Step::Ask(..) if self.transactions.len() >= self.config.max_queries => {
                    if !core::mem::replace(&mut traversal.in_line, true) {
                        self.line.push_back(number);
                    }
                    return;
                }
                Step::Ask(addr, id) => {
                    traversal.asked(addr, id);
                    self.ask(now, addr, id, Purpose::Traverse(number), true);
                }
                Step::Wait => return,
                Step::Done => {
                    if let Some(traversal) = self.traversals.remove(&number) {
                        self.settle_phases();
                        self.finish(now, number, traversal);
                    }
                    return;
                }
            }
        }
    }

    /// Gives free queries to those who wait for them.
    pub(crate) fn serve_line(&mut self, now: Duration) {
        while self.transactions.len() < self.config.max_queries {
            let Some(number) = self.line.pop_front() else { return };
            if let Some(traversal) = self.traversals.get_mut(&number) {
                traversal.in_line = false;
                self.advance(now, number);
            } else if let Some(store) = self.stores.get_mut(&number) {
                store.in_line = false;
                self.advance_store(now, number);
            }
        }
    }

    /// Sends a query and waits for its answer.
    pub(crate) fn ask(
        &mut self,
        now: Duration,
        to: SocketAddrV4,
        id: Option<NodeId>,
        purpose: Purpose,
        may_resend: bool,
    ) {
        let rng = &mut self.rng;
        let transaction = self.transactions.open(now, rng, to, id, purpose, may_resend);
        self.write_ask(transaction, to, purpose);
    }

    pub(crate) fn send_query(&mut self, transaction: [u8; TRANSACTION_ID], open: &Transaction) {
        self.write_ask(transaction, open.to, open.purpose);
    }

    fn write_ask(&mut self, transaction: [u8; TRANSACTION_ID], to: SocketAddrV4, purpose: Purpose) {
        let ask = match purpose {
            Purpose::Ping => Ask::Ping,
            Purpose::Traverse(number) => match self.traversals.get(&number) {
                Some(Traversal { goal, key, .. }) => match goal {
                    Goal::Nodes => Ask::FindNode { target: key.as_bytes() },
                    Goal::Peers => Ask::GetPeers { info_hash: key.as_bytes() },
                    Goal::Value => Ask::Get { target: key.as_bytes() },
                },
                // It ended meanwhile; there is nothing to ask again.
                None => return,
            },
            Purpose::Store(number, target) => match self.stores.get(&number) {
                Some(store) => store.ask(target),
                None => return,
            },
        };
        if self.outbox.len() >= self.config.max_transmits {
            self.stats.untransmitted += 1;
            return;
        }
        self.stats.asked += 1;
        let id = self.config.id;
        self.outbox.push(to, |out| write_query(out, &transaction, &id, &ask));
    }
}
