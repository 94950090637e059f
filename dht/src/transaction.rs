use crate::deadlines::Deadlines;
use crate::id::NodeId;
use crate::seeded::Seeded;
use core::net::SocketAddrV4;
use core::time::Duration;
use rand::RngExt;
use rand::rngs::StdRng;
use std::collections::HashMap;

/// Bytes of our transaction ids: the core, then three that cannot be guessed.
pub(crate) const TRANSACTION_ID: usize = 4;

/// What a query is part of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    Ping,
    /// A query of the traversal with this number.
    Traverse(u64),
    /// The query to the n-th target of the store with this number.
    Store(u64, usize),
}

/// A query in flight.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Transaction {
    pub(crate) to: SocketAddrV4,
    /// Who should answer, if known.
    pub(crate) id: Option<NodeId>,
    pub(crate) purpose: Purpose,
    deadline: Duration,
    resend: Option<Duration>,
}

/// Why an answer fits no query.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mismatch {
    Unexpected,
    WrongAddress,
}

/// The queries in flight, by transaction id.
pub(crate) struct Transactions {
    shard: u8,
    timeout: Duration,
    resend_after: Duration,
    open: HashMap<u32, Transaction, Seeded>,
    timeouts: Deadlines,
    resends: Deadlines,
}

impl Transactions {
    pub(crate) fn new(shard: u8, timeout: Duration, resend_after: Duration, seed: Seeded) -> Self {
        Self {
            shard,
            timeout,
            resend_after,
            open: HashMap::with_hasher(seed),
            timeouts: Deadlines::default(),
            resends: Deadlines::default(),
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.open.len()
    }

    /// Opens a query and gives it its id.
    pub(crate) fn open(
        &mut self,
        now: Duration,
        rng: &mut StdRng,
        to: SocketAddrV4,
        id: Option<NodeId>,
        purpose: Purpose,
        may_resend: bool,
    ) -> [u8; TRANSACTION_ID] {
        let number = loop {
            let number = rng.random_range(0..1u32 << 24);
            if !self.open.contains_key(&number) {
                break number;
            }
        };
        let deadline = now + self.timeout;
        let may_resend = may_resend && self.resend_after < self.timeout;
        let resend = may_resend.then_some(now + self.resend_after);
        self.open.insert(number, Transaction { to, id, purpose, deadline, resend });
        let open = &self.open;
        self.timeouts.set(deadline, u64::from(number), open.len(), |at, id| {
            open.get(&(id as u32)).is_some_and(|t| t.deadline == at)
        });
        if let Some(at) = resend {
            self.resends.set(at, u64::from(number), open.len(), |at, id| {
                open.get(&(id as u32)).is_some_and(|t| t.resend == Some(at))
            });
        }
        self.name(number)
    }

    fn name(&self, number: u32) -> [u8; TRANSACTION_ID] {
        let [_, a, b, c] = number.to_be_bytes();
        [self.shard, a, b, c]
    }

    /// Closes the query that a datagram from `from` with this transaction id answers.
    pub(crate) fn close(
        &mut self,
        transaction: &[u8],
        from: SocketAddrV4,
    ) -> Result<Transaction, Mismatch> {
        let &[shard, a, b, c] = transaction else { return Err(Mismatch::Unexpected) };
        let number = u32::from_be_bytes([0, a, b, c]);
        let known = self.open.get(&number).filter(|_| shard == self.shard);
        let open = known.ok_or(Mismatch::Unexpected)?;
        if open.to != from {
            return Err(Mismatch::WrongAddress);
        }
        let closed = self.open.remove(&number).ok_or(Mismatch::Unexpected)?;
        self.settle();
        Ok(closed)
    }

    fn settle(&mut self) {
        let open = &self.open;
        self.timeouts.settle(|at, id| open.get(&(id as u32)).is_some_and(|t| t.deadline == at));
        self.resends.settle(|at, id| open.get(&(id as u32)).is_some_and(|t| t.resend == Some(at)));
    }

    /// A query that should be sent once more.
    pub(crate) fn pop_resend(
        &mut self,
        now: Duration,
    ) -> Option<([u8; TRANSACTION_ID], Transaction)> {
        while let Some((at, id)) = self.resends.pop_due(now) {
            let open = self.open.get_mut(&(id as u32)).filter(|t| t.resend == Some(at));
            if let Some(open) = open {
                open.resend = None;
                let again = *open;
                self.settle();
                return Some((self.name(id as u32), again));
            }
        }
        None
    }

    /// Closes a query that nobody answered in time.
    pub(crate) fn pop_timeout(&mut self, now: Duration) -> Option<Transaction> {
        while let Some((at, id)) = self.timeouts.pop_due(now) {
            if self.open.get(&(id as u32)).is_some_and(|t| t.deadline == at) {
                let closed = self.open.remove(&(id as u32));
                self.settle();
                return closed;
            }
        }
        None
    }

    /// When the next query is to be sent again or given up.
    pub(crate) fn next(&self) -> Option<Duration> {
        [self.timeouts.next(), self.resends.next()].into_iter().flatten().min()
    }
}
