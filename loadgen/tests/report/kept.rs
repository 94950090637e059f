//! Files that other programs read.

use std::fs;
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use grenache_loadgen::outcome::{Outcome, Pace, Second};
use grenache_loadgen::report::csv::Csv;
use grenache_loadgen::report::hlog::Hlog;
use grenache_loadgen::report::json;
use grenache_loadgen::tick::Tick;
use hdrhistogram::Histogram;
use hdrhistogram::serialization::Deserializer;
use hdrhistogram::serialization::interval_log::{IntervalLogIterator, LogEntry};
use serde_json::Value;

use crate::examples;

/// A file of a test's own, with `text` in it.
fn file(name: &str, text: &str) -> PathBuf {
    let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
    fs::write(&path, text).unwrap();
    path
}

fn histogram(nanos: &[u64]) -> Histogram<u64> {
    let mut histogram = Histogram::new(3).unwrap();
    for nanos in nanos {
        histogram.record(*nanos).unwrap();
    }
    histogram
}

/// serde_json may read a fraction as its neighbour.
fn same(one: &Value, other: &Value) -> bool {
    match (one, other) {
        (Value::Number(one), Value::Number(other)) if one.is_f64() && other.is_f64() => {
            let (one, other) = (one.as_f64().unwrap(), other.as_f64().unwrap());
            (one - other).abs() <= other.abs() * 1e-15
        }
        (Value::Array(one), Value::Array(other)) => {
            one.len() == other.len() && one.iter().zip(other).all(|(one, other)| same(one, other))
        }
        (Value::Object(one), Value::Object(other)) => {
            one.keys().eq(other.keys()) && one.iter().all(|(key, one)| same(one, &other[key]))
        }
        _ => one == other,
    }
}

#[test]
fn a_document_is_read_as_it_was_written() {
    for (name, outcome) in examples::all().into_iter().filter(|(name, _)| *name != "nonsense") {
        let mut text = Vec::new();
        json::write(&outcome, &mut text).unwrap();
        let path = file(&format!("{name}.json"), std::str::from_utf8(&text).unwrap());
        let read = serde_json::to_value(json::read(&path).unwrap()).unwrap();
        assert!(same(&read, &serde_json::to_value(&outcome).unwrap()), "{name}: {read}");
    }
}

#[test]
fn a_file_that_is_no_run_is_refused_in_one_line_that_says_what_to_do() {
    let read = |path: PathBuf| {
        let line = json::read(&path).unwrap_err().to_string();
        assert!(!line.contains('\n'), "{line}");
        line.replace(path.parent().unwrap().to_str().unwrap(), "")
    };
    assert_eq!(
        read(file("foreign.json", "{\"hello\": 1}")),
        "/foreign.json is not what a run found: give a file that loadgen's --json has written"
    );
    assert!(read(file("text.json", "hello")).contains("is not what a run found"));
    assert!(read(file("nothing.json", "")).contains("is not what a run found"));
    assert_eq!(
        read(file("later.json", "{\"schema\": 2, \"rate\": {}}")),
        "/later.json has form 2, and this loadgen reads form 1: use the loadgen that wrote it, or measure again"
    );
    assert!(
        read(file("cut.json", "{\"schema\": 1}")).contains("is damaged, missing field `began`")
    );
    assert!(read("/nowhere/at-all.json".into()).starts_with("cannot read /at-all.json: "));
}

#[test]
fn the_schema_that_is_checked_in_is_current() {
    let checked_in = include_str!("../../schema.json");
    assert!(
        json::schema() == checked_in,
        "the document has changed: cargo run -p grenache-loadgen -- schema > loadgen/schema.json"
    );
}

#[test]
fn every_second_of_the_window_is_a_line_of_csv_at_once() {
    let (outcome, none) = (examples::normal(), histogram(&[]));
    let mut text = Vec::new();
    let mut csv = Csv::new(&mut text).unwrap();
    for (index, second) in outcome.seconds.iter().enumerate() {
        for warm_up in [true, false] {
            csv.tick(&Tick { warm_up, second, corrected: &none, uncorrected: &none }).unwrap();
        }
        assert_eq!(csv.get_ref().iter().filter(|byte| **byte == b'\n').count(), index + 2);
    }
    drop(csv);

    // The columns by their names, whatever their order.
    let mut reader = csv::Reader::from_reader(text.as_slice());
    let head = reader.headers().unwrap().clone();
    let rows: Vec<_> = reader.records().map(Result::unwrap).collect();
    assert_eq!(rows.len(), outcome.seconds.len());
    for (row, second) in rows.iter().zip(&outcome.seconds) {
        let number = |name: &str| -> f64 {
            let column = head.iter().position(|column| column == name).expect(name);
            row[column].parse().unwrap()
        };
        let read = Second {
            at: number("at_s"),
            length: number("length_s"),
            rate: number("rate_per_s"),
            failed: number("failed") as u64,
            late: number("late") as u64,
            in_flight: number("in_flight") as u64,
            connections: number("connections") as u64,
            p50: number("p50_us"),
            p99: number("p99_us"),
            max: number("max_us"),
        };
        assert_eq!(read, *second);
    }
}

