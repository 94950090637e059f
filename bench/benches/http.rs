//! What a request costs in the HTTP parser, and an answer in the writer; and on the client's side the other way round. Per
//! iteration: so many messages as the name says, otherwise one.

use std::{hint::black_box, time::Duration};

use bytes::BytesMut;
use criterion::measurement::WallTime;
use criterion::{
    BenchmarkGroup, BenchmarkId, Criterion, Throughput, criterion_group, criterion_main,
};
use grenache_transports::http::{
    Config, Connection, Event, Persistence, chunk,
    client::{self, Expected, Start, request},
    date::{self, Date},
    response,
};

const SIZES: [usize; 3] = [20, 1024, 64 * 1024];

/// Bytes that the engine's TCP receives at once, at most.
const BUFFER: usize = 8 * 1024;

/// 150 bytes of head with five headers, as Node's client sends them, and 60 bytes of body.
const LOOKUP: &[u8] = b"POST /lookup HTTP/1.1\r\n\
    Host: 127.0.0.1:30001\r\n\
    Content-Type: application/json\r\n\
    Accept: application/json\r\n\
    Connection: keep-alive\r\n\
    Content-Length: 60\r\n\r\n\
    {\"rid\":\"8a1f1d2e-8c0b-4a54-9d6e-0123456789ab\",\"data\":\"rest\"}";

const CHUNKED: &[u8] = b"POST /lookup HTTP/1.1\r\n\
    Host: 127.0.0.1:30001\r\n\
    Content-Type: application/json\r\n\
    Accept: application/json\r\n\
    Connection: keep-alive\r\n\
    Transfer-Encoding: chunked\r\n\r\n\
    3c\r\n{\"rid\":\"8a1f1d2e-8c0b-4a54-9d6e-0123456789ab\",\"data\":\"rest\"}\r\n0\r\n\r\n";

