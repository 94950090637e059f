//! Runs that never were.

use std::collections::BTreeMap;

use grenache_loadgen::outcome::{
    Arrivals, Distribution, Environment, Fault, Generator, Heard, Knee, Latency, Load, Outcome,
    Pace, Published, Requests, SCHEMA, Second, Server, Service, Step, Threshold,
};
use hdrhistogram::Histogram;

/// A name, a text and a command line that would be an attack on whoever does not escape them.
pub(crate) const ATTACK: &str = "<script>alert(1)</script>&\"'\u{1b}[2J";

/// An open loop in which a server stalled twice and dropped a few answers.
pub(crate) fn normal() -> Outcome {
    let seconds: Vec<_> = (0..30).map(second).collect();
    let uncorrected = distribution(|i| 60.0 + 40.0 * (i % 17) as f64 / 17.0, 40, 900.0);
    let corrected = distribution(|i| 60.0 + 40.0 * (i % 17) as f64 / 17.0, 4_000, 200_000.0);
    Outcome {
        schema: SCHEMA,
        began: "2026-11-25T10:00:00.000Z".into(),
        environment: Environment {
            cpu: "AMD EPYC 7B13".into(),
            cpus: 2,
            kernel: "6.18.0".into(),
            governor: "none to see: no cpufreq".into(),
            load_average: "0.10 0.20 0.30 1/200 4711".into(),
            revision: "1c1d53f".into(),
            version: "0.1.0".into(),
            command: ["loadgen", "rpc", "--transport", "http", "--rate", "10000"]
                .map(String::from)
                .to_vec(),
            server_command: Some(vec!["node".into(), "worker.js".into()]),
        },
        load: Load {
            what: "rpc".into(),
            transport: "http".into(),
            targets: vec!["127.0.0.1:1337".into()],
            services: vec![Service { name: "rest:util:net".into(), weight: 1.0 }],
            payload: "64 bytes".into(),
            pace: Pace::Open { rate: 10_000.0, arrivals: Arrivals::Poisson },
            connections: 64,
            in_flight: 1,
            requests_per_connection: None,
            warm_up_s: 5.0,
            timeout_s: 10.0,
            cores: 1,
            seed: 42,
        },
        window_s: 30.0,
        interrupted: false,
        requests: Requests {
            sent: 300_000,
            answered: 299_993,
            empty: 12,
            failed: BTreeMap::from([(Fault::Timeout, 5), (Fault::Status, 2)]),
            late: 4_321,
            connections: 66,
            examples: BTreeMap::from([
                (Fault::Timeout, "no answer within 10 s".into()),
                (Fault::Status, "502 Bad Gateway".into()),
            ]),
            ..Requests::default()
        },
        rate: 9_999.8,
        latency: Latency { corrected, uncorrected },
        seconds,
        generator: Generator {
            driver: "io_uring".into(),
            idle: "park".into(),
            cpu_us_per_request: 6.25,
            busy: 0.31,
            null_server_rate: Some(201_234.0),
            null_server_p50: Some(38.5),
            limited: Vec::new(),
        },
        server: Some(Server {
            pid: 4711,
            cpu_us_per_request: 14.21,
            busy: 0.142,
            resident: 33_554_432,
        }),
        knee: None,
        thresholds: vec![
            Threshold { condition: "p99>2ms".into(), measured: 2_412.0, failed: true },
            Threshold { condition: "errors>1%".into(), measured: 0.0023, failed: false },
        ],
        notes: vec!["the governor is not to be seen: the clock may have changed".into()],
        ..Outcome::default()
    }
}

/// A closed loop, in which the generator was the bottleneck.
pub(crate) fn limited() -> Outcome {
    let mut outcome = normal();
    outcome.load.pace = Pace::Closed;
    outcome.rate = 182_431.4;
    outcome.requests =
        Requests { sent: 5_472_930, answered: 5_472_930, connections: 64, ..Requests::default() };
    for second in &mut outcome.seconds {
        second.rate *= 18.0;
        (second.failed, second.late) = (0, 0);
    }
    outcome.generator.busy = 0.987;
    outcome.generator.limited = vec!["its busiest core was busy for 98.7 % of the time".into()];
    outcome.thresholds.clear();
    outcome.notes.clear();
    outcome
}

