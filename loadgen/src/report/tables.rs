//! What reports tell in rows and columns, before it is text in a terminal or part of a page.

use super::Run;
use super::conditions::{CONDITIONS, Condition};
use super::figures::{Figure, PERCENTILES, distributions};
use super::units::{NOTHING, Unit, count, micros, share};
use super::{remarks, units};
use crate::outcome::{Fault, Knee, Outcome, Pace, Requests};

/// Cells under a head. All rows are as long as the head.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(super) struct Table {
    pub(super) head: Vec<Column>,
    pub(super) rows: Vec<Vec<String>>,
}

/// The head of a column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Column {
    pub(super) name: String,
    /// It holds figures, which stand at its right edge.
    pub(super) figures: bool,
}

impl Table {
    fn text(mut self, name: &str) -> Self {
        self.head.push(Column { name: printable(name), figures: false });
        self
    }

    fn figures(mut self, name: &str) -> Self {
        self.head.push(Column { name: printable(name), figures: true });
        self
    }

    /// A column for each run. A run alone needs no name.
    fn runs(self, runs: &[Run]) -> Self {
        match runs {
            [_] => self.figures(""),
            _ => runs.iter().fold(self, |table, run| table.figures(&run.name)),
        }
    }

    /// Whether its head says anything.
    pub(super) fn is_headed(&self) -> bool {
        self.head.iter().any(|column| !column.name.is_empty())
    }

    fn row(&mut self, cells: impl IntoIterator<Item = String>) {
        let row: Vec<_> = cells.into_iter().map(|cell| printable(&cell)).collect();
        debug_assert_eq!(row.len(), self.head.len());
        self.rows.push(row);
    }
}

/// Texts come from servers and command lines: what would move a terminal's cursor is made visible instead.
pub(super) fn printable(text: &str) -> String {
    let mut printable = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\u{fffe}' | '\u{ffff}' => printable.push(char::REPLACEMENT_CHARACTER),
            c if c.is_control() => printable.extend(c.escape_default()),
            c => printable.push(c),
        }
    }
    printable
}

/// Those of `figures` that some run has. If there are several runs, each is also divided by the first.
pub(super) fn figures<'a>(runs: &[Run], figures: impl IntoIterator<Item = &'a Figure>) -> Table {
    let mut table = Table::default().text("").runs(runs);
    if let [first, others @ ..] = runs {
        for run in others {
            table = table.figures(&format!("{} / {}", run.name, first.name));
        }
    }
    for figure in figures {
        let values: Vec<_> = runs.iter().map(|run| (figure.of)(&run.outcome)).collect();
        if values.iter().all(Option::is_none) {
            continue;
        }
        let mut cells = vec![figure.name.to_string()];
        cells.extend(
            values
                .iter()
                .map(|value| value.map_or(NOTHING.into(), |value| figure.unit.show(value))),
        );
        cells.extend(values.iter().skip(1).map(|value| ratio(*value, values[0])));
        table.row(cells);
    }
    table
}

/// `value` divided by `base`, if that means anything.
fn ratio(value: Option<f64>, base: Option<f64>) -> String {
    match (value, base) {
        (Some(value), Some(base)) if base != 0.0 => units::ratio(value / base),
        _ => NOTHING.into(),
    }
}

/// Corrected and uncorrected latencies side by side.
pub(super) fn percentiles(runs: &[Run]) -> Table {
    let mut table = Table::default().text("latency");
    for run in runs {
        for (kind, _) in distributions(&run.outcome.latency) {
            table = match runs {
                [_] => table.figures(kind),
                _ => table.figures(&format!("{} {kind}", run.name)),
            };
        }
    }
    for (name, of) in PERCENTILES {
        let values = runs.iter().flat_map(|run| {
            distributions(&run.outcome.latency).map(|(_, distribution)| micros(of(distribution)))
        });
        table.row([name.to_string()].into_iter().chain(values));
    }
    table
}

/// What became of the requests. What cannot have happened to any of the runs is left out.
pub(super) fn requests(runs: &[Run]) -> Table {
    let open = runs.iter().any(|run| matches!(run.outcome.load.pace, Pace::Open { .. }));
    let datagrams = runs.iter().any(|run| run.outcome.load.transport == "udp");
    let any = |of: fn(&Requests) -> u64| runs.iter().any(|run| of(&run.outcome.requests) > 0);

    let mut table = Table::default().text("").runs(runs);
    let mut row = |name: &str, of: &dyn Fn(&Requests) -> u64| {
        let values = runs.iter().map(|run| count(of(&run.outcome.requests)));
        table.row([name.to_string()].into_iter().chain(values));
    };
    row("sent", &|r| r.sent);
    row("rightly answered", &|r| r.answered);
    row("… of those, found nothing", &|r| r.empty);
    row("failed", &Requests::failures);
    for fault in faults(runs) {
        row(&format!("… {}", fault.name()), &|r| r.failed.get(&fault).copied().unwrap_or(0));
    }
    if any(|r| r.abandoned) {
        row("in flight when interrupted", &|r| r.abandoned);
    }
    if open || any(|r| r.late + r.unsent) {
        row("sent more than 1 ms late", &|r| r.late);
        row("never sent", &|r| r.unsent);
    }
    if datagrams || any(|r| r.unasked) {
        row("answers after they were given up", &|r| r.unasked);
    }
    row("connections made", &|r| r.connections);
    row("connections that could not be made", &|r| r.connect_failed);
    table
}

