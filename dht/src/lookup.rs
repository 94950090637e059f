use crate::config::Config;
use crate::contact::{COMPACT_PEER, Contact};
use crate::event::Op;
use crate::id::NodeId;
use crate::items::Item;
use crate::key::{Distance, Key};
use crate::store::Job;
use crate::token_cache::Target;
use bytes::Bytes;
use core::net::SocketAddrV4;
use std::sync::Arc;

/// What the nodes on the way are asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Goal {
    Nodes,
    Peers,
    Value,
}

/// Who waits for the end of a traversal.
#[derive(Debug)]
pub(crate) enum Waiter {
    Lookup(Op),
    Get { op: Op, salt: Bytes },
    Store(Job),
    Bootstrap,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Fresh,
    Asked,
    Answered,
    Failed,
}

#[derive(Debug)]
struct Candidate {
    distance: Distance,
    contact: Contact,
    state: State,
    /// Where its token is in `Traversal::tokens`.
    token: Option<(u32, u32)>,
}

/// What a traversal does next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    Ask(SocketAddrV4, Option<NodeId>),
    Wait,
    Done,
}

/// An iterative lookup (Kademlia): asks ever closer nodes until the K closest ones have answered.
#[derive(Debug)]
pub(crate) struct Traversal {
    pub(crate) key: Key,
    pub(crate) goal: Goal,
    pub(crate) waiters: Vec<Waiter>,
    /// Peers gathered so far, with doubles.
    pub(crate) peers: Vec<[u8; COMPACT_PEER]>,
    /// The best item so far.
    pub(crate) item: Option<Item>,
    /// The version that was put here: the result if nobody else has one as new.
    pub(crate) spare: Option<Item>,
    /// Nodes that answered.
    pub(crate) answered: usize,
    /// It stands in the line for a free query.
    pub(crate) in_line: bool,
    k: usize,
    concurrency: usize,
    max_candidates: usize,
    /// By distance.
    candidates: Vec<Candidate>,
    /// Addresses without a known id, the asked ones at the end.
    seeds: Vec<SocketAddrV4>,
    fresh_seeds: usize,
    tokens: Vec<u8>,
    in_flight: usize,
    finished: bool,
}

impl Traversal {
    pub(crate) fn new(config: &Config, key: Key, goal: Goal, waiter: Waiter) -> Self {
        Self {
            key,
            goal,
            waiters: vec![waiter],
            peers: Vec::new(),
            item: None,
            spare: None,
            answered: 0,
            in_line: false,
            k: config.k.max(1),
            concurrency: config.concurrency.max(1),
            max_candidates: config.max_candidates.max(config.k),
            candidates: Vec::new(),
            seeds: Vec::new(),
            fresh_seeds: 0,
            tokens: Vec::new(),
            in_flight: 0,
            finished: false,
        }
    }

    /// Adds addresses whose node ids are not known.
    pub(crate) fn add_seeds(&mut self, seeds: impl Iterator<Item = SocketAddrV4>) {
        for seed in seeds {
            if !self.seeds.contains(&seed)
                && self.candidates.iter().all(|candidate| candidate.contact.addr != seed)
            {
                self.seeds.insert(0, seed);
                self.fresh_seeds += 1;
            }
        }
    }

    /// Adds a node that somebody told of. One address is asked once, whatever ids it is said to have.
    pub(crate) fn add(&mut self, contact: Contact) {
        self.insert(contact, State::Fresh);
    }

    fn insert(&mut self, contact: Contact, state: State) -> Option<usize> {
        let distance = Distance::between(self.key.as_bytes(), &contact.id);
        let at = match self.candidates.binary_search_by_key(&distance, |c| c.distance) {
            Ok(_) => return None,
            Err(at) => at,
        };
        let known = |candidate: &Candidate| candidate.contact.addr == contact.addr;
        if self.candidates.iter().any(known)
            || (state == State::Fresh && self.seeds.contains(&contact.addr))
        {
            return None;
        }
        if self.candidates.len() >= self.max_candidates {
            let last = self.candidates.pop_if(|last| last.state != State::Asked)?;
            if last.distance < distance {
                self.candidates.push(last);
                return None;
            }
        }
        self.candidates.insert(at, Candidate { distance, contact, state, token: None });
        Some(at)
    }