/// Nothing was answered, and nothing is known of the server.
pub(crate) fn empty() -> Outcome {
    let mut outcome = normal();
    outcome.requests = Requests {
        failed: BTreeMap::from([(Fault::Connect, 300)]),
        sent: 300,
        unsent: 299_700,
        connect_failed: 4_000,
        examples: BTreeMap::from([(Fault::Connect, "Connection refused (os error 111)".into())]),
        ..Requests::default()
    };
    outcome.rate = 0.0;
    outcome.latency = Latency::default();
    outcome.seconds = (0..30)
        .map(|at| Second { at: f64::from(at), length: 1.0, failed: 10, ..Second::default() })
        .collect();
    outcome.server = None;
    outcome.environment.server_command = None;
    outcome.generator.null_server_rate = None;
    outcome.generator.null_server_p50 = None;
    outcome
}

/// Stopped before the first second was over.
pub(crate) fn stillborn() -> Outcome {
    let mut outcome = empty();
    outcome.requests = Requests { sent: 3, abandoned: 3, ..Requests::default() };
    outcome.seconds.clear();
    outcome.window_s = 0.0;
    outcome.interrupted = true;
    outcome.generator.cpu_us_per_request = 0.0;
    outcome
}

/// A run that ended with Ctrl-C.
pub(crate) fn interrupted() -> Outcome {
    let mut outcome = normal();
    outcome.interrupted = true;
    outcome.window_s = 12.4;
    outcome.seconds.truncate(13);
    outcome.seconds[12].length = 0.4;
    outcome.requests.abandoned = 64;
    outcome
}

/// A search for the highest rate.
pub(crate) fn knee() -> Outcome {
    let mut outcome = normal();
    let step = |offered: f64, p99: f64, why: Option<&str>| Step {
        offered,
        rate: offered.min(52_000.0),
        p50: 70.0 + offered / 1_000.0,
        p99,
        p99_9: p99 * 2.6,
        held: why.is_none(),
        why: why.map(String::from),
    };
    outcome.knee = Some(Knee {
        slo: "p99=1ms".into(),
        rate: Some(50_000.0),
        steps: vec![
            step(10_000.0, 140.0, None),
            step(20_000.0, 180.0, None),
            step(40_000.0, 420.0, None),
            step(80_000.0, 2_900_000.0, Some("p99 was 2.9 s, and 28,000/s were never answered")),
            step(60_000.0, 41_000.0, Some("p99 was 41 ms")),
            step(50_000.0, 870.0, None),
            step(55_000.0, 1_800.0, Some("p99 was 1.8 ms")),
        ],
    });
    outcome
}

/// A thousand subscribers of which one read nothing.
pub(crate) fn heard() -> Outcome {
    let mut outcome = publications("sub");
    outcome.heard = Some(Heard {
        stalled: 1,
        messages: 123_456_789,
        bytes: 12_345_678_900,
        byte_rate: 411_522_630.0,
        fewest: 123_000,
        most: 124_000,
    });
    outcome
}

/// A publisher that some did not keep up with.
pub(crate) fn published() -> Outcome {
    let mut outcome = publications("pub");
    outcome.load.pace = Pace::Closed;
    outcome.published = Some(Published {
        messages: 123_579,
        refused: 3,
        subscribers: 1_000,
        sent: 123_456_789,
        dropped: 122_211,
        disconnected: 0,
    });
    outcome
}

fn publications(what: &str) -> Outcome {
    let mut outcome = normal();
    outcome.load.what = what.into();
    outcome.load.transport = "ws".into();
    outcome.load.connections = 1_000;
    outcome.requests = Requests { connections: 1_000, ..Requests::default() };
    outcome.latency = Latency::default();
    for second in &mut outcome.seconds {
        (second.in_flight, second.late) = (0, 0);
        (second.p50, second.p99, second.max) = (0.0, 0.0, 0.0);
    }
    outcome.thresholds.clear();
    outcome
}