/// What subscribers heard, or a publisher sent.
pub(super) fn publications(outcome: &Outcome) -> Table {
    let mut table = Table::default().text("").figures("");
    let mut row = |name: &str, value: u64| table.row([name.to_string(), count(value)]);
    if let Some(heard) = &outcome.heard {
        row("messages heard", heard.messages);
        row("… by the subscriber with the fewest", heard.fewest);
        row("… by the one with the most", heard.most);
        row("subscriptions that ended", outcome.requests.failures());
        row("connections made", outcome.requests.connections);
        row("connections that could not be made", outcome.requests.connect_failed);
    }
    if let Some(published) = &outcome.published {
        row("subscribers in the end", published.subscribers);
        row("messages published", published.messages);
        row("… refused: too many waited to be sent", published.refused);
        row("sent, to each subscriber", published.sent);
        row("dropped: a subscriber was behind, or gone", published.dropped);
        row("subscribers disconnected for that", published.disconnected);
    }
    table
}

/// The kinds of failure that some run had.
fn faults(runs: &[Run]) -> Vec<Fault> {
    let mut faults: Vec<_> =
        runs.iter().flat_map(|run| run.outcome.requests.failed.keys().copied()).collect();
    faults.sort_unstable();
    faults.dedup();
    faults
}

/// The failures of one run by kind, and the first of each in words.
pub(super) fn failures(requests: &Requests) -> Table {
    let mut table =
        Table::default().text("failure").figures("").figures("of all sent").text("the first one");
    let mut kinds: Vec<Fault> =
        requests.failed.keys().chain(requests.examples.keys()).copied().collect();
    kinds.sort_unstable();
    kinds.dedup();
    for fault in kinds {
        let failed = requests.failed.get(&fault).copied().unwrap_or(0);
        table.row([
            fault.name().to_string(),
            count(failed),
            if requests.sent == 0 {
                NOTHING.into()
            } else {
                share(failed as f64 / requests.sent as f64)
            },
            requests.examples.get(&fault).cloned().unwrap_or_default(),
        ]);
    }
    table
}

/// The steps of a search by their rates.
pub(super) fn steps(knee: &Knee) -> Table {
    let mut table = Table::default()
        .figures("offered")
        .figures("answered")
        .figures("p50")
        .figures("p99")
        .figures("p99.9")
        .text("held")
        .text("why not");
    for step in &knee.steps {
        table.row([
            Unit::PerSecond.show(step.offered),
            Unit::PerSecond.show(step.rate),
            micros(step.p50),
            micros(step.p99),
            micros(step.p99_9),
            if step.held { "yes" } else { "no" }.to_string(),
            step.why.clone().unwrap_or_default(),
        ]);
    }
    table
}

/// What `--fail-if` asked for.
pub(super) fn thresholds(outcome: &Outcome) -> Table {
    let mut table = Table::default().text("fails if").figures("measured").text("");
    for threshold in &outcome.thresholds {
        table.row([
            threshold.condition.clone(),
            remarks::measured(threshold),
            if threshold.failed { "fails" } else { "passes" }.to_string(),
        ]);
    }
    table
}

/// Those of the conditions that `wanted` picks.
pub(super) fn conditions(runs: &[Run], wanted: impl Fn(&Condition) -> bool) -> Table {
    let mut table = Table::default().text("");
    table = match runs {
        [_] => table.text(""),
        _ => runs.iter().fold(table, |table, run| table.text(&run.name)),
    };
    for condition in CONDITIONS.iter().filter(|condition| wanted(condition)) {
        let values = runs.iter().map(|run| (condition.of)(&run.outcome));
        table.row([condition.name.to_string()].into_iter().chain(values));
    }
    table
}

/// Every second of a run.
pub(super) fn seconds(outcome: &Outcome) -> Table {
    let mut table = Table::default();
    for name in
        ["from", "answers", "failed", "late", "in flight", "connections", "p50", "p99", "max"]
    {
        table = table.figures(name);
    }
    for second in &outcome.seconds {
        table.row([
            units::seconds(second.at),
            Unit::PerSecond.show(second.rate),
            count(second.failed),
            count(second.late),
            count(second.in_flight),
            count(second.connections),
            micros(second.p50),
            micros(second.p99),
            micros(second.max),
        ]);
    }
    table
}
