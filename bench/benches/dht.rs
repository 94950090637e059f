//! What the DHT's parts cost: bencode, KRPC, the closest contacts, answers to other nodes' queries, a whole lookup.

use std::hint::black_box;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::time::Duration;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use grenache_dht::encode::{Ask, Reply, write_query, write_response};
use grenache_dht::krpc::{self, Body, Fields};
use grenache_dht::{Config, Contact, Dht, Distance, Event, NodeId, bencode};

const NOW: Duration = Duration::from_secs(1);
const SERVICE: &[u8] = b"rest:util:net";
const TOKEN: &[u8] = &[9; 20];
const TRANSACTION: &[u8] = b"abcd";

fn asker() -> SocketAddrV4 {
    SocketAddrV4::new(Ipv4Addr::new(127, 0, 0, 9), 9999)
}

/// Well spread and the same in every run (the finaliser of splitmix64, three times).
fn id(number: u64) -> NodeId {
    let mut state = number.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let mut word = || {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        ((mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb)).to_be_bytes()
    };
    let (a, b, c) = (word(), word(), word());
    NodeId::new(std::array::from_fn(|i| match i / 8 {
        0 => a[i],
        1 => b[i - 8],
        _ => c[i - 16],
    }))
}

/// An id like [`id`], but with exactly `bits` leading bits in common with our own.
fn id_sharing(bits: usize, number: u64) -> NodeId {
    let (own, mut id) = (*id(0).as_bytes(), *id(number).as_bytes());
    for bit in 0..=bits {
        let mask = 0x80 >> (bit % 8);
        let wanted = if bit < bits { own[bit / 8] } else { !own[bit / 8] };
        id[bit / 8] = id[bit / 8] & !mask | wanted & mask;
    }
    NodeId::new(id)
}

fn contact(number: u64, id: NodeId) -> Contact {
    let ip = Ipv4Addr::new(127, 0, (number >> 8) as u8, number as u8);
    Contact { id, addr: SocketAddrV4::new(ip, 20002) }
}

/// A node that knows as many of `contacts` as its table takes.
fn node(contacts: impl Iterator<Item = Contact>) -> Dht {
    let mut dht = Dht::new(Config::new(id(0), 20001, [1; 32], [2; 32]), NOW);
    contacts.for_each(|contact| dht.learn(NOW, contact));
    drain(&mut dht);
    dht
}

/// A node that has heard of a thousand others, which is more than its table takes.
fn full() -> Dht {
    node((1..=1000).map(|number| contact(number, id(number))))
}

/// Takes out everything there is to send and to tell; how many datagrams.
fn drain(dht: &mut Dht) -> usize {
    let mut count = 0;
    while let Some(transmit) = dht.poll_transmit() {
        black_box(transmit.payload);
        count += 1;
    }
    while dht.poll_event().is_some() {}
    count
}

fn query(from: NodeId, ask: &Ask<'_>) -> Vec<u8> {
    let mut out = Vec::new();
    write_query(&mut out, TRANSACTION, &from, ask);
    out
}

fn response(from: NodeId, reply: &Reply<'_>) -> Vec<u8> {
    let mut out = Vec::new();
    write_response(&mut out, TRANSACTION, &from, reply);
    out
}

fn fields<'a>(body: &Body<'a>) -> Fields<'a> {
    match body {
        Body::Query(_, Some(fields)) | Body::Response(fields) => fields.clone(),
        other => panic!("without fields: {other:?}"),
    }
}

