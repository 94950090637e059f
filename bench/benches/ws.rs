//! What a WebSocket message costs to read and to write. Per iteration: so many messages as the name says, otherwise one.

use std::{hint::black_box, time::Duration};

use bytes::BytesMut;
use criterion::measurement::WallTime;
use criterion::{
    BenchmarkGroup, BenchmarkId, Criterion, Throughput, criterion_group, criterion_main,
};
use grenache_transports::ws::{
    Config, Connection, Deflate, Deflater, Event, Kind, Mask, Role, frame,
};

const SIZES: [usize; 3] = [20, 1024, 16 * 1024];

/// Bytes that the engine's TCP receives at once, at most.
const BUFFER: usize = 8 * 1024;

/// Bytes are unmasked where they lie; with this they are the same after it, and can be read again.
const MASK: Mask = [0; 4];

/// JSON of about this size, as it is said between peers.
fn data(size: usize) -> Vec<u8> {
    let mut text = String::from("[\"8a1f1d2e\",null,\"");
    for number in 0.. {
        if text.len() >= size {
            break;
        }
        text += &format!("price {}; ", number * 7919 % 1000);
    }
    text.truncate(size.saturating_sub(2));
    text += "\"]";
    text.into_bytes()
}

/// Feeds the parts and hands on the messages.
#[inline]
fn feed(connection: &mut Connection, parts: &mut [&mut [u8]], mut see: impl FnMut(&[u8])) {
    for part in parts {
        let mut input = &mut **part;
        while let Some(event) = connection.receive(&mut input).expect("well-formed") {
            if let Event::Message(message) = event {
                see(black_box(message).data);
            }
        }
    }
}

fn bench_feed(
    group: &mut BenchmarkGroup<'_, WallTime>,
    id: BenchmarkId,
    mut connection: Connection,
    wire: &mut [u8],
    expected: &[&[u8]],
) {
    let mut seen = Vec::new();
    group.throughput(Throughput::Bytes(wire.len() as u64));
    let mut parts: Vec<_> = wire.chunks_mut(BUFFER).collect();
    feed(&mut connection, &mut parts, |data| seen.push(data.to_vec()));
    assert!(seen == expected, "what was sent comes out");
    group.bench_function(id, |b| {
        b.iter(|| feed(&mut connection, black_box(&mut parts), |data| _ = black_box(data)));
    });
}

fn connection(role: Role) -> Connection {
    Connection::new(role, Config::default())
}

/// Messages in one frame; those of 16 KiB come in more than one buffer.
fn read(c: &mut Criterion) {
    let mut group = c.benchmark_group("ws read");
    for size in SIZES {
        let data = data(size);
        for (name, kind) in [("text", Kind::Text), ("binary", Kind::Binary)] {
            for (name, role, mask) in [
                (format!("masked {name}"), Role::Server, Some(MASK)),
                (format!("plain {name}"), Role::Client, None),
            ] {
                let mut wire = BytesMut::new();
                frame::write_message(&mut wire, kind, mask, &data);
                let id = BenchmarkId::new(name, size);
                bench_feed(&mut group, id, connection(role), &mut wire, &[&data]);
            }
        }
    }
    let small = data(20);
    let mut wire = BytesMut::new();
    for _ in 0..16 {
        frame::write_message(&mut wire, Kind::Text, Some(MASK), &small);
    }
    let id = BenchmarkId::new("masked text, 16 at once", 20);
    bench_feed(&mut group, id, connection(Role::Server), &mut wire, &[&small[..]; 16]);
    group.finish();
}

/// Without context takeover, so that a message can be read again.
fn compressed(c: &mut Criterion) {
    let agreed = Deflate {
        server_no_context_takeover: true,
        client_no_context_takeover: true,
        ..Deflate::default()
    };
    let mut group = c.benchmark_group("ws compressed");
    for size in SIZES {
        let data = data(size);
        let mut deflater = Deflater::new(Role::Client, agreed);
        let mut wire = BytesMut::new();
        let mut write = || {
            wire.clear();
            deflater.write_message(&mut wire, Kind::Text, Some(MASK), black_box(&data));
            wire.len()
        };
        group.throughput(Throughput::Bytes(write() as u64));
        group.bench_function(BenchmarkId::new("write", size), |b| b.iter(&mut write));
        let mut connection = connection(Role::Server);
        connection.inflate(agreed);
        bench_feed(&mut group, BenchmarkId::new("read", size), connection, &mut wire, &[&data]);
    }
    group.finish();
}

fn write(c: &mut Criterion) {
    let mut group = c.benchmark_group("ws write");
    let mut out = BytesMut::with_capacity(64 * 1024);
    for size in SIZES {
        let data = data(size);
        for (name, mask) in [("masked", Some([0x11, 0x22, 0x44, 0x88])), ("plain", None)] {
            let mut write = || {
                out.clear();
                frame::write_message(&mut out, Kind::Text, black_box(mask), black_box(&data));
                out.len()
            };
            group.throughput(Throughput::Bytes(write() as u64));
            group.bench_function(BenchmarkId::new(name, size), |b| b.iter(&mut write));
        }
    }
    group.finish();
}

criterion_group! {
    name = benches;
    config = Criterion::default().warm_up_time(Duration::from_millis(300)).measurement_time(Duration::from_secs(1));
    targets = read, compressed, write
}
criterion_main!(benches);