/// An answer of 60 bytes as our server sends it.
const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\n\
    date: Sun, 22 Nov 2026 18:00:00 GMT\r\n\
    content-length: 60\r\n\r\n\
    [\"8a1f1d2e-8c0b-4a54-9d6e-0123456789ab\",null,\"hello, world\"]";

/// The same as Node's sends it.
const NODE_ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\n\
    Date: Sun, 22 Nov 2026 18:00:00 GMT\r\n\
    Connection: keep-alive\r\n\
    Keep-Alive: timeout=5\r\n\
    Transfer-Encoding: chunked\r\n\r\n\
    3c\r\n[\"8a1f1d2e-8c0b-4a54-9d6e-0123456789ab\",null,\"hello, world\"]\r\n0\r\n\r\n";

fn body(size: usize) -> Vec<u8> {
    (0..size).map(|place| b'a' + (place % 26) as u8).collect()
}

/// A message that begins with `start`, with its body in one piece or in chunks of 4 KiB.
fn message(start: &str, body: &[u8], chunked: bool) -> Vec<u8> {
    let mut out = BytesMut::from(start.as_bytes());
    if chunked {
        out.extend_from_slice(b"transfer-encoding: chunked\r\n\r\n");
        body.chunks(4096).for_each(|data| chunk::write(&mut out, data));
        out.extend_from_slice(chunk::LAST);
    } else {
        out.extend_from_slice(format!("content-length: {}\r\n\r\n", body.len()).as_bytes());
        out.extend_from_slice(body);
    }
    out.to_vec()
}

/// A worker takes bodies of this size.
fn server() -> Connection {
    Connection::new(Config { max_body: 1024 * 1024, ..Config::default() })
}

/// Feeds the parts and hands on the bodies of the requests.
#[inline]
fn feed(connection: &mut Connection, parts: &[&[u8]], mut see: impl FnMut(&[u8])) {
    for &part in parts {
        let mut input = part;
        while let Some(event) = connection.receive(&mut input).expect("well-formed") {
            if let Event::Request(request) = event {
                see(black_box(&request).body);
            }
        }
    }
}

fn bench_feed(
    group: &mut BenchmarkGroup<'_, WallTime>,
    id: BenchmarkId,
    parts: &[&[u8]],
    bodies: &[&[u8]],
) {
    let mut connection = server();
    let mut seen = Vec::new();
    feed(&mut connection, parts, |body| seen.push(body.to_vec()));
    assert!(seen == bodies, "what was sent comes out");
    group.throughput(Throughput::Bytes(parts.iter().map(|part| part.len() as u64).sum()));
    group.bench_function(id, |b| {
        b.iter(|| feed(&mut connection, black_box(parts), |body| _ = black_box(body)));
    });
}

fn parse(c: &mut Criterion) {
    let mut group = c.benchmark_group("http parse");
    let pipelined = LOOKUP.repeat(16);
    let (head, body) = LOOKUP.split_at(LOOKUP.len() - 60);
    let cases: [(&str, Vec<&[u8]>, usize); 5] = [
        ("one request", vec![LOOKUP], 1),
        ("pipelined 16", vec![&pipelined], 16),
        ("chunked", vec![CHUNKED], 1),
        ("head and body apart", vec![head, body], 1),
        ("byte by byte", LOOKUP.chunks(1).collect(), 1),
    ];
    for (name, parts, count) in cases {
        bench_feed(&mut group, BenchmarkId::from_parameter(name), &parts, &vec![body; count]);
    }
    group.finish();
}

/// Heads of several lengths, without a body.
fn heads(c: &mut Criterion) {
    let mut group = c.benchmark_group("http head");
    for fields in [1, 5, 30, 90] {
        let mut head = String::from("GET /a/path?with=query HTTP/1.1\r\nHost: 127.0.0.1:30001\r\n");
        for number in 1..fields {
            head += &format!("X-Some-Field-{number}: some value of usual length; q={number}\r\n");
        }
        head += "\r\n";
        let id = BenchmarkId::new("fields", fields);
        bench_feed(&mut group, id, &[head.as_bytes()], &[b""]);
    }
    group.finish();
}

/// Bodies of several lengths, in one piece and as they come from the engine.
fn bodies(c: &mut Criterion) {
    let mut group = c.benchmark_group("http body");
    for size in SIZES {
        let body = body(size);
        for (name, chunked) in [("by length", false), ("chunked", true)] {
            let request = message("POST / HTTP/1.1\r\nhost: 127.0.0.1:1337\r\n", &body, chunked);
            bench_feed(&mut group, BenchmarkId::new(name, size), &[&request], &[&body]);
            if request.len() > BUFFER {
                let parts: Vec<_> = request.chunks(BUFFER).collect();
                let id = BenchmarkId::new(format!("{name}, in buffers of 8 KiB"), size);
                bench_feed(&mut group, id, &parts, &[&body]);
            }
        }
    }
    group.finish();
}

fn answer(c: &mut Criterion) {
    let mut group = c.benchmark_group("http answer");
    let now = Duration::from_secs(1_795_360_718);
    let mut date = Date::new(now);
    let mut out = BytesMut::with_capacity(128 * 1024);
    for size in SIZES {
        let body = body(size);
        let mut write = || {
            out.clear();
            let date = date.at(black_box(now));
            response::write(&mut out, 200, Persistence::KeepAlive, date, &[], black_box(&body));
            out.len()
        };
        group.throughput(Throughput::Bytes(write() as u64));
        group.bench_function(BenchmarkId::new("200 with a body", size), |b| b.iter(&mut write));
        let (mut connection, mut seen) = (client(), Vec::new());
        receive(&mut connection, &[&out], |body| seen.push(body.to_vec()));
        assert!(seen == [body], "what was written is read");
    }
    assert_eq!(date::format(now), *b"Sun, 22 Nov 2026 15:18:38 GMT");
    group.throughput(Throughput::Elements(1));
    group.bench_function("date", |b| b.iter(|| date::format(black_box(now))));
    group.finish();
}

fn client() -> client::Connection {
    client::Connection::new(client::Config::default())
}

/// Feeds the parts of one answer and hands on its body.
#[inline]
fn receive(connection: &mut client::Connection, parts: &[&[u8]], mut see: impl FnMut(&[u8])) {
    connection.expect(Expected::default()).expect("none is outstanding");
    for &part in parts {
        let mut input = part;
        while let Some(event) = connection.receive(&mut input).expect("well-formed") {
            if let client::Event::Response(answer) = event {
                see(black_box(&answer).body);
            }
        }
    }
}

fn bench_receive(
    group: &mut BenchmarkGroup<'_, WallTime>,
    id: BenchmarkId,
    parts: &[&[u8]],
    body: &[u8],
) {
    let mut connection = client();
    let mut seen = Vec::new();
    receive(&mut connection, parts, |body| seen.push(body.to_vec()));
    assert!(seen == [body], "what was sent comes out");
    group.throughput(Throughput::Bytes(parts.iter().map(|part| part.len() as u64).sum()));
    group.bench_function(id, |b| {
        b.iter(|| receive(&mut connection, black_box(parts), |body| _ = black_box(body)));
    });
}

fn clients(c: &mut Criterion) {
    let mut group = c.benchmark_group("http client");
    let (head, short) = ANSWER.split_at(ANSWER.len() - 60);
    let cases: [(&str, Vec<&[u8]>); 3] = [
        ("one answer", vec![ANSWER]),
        ("chunked", vec![NODE_ANSWER]),
        ("head and body apart", vec![head, short]),
    ];
    for (name, parts) in cases {
        bench_receive(&mut group, BenchmarkId::from_parameter(name), &parts, short);
    }
    let mut out = BytesMut::with_capacity(128 * 1024);
    for size in SIZES {
        let body = body(size);
        for (name, chunked) in [("body by length", false), ("body chunked", true)] {
            let answer = message("HTTP/1.1 200 OK\r\n", &body, chunked);
            let parts: Vec<_> = answer.chunks(BUFFER).collect();
            bench_receive(&mut group, BenchmarkId::new(name, size), &parts, &body);
        }
        let mut write = || {
            out.clear();
            let start = Start::new("POST", "/", black_box("127.0.0.1:1337")).expect("a start");
            request::write(&mut out, start, &[], black_box(&body));
            out.len()
        };
        group.throughput(Throughput::Bytes(write() as u64));
        group.bench_function(BenchmarkId::new("request with a body", size), |b| {
            b.iter(&mut write);
        });
        let mut seen = Vec::new();
        feed(&mut server(), &[&out], |body| seen.push(body.to_vec()));
        assert!(seen == [body], "what was written is read");
    }
    group.finish();
}

criterion_group! {
    name = benches;
    config = Criterion::default().warm_up_time(Duration::from_millis(300)).measurement_time(Duration::from_secs(1));
    targets = parse, heads, bodies, answer, clients
}
criterion_main!(benches);
