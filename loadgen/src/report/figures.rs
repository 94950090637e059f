//! The figures by which runs are judged, each with its name and unit, in the order in which reports give them.

use super::units::Unit;
use crate::outcome::{Distribution, Latency, Outcome};

/// One figure of a run.
#[derive(Debug, Clone, Copy)]
pub(super) struct Figure {
    pub(super) name: &'static str,
    pub(super) unit: Unit,
    /// Takes it from what a run found. There may be none.
    pub(super) of: fn(&Outcome) -> Option<f64>,
}

const fn figure(name: &'static str, unit: Unit, of: fn(&Outcome) -> Option<f64>) -> Figure {
    Figure { name, unit, of }
}

/// What is known of work and its price.
pub(super) const WORK: [Figure; 9] = [
    figure("server CPU per request", Unit::Micros, |o| Some(o.server.as_ref()?.cpu_us_per_request)),
    figure("server CPUs kept busy", Unit::Cpus, |o| Some(o.server.as_ref()?.busy)),
    figure("server memory", Unit::Bytes, |o| Some(o.server.as_ref()?.resident as f64)),
    figure("right answers", Unit::PerSecond, |o| (!o.is_of_publications()).then_some(o.rate)),
    figure("messages heard", Unit::PerSecond, |o| o.heard.is_some().then_some(o.rate)),
    figure("bytes heard per second", Unit::Bytes, |o| Some(o.heard.as_ref()?.byte_rate)),
    figure("messages published", Unit::PerSecond, |o| o.published.is_some().then_some(o.rate)),
    figure("highest rate that held", Unit::PerSecond, |o| o.knee.as_ref()?.rate),
    figure("failed or never sent", Unit::Share, |o| {
        (!o.is_of_publications()).then(|| o.requests.failed_share())
    }),
];

/// How long answers took.
pub(super) const LATENCIES: [Figure; 10] = [
    figure("p50 corrected", Unit::Micros, |o| corrected(o, |d| d.p50)),
    figure("p90 corrected", Unit::Micros, |o| corrected(o, |d| d.p90)),
    figure("p99 corrected", Unit::Micros, |o| corrected(o, |d| d.p99)),
    figure("p99.9 corrected", Unit::Micros, |o| corrected(o, |d| d.p99_9)),
    figure("p99.99 corrected", Unit::Micros, |o| corrected(o, |d| d.p99_99)),
    figure("max corrected", Unit::Micros, |o| corrected(o, |d| d.max)),
    figure("p50 uncorrected", Unit::Micros, |o| uncorrected(o, |d| d.p50)),
    figure("p99 uncorrected", Unit::Micros, |o| uncorrected(o, |d| d.p99)),
    figure("p99.9 uncorrected", Unit::Micros, |o| uncorrected(o, |d| d.p99_9)),
    figure("max uncorrected", Unit::Micros, |o| uncorrected(o, |d| d.max)),
];

/// What the generator itself needed.
pub(super) const GENERATOR: [Figure; 4] = [
    figure("generator CPU per request", Unit::Micros, |o| {
        let any = o.requests.sent > 0 || o.heard.is_some();
        any.then_some(o.generator.cpu_us_per_request)
    }),
    figure("generator's busiest core", Unit::Share, |o| {
        o.published.is_none().then_some(o.generator.busy)
    }),
    figure("generator against a null server", Unit::PerSecond, |o| o.generator.null_server_rate),
    figure("p50 of that", Unit::Micros, |o| o.generator.null_server_p50),
];

/// A value of a distribution.
pub(super) type OfDistribution = fn(&Distribution) -> f64;

/// The values of a distribution that reports give, corrected and uncorrected side by side.
pub(super) const PERCENTILES: [(&str, OfDistribution); 9] = [
    ("min", |d| d.min),
    ("p50", |d| d.p50),
    ("p90", |d| d.p90),
    ("p99", |d| d.p99),
    ("p99.9", |d| d.p99_9),
    ("p99.99", |d| d.p99_99),
    ("max", |d| d.max),
    ("mean", |d| d.mean),
    ("std. dev.", |d| d.stddev),
];

/// The two distributions of a run.
pub(super) fn distributions(latency: &Latency) -> [(&'static str, &Distribution); 2] {
    [("corrected", &latency.corrected), ("uncorrected", &latency.uncorrected)]
}

fn corrected(outcome: &Outcome, of: OfDistribution) -> Option<f64> {
    measured(&outcome.latency.corrected, of)
}

fn uncorrected(outcome: &Outcome, of: OfDistribution) -> Option<f64> {
    measured(&outcome.latency.uncorrected, of)
}

fn measured(distribution: &Distribution, of: OfDistribution) -> Option<f64> {
    (distribution.count > 0).then(|| of(distribution))
}
