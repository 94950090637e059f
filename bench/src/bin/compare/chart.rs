//! One chart of a run, or of several: what the others' servers need per request, in proportion to ours.

use std::io;
use std::path::{Path, PathBuf};

use grenache_bench::sample::median;
use serde_json::{Value, json};

use crate::drawing;
use crate::model::Estimate;

/// What a table of the chart is about, from the top down.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Group {
    Grape,
    Rpc,
    HttpServers,
    RequestReply,
    Echo,
}

impl Group {
    const ALL: [Self; 5] =
        [Self::Grape, Self::Rpc, Self::HttpServers, Self::RequestReply, Self::Echo];

    fn name(self) -> &'static str {
        match self {
            Self::Grape => "grape",
            Self::Rpc => "RPC",
            Self::HttpServers => "HTTP servers",
            Self::RequestReply => "request and reply",
            Self::Echo => "echo",
        }
    }
}

/// What the JSON says of a table that belongs into the chart. The first of `ours` is what the others are compared with.
pub(crate) fn entry(group: Group, title: &str, ours: &[&str]) -> Value {
    json!({ "group": group.name(), "table": title, "ours": ours })
}

/// What one system needed.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Bar {
    pub(crate) name: String,
    pub(crate) ours: bool,
    /// CPU time per request, µs, the median of the rounds.
    pub(crate) cpu: f64,
    /// In proportion to our reference: of the samples of the same round, as all figures here.
    pub(crate) ratio: Estimate,
}

/// The systems that did the same.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Panel {
    group: Group,
    pub(crate) title: String,
    /// Our reference first, then from the dearest to the cheapest.
    pub(crate) bars: Vec<Bar>,
}

/// What is drawn.
#[derive(Debug)]
pub(crate) struct Chart {
    pub(crate) machine: String,
    pub(crate) panels: Vec<Panel>,
    /// What is missing and why, a line each.
    pub(crate) missing: Vec<String>,
}

impl Chart {
    /// The chart of `results`, the JSON of one or several runs; a table that several have is the last one's. None if there
    /// is nothing to draw.
    pub(crate) fn of(results: &[Value]) -> Option<Self> {
        let mut panels: Vec<Panel> = Vec::new();
        let mut missing = Vec::new();
        for result in results {
            for entry in list(&result["charts"]) {
                match panel(result, entry, &mut missing) {
                    Ok(panel) => {
                        panels.retain(|other| other.title != panel.title);
                        panels.push(panel);
                    }
                    Err(what) => missing.push(what),
                }
            }
            missing.extend(list(&result["left_out"]).iter().map(note));
        }
        let first = panels.first().map(|_| &results[0]["machine"])?;
        for group in Group::ALL {
            if panels.iter().all(|panel| panel.group != group) {
                missing.push(format!("{}: not measured in this run", group.name()));
            }
        }
        panels.sort_by_key(|panel| panel.group);
        let field = |key: &str| first[key].as_str().unwrap_or("unknown").to_owned();
        let day = field("date").split(' ').next().unwrap_or_default().to_owned();
        let machine = format!(
            "{}, Linux {}, {day}, revision {}",
            field("CPU"),
            field("kernel"),
            field("revision")
        );
        Some(Self { machine, panels, missing })
    }

    /// Writes it as SVG.
    pub(crate) fn write(&self, path: &Path) -> io::Result<()> {
        std::fs::write(path, drawing::svg(self).map_err(io::Error::other)?)
    }
}

/// Draws the chart of the results in `files` again, beside the first; where it is.
pub(crate) fn remake(files: &[PathBuf]) -> io::Result<PathBuf> {
    let mut results = Vec::new();
    for file in files {
        let named =
            |error: io::Error| io::Error::new(error.kind(), format!("{}: {error}", file.display()));
        let text = std::fs::read(file).map_err(named)?;
        results.push(serde_json::from_slice(&text).map_err(|error| named(error.into()))?);
    }
    let nothing = || io::Error::other("none of these results has a table for the chart");
    let chart = Chart::of(&results).ok_or_else(nothing)?;
    let path = files[0].with_extension("svg");
    chart.write(&path)?;
    Ok(path)
}

fn panel(result: &Value, entry: &Value, missing: &mut Vec<String>) -> Result<Panel, String> {
    let title = entry["table"].as_str().unwrap_or_default();
    let wrong = |what: &str| format!("{title}: {what}");
    let group = Group::ALL.into_iter().find(|group| entry["group"] == group.name());
    let group = group.ok_or_else(|| wrong("of no group that the chart has"))?;
    let systems = result["tables"][title].as_object().ok_or_else(|| wrong("not measured"))?;
    let ours: Vec<&str> = list(&entry["ours"]).iter().filter_map(Value::as_str).collect();
    let reference = ours.first().and_then(|name| systems.get(*name));
    let reference = cpu(reference.ok_or_else(|| wrong("ours is left out"))?);
    let mut bars = Vec::new();
    for (name, samples) in systems {
        let rounds = cpu(samples);
        let ratio = Estimate::middle_half(
            rounds.iter().zip(&reference).map(|(theirs, ours)| theirs / ours),
        );
        if [ratio.low, ratio.middle, ratio.high]
            .iter()
            .all(|ratio| ratio.is_finite() && *ratio > 0.0)
        {
            let ours = ours.contains(&name.as_str());
            bars.push(Bar { name: name.clone(), ours, cpu: median(rounds), ratio });
        } else {
            missing.push(format!("{name} ({title}): no figures"));
        }
    }
    let rank = |bar: &Bar| (Some(&bar.name.as_str()) != ours.first(), -bar.ratio.middle);
    bars.sort_by(|a, b| {
        let (a, b) = (rank(a), rank(b));
        a.0.cmp(&b.0).then(a.1.total_cmp(&b.1))
    });
    Ok(Panel { group, title: title.to_owned(), bars })
}

/// What was left out and why, of results that say it in one text or in two.
fn note(left_out: &Value) -> String {
    let text = |value: &Value| value.as_str().unwrap_or("?").to_owned();
    match left_out {
        Value::Object(_) => format!("{}: {}", text(&left_out["what"]), text(&left_out["why"])),
        _ => text(left_out),
    }
}

/// The CPU times of a system's samples, µs, round by round.
fn cpu(samples: &Value) -> Vec<f64> {
    list(samples).iter().map(|sample| sample["cpu_us"].as_f64().unwrap_or(f64::NAN)).collect()
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}
