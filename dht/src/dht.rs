use crate::bootstrap::Bootstrap;
use crate::config::Config;
use crate::contact::{COMPACT_PEER, Contact};
use crate::deadlines::Deadlines;
use crate::event::Event;
use crate::id::NodeId;
use crate::items::Items;
use crate::key::Key;
use crate::krpc::{self, Body, Method};
use crate::lookup::Traversal;
use crate::outbox::{Outbox, Transmit};
use crate::peers::Peers;
use crate::seeded::Seeded;
use crate::signature;
use crate::stats::Stats;
use crate::store::Store;
use crate::table::Table;
use crate::token::Tokens;
use crate::token_cache::TokenCache;
use crate::transaction::{TRANSACTION_ID, Transactions};
use core::hash::BuildHasher;
use core::net::SocketAddrV4;
use core::time::Duration;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use std::collections::{HashMap, VecDeque};

/// Which core of the grape a datagram belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Route {
    /// This one: [`Dht::receive`] it.
    Here,
    /// That one.
    Shard(u8),
}

/// One core's part of a DHT node.
///
/// Commands return an [`Op`](crate::Op) at once and end with exactly one [`Event`] that carries it, within
/// a few times [`Config::phase_timeout`] whatever the network does. That event may be ready before
/// the command returns. A command belongs on the core that owns its key; see [`Dht::owner`].
pub struct Dht {
    pub(crate) config: Config,
    pub(crate) rng: StdRng,
    pub(crate) table: Table,
    pub(crate) tokens: Tokens,
    pub(crate) peers: Peers,
    pub(crate) items: Items,
    pub(crate) token_cache: TokenCache,
    pub(crate) transactions: Transactions,
    pub(crate) traversals: HashMap<u64, Traversal, Seeded>,
    /// The newest traversal for the peers of a key, and how many of them there are.
    pub(crate) newest: HashMap<Key, (u64, usize), Seeded>,
    pub(crate) stores: HashMap<u64, Store, Seeded>,
    /// Ends of traversals and stores.
    pub(crate) phases: Deadlines,
    /// Traversals and stores that wait for a free query.
    pub(crate) line: VecDeque<u64>,
    pub(crate) bootstrap: Bootstrap,
    pub(crate) next_check: Option<Duration>,
    /// A ping that decides about a place in a full bucket is in flight.
    pub(crate) evicting: Option<Contact>,
    pub(crate) outbox: Outbox,
    pub(crate) events: VecDeque<Event>,
    pub(crate) notices: usize,
    pub(crate) stats: Stats,
    pub(crate) found: Vec<Contact>,
    pub(crate) gathered: Vec<[u8; COMPACT_PEER]>,
    owners: Seeded,
    next_number: u64,
    pub(crate) operations: usize,
}

impl Dht {
    /// A node at time `now`. Core 0 begins to bootstrap at once.
    pub fn new(config: Config, now: Duration) -> Self {
        let mut rng = StdRng::from_seed(config.random_seed);
        let mut seeded = || Seeded::new(rng.random(), rng.random());
        let mut dht = Self {
            table: Table::new(&config, seeded()),
            tokens: Tokens::new(config.token_secret),
            peers: Peers::new(&config, seeded()),
            items: Items::new(config.max_values, seeded()),
            token_cache: TokenCache::new(config.max_tables, seeded()),
            transactions: Transactions::new(
                config.shard,
                config.query_timeout,
                config.resend_after,
                seeded(),
            ),
            traversals: HashMap::with_hasher(seeded()),
            newest: HashMap::with_hasher(seeded()),
            stores: HashMap::with_hasher(seeded()),
            phases: Deadlines::default(),
            line: VecDeque::new(),
            bootstrap: Bootstrap::new(&config, now),
            next_check: None,
            evicting: None,
            outbox: Outbox::default(),
            events: VecDeque::new(),
            notices: 0,
            stats: Stats::default(),
            found: Vec::new(),
            gathered: Vec::new(),
            owners: Seeded::new(config.owner_seed, 0x6772_656e_6163_6865),
            next_number: 0,
            operations: 0,
            config,
            rng,
        };
        dht.begin_maintenance(now);
        dht
    }

    /// The core that owns a key: a hash of all its bytes, because service names share prefixes.
    pub fn owner(&self, key: &[u8]) -> u8 {
        if self.config.shards <= 1 {
            return 0;
        }
        let mut hasher = self.owners.build_hasher();
        core::hash::Hasher::write(&mut hasher, key);
        let hash = core::hash::Hasher::finish(&hasher);
        ((u128::from(hash) * u128::from(self.config.shards)) >> 64) as u8
    }

