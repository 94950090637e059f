//! What a call costs besides its transport: envelopes, and payloads taken apart into types, by the peer library and by each of
//! the parsers that it could use.

use std::hint::black_box;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use grenache_peer::Json;
use grenache_peer::envelope::{Rid, decode_reply, decode_request, encode_reply, encode_request};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

/// As in our binaries: taking a payload apart is much allocating.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Bytes of payloads, about; the names of the benches have the exact ones.
const SIZES: [usize; 3] = [20, 1024, 64 * 1024];
const SERVICE: &str = "rest:util:net";
const RID: Rid = Rid(*b"0b5c7ba4-4f1c-4c67-8d7a-9a3f1f0d2b11");

/// What handlers are mostly asked with: a few fields of several types.
#[derive(PartialEq, Serialize, Deserialize)]
struct Order {
    pair: String,
    price: f64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    amount: Option<f64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    time: Option<u64>,
}

/// As many orders as go into so many bytes of JSON, but at least a short one.
fn orders(size: usize) -> Vec<Order> {
    let short = Order { pair: "BTC".into(), price: 1.5, amount: None, time: None };
    let order = |number: usize| Order {
        pair: ["BTCUSD", "ETHUSD", "ETHBTC", "LEOUSD"][number % 4].into(),
        price: (6_123_450 + 37 * number) as f64 / 100.0,
        amount: Some(number as f64 / -1000.0),
        time: Some(1_795_360_718_000 + number as u64),
    };
    fill(size, short, order)
}

fn numbers(size: usize) -> Vec<f64> {
    fill(size, 0.5, |number| (137 * number as i64 - 50_000) as f64 / 100.0)
}

/// Lines of text, so that there is something to unescape now and then.
fn text(size: usize) -> String {
    let line = "The quick brown fox jumps over the \u{201c}lazy\u{201d} dog and back again.\n";
    let mut text: String = line.chars().cycle().take(size).collect();
    while json_len(&text) > size {
        text.pop();
    }
    text
}

fn json_len(value: &impl Serialize) -> usize {
    serde_json::to_vec(value).expect("it has a form in JSON").len()
}

fn fill<T: Serialize>(size: usize, short: T, element: impl Fn(usize) -> T) -> Vec<T> {
    let (mut list, mut len) = (vec![short], 2);
    len += json_len(&list[0]);
    for number in 0.. {
        let next = element(number);
        len += json_len(&next) + 1;
        if len > size {
            break;
        }
        list.push(next);
    }
    list
}

fn envelope(c: &mut Criterion) {
    let mut group = c.benchmark_group("rpc envelope");
    for size in SIZES {
        let payload = Json::of(&orders(size)).expect("orders have a form in JSON");
        let size = payload.as_bytes().len();
        let request = encode_request(&RID, SERVICE, &payload);
        let asked = decode_request(&request).expect("a request");
        assert_eq!((&asked.key[..], &asked.payload), (SERVICE, &payload));
        let mut out = BytesMut::new();
        encode_reply(&mut out, &asked.rid, Ok(&payload));
        let reply = out.split().freeze();
        let answered = decode_reply(&reply).expect("a reply");
        assert_eq!((&answered.rid, answered.outcome.as_ref()), (&asked.rid, Ok(&payload)));

        group.throughput(Throughput::Bytes(request.len() as u64));
        group.bench_function(BenchmarkId::new("request, encode", size), |b| {
            b.iter(|| encode_request(black_box(&RID), black_box(SERVICE), &payload));
        });
        group.bench_function(BenchmarkId::new("request, decode", size), |b| {
            b.iter(|| decode_request(black_box(&request)));
        });
        group.throughput(Throughput::Bytes(reply.len() as u64));
        group.bench_function(BenchmarkId::new("reply, encode", size), |b| {
            b.iter(|| {
                out.clear();
                encode_reply(&mut out, black_box(&asked.rid), Ok(&payload));
                out.len()
            });
        });
        group.bench_function(BenchmarkId::new("reply, decode", size), |b| {
            b.iter(|| decode_reply(black_box(&reply)));
        });
    }
    group.finish();
}

/// The same bytes to the same type: as [`Json::to`] does it, by what it is built on, and by serde_json. All numbers have few
/// digits: of floats with all of theirs serde_json, as it is built here, gets one in fifteen wrong in the last place.
fn into_type<T: Serialize + DeserializeOwned + PartialEq>(
    c: &mut Criterion,
    name: &str,
    make: impl Fn(usize) -> T,
) {
    let mut group = c.benchmark_group(format!("json into {name}"));
    for size in SIZES {
        let value = make(size);
        let json = Json::of(&value).expect("it has a form in JSON");
        let text: &Bytes = json.as_bytes();
        let size = text.len();
        let mut buffers = simd_json::Buffers::default();
        // It unescapes in place, and what is received is shared.
        let mut by_simd_json = || {
            let mut text = black_box(text).to_vec();
            simd_json::serde::from_slice_with_buffers::<T>(&mut text, &mut buffers)
        };
        assert!(json.to::<T>().expect("Json::to takes it") == value);
        assert!(by_simd_json().expect("simd-json takes it") == value);
        assert!(serde_json::from_slice::<T>(text).expect("serde_json takes it") == value);

        group.throughput(Throughput::Bytes(size as u64));
        group.bench_function(BenchmarkId::new("Json::to", size), |b| {
            b.iter(|| black_box(&json).to::<T>());
        });
        group.bench_function(BenchmarkId::new("simd-json", size), |b| b.iter(&mut by_simd_json));
        group.bench_function(BenchmarkId::new("serde_json", size), |b| {
            b.iter(|| serde_json::from_slice::<T>(black_box(text)));
        });
    }
    group.finish();
}

fn into_types(c: &mut Criterion) {
    into_type(c, "orders", orders);
    into_type(c, "numbers", numbers);
    into_type(c, "text", text);
    // For handlers that do not care.
    into_type(c, "any value", |size| {
        serde_json::to_value(orders(size)).expect("orders have a form in JSON")
    });
}

/// The way out, and the check of a text that a program brings along.
fn from_type(c: &mut Criterion) {
    let mut group = c.benchmark_group("json from");
    for size in SIZES {
        let value = orders(size);
        let text = Bytes::from(serde_json::to_vec(&value).expect("orders have a form in JSON"));
        let size = text.len();
        assert!(*Json::of(&value).expect("orders have a form in JSON").as_bytes() == text);
        assert!(*Json::from_text(text.clone()).expect("it is JSON").as_bytes() == text);

        group.throughput(Throughput::Bytes(size as u64));
        group.bench_function(BenchmarkId::new("orders", size), |b| {
            b.iter(|| Json::of(black_box(&value)));
        });
        group.bench_function(BenchmarkId::new("text", size), |b| {
            b.iter(|| Json::from_text(black_box(&text).clone()));
        });
    }
    group.finish();
}

criterion_group! {
    name = benches;
    config = Criterion::default()
        .sample_size(20)
        .warm_up_time(Duration::from_millis(200))
        .measurement_time(Duration::from_millis(500));
    targets = envelope, into_types, from_type
}
criterion_main!(benches);
