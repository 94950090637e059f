//! Which charts a report has: the knee, latencies by percentile, and what happened over time.

use std::io;

use super::Run;
use super::axis::{self, Axis};
use super::chart::{BAD, Colour, LATE, Shape};
use super::figures::distributions;
use super::sketch::{Drawing, Sketch};
use super::units::Unit;
use crate::outcome::{Distribution, Knee, Outcome, Pace, Second, Step};

/// What a line is of, and how it is taken from a second or a step.
type Kind<T> = (&'static str, fn(&T) -> f64);

/// All charts for which there is anything to draw.
///
/// # Errors
/// None that is known of.
pub(super) fn all(runs: &[Run]) -> io::Result<Vec<Drawing>> {
    [knee(runs), percentiles(runs), throughput(runs), latencies(runs)]
        .into_iter()
        .filter(Sketch::shows_runs)
        .map(Sketch::draw)
        .collect()
}

/// How long answers took, by percentile.
fn percentiles(runs: &[Run]) -> Sketch {
    let all = || runs.iter().flat_map(|run| distributions(&run.outcome.latency));
    let count = all().map(|(_, distribution)| distribution.count).max().unwrap_or(0);
    let shown = all().flat_map(|(_, distribution)| &distribution.curve).map(|(_, micros)| *micros);
    let mut sketch = Sketch::new(
        "Latency by percentile",
        Axis::percentiles("percentile", count),
        Axis::latencies("latency", shown),
    );
    let kinds = distributions(&Default::default()).map(|(kind, _)| kind);
    sketch.lines(runs, &kinds, |outcome, kind| {
        let [corrected, uncorrected] = distributions(&outcome.latency);
        vec![curve(if kind == 0 { corrected.1 } else { uncorrected.1 })]
    });
    sketch
}

fn curve(distribution: &Distribution) -> Vec<(f64, f64)> {
    let points = distribution.curve.iter().filter(|(_, micros)| *micros > 0.0);
    points
        .map(|(percent, micros)| {
            (axis::percentile(*percent, distribution.count), axis::logarithm(*micros))
        })
        .collect()
}

/// What was answered in each second, and in which of them something went wrong.
fn throughput(runs: &[Run]) -> Sketch {
    let rates = seconds(runs).map(|second| second.rate);
    let wanted = runs.iter().filter_map(|run| wanted(&run.outcome));
    let most = rates.chain(wanted.clone()).fold(0.0, f64::max);
    let mut sketch = Sketch::new(
        "Throughput",
        Axis::linear("seconds", length(runs)),
        Axis::linear("right answers per second", most * 1.05),
    );
    for rate in wanted {
        sketch.wanted(&format!("offered: {}", Unit::PerSecond.show(rate)), rate);
    }
    sketch.lines(runs, &["right answers"], |outcome, _| {
        vec![outcome.seconds.iter().map(|second| (middle(second), second.rate)).collect()]
    });
    let when = |happened: fn(&Second) -> bool| {
        let seconds = seconds(runs).filter(move |second| happened(second));
        seconds.map(|second| (middle(second), second.rate)).collect()
    };
    sketch.marks(
        "requests late or never sent in this second",
        Shape::Ring,
        LATE,
        when(|second| second.late > 0),
    );
    sketch.marks("failures in this second", Shape::Cross, BAD, when(|second| second.failed > 0));
    sketch
}

/// How long the answers of each second took. A second without an answer is a gap.
fn latencies(runs: &[Run]) -> Sketch {
    const KINDS: [Kind<Second>; 3] =
        [("p99", |second| second.p99), ("p50", |second| second.p50), ("max", |second| second.max)];
    // Three lines of each of several runs would be a tangle.
    let kinds = if runs.len() == 1 { &KINDS[..] } else { &KINDS[..2] };
    let open = runs.iter().filter(|run| matches!(run.outcome.load.pace, Pace::Open { .. })).count();
    let name = match open {
        0 => "latency, uncorrected",
        all if all == runs.len() => "latency, corrected",
        _ => "latency",
    };
    let values = seconds(runs).flat_map(|second| kinds.iter().map(|(_, of)| of(second)));
    let mut sketch = Sketch::new(
        "Latency over time",
        Axis::linear("seconds", length(runs)),
        Axis::latencies(name, values),
    );
    let names: Vec<_> = kinds.iter().map(|(name, _)| *name).collect();
    sketch.lines(runs, &names, |outcome, kind| {
        let of = kinds[kind].1;
        let answered = outcome.seconds.split(|second| of(second) <= 0.0);
        let point = |second| (middle(second), axis::logarithm(of(second)));
        answered.map(|piece| piece.iter().map(point).collect()).collect()
    });
    sketch
}

/// What each step of a search offered, and how long answers then took.
fn knee(runs: &[Run]) -> Sketch {
    const KINDS: [Kind<Step>; 3] =
        [("p99", |step| step.p99), ("p50", |step| step.p50), ("p99.9", |step| step.p99_9)];
    let kinds = if runs.len() == 1 { &KINDS[..] } else { &KINDS[..2] };
    let knees = || runs.iter().filter_map(|run| run.outcome.knee.as_ref());
    let steps = || knees().flat_map(|knee| &knee.steps);
    let promised: Vec<_> = knees().flat_map(promises).collect();
    let values = steps().flat_map(|step| kinds.iter().map(|(_, of)| of(step)));
    let values = values.chain(promised.iter().map(|(_, micros)| *micros));
    let mut sketch = Sketch::new(
        "Latency by offered rate",
        Axis::rates("requests offered per second", steps().map(|step| step.offered)),
        Axis::latencies("latency, corrected", values),
    );
    for (part, micros) in promised {
        sketch.wanted(&format!("promised: {part}"), axis::logarithm(micros));
    }
    let names: Vec<_> = kinds.iter().map(|(name, _)| *name).collect();
    sketch.lines(runs, &names, |outcome, kind| {
        vec![outcome.knee.as_ref().map_or(Vec::new(), |knee| by_rate(knee, kinds[kind].1))]
    });
    let ended = |held: bool| {
        let steps = steps().filter(move |step| step.held == held && step.p99 > 0.0);
        steps.map(|step| (axis::logarithm(step.offered), axis::logarithm(step.p99))).collect()
    };
    if runs.len() == 1 {
        sketch.marks("held", Shape::Dot, Colour::of_line(0), ended(true));
    }
    sketch.marks("did not hold", Shape::Cross, BAD, ended(false));
    sketch
}

/// The steps in which anything was answered, by what they offered.
fn by_rate(knee: &Knee, of: fn(&Step) -> f64) -> Vec<(f64, f64)> {
    let answered = knee.steps.iter().filter(|step| of(step) > 0.0);
    let mut points: Vec<_> =
        answered.map(|step| (axis::logarithm(step.offered), axis::logarithm(of(step)))).collect();
    points.sort_by(|one, other| one.0.total_cmp(&other.0));
    points
}

/// The latencies that a search promises, µs, each as it was written.
fn promises(knee: &Knee) -> impl Iterator<Item = (&str, f64)> {
    knee.slo.split(',').filter_map(|part| {
        let (_, limit) = part.split_once('=')?;
        Some((part, humantime::parse_duration(limit).ok()?.as_secs_f64() * 1e6))
    })
}

/// The rate of an open loop.
fn wanted(outcome: &Outcome) -> Option<f64> {
    match (outcome.load.pace, &outcome.knee) {
        (Pace::Closed, _) => None,
        (Pace::Open { .. }, Some(knee)) => knee.rate,
        (Pace::Open { rate, .. }, None) => Some(rate),
    }
}

fn seconds(runs: &[Run]) -> impl Iterator<Item = &Second> {
    runs.iter().flat_map(|run| &run.outcome.seconds)
}

fn middle(second: &Second) -> f64 {
    second.at + second.length / 2.0
}

/// How long the longest run took, s.
fn length(runs: &[Run]) -> f64 {
    seconds(runs).map(|second| second.at + second.length).fold(0.0, f64::max)
}
