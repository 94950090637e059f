//! What a reader has to know before the figures.

use super::Run;
use super::conditions::{CONDITIONS, Weight, differs};
use super::tables::printable;
use super::units::{micros, number, seconds};
use crate::outcome::{Outcome, Threshold};

/// A sentence that goes before the figures.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Remark {
    /// The figures may not mean what they seem to.
    pub(super) serious: bool,
    pub(super) text: String,
}

impl Remark {
    pub(super) fn warning(text: impl Into<String>) -> Self {
        Self { serious: true, text: printable(&text.into()) }
    }

    pub(super) fn note(text: impl Into<String>) -> Self {
        Self { serious: false, text: printable(&text.into()) }
    }

    /// What it is called.
    pub(super) fn kind(&self) -> &'static str {
        if self.serious { "warning" } else { "note" }
    }
}

/// What is to be said of one run: warnings, then notes.
pub(super) fn of(outcome: &Outcome) -> Vec<Remark> {
    let mut remarks = Vec::new();
    if outcome.interrupted {
        remarks.push(Remark::warning(format!(
            "interrupted: the figures are of the {} until then",
            seconds(outcome.window_s)
        )));
    }
    if outcome.achieved() == 0 {
        remarks.push(Remark::warning(match (&outcome.heard, &outcome.published) {
            (Some(_), _) => "nothing was heard",
            (_, Some(_)) => "nothing was sent",
            _ => "nothing was answered: there are no latencies",
        }));
    }
    for reason in &outcome.generator.limited {
        remarks.push(Remark::warning(format!("the generator may be the bottleneck: {reason}")));
    }
    for threshold in outcome.thresholds.iter().filter(|threshold| threshold.failed) {
        remarks.push(Remark::warning(format!(
            "the run fails by {}: measured {}",
            threshold.condition,
            measured(threshold)
        )));
    }
    remarks.extend(outcome.notes.iter().map(Remark::note));
    remarks
}

/// What is to be said of several runs, each on its own and as they are compared. What is serious comes first.
pub(super) fn of_all(runs: &[Run]) -> Vec<Remark> {
    if let [run] = runs {
        return of(&run.outcome);
    }
    let mut remarks = Vec::new();
    let differing = |weight| {
        let conditions = CONDITIONS.iter().filter(move |condition| condition.weight == weight);
        let names = conditions.filter(|condition| differs(runs, condition)).map(|c| c.name);
        names.collect::<Vec<_>>().join(", ")
    };
    let load = differing(Weight::Load);
    if !load.is_empty() {
        remarks.push(Remark::warning(format!("the runs did not do the same work: {load}")));
    }
    let machine = differing(Weight::Machine);
    if !machine.is_empty() {
        remarks.push(Remark::warning(format!(
            "the runs were not made on the same machine in the same state: {machine}"
        )));
    }
    // What holds for several runs is said once.
    let mut told: Vec<(Remark, Vec<&str>)> = Vec::new();
    for run in runs {
        for remark in of(&run.outcome) {
            match told.iter_mut().find(|(other, _)| *other == remark) {
                Some((_, names)) => names.push(&run.name),
                None => told.push((remark, vec![&run.name])),
            }
        }
    }
    remarks.extend(told.into_iter().map(|(remark, names)| {
        let text = format!("{}: {}", printable(&names.join(", ")), remark.text);
        Remark { text, ..remark }
    }));
    remarks.sort_by_key(|remark| !remark.serious);
    remarks
}

/// What was measured of a threshold: a time if its condition is about one, a percentage likewise, or a number.
pub(super) fn measured(threshold: &Threshold) -> String {
    let condition = threshold.condition.trim_end();
    if condition.ends_with('s') {
        micros(threshold.measured)
    } else if condition.ends_with('%') {
        format!("{} %", number(threshold.measured))
    } else {
        number(threshold.measured)
    }
}
