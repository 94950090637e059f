//! The outcome of a run, as Markdown for people and JSON for programs.

use std::fmt::{Display, Write};
use std::io;
use std::path::{Path, PathBuf};

use grenache_bench::sample::{Sample, Series, median};
use serde_json::{Value, json};

use crate::chart::{self, Chart, Group};

/// One part's figures.
pub(crate) struct Table {
    title: String,
    columns: Vec<&'static str>,
    rows: Vec<(String, Vec<String>)>,
    raw: Value,
    /// Where in the chart it goes, and which of its systems are ours.
    chart: Option<(Group, &'static [&'static str])>,
}

impl Table {
    /// The medians of `series`, with CPU per request in proportion to the least.
    pub(crate) fn of(title: &str, series: &Series) -> Self {
        let least = series
            .systems()
            .map(|(_, samples)| median(samples.iter().map(|s| s.cpu)))
            .fold(f64::NAN, f64::min);
        let rows = series.systems().map(|(name, samples)| {
            let of = |figure: fn(&Sample) -> f64| median(samples.iter().map(figure));
            let (low, high) = samples
                .iter()
                .fold((f64::NAN, f64::NAN), |(low, high), s| (s.cpu.min(low), s.cpu.max(high)));
            let cells = vec![
                format!("{:.2}", of(|s| s.cpu)),
                format!("{low:.2}–{high:.2}"),
                format!("{:.2}", of(|s| s.cpu) / least),
                format!("{:.0}", of(|s| s.rate)),
                format!("{:.0} %", of(|s| s.busy) * 100.0),
                format!("{:.0} %", of(|s| s.foreign) * 100.0),
            ];
            (name.to_owned(), cells)
        });
        let raw = series.systems().map(|(name, samples)| {
            let samples: Vec<_> = samples
                .iter()
                .map(|s| json!({ "cpu_us": s.cpu, "rate": s.rate, "busy": s.busy, "foreign": s.foreign, "requests": s.requests }))
                .collect();
            (name.to_owned(), Value::from(samples))
        });
        Self {
            title: title.to_owned(),
            columns: vec![
                "µs CPU/request",
                "lowest–highest round",
                "to the least",
                "requests/s",
                "server busy",
                "other load on the machine",
            ],
            rows: rows.collect(),
            raw: Value::Object(raw.collect()),
            chart: None,
        }
    }

    /// The same, drawn in the chart too. The first of `ours` is what the others are compared with.
    pub(crate) fn charted(self, group: Group, ours: &'static [&'static str]) -> Self {
        Self { chart: Some((group, ours)), ..self }
    }

    /// A table of any figures.
    pub(crate) fn plain(
        title: &str,
        columns: Vec<&'static str>,
        rows: Vec<(String, Vec<String>)>,
        raw: Value,
    ) -> Self {
        Self { title: title.to_owned(), columns, rows, raw, chart: None }
    }
}

/// A claim and what was measured of it.
struct Target {
    claim: String,
    figure: f64,
    passed: bool,
}

