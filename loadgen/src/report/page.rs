//! Runs as one HTML page that needs nothing else: no network, no script. Light or dark, as the reader's system is.

use std::io::{self, Write};

use askama::Template;

use super::Run;
use super::conditions::{differs, headline, load_line};
use super::curves;
use super::figures::{GENERATOR, LATENCIES, WORK};
use super::remarks::{self, Remark};
use super::sketch::Drawing;
use super::tables::{self, Table, printable};
use super::units::several;

/// More seconds than these do not go into the page's table, which a browser would not like.
const MAX_SECONDS: usize = 3_600;

#[derive(Template)]
#[template(path = "page.html")]
struct Page {
    title: String,
    /// What each run was, in a line.
    runs: Vec<String>,
    remarks: Vec<Remark>,
    figures: Vec<Section>,
    charts: Vec<Drawing>,
    details: Vec<Section>,
    version: &'static str,
}

/// A table under its title.
struct Section {
    title: String,
    table: Table,
    /// Seen only when it is asked for.
    folded: bool,
}

impl Section {
    fn new(title: impl Into<String>, table: Table) -> Self {
        Self { title: printable(&title.into()), table, folded: false }
    }
}

/// Writes the page of one run, or of several on the same axes.
///
/// # Errors
/// What `out` says.
pub fn write(runs: &[Run], mut out: impl Write) -> io::Result<()> {
    let mut remarks = remarks::of_all(runs);
    if runs.iter().any(|run| run.outcome.seconds.len() > MAX_SECONDS) {
        remarks.push(Remark::note(format!(
            "runs of more than {} have no table of every second here: --csv keeps them",
            several(MAX_SECONDS, "second")
        )));
    }
    let page = Page {
        title: printable(&title(runs)),
        runs: runs.iter().map(|run| printable(&line(runs, run))).collect(),
        remarks,
        figures: figures(runs),
        charts: curves::all(runs)?,
        details: details(runs),
        version: env!("CARGO_PKG_VERSION"),
    };
    page.write_into(&mut out).map_err(io::Error::other)?;
    out.flush()
}

fn title(runs: &[Run]) -> String {
    match runs {
        [run] => headline(&run.outcome),
        _ => runs.iter().map(|run| run.name.as_str()).collect::<Vec<_>>().join(" · "),
    }
}

fn line(runs: &[Run], run: &Run) -> String {
    let outcome = &run.outcome;
    match runs {
        [_] => format!("{}, {}", load_line(outcome), outcome.began),
        _ => format!(
            "{}: {}, {}, {}",
            run.name,
            headline(outcome),
            load_line(outcome),
            outcome.began
        ),
    }
}

fn figures(runs: &[Run]) -> Vec<Section> {
    let figures = match runs {
        [_] => tables::figures(runs, WORK.iter().chain(&GENERATOR)),
        _ => tables::figures(runs, WORK.iter().chain(&LATENCIES).chain(&GENERATOR)),
    };
    let mut sections = vec![Section::new("Figures", figures)];
    for run in runs.iter().filter(|run| run.outcome.is_of_publications()) {
        let title = match runs {
            [_] => "Publications".to_owned(),
            _ => format!("Publications: {}", run.name),
        };
        sections.push(Section::new(title, tables::publications(&run.outcome)));
    }
    if runs.iter().any(|run| !run.outcome.is_of_publications()) {
        sections.push(Section::new("Latency", tables::percentiles(runs)));
        sections.push(Section::new("Requests", tables::requests(runs)));
    }
    sections
}

fn details(runs: &[Run]) -> Vec<Section> {
    let mut sections = Vec::new();
    let mut add = |title: &str, run: &Run, table: Table, folded: bool| {
        if !table.rows.is_empty() {
            let title = match runs {
                [_] => title.to_string(),
                _ => format!("{title}: {}", run.name),
            };
            sections.push(Section { folded, ..Section::new(title, table) });
        }
    };
    for run in runs {
        let outcome = &run.outcome;
        add("Failures", run, tables::failures(&outcome.requests), false);
        if let Some(knee) = &outcome.knee {
            add(&format!("Search for {}", knee.slo), run, tables::steps(knee), false);
        }
        add("Thresholds", run, tables::thresholds(outcome), false);
        if outcome.seconds.len() <= MAX_SECONDS {
            add("Every second", run, tables::seconds(outcome), true);
        }
    }
    if let [_] = runs {
        sections.push(Section::new("Load and machine", tables::conditions(runs, |_| true)));
    } else {
        let differing = tables::conditions(runs, |condition| differs(runs, condition));
        let same = tables::conditions(&runs[..1], |condition| !differs(runs, condition));
        sections.push(Section::new("What differs", differing));
        sections.push(Section::new("What is the same", same));
    }
    // What can be unfolded comes last.
    sections.sort_by_key(|section| section.folded);
    sections
}