fn wire(c: &mut Criterion) {
    let contacts: Vec<_> = (10..30).map(|number| contact(number, id(number))).collect();
    let peers: Vec<_> = (0..100).map(|number| [10, 0, 0, number, 0x05, 0x39]).collect();
    let mut value = Vec::new();
    bencode::write_bytes(&mut value, &[b'v'; 1000]);

    let ask = Ask::GetPeers { info_hash: SERVICE };
    let nodes = Reply { nodes: Some(&contacts), token: Some(TOKEN), ..Reply::default() };
    let values = Reply { values: &peers, token: Some(TOKEN), ..Reply::default() };
    let item = Reply { v: Some(&value), token: Some(TOKEN), ..Reply::default() };
    let datagrams = [
        ("get_peers", query(id(7), &ask)),
        ("answer with 20 nodes", response(id(3), &nodes)),
        ("answer with 100 peers", response(id(3), &values)),
        ("answer with an item of 1000 bytes", response(id(3), &item)),
    ];

    let parsed = datagrams.each_ref().map(|(name, datagram)| {
        let message = krpc::parse(datagram).expect(name);
        assert_eq!(message.transaction, TRANSACTION, "{name}");
        fields(&message.body)
    });
    assert_eq!(parsed[0].info_hash, Some(SERVICE));
    assert_eq!(parsed[1].nodes.map(<[u8]>::len), Some(20 * 26));
    assert!(parsed[2].peers().eq(peers.iter().copied()));
    assert_eq!(parsed[3].v, Some(&value[..]));

    let mut group = c.benchmark_group("dht wire");
    for (name, datagram) in &datagrams {
        group.throughput(Throughput::Bytes(datagram.len() as u64));
        group.bench_function(format!("bencode, skip {name}"), |b| {
            b.iter(|| {
                let mut reader = bencode::Reader::new(black_box(datagram));
                reader.skip().and_then(|()| reader.finish()).is_ok()
            });
        });
        group.bench_function(format!("krpc, parse {name}"), |b| {
            b.iter(|| krpc::parse(black_box(datagram)));
        });
    }

    let (mut out, own) = (Vec::with_capacity(2048), id(3));
    group.throughput(Throughput::Bytes(datagrams[0].1.len() as u64));
    group.bench_function("krpc, write get_peers", |b| {
        b.iter(|| {
            out.clear();
            write_query(&mut out, TRANSACTION, &own, black_box(&ask));
            out.len()
        });
    });
    for ((name, datagram), reply) in datagrams[1..].iter().zip([&nodes, &values, &item]) {
        group.throughput(Throughput::Bytes(datagram.len() as u64));
        group.bench_function(format!("krpc, write {name}"), |b| {
            b.iter(|| {
                out.clear();
                write_response(&mut out, TRANSACTION, &own, black_box(reply));
                out.len()
            });
        });
    }
    for size in [20, 1000] {
        let bytes = vec![b'v'; size];
        let mut write = || {
            out.clear();
            bencode::write_bytes(&mut out, black_box(&bytes));
            bencode::write_integer(&mut out, black_box(-1337));
            out.len()
        };
        group.throughput(Throughput::Bytes(write() as u64));
        let name = format!("bencode, write {size} bytes and an integer");
        group.bench_function(name, |b| b.iter(&mut write));
        let mut reader = bencode::Reader::new(&out);
        assert_eq!((reader.bytes(), reader.integer()), (Ok(&bytes[..]), Ok(-1337)));
    }
    group.finish();
}

/// The contacts closest to a target, as other nodes ask for them; of the time it takes, some six parts in seven are the table's.
///
/// Twenty contacts per bucket are what a table has of a large network; then the twenty closest to a target lie in one bucket.
/// With only ten in the target's bucket, all that are closer to us are looked through.
fn closest(c: &mut Criterion) {
    let mut group = c.benchmark_group("dht closest 20");
    for size in [20, 200, 2000] {
        let in_one = |number: u64| (number - 1) / 20;
        let in_all = |number: u64| if number <= 10 { 0 } else { (number - 11) / 20 + 1 };
        let tables: [(&str, &dyn Fn(u64) -> u64); 2] =
            [("in one bucket", &in_one), ("in all buckets", &in_all)];
        for (name, bucket) in tables {
            let place = |number| contact(number, id_sharing(bucket(number) as usize, number));
            let mut dht = node((1..=size).map(place));
            // One of them asks, so that the table stays as it is.
            let asker = place(1);
            let queries: Vec<_> = (0..64)
                .map(|number| id_sharing(0, 1_000_000 + number))
                .map(|target| {
                    (target, query(asker.id, &Ask::FindNode { target: target.as_bytes() }))
                })
                .collect();
            for (target, query) in &queries {
                let mut all: Vec<_> = dht.contacts().collect();
                assert_eq!(all.len(), size as usize, "all are in the table");
                all.sort_by_key(|contact| Distance::between(target.as_bytes(), &contact.id));
                let closest: Vec<_> =
                    all[..20].iter().flat_map(|near| *near.id.as_bytes()).collect();
                dht.receive(NOW, asker.addr, query);
                let answer = dht.poll_transmit().expect("an answer");
                let answer = krpc::parse(answer.payload).expect("a message");
                let nodes = fields(&answer.body).nodes.expect("nodes");
                let ids: Vec<_> = nodes.chunks(26).flat_map(|node| node[..20].to_vec()).collect();
                assert_eq!(ids, closest);
                assert!(dht.poll_event().is_none(), "nothing else happens");
            }
            group.bench_function(BenchmarkId::new(name, size), |b| {
                let mut queries = queries.iter().cycle();
                b.iter(|| {
                    let (_, query) = queries.next().expect("a cycle");
                    dht.receive(NOW, asker.addr, black_box(query));
                    drain(&mut dht)
                });
            });
        }
    }
    group.finish();
}

