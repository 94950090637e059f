//! A server that stalls: 200 ms every 5 s must show in corrected latencies, and hides from those that are not corrected.

use std::time::Duration;

use serde_json::Value;

use crate::process::Alone;
use crate::server::{Act, Server};

const EVERY: Duration = Duration::from_secs(5);
const STALL: Duration = Duration::from_millis(200);

fn p99_9(report: &Value, which: &str) -> f64 {
    report["latency"][which]["p99_9"].as_f64().unwrap_or_else(|| panic!("{report}"))
}

#[test]
fn stalls_show_in_corrected_latencies_alone() {
    let server = Server::start(|_, now| {
        let phase = Duration::from_nanos((now.as_nanos() % EVERY.as_nanos()) as u64);
        // In the middle of each five seconds, so that every ten have two.
        let since = phase.saturating_sub(EVERY / 2);
        if phase >= EVERY / 2 && since < STALL {
            Act::EchoAt(now + STALL - since)
        } else {
            Act::Echo
        }
    });
    let alone = Alone::wait();
    for pace in ["--rate 1000", ""] {
        let run = alone.measure(&format!(
            "rpc -t {} -S a -d 10s -w 500ms --connections 1 {pace}",
            server.addr
        ));
        let report = run.json(0);
        let (corrected, uncorrected) = (p99_9(&report, "corrected"), p99_9(&report, "uncorrected"));
        assert!((120_000.0..400_000.0).contains(&corrected), "{pace}: {corrected}");
        assert!(uncorrected < 60_000.0, "{pace}: {uncorrected}");
    }
}