#[test]
fn a_run_killed_at_once_leaves_the_head_of_its_csv() {
    let mut text = Vec::new();
    drop(Csv::new(&mut text).unwrap());
    assert!(text.starts_with(b"at_s,length_s,") && text.ends_with(b"\n"));
}

/// What HdrHistogram's own reader finds: tag, begin, length, greatest, latencies.
type Interval = (String, Duration, Duration, f64, Histogram<u64>);

fn intervals(log: &[u8]) -> (Vec<Duration>, Vec<Interval>) {
    let (mut times, mut intervals) = (Vec::new(), Vec::new());
    for entry in IntervalLogIterator::new(log) {
        match entry.unwrap() {
            LogEntry::StartTime(time) | LogEntry::BaseTime(time) => times.push(time),
            LogEntry::Interval(interval) => {
                let bytes = BASE64_STANDARD.decode(interval.encoded_histogram()).unwrap();
                intervals.push((
                    interval.tag().unwrap().as_str().into(),
                    interval.start_timestamp(),
                    interval.duration(),
                    interval.max(),
                    Deserializer::new().deserialize(&mut bytes.as_slice()).unwrap(),
                ));
            }
        }
    }
    (times, intervals)
}

fn hlog(outcome: &Outcome, pace: &Pace) -> Vec<u8> {
    let began = SystemTime::UNIX_EPOCH + Duration::from_secs(1_764_064_800);
    let mut log = Vec::new();
    let mut writer = Hlog::new(&mut log, began, pace).unwrap();
    for second in &outcome.seconds {
        let uncorrected = histogram(&[80_000, 90_000, 1_000_000]);
        let corrected = histogram(&[80_000, 90_000, 2_000_000 + second.at as u64 * 1_000_000]);
        for warm_up in [true, false] {
            let tick = Tick { warm_up, second, corrected: &corrected, uncorrected: &uncorrected };
            writer.tick(&tick).unwrap();
        }
    }
    drop(writer);
    log
}

#[test]
fn hdrhistograms_own_reader_finds_every_second_in_the_log() {
    let outcome = examples::interrupted();
    let log = hlog(&outcome, &outcome.load.pace);
    let (times, intervals) = intervals(&log);
    assert_eq!(times, [Duration::from_secs(1_764_064_800); 2]);
    assert_eq!(intervals.len(), 2 * outcome.seconds.len());

    for (pair, second) in intervals.chunks(2).zip(&outcome.seconds) {
        let [corrected, uncorrected] = pair else { panic!("two of each second") };
        assert_eq!((corrected.0.as_str(), uncorrected.0.as_str()), ("corrected", "uncorrected"));
        for interval in pair {
            assert_eq!(interval.1.as_secs_f64(), second.at);
            assert!((interval.2.as_secs_f64() - second.length).abs() < 1e-9);
            assert_eq!(interval.4.len(), 3);
        }
        // In milliseconds before the histogram, in nanoseconds within it.
        assert!((uncorrected.3 - 1.0).abs() < 0.01, "{}", uncorrected.3);
        assert!((corrected.3 - 2.0 - second.at).abs() < 0.02, "{}", corrected.3);
        assert!(uncorrected.4.equivalent(uncorrected.4.max(), 1_000_000));
    }
    let heads = log.split(|byte| *byte == b'\n').filter(|line| line.starts_with(b"#"));
    assert_eq!(heads.count(), 5, "{}", String::from_utf8_lossy(&log));
}

#[test]
fn a_closed_loop_claims_no_corrected_seconds() {
    let (_, intervals) = intervals(&hlog(&examples::limited(), &Pace::Closed));
    assert_eq!(intervals.len(), 30);
    assert!(intervals.iter().all(|interval| interval.0 == "uncorrected"));
}