/// A run in which every text is hostile.
pub(crate) fn attack() -> Outcome {
    let mut outcome = knee();
    let text = || ATTACK.to_string();
    outcome.environment.cpu = text();
    outcome.environment.kernel = text();
    outcome.environment.governor = text();
    outcome.environment.load_average = text();
    outcome.environment.revision = text();
    outcome.environment.version = text();
    outcome.environment.command = vec![text()];
    outcome.environment.server_command = Some(vec![text()]);
    outcome.began = text();
    outcome.load.what = text();
    outcome.load.transport = text();
    outcome.load.targets = vec![text(), text()];
    outcome.load.services =
        vec![Service { name: text(), weight: 1.0 }, Service { name: "other".into(), weight: 2.0 }];
    outcome.load.payload = text();
    outcome.requests.examples = BTreeMap::from([(Fault::Malformed, text())]);
    outcome.generator.driver = text();
    outcome.generator.idle = text();
    outcome.generator.limited = vec![text()];
    outcome.notes = vec![text()];
    outcome.thresholds = vec![Threshold { condition: text(), measured: 1.0, failed: true }];
    let knee = outcome.knee.as_mut().unwrap();
    knee.slo = format!("{ATTACK}=1ms");
    knee.steps[0].why = Some(text());
    outcome
}

/// No run gives these, but a document may be edited by hand or made by a program with a fault.
pub(crate) fn nonsense() -> Outcome {
    let mut outcome = knee();
    outcome.rate = f64::NAN;
    outcome.window_s = f64::INFINITY;
    outcome.server.as_mut().unwrap().cpu_us_per_request = f64::NAN;
    outcome.generator.busy = f64::NEG_INFINITY;
    outcome.latency.corrected.p99 = f64::NAN;
    outcome.latency.corrected.curve[3] = (f64::NAN, f64::NAN);
    outcome.latency.corrected.curve[4] = (50.0, f64::INFINITY);
    outcome.seconds[3].rate = f64::NAN;
    outcome.seconds[4].p99 = f64::NAN;
    outcome.seconds[5].max = f64::INFINITY;
    outcome.load.pace = Pace::Open { rate: f64::NAN, arrivals: Arrivals::Fixed };
    outcome.thresholds[0].measured = f64::NAN;
    outcome.knee.as_mut().unwrap().steps[1].p99 = f64::NAN;
    outcome.knee.as_mut().unwrap().rate = Some(f64::INFINITY);
    outcome
}

/// All of them, by name.
pub(crate) fn all() -> Vec<(&'static str, Outcome)> {
    vec![
        ("normal", normal()),
        ("limited", limited()),
        ("empty", empty()),
        ("stillborn", stillborn()),
        ("interrupted", interrupted()),
        ("knee", knee()),
        ("heard", heard()),
        ("published", published()),
        ("attack", attack()),
        ("nonsense", nonsense()),
    ]
}

fn second(at: u32) -> Second {
    let stalled = at % 10 == 7;
    let wave = f64::from(at * 7 % 5);
    Second {
        at: f64::from(at),
        length: 1.0,
        rate: if stalled { 8_020.0 } else { 9_950.0 + 30.0 * wave },
        failed: if at == 17 { 7 } else { 0 },
        late: if stalled { 1_440 } else { 0 },
        in_flight: if stalled { 64 } else { 2 },
        connections: 64,
        p50: 80.0 + wave,
        p99: if stalled { 182_000.0 } else { 300.0 + 20.0 * wave },
        max: if stalled { 200_000.0 } else { 700.0 + 90.0 * wave },
    }
}

/// 300,000 latencies (µs), of which `slow` rise evenly to `most`.
fn distribution(usual: impl Fn(u64) -> f64, slow: u64, most: f64) -> Distribution {
    let mut histogram = Histogram::<u64>::new(3).unwrap();
    for i in 0..300_000 - slow {
        histogram.record((usual(i) * 1e3) as u64).unwrap();
    }
    for i in 1..=slow {
        histogram.record((most * 1e3 * i as f64 / slow as f64) as u64).unwrap();
    }
    let at = |percent: f64| histogram.value_at_quantile(percent / 100.0) as f64 / 1e3;
    let curve = histogram
        .iter_quantiles(10)
        .map(|value| (value.percentile(), value.value_iterated_to() as f64 / 1e3));
    Distribution {
        count: histogram.len(),
        min: histogram.min() as f64 / 1e3,
        mean: histogram.mean() / 1e3,
        stddev: histogram.stdev() / 1e3,
        p50: at(50.0),
        p90: at(90.0),
        p99: at(99.0),
        p99_9: at(99.9),
        p99_99: at(99.99),
        max: histogram.max() as f64 / 1e3,
        curve: curve.collect(),
    }
}