    /// What to do now; the caller asks at once and reports with `asked`.
    pub(crate) fn next(&self) -> Step {
        if self.finished {
            return Step::Done;
        }
        let may_ask = self.in_flight < self.concurrency;
        if let (true, Some(&seed)) = (may_ask, self.seeds[..self.fresh_seeds].last()) {
            return Step::Ask(seed, None);
        }
        let (mut close, mut waits) = (0, false);
        for candidate in &self.candidates {
            match candidate.state {
                State::Failed => continue,
                State::Fresh if may_ask => {
                    return Step::Ask(candidate.contact.addr, Some(candidate.contact.id));
                }
                State::Fresh | State::Asked => waits = true,
                State::Answered => {}
            }
            close += 1;
            if close == self.k {
                break;
            }
        }
        let seeds_wait = close < self.k && !self.seeds.is_empty();
        if waits || seeds_wait { Step::Wait } else { Step::Done }
    }

    /// The node at `addr` was asked.
    pub(crate) fn asked(&mut self, addr: SocketAddrV4, id: Option<NodeId>) {
        self.in_flight += 1;
        if id.is_none() {
            self.fresh_seeds -= 1;
        } else if let Some(at) = self.position(addr) {
            self.candidates[at].state = State::Asked;
        }
    }

    fn position(&self, addr: SocketAddrV4) -> Option<usize> {
        self.candidates.iter().position(|candidate| candidate.contact.addr == addr)
    }

    fn drop_seed(&mut self, addr: SocketAddrV4) {
        if let Some(at) = self.seeds.iter().position(|&seed| seed == addr) {
            self.fresh_seeds -= usize::from(at < self.fresh_seeds);
            self.seeds.remove(at);
        }
    }

    /// `contact` answered, under the id that it gave itself.
    pub(crate) fn answered(&mut self, contact: Contact, token: Option<&[u8]>) {
        self.in_flight = self.in_flight.saturating_sub(1);
        self.drop_seed(contact.addr);
        let at = match self.position(contact.addr) {
            Some(at) if self.candidates[at].contact.id == contact.id => at,
            other => {
                // It was known under another id, or none.
                if let Some(at) = other {
                    self.candidates.remove(at);
                }
                match self.insert(contact, State::Answered) {
                    Some(at) => at,
                    None => return,
                }
            }
        };
        self.answered += 1;
        let candidate = &mut self.candidates[at];
        candidate.state = State::Answered;
        if let Some(token) = token {
            let start = self.tokens.len();
            self.tokens.extend_from_slice(token);
            candidate.token = Some((start as u32, self.tokens.len() as u32));
        }
    }

    /// The node at `addr` did not answer, or not well.
    pub(crate) fn failed(&mut self, addr: SocketAddrV4) {
        self.in_flight = self.in_flight.saturating_sub(1);
        self.drop_seed(addr);
        if let Some(at) = self.position(addr) {
            self.candidates[at].state = State::Failed;
        }
    }

    /// Ends it with what it has.
    pub(crate) fn finish(&mut self) {
        self.finished = true;
    }

    /// The K closest nodes that answered and gave a token.
    pub(crate) fn targets(&self) -> Arc<[Target]> {
        let answered = self.candidates.iter().filter(|c| c.state == State::Answered);
        let with_token = answered.filter_map(|candidate| {
            let (start, end) = candidate.token?;
            let token = self.tokens[start as usize..end as usize].into();
            Some(Target { contact: candidate.contact, token })
        });
        with_token.take(self.k).collect()
    }
}
