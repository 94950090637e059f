//! A node under any sequence of commands, datagrams and time steps: it stays within its bounds and ends
//! every command exactly once.
#![no_main]

use arbitrary::Arbitrary;
use core::net::{Ipv4Addr, SocketAddrV4};
use core::time::Duration;
use grenache_dht::krpc::{self, Body};
use grenache_dht::{Config, Contact, Dht, Event, Get, Mutable, NodeId, Op, Put};
use libfuzzer_sys::fuzz_target;
use std::collections::HashSet;

#[derive(Arbitrary, Debug)]
enum Step<'a> {
    Lookup(u8),
    Announce(u8, u16),
    Put(&'a [u8], Option<(u8, i64)>),
    Get(u8),
    /// Raw bytes from an address.
    Datagram(u8, &'a [u8]),
    /// The body of a query, from an address.
    Query(u8, u8, &'a [u8]),
    /// An answer to the n-th query that was sent last: an id, and whether it tells of a contact and a peer.
    Answer(u8, u8, bool),
    /// An error in answer to it.
    Refuse(u8, i64),
    /// Milliseconds to wait, doing on the way what is due.
    Wait(u16),
    Learn(u8),
    Forget(u8),
}

fn address(n: u8) -> SocketAddrV4 {
    SocketAddrV4::new(Ipv4Addr::new(10, 0, 0, n), 20_000 + u16::from(n))
}

fn id(n: u8) -> NodeId {
    NodeId::new([n; 20])
}

fn key(n: u8) -> Vec<u8> {
    vec![n; usize::from(n % 40)]
}

struct World {
    dht: Dht,
    now: Duration,
    open: HashSet<Op>,
    sent: Vec<(SocketAddrV4, Vec<u8>)>,
}

impl World {
    fn drain(&mut self) {
        while let Some(transmit) = self.dht.poll_transmit() {
            let message = krpc::parse(transmit.payload).expect("we speak KRPC");
            if matches!(message.body, Body::Query(..)) {
                self.sent.push((transmit.to, message.transaction.to_vec()));
            }
        }
        while let Some(event) = self.dht.poll_event() {
            let (Event::LookupDone { op, .. }
            | Event::Announced { op, .. }
            | Event::PutDone { op, .. }
            | Event::Got { op, .. }) = event
            else {
                continue;
            };
            assert!(self.open.remove(&op), "{op:?} ended twice");
        }
    }

    fn wait(&mut self, time: Duration) {
        let until = self.now + time;
        while let Some(at) = self.dht.poll_timeout().filter(|&at| at <= until) {
            self.now = self.now.max(at);
            self.dht.handle_timeout(self.now);
            self.drain();
        }
        self.now = until;
    }
}

fuzz_target!(|steps: Vec<Step<'_>>| {
    let mut config = Config::new(id(0), 20001, [1; 32], [2; 32]);
    config.bootstrap = vec![address(1), address(2)];
    (config.k, config.concurrency, config.max_queries) = (4, 3, 8);
    (config.max_operations, config.max_candidates, config.max_values) = (16, 12, 4);
    (config.max_tables, config.max_services, config.max_peers_per_service) = (4, 3, 3);
    (config.max_gathered_peers, config.max_transmits, config.max_notices) = (20, 64, 64);
    config.peer_max_age = Duration::from_secs(30);
    let limits = config.clone();
    let now = Duration::ZERO;
    let dht = Dht::new(config, now);
    let mut world = World { dht, now, open: HashSet::new(), sent: Vec::new() };
    for step in steps {
        let now = world.now;
        let dht = &mut world.dht;
        let op = match step {
            Step::Lookup(n) => dht.lookup(now, key(n)).ok(),
            Step::Announce(n, port) => dht.announce(now, key(n), port, Ipv4Addr::LOCALHOST).ok(),
            Step::Put(v, signed) => {
                let mut raw = Vec::new();
                grenache_dht::bencode::write_bytes(&mut raw, v);
                let mutable = signed.map(|(n, seq)| Mutable {
                    k: [n; 32],
                    sig: vec![n; 64].into(),
                    seq,
                    salt: key(n).into(),
                    cas: None,
                });
                dht.put(now, Put { v: raw.into(), mutable }).ok()
            }
            Step::Get(n) => dht.get(now, Get { target: [n; 20], salt: key(n).into() }).ok(),
            Step::Datagram(from, bytes) => {
                dht.route(bytes);
                dht.receive(now, address(from), bytes);
                None
            }
            Step::Query(from, method, arguments) => {
                let methods = ["ping", "find_node", "get_peers", "announce_peer", "get", "put"];
                let method = methods[usize::from(method) % methods.len()];
                let mut query = [b"d1:ad2:id20:", &[from; 20][..], arguments, b"e1:q"].concat();
                grenache_dht::bencode::write_bytes(&mut query, method.as_bytes());
                query.extend_from_slice(b"1:t2:aa1:y1:qe");
                dht.receive(now, address(from), &query);
                None
            }
            Step::Answer(back, who, more) => {
                let at = world.sent.len().checked_sub(1 + usize::from(back) % 8);
                if let Some((to, transaction)) = at.map(|at| world.sent[at].clone()) {
                    let mut answer = [b"d1:rd2:id20:", &[who; 20][..]].concat();
                    if more {
                        answer.extend_from_slice(b"5:nodes26:");
                        answer.extend_from_slice(&[who ^ 0x55; 20]);
                        answer.extend_from_slice(&[10, 0, 0, who ^ 0x55, 1, who]);
                        answer.extend_from_slice(b"5:token2:to6:valuesl6:");
                        answer.extend_from_slice(&[10, 1, 1, who, 1, 1]);
                        answer.push(b'e');
                    }
                    answer.extend_from_slice(b"e1:t4:");
                    answer.extend_from_slice(&transaction);
                    answer.extend_from_slice(b"1:y1:re");
                    dht.receive(now, to, &answer);
                }
                None
            }
            Step::Refuse(back, code) => {
                let at = world.sent.len().checked_sub(1 + usize::from(back) % 8);
                if let Some((to, transaction)) = at.map(|at| world.sent[at].clone()) {
                    let mut error = b"d1:el".to_vec();
                    grenache_dht::bencode::write_integer(&mut error, code);
                    error.extend_from_slice(b"2:noe1:t4:");
                    error.extend_from_slice(&transaction);
                    error.extend_from_slice(b"1:y1:ee");
                    dht.receive(now, to, &error);
                }
                None
            }
            Step::Wait(time) => {
                world.wait(Duration::from_millis(u64::from(time)));
                None
            }
            Step::Learn(n) => {
                dht.learn(now, Contact { id: id(n), addr: address(n) });
                None
            }
            Step::Forget(n) => {
                dht.forget(id(n));
                None
            }
        };
        if let Some(op) = op {
            assert!(world.open.insert(op), "{op:?} was there before");
        }
        world.drain();
        let stats = world.dht.stats();
        assert!(stats.queries <= limits.max_queries);
        assert!(stats.operations <= limits.max_operations);
        assert_eq!(stats.operations, world.open.len());
        assert!(stats.items <= limits.max_values);
        assert!(stats.services <= limits.max_services);
        assert!(stats.peers <= limits.max_services * limits.max_peers_per_service);
        assert!(stats.contacts <= limits.k * 160);
    }
    world.wait(4 * limits.phase_timeout);
    assert!(world.open.is_empty(), "{:?} never ended", world.open);
});
