//! Conditions on what a run found: `--fail-if 'p99>2ms'` and the promise of `--slo p99=1ms`.

use std::fmt;
use std::str::FromStr;

use crate::outcome::{self, Distribution, Outcome};

/// A figure and what it is compared with.
#[derive(Debug, Clone, PartialEq)]
pub struct Threshold {
    text: String,
    figure: Figure,
    above: bool,
    limit: f64,
}

/// A promise: figures that hold while they are at most, or for rates at least, what was promised.
#[derive(Debug, Clone, PartialEq)]
pub struct Promise {
    text: String,
    parts: Vec<Threshold>,
}

/// What may be compared.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Figure {
    /// A latency, µs; corrected unless raw.
    Latency { of: Statistic, raw: bool },
    /// Answers per second.
    Rate,
    /// Failed requests, those never sent included; of all, if a share.
    Errors { share: bool },
    /// Requests sent late; of all that were sent, if a share.
    Late { share: bool },
    /// The server's CPU time per request, µs.
    ServerCpu,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Statistic {
    Percentile(f64),
    Mean,
    Max,
}

impl Threshold {
    /// Compares. A figure that was not measured fails.
    pub fn judge(&self, outcome: &Outcome) -> outcome::Threshold {
        let measured = self.figure.of(outcome);
        let failed = match measured {
            None => true,
            Some(figure) if self.above => figure > self.limit,
            Some(figure) => figure < self.limit,
        };
        outcome::Threshold {
            condition: self.text.clone(),
            measured: measured.unwrap_or_default(),
            failed,
        }
    }

    /// Whether it says how many requests may fail.
    pub fn is_about_errors(&self) -> bool {
        matches!(self.figure, Figure::Errors { .. })
    }
}

impl Promise {
    /// Why a run did not keep it; none if it did.
    pub fn broken_by(&self, outcome: &Outcome) -> Option<String> {
        let judged = self.parts.iter().map(|part| (part, part.judge(outcome)));
        judged.into_iter().find(|(_, judged)| judged.failed).map(|(part, judged)| {
            let name = part.text.split(['>', '<']).next().unwrap_or_default();
            format!("{name} was {}", part.figure.show(judged.measured))
        })
    }
}

impl fmt::Display for Promise {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl Figure {
    fn of(self, outcome: &Outcome) -> Option<f64> {
        let requests = &outcome.requests;
        let part = |part: u64, share: bool, all: u64| match (share, all) {
            (false, _) => part as f64,
            (true, 0) => 0.0,
            (true, all) => part as f64 / all as f64 * 100.0,
        };
        Some(match self {
            Self::Latency { of, raw } => {
                let latency = &outcome.latency;
                of.of(if raw { &latency.uncorrected } else { &latency.corrected })?
            }
            Self::Rate => outcome.rate,
            Self::Errors { share } => {
                let failed = requests.failures() + requests.unsent;
                part(failed, share, requests.sent + requests.unsent)
            }
            Self::Late { share } => part(requests.late, share, requests.sent),
            Self::ServerCpu => outcome.server.as_ref()?.cpu_us_per_request,
        })
    }

    fn show(self, figure: f64) -> String {
        match self {
            Self::Latency { .. } | Self::ServerCpu => format!("{figure:.0} µs"),
            Self::Rate => format!("{figure:.0} per second"),
            Self::Errors { share: true } | Self::Late { share: true } => format!("{figure:.3} %"),
            Self::Errors { .. } | Self::Late { .. } => format!("{figure:.0}"),
        }
    }

    /// Whether more of it is better.
    fn is_better_more(self) -> bool {
        self == Self::Rate
    }
}

impl Statistic {
    fn of(self, distribution: &Distribution) -> Option<f64> {
        if distribution.count == 0 {
            return None;
        }
        Some(match self {
            Self::Mean => distribution.mean,
            Self::Max => distribution.max,
            Self::Percentile(percent) => distribution.at(percent),
        })
    }
}

impl FromStr for Threshold {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let Some((name, limit)) = text.split_once(['>', '<']) else {
            return Err(format!(
                "'{text}' is no condition such as p99>2ms, rate<1000 or errors>1%"
            ));
        };
        let (figure, limit) = figure(name.trim(), limit.trim())?;
        let above = text.contains('>');
        Ok(Self { text: text.split_whitespace().collect(), figure, above, limit })
    }
}

impl FromStr for Promise {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parts = text.split(',').map(|part| {
            let Some((name, limit)) = part.split_once('=') else {
                return Err(format!("'{part}' is no promise such as p99=1ms"));
            };
            let (name, limit) = (name.trim(), limit.trim());
            let (figure, value) = figure(name, limit)?;
            let above = !figure.is_better_more();
            let text = format!("{name}{}{limit}", if above { '>' } else { '<' });
            Ok(Threshold { text, figure, above, limit: value })
        });
        Ok(Self { parts: parts.collect::<Result<_, _>>()?, text: text.to_owned() })
    }
}