    /// The core that a datagram belongs to: answers to the one that asked, queries about a key to its
    /// owner. All others are for any core, also what is no message: [`receive`](Self::receive) counts it.
    pub fn route(&self, datagram: &[u8]) -> Route {
        if self.config.shards <= 1 {
            return Route::Here;
        }
        let Ok(message) = krpc::parse(datagram) else { return Route::Here };
        let shard = match &message.body {
            Body::Response(_) | Body::Error(..) => match message.transaction {
                &[shard, ..] if message.transaction.len() == TRANSACTION_ID => shard,
                _ => return Route::Here,
            },
            Body::Query(method, Some(fields)) => match (method, fields) {
                (Method::GetPeers | Method::AnnouncePeer, fields) => match fields.info_hash {
                    Some(key) => self.owner(key),
                    None => return Route::Here,
                },
                (Method::Get, fields) => match fields.target {
                    Some(target) => self.owner(target),
                    None => return Route::Here,
                },
                (Method::Put, fields) => match (fields.k, fields.v) {
                    (Some(k), _) => {
                        let salt = fields.salt.unwrap_or_default();
                        self.owner(&signature::mutable_target(k, salt))
                    }
                    (None, Some(v)) => self.owner(&signature::immutable_target(v)),
                    (None, None) => return Route::Here,
                },
                _ => return Route::Here,
            },
            Body::Query(_, None) => return Route::Here,
        };
        match shard {
            shard if shard == self.config.shard || shard >= self.config.shards => Route::Here,
            shard => Route::Shard(shard),
        }
    }

    /// Takes in a datagram that [`route`](Self::route) sent here.
    pub fn receive(&mut self, now: Duration, from: SocketAddrV4, datagram: &[u8]) {
        self.stats.received += 1;
        match krpc::parse(datagram) {
            Ok(message) => match &message.body {
                Body::Query(method, Some(fields)) => {
                    self.answer(now, from, message.transaction, *method, fields);
                }
                Body::Query(_, None) => self.stats.ignored += 1,
                Body::Response(fields) => {
                    self.take_response(now, from, message.transaction, fields);
                }
                Body::Error(code, text) => {
                    self.take_error(now, from, message.transaction, *code, text);
                }
            },
            Err(_) => {
                self.stats.malformed += 1;
                self.notice(Event::Warning);
            }
        }
    }

    /// Does what is due at `now`.
    pub fn handle_timeout(&mut self, now: Duration) {
        while let Some((transaction, again)) = self.transactions.pop_resend(now) {
            self.stats.resent += 1;
            self.send_query(transaction, &again);
        }
        while let Some(silent) = self.transactions.pop_timeout(now) {
            self.stats.timed_out += 1;
            self.take_silence(now, &silent);
        }
        while let Some((_, number)) = self.phases.pop_due(now) {
            self.end_phase(now, number);
        }
        self.settle_phases();
        self.peers.turn(now);
        self.maintain(now);
    }

    /// When to call [`handle_timeout`](Self::handle_timeout) next.
    pub fn poll_timeout(&self) -> Option<Duration> {
        let times = [
            self.transactions.next(),
            self.phases.next(),
            self.peers.next_turn(),
            self.bootstrap.next(),
            self.next_check,
        ];
        times.into_iter().flatten().min()
    }

    /// The next datagram to send.
    pub fn poll_transmit(&mut self) -> Option<Transmit<'_>> {
        self.outbox.pop()
    }

    /// The next event.
    pub fn poll_event(&mut self) -> Option<Event> {
        let event = self.events.pop_front()?;
        self.notices -= usize::from(!is_end(&event));
        Some(event)
    }

    /// Takes over a contact that another core of this grape found.
    pub fn learn(&mut self, now: Duration, contact: Contact) {
        self.table.learn(now, contact);
    }

    /// Forgets a node that another core of this grape found silent.
    pub fn forget(&mut self, id: NodeId) {
        self.table.remove(Duration::ZERO, &id);
    }

    /// The counters.
    pub fn stats(&self) -> Stats {
        Stats {
            peers: self.peers.len(),
            services: self.peers.services(),
            items: self.items.len(),
            contacts: self.table.len(),
            queries: self.transactions.len(),
            operations: self.operations,
            traversals: self.traversals.len(),
            ..self.stats
        }
    }

    /// The contacts in the table, in no order.
    pub fn contacts(&self) -> impl Iterator<Item = Contact> + '_ {
        self.table.entries().map(|entry| entry.contact)
    }

    /// A number that no command, traversal or store had before.
    pub(crate) fn number(&mut self) -> u64 {
        self.next_number += 1;
        self.next_number
    }

    /// Ends a command: the one place where it happens.
    pub(crate) fn end(&mut self, event: Event) {
        debug_assert!(is_end(&event));
        self.operations -= 1;
        self.events.push_back(event);
    }

    /// Tells the driver something that is not the end of a command.
    pub(crate) fn notice(&mut self, event: Event) {
        if self.notices >= self.config.max_notices {
            self.stats.unnoticed += 1;
            return;
        }
        self.notices += 1;
        self.events.push_back(event);
    }
}

fn is_end(event: &Event) -> bool {
    matches!(
        event,
        Event::LookupDone { .. }
            | Event::Announced { .. }
            | Event::PutDone { .. }
            | Event::Got { .. }
    )
}