/// Everything a run found.
pub(crate) struct Report {
    machine: Vec<(&'static str, String)>,
    tables: Vec<Table>,
    targets: Vec<Target>,
    left_out: Vec<Missing>,
    broken: bool,
}

/// What was not measured, and why.
struct Missing {
    what: String,
    why: String,
}

impl Report {
    pub(crate) fn new(machine: Vec<(&'static str, String)>) -> Self {
        Self {
            machine,
            tables: Vec::new(),
            targets: Vec::new(),
            left_out: Vec::new(),
            broken: false,
        }
    }

    pub(crate) fn table(&mut self, table: Table) {
        self.tables.push(table);
    }

    /// Records that something was not measured, and why.
    pub(crate) fn leave_out(&mut self, what: impl Into<String>, why: impl Display) {
        let missing = Missing { what: what.into(), why: why.to_string() };
        eprintln!("left out: {}: {}", missing.what, missing.why);
        self.left_out.push(missing);
    }

    /// Records that a system did not start. One that is not installed is left out; anything else must not happen.
    pub(crate) fn miss(&mut self, system: &str, error: &io::Error) {
        match error.kind() {
            io::ErrorKind::NotFound => self.leave_out(system, error),
            _ => self.fail(system, error),
        }
    }

    /// A claim that `figure` is at most `limit`. A figure that could not be taken fails it.
    pub(crate) fn at_most(&mut self, claim: String, figure: f64, limit: f64) {
        self.targets.push(Target {
            claim: format!("{claim}: at most {limit:.3}"),
            figure,
            passed: figure <= limit,
        });
    }

    /// A claim that `figure` is at least `limit`.
    pub(crate) fn at_least(&mut self, claim: String, figure: f64, limit: f64) {
        self.targets.push(Target {
            claim: format!("{claim}: at least {limit:.3}"),
            figure,
            passed: figure >= limit,
        });
    }

    /// Records that a part broke off; no peer's absence does that, only ours.
    pub(crate) fn fail(&mut self, what: impl Into<String>, why: impl Display) {
        self.broken = true;
        self.leave_out(what, why);
    }

    /// True when no part broke off.
    pub(crate) fn complete(&self) -> bool {
        !self.broken
    }

    /// True when every target is met.
    pub(crate) fn passed(&self) -> bool {
        self.complete() && self.targets.iter().all(|target| target.passed)
    }

    pub(crate) fn markdown(&self) -> String {
        let mut text = String::from("# Measurements\n\n");
        let out = &mut text;
        // Writing to a String cannot fail.
        for (key, value) in &self.machine {
            let _ = writeln!(out, "- {key}: {value}");
        }
        if !self.targets.is_empty() {
            let _ = writeln!(out, "\n## Targets\n\n| | measured | claim |\n|---|---|---|");
        }
        for target in &self.targets {
            let verdict = if target.passed { "PASS" } else { "FAIL" };
            let _ = writeln!(out, "| {verdict} | {:.3} | {} |", target.figure, target.claim);
        }
        for table in &self.tables {
            let _ = writeln!(
                out,
                "\n## {}\n\n| | {} |\n|---{}|",
                table.title,
                table.columns.join(" | "),
                "|---".repeat(table.columns.len())
            );
            for (name, cells) in &table.rows {
                let _ = writeln!(out, "| {name} | {} |", cells.join(" | "));
            }
        }
        if !self.left_out.is_empty() {
            let _ = writeln!(out, "\n## Left out\n\n| | why |\n|---|---|");
        }
        for Missing { what, why } in &self.left_out {
            let why = why.replace('|', "\\|").replace('\n', " ");
            let _ = writeln!(out, "| {what} | {why} |");
        }
        text
    }

    fn json(&self) -> Value {
        let machine: serde_json::Map<_, _> =
            self.machine.iter().map(|(key, value)| ((*key).to_owned(), json!(value))).collect();
        let targets: Vec<_> = self
            .targets
            .iter()
            .map(|t| json!({ "claim": t.claim, "figure": t.figure, "passed": t.passed }))
            .collect();
        let tables: serde_json::Map<_, _> =
            self.tables.iter().map(|t| (t.title.clone(), t.raw.clone())).collect();
        let left_out: Vec<_> =
            self.left_out.iter().map(|m| json!({ "what": m.what, "why": m.why })).collect();
        let charts: Vec<_> = self
            .tables
            .iter()
            .filter_map(|t| t.chart.map(|(group, ours)| chart::entry(group, &t.title, ours)))
            .collect();
        json!({
            "machine": machine, "targets": targets, "tables": tables, "charts": charts,
            "left_out": left_out,
        })
    }

    /// Writes both forms and the chart into `folder`, named after the day; the path of the Markdown one.
    pub(crate) fn write(&self, folder: &Path) -> io::Result<PathBuf> {
        std::fs::create_dir_all(folder)?;
        let day = self
            .machine
            .iter()
            .find(|(key, _)| *key == "date")
            .and_then(|(_, date)| date.split(' ').next());
        let base = folder.join(day.unwrap_or("undated"));
        let json = self.json();
        std::fs::write(base.with_extension("json"), format!("{json:#}\n"))?;
        if let Some(chart) = Chart::of(&[json]) {
            chart.write(&base.with_extension("svg"))?;
        }
        let path = base.with_extension("md");
        std::fs::write(&path, self.markdown())?;
        Ok(path)
    }
}