fn answers(c: &mut Criterion) {
    let mut group = c.benchmark_group("dht answer");
    let target = id(12345);
    let cases = [
        ("ping", query(id(7), &Ask::Ping), 0),
        (
            "find_node, closest 20 of a full table",
            query(id(7), &Ask::FindNode { target: target.as_bytes() }),
            20,
        ),
        ("get_peers, unknown service", query(id(7), &Ask::GetPeers { info_hash: SERVICE }), 20),
    ];
    for (name, datagram, nodes) in cases {
        let mut dht = full();
        dht.receive(NOW, asker(), &datagram);
        let answer = dht.poll_transmit().expect(name);
        let answered = fields(&krpc::parse(answer.payload).expect(name).body);
        assert_eq!(answered.nodes.map_or(0, |nodes| nodes.len() / 26), nodes, "{name}");
        group.bench_function(name, |b| {
            b.iter(|| {
                dht.receive(NOW, asker(), black_box(&datagram));
                drain(&mut dht)
            });
        });
    }
    group.finish();
}

/// Where the transaction id stands in a message of ours: before `1:y1:qe`.
fn transaction(message: &[u8]) -> std::ops::Range<usize> {
    let end = message.len() - b"1:y1:qe".len();
    end - TRANSACTION.len()..end
}

fn lookup(c: &mut Criterion) {
    let contacts: Vec<_> = (1..20).map(|number| contact(number, id(number))).collect();
    let mut dht = node(contacts.iter().copied());
    // What the others answer is ready but for the transaction id, so that it is our side that is measured.
    let reply = Reply { nodes: Some(&contacts), token: Some(TOKEN), ..Reply::default() };
    let mut answers: Vec<_> = contacts.iter().map(|contact| response(contact.id, &reply)).collect();
    let mut asked = Vec::new();
    let mut lookup = || {
        let op = dht.lookup(NOW, SERVICE.to_vec()).expect("room for a lookup");
        loop {
            while let Some(transmit) = dht.poll_transmit() {
                let number = usize::from(transmit.to.ip().octets()[3]);
                let answer = &mut answers[number - 1];
                let place = transaction(answer);
                answer[place].copy_from_slice(&transmit.payload[transaction(transmit.payload)]);
                asked.push((transmit.to, number - 1));
            }
            assert!(!asked.is_empty(), "a lookup goes on until its end");
            for (to, answer) in asked.drain(..) {
                dht.receive(NOW, to, &answers[answer]);
            }
            while let Some(event) = dht.poll_event() {
                if let Event::LookupDone { op: done, nodes, .. } = event
                    && done == op
                {
                    return nodes;
                }
            }
        }
    };
    assert_eq!(lookup(), 19);
    c.bench_function("dht lookup, 19 nodes that answer", |b| b.iter(&mut lookup));
}

criterion_group! {
    name = benches;
    config = Criterion::default()
        .sample_size(20)
        .warm_up_time(Duration::from_millis(300))
        .measurement_time(Duration::from_secs(1));
    targets = wire, closest, answers, lookup
}
criterion_main!(benches);
