use crate::id::NodeId;
use core::net::{Ipv4Addr, SocketAddrV4};
use core::time::Duration;

/// Everything that a [`Dht`](crate::Dht) is told at its start. Limits hold for each core by itself.
#[derive(Clone, Debug)]
pub struct Config {
    /// The node's id, the same on every core of a grape.
    pub id: NodeId,
    /// Which core this is, from 0.
    pub shard: u8,
    /// How many cores the grape has, at least 1.
    pub shards: u8,
    /// Node's `-b`: the address under which peers announced here are also stored here.
    pub host: Option<Ipv4Addr>,
    /// The UDP port of this grape; stored for peers announced with port 0.
    pub port: u16,
    /// Nodes to begin with.
    pub bootstrap: Vec<SocketAddrV4>,

    /// How long an announced peer is kept. Node's default: 120 s.
    pub peer_max_age: Duration,
    /// A contact not heard of for this long is pinged. Node's default: 5 min.
    pub node_liveness: Duration,
    /// How long an answer is waited for. Node's: 2 s.
    pub query_timeout: Duration,
    /// After this long without an answer a query is sent once more (a datagram may be lost). Queries
    /// that must not arrive twice are not.
    pub resend_after: Duration,
    /// How long each half of a command (finding the nodes, storing on them) may take. What was found
    /// by then counts.
    pub phase_timeout: Duration,
    /// Least time until the bootstrap nodes that did not answer are asked again; doubled each time.
    pub bootstrap_retry_min: Duration,
    /// Most time until the bootstrap nodes that did not answer are asked again.
    pub bootstrap_retry_max: Duration,
    /// In a full bucket, contacts heard of within this time are not pinged to make room. Node's: 10 s.
    pub eviction_age: Duration,
    /// A node dropped from the table for silence is not asked on hearsay for this long.
    pub silence_memory: Duration,

    /// Contacts in a bucket, and nodes that a key is stored on.
    pub k: usize,
    /// Queries of one traversal in flight.
    pub concurrency: usize,
    /// Queries of this core in flight; more of them wait.
    pub max_queries: usize,
    /// Commands in flight; more are refused.
    pub max_operations: usize,
    /// Traversals of one key at a time; more commands join the newest.
    pub max_parallel_lookups: usize,
    /// Unanswered queries in a row after which a contact is dropped.
    pub max_failures: u8,
    /// Nodes that one traversal keeps in mind.
    pub max_candidates: usize,
    /// Nodes dropped for silence that are remembered.
    pub max_silent: usize,
    /// Keys for which the nodes that gave tokens are remembered. Node grape's: 5000.
    pub max_tables: usize,
    /// Items stored; the least recently used one makes room. Node grape's: 5000.
    pub max_values: usize,
    /// Bytes of an item's value, at most (BEP44: 1000): the string's own bytes, or the bencoding of any
    /// other value.
    pub max_value: usize,
    /// Bytes of a value that [`Dht::put`](crate::Dht::put) sends at all; other nodes have their own say.
    pub max_put: usize,
    /// Bytes of a salt, at most (BEP44: 64).
    pub max_salt: usize,
    /// Services that peers are stored for.
    pub max_services: usize,
    /// Peers stored for one service.
    pub max_peers_per_service: usize,
    /// Peers stored for all services together; each takes 14 to 21 bytes.
    pub max_peers: usize,
    /// Bytes of a key, at most.
    pub max_key: usize,
    /// Bytes of a key or value from which on a query may not fit into one packet. Networks drop
    /// fragments, so that its silence is not held against the node.
    pub max_unfragmented: usize,
    /// Bytes of all stored service names together.
    pub max_key_bytes: usize,
    /// Bytes of a token from another node, at most.
    pub max_token: usize,
    /// Peers in the result of a lookup. Node's: 100.
    pub max_lookup_peers: usize,
    /// Peers gathered by one lookup before the result is drawn from them.
    pub max_gathered_peers: usize,
    /// Bytes of an answer with peers; a random choice of them is sent when there are more.
    pub max_answer: usize,
    /// Datagrams waiting for [`Dht::poll_transmit`](crate::Dht::poll_transmit); more are dropped.
    pub max_transmits: usize,
    /// Events waiting for [`Dht::poll_event`](crate::Dht::poll_event) that are not the end of a
    /// command; more are dropped.
    pub max_notices: usize,

    /// Secret behind the tokens, the same on every core of a grape.
    pub token_secret: [u8; 32],
    /// Seed of the hash that gives each key its core, the same on every core of a grape.
    pub owner_seed: u64,
    /// Seed of this core's randomness.
    pub random_seed: [u8; 32],
}

impl Config {
    /// The usual limits, for a lone core. The seeds must be unpredictable outside of tests.
    pub fn new(id: NodeId, port: u16, secret: [u8; 32], random_seed: [u8; 32]) -> Self {
        Self {
            id,
            shard: 0,
            shards: 1,
            host: None,
            port,
            bootstrap: Vec::new(),
            peer_max_age: Duration::from_secs(120),
            node_liveness: Duration::from_secs(300),
            query_timeout: Duration::from_secs(2),
            resend_after: Duration::from_millis(500),
            phase_timeout: Duration::from_secs(6),
            bootstrap_retry_min: Duration::from_secs(1),
            bootstrap_retry_max: Duration::from_secs(60),
            eviction_age: Duration::from_secs(10),
            silence_memory: Duration::from_secs(30),
            k: 20,
            concurrency: 16,
            max_queries: 1024,
            max_operations: 16_384,
            max_parallel_lookups: 8,
            max_failures: 2,
            max_candidates: 160,
            max_silent: 1024,
            max_tables: 5000,
            max_values: 5000,
            max_value: 1000,
            max_put: 4096,
            max_salt: 64,
            max_services: 1_000_000,
            max_peers_per_service: 10_000,
            max_peers: 4_000_000,
            max_key: 8192,
            max_unfragmented: 1200,
            max_key_bytes: 64 << 20,
            max_token: 128,
            max_lookup_peers: 100,
            max_gathered_peers: 4096,
            max_answer: 1400,
            max_transmits: 4096,
            max_notices: 4096,
            token_secret: secret,
            owner_seed: u64::from_le_bytes(core::array::from_fn(|i| secret[i])),
            random_seed,
        }
    }
}