/// The figure called `name`, and its limit in the figure's unit.
fn figure(name: &str, limit: &str) -> Result<(Figure, f64), String> {
    let (share, count) = match limit.strip_suffix('%') {
        Some(limit) => (true, limit.trim()),
        None => (false, limit),
    };
    match name {
        "rate" => number(limit).map(|limit| (Figure::Rate, limit)),
        "errors" => number(count).map(|limit| (Figure::Errors { share }, limit)),
        "late" => number(count).map(|limit| (Figure::Late { share }, limit)),
        "server-cpu" => micros(limit).map(|limit| (Figure::ServerCpu, limit)),
        _ => {
            let (raw, statistic) = match name.strip_prefix("raw-") {
                Some(statistic) => (true, statistic),
                None => (false, name),
            };
            let of = match statistic {
                "mean" => Statistic::Mean,
                "max" => Statistic::Max,
                _ => Statistic::Percentile(percentile(statistic).ok_or_else(|| {
                    format!(
                        "'{name}' is none of p50, p99, p99.9 and so on, mean, max (raw- before them: uncorrected), rate, \
                         errors, late, server-cpu"
                    )
                })?),
            };
            micros(limit).map(|limit| (Figure::Latency { of, raw }, limit))
        }
    }
}

fn percentile(text: &str) -> Option<f64> {
    let percent: f64 = text.strip_prefix('p')?.parse().ok()?;
    (0.0..=100.0).contains(&percent).then_some(percent)
}

fn number(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(number) if f64::is_finite(number) && number >= 0.0 => Ok(number),
        _ => Err(format!("'{text}' is no number from 0 on")),
    }
}

/// A time such as `1ms`, `250us`, `1.5s`.
fn micros(text: &str) -> Result<f64, String> {
    let units = [("us", 1.0), ("µs", 1.0), ("ms", 1e3), ("s", 1e6)];
    let parts = units.iter().find_map(|(unit, scale)| Some((text.strip_suffix(unit)?, scale)));
    let wrong = || format!("'{text}' is no time such as 250us, 2ms or 1.5s");
    let (count, scale) = parts.ok_or_else(wrong)?;
    number(count.trim()).map(|count| count * scale).map_err(|_| wrong())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::outcome::{Fault, Latency, Requests};

    fn outcome() -> Outcome {
        let distribution = |scale: f64| Distribution {
            count: 100,
            mean: 10.0 * scale,
            max: 900.0 * scale,
            curve: vec![
                (0.0, scale),
                (50.0, 9.0 * scale),
                (99.0, 100.0 * scale),
                (100.0, 900.0 * scale),
            ],
            ..Distribution::default()
        };
        Outcome {
            rate: 1000.0,
            latency: Latency { corrected: distribution(2.0), uncorrected: distribution(1.0) },
            requests: Requests {
                sent: 198,
                unsent: 2,
                late: 99,
                failed: [(Fault::Timeout, 2)].into(),
                ..Requests::default()
            },
            ..Outcome::default()
        }
    }

    #[test]
    fn conditions_that_fail_and_that_do_not() {
        for (text, measured, failed) in [
            ("p99>200us", 200.0, false),
            ("p99 > 0.199ms", 200.0, true),
            ("raw-p99>0.0001s", 100.0, false),
            ("raw-max>899us", 900.0, true),
            ("mean>20us", 20.0, false),
            ("rate<1000", 1000.0, false),
            ("rate<1001", 1000.0, true),
            ("errors>4", 4.0, false),
            ("errors>3", 4.0, true),
            ("errors>1.99%", 2.0, true),
            ("errors>2%", 2.0, false),
            ("late>49%", 50.0, true),
            ("server-cpu>1s", 0.0, true),
        ] {
            let judged = text.parse::<Threshold>().unwrap().judge(&outcome());
            assert_eq!((judged.measured, judged.failed), (measured, failed), "{text}");
        }
    }

    #[test]
    fn nothing_measured_keeps_no_promise() {
        let promise: Promise = "p99=1ms".parse().unwrap();
        assert_eq!(promise.broken_by(&outcome()), None);
        assert!(promise.broken_by(&Outcome::default()).is_some());
        let promise: Promise = "p99=1ms,rate=2000".parse().unwrap();
        assert_eq!(promise.broken_by(&outcome()).unwrap(), "rate was 1000 per second");
    }

    #[test]
    fn what_is_no_condition() {
        for bad in
            ["", "p99", "p99>", "p99>2", "p101>1ms", "px>1ms", "rate<x", "errors>-1", "foo>1"]
        {
            assert!(bad.parse::<Threshold>().is_err(), "{bad}");
        }
        for bad in ["", "p99", "p99>1ms", "p99=1", "p99=1ms,"] {
            assert!(bad.parse::<Promise>().is_err(), "{bad}");
        }
    }
}
