//! What the DHT's parts cost: bencode, KRPC, the closest contacts, a token and a stored peer, a whole lookup.

use std::hint::black_box;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::time::Duration;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use grenache_dht::{Config, Contact, Dht, Event, NodeId, bencode, krpc};

const NOW: Duration = Duration::from_secs(1);
const SERVICE: &[u8] = b"rest:util:net";

fn asker() -> SocketAddrV4 {
    SocketAddrV4::new(Ipv4Addr::new(127, 0, 0, 9), 9999)
}

/// Well spread and the same in every run (the finaliser of splitmix64, three times).
fn id(number: u64) -> [u8; 20] {
    let mut state = number.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let mut word = || {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        ((mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb)).to_be_bytes()
    };
    let (a, b, c) = (word(), word(), word());
    std::array::from_fn(|i| match i / 8 {
        0 => a[i],
        1 => b[i - 8],
        _ => c[i - 16],
    })
}

/// A node that knows as many of `contacts` others as its table takes.
fn node(contacts: u64) -> Dht {
    let id_of = |number| NodeId::from_slice(&id(number)).expect("twenty bytes");
    let mut dht = Dht::new(Config::new(id_of(0), 20001, [1; 32], [2; 32]), NOW);
    for number in 1..=contacts {
        let addr =
            SocketAddrV4::new(Ipv4Addr::new(127, 0, (number >> 8) as u8, number as u8), 20002);
        dht.learn(NOW, Contact { id: id_of(number), addr });
    }
    drain(&mut dht);
    dht
}

/// Takes out everything there is to send; how many datagrams and bytes.
fn drain(dht: &mut Dht) -> (usize, usize) {
    let (mut count, mut bytes) = (0, 0);
    while let Some(transmit) = dht.poll_transmit() {
        count += 1;
        bytes += black_box(transmit.payload).len();
    }
    (count, bytes)
}

fn query(method: &str, arguments: &[(&str, &[u8])]) -> Vec<u8> {
    let mut query = b"d1:ad2:id".to_vec();
    bencode::write_bytes(&mut query, &id(7));
    for (key, value) in arguments {
        bencode::write_bytes(&mut query, key.as_bytes());
        bencode::write_bytes(&mut query, value);
    }
    query.extend(b"e1:q");
    bencode::write_bytes(&mut query, method.as_bytes());
    query.extend(b"1:t2:aa1:y1:qe");
    query
}

/// The answer of a node with `number` contacts' worth of nodes, to transaction `t`.
fn nodes_answer(from: u64, t: &[u8], nodes: std::ops::Range<u64>) -> Vec<u8> {
    let mut contacts = Vec::new();
    for number in nodes {
        contacts.extend(id(number));
        contacts.extend([127, 0, (number >> 8) as u8, number as u8, 0x4e, 0x22]);
    }
    let mut answer = b"d1:rd2:id".to_vec();
    bencode::write_bytes(&mut answer, &id(from));
    bencode::write_bytes(&mut answer, b"nodes");
    bencode::write_bytes(&mut answer, &contacts);
    bencode::write_bytes(&mut answer, b"token");
    bencode::write_bytes(&mut answer, &[9; 20]);
    answer.extend(b"e1:t");
    bencode::write_bytes(&mut answer, t);
    answer.extend(b"1:y1:re");
    answer
}

fn wire(c: &mut Criterion) {
    let mut group = c.benchmark_group("dht wire");
    let get_peers = query("get_peers", &[("info_hash", SERVICE)]);
    let answer = nodes_answer(3, b"aa", 10..30);
    for (name, datagram) in [("get_peers", &get_peers), ("answer with 20 nodes", &answer)] {
        group.throughput(Throughput::Bytes(datagram.len() as u64));
        group.bench_function(format!("bencode, skip {name}"), |b| {
            b.iter(|| {
                let mut reader = bencode::Reader::new(black_box(datagram));
                reader.skip().expect("well-formed");
                reader.finish().expect("nothing after it");
            });
        });
        group.bench_function(format!("krpc, parse {name}"), |b| {
            b.iter(|| {
                black_box(krpc::parse(black_box(datagram)).expect("a message")).transaction.len()
            });
        });
    }
    group.bench_function("krpc, encode get_peers", |b| {
        b.iter(|| query("get_peers", &[("info_hash", SERVICE)]))
    });
    group.finish();
}

fn answers(c: &mut Criterion) {
    let mut group = c.benchmark_group("dht answer");
    let target = id(12345);
    let cases = [
        ("ping", query("ping", &[])),
        ("find_node, closest 20 of a full table", query("find_node", &[("target", &target)])),
        ("get_peers, unknown service", query("get_peers", &[("info_hash", SERVICE)])),
    ];
    for (name, datagram) in cases {
        let mut dht = node(1000);
        group.bench_function(name, |b| {
            b.iter(|| {
                dht.receive(NOW, asker(), black_box(&datagram));
                assert_eq!(drain(&mut dht).0, 1);
                while dht.poll_event().is_some() {}
            });
        });
    }
    group.finish();
}

fn lookup(c: &mut Criterion) {
    let mut dht = node(19);
    c.bench_function("dht lookup, 19 nodes that answer", |b| {
        b.iter(|| {
            let op = dht.lookup(NOW, SERVICE.to_vec()).expect("room for a lookup");
            let mut asked = Vec::new();
            loop {
                while let Some(transmit) = dht.poll_transmit() {
                    let message = krpc::parse(transmit.payload).expect("a query of ours");
                    asked.push((transmit.to, message.transaction.to_vec()));
                }
                for (to, t) in asked.drain(..) {
                    let [.., high, low] = to.ip().octets();
                    let number = u64::from(high) << 8 | u64::from(low);
                    dht.receive(NOW, to, &nodes_answer(number, &t, 1..20));
                }
                let mut done = false;
                while let Some(event) = dht.poll_event() {
                    done |= matches!(event, Event::LookupDone { op: other, nodes: 19, .. } if other == op);
                }
                if done {
                    return;
                }
            }
        });
    });
}

criterion_group! {
    name = benches;
    config = Criterion::default()
        .sample_size(20)
        .warm_up_time(Duration::from_millis(300))
        .measurement_time(Duration::from_secs(1));
    targets = wire, answers, lookup
}
criterion_main!(benches);
