//! What a request costs in the HTTP parser, and an answer in the writer; and on the client's side the other way round. Per
//! iteration: so many messages as the name says.

use std::{hint::black_box, time::Duration};

use bytes::BytesMut;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use grenache_transports::http::{
    Config, Connection, Event, Persistence,
    client::{self, Expected, Start, request},
    date::{self, Date},
    response,
};

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

/// Feeds the parts and counts the requests and the bytes of their bodies.
#[inline]
fn feed(connection: &mut Connection, parts: &[&[u8]]) -> (usize, usize) {
    let (mut requests, mut bytes) = (0, 0);
    for &part in parts {
        let mut input = part;
        while let Some(event) = connection.receive(&mut input).expect("well-formed") {
            if let Event::Request(request) = event {
                requests += 1;
                bytes += black_box(&request).body.len();
            }
        }
    }
    (requests, bytes)
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
        let mut connection = Connection::new(Config::default());
        assert_eq!(feed(&mut connection, &parts), (count, count * 60), "{name}");
        group.throughput(Throughput::Bytes(parts.iter().map(|part| part.len() as u64).sum()));
        group.bench_function(name, |b| b.iter(|| feed(&mut connection, black_box(&parts))));
    }
    group.finish();
}

fn answer(c: &mut Criterion) {
    let mut group = c.benchmark_group("http answer");
    let now = Duration::from_secs(1_795_360_718);
    let mut date = Date::new(now);
    let mut out = BytesMut::with_capacity(64 * 1024);
    let body = br#"["127.0.0.1:1337","127.0.0.1:1338"]"#;
    group.bench_function("200 with 35 bytes", |b| {
        b.iter(|| {
            out.clear();
            let date = date.at(black_box(now));
            response::write(&mut out, 200, Persistence::KeepAlive, date, &[], black_box(body));
            out.len()
        });
    });
    group.bench_function("date", |b| b.iter(|| date::format(black_box(now))));
    group.finish();
}

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

fn client(c: &mut Criterion) {
    let mut group = c.benchmark_group("http client");
    let (head, body) = ANSWER.split_at(ANSWER.len() - 60);
    let cases: [(&str, Vec<&[u8]>); 3] = [
        ("one answer", vec![ANSWER]),
        ("chunked", vec![NODE_ANSWER]),
        ("head and body apart", vec![head, body]),
    ];
    for (name, parts) in cases {
        let mut connection = client::Connection::new(client::Config::default());
        group.throughput(Throughput::Bytes(parts.iter().map(|part| part.len() as u64).sum()));
        group.bench_function(name, |b| {
            b.iter(|| {
                connection.expect(Expected::default()).expect("none is outstanding");
                let mut bytes = 0;
                for mut part in black_box(&parts).iter().copied() {
                    while let Some(event) = connection.receive(&mut part).expect("well-formed") {
                        if let client::Event::Response(answer) = event {
                            bytes += black_box(answer).body.len();
                        }
                    }
                }
                assert_eq!(bytes, 60);
            });
        });
    }
    let mut out = BytesMut::with_capacity(64 * 1024);
    group.throughput(Throughput::Elements(1));
    group.bench_function("request with 60 bytes", |b| {
        b.iter(|| {
            out.clear();
            let start = Start::new("POST", "/", black_box("127.0.0.1:1337")).expect("a start");
            request::write(&mut out, start, &[], black_box(body));
            out.len()
        });
    });
    group.finish();
}

criterion_group! {
    name = benches;
    config = Criterion::default().warm_up_time(Duration::from_millis(300)).measurement_time(Duration::from_secs(1));
    targets = parse, answer, client
}
criterion_main!(benches);
