//! Pairs of a publisher and a subscriber over ZeroMQ, a process on a CPU each, and what windows of messages told of them.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use grenache_bench::client::Client;
use grenache_bench::load::{Outcome, call};
use grenache_bench::sample::{Sample, median};
use grenache_bench::server::{LOAD_CPU, Server};
use serde_json::{Value, json};

use crate::Plan;
use crate::publisher::Publisher;
use crate::report::Table;
use crate::ring::Ring;

/// Whose publisher or subscriber.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    Ours,
    Libzmq,
}

/// Who is paired.
#[derive(Clone, Copy)]
pub(crate) struct Setting<'a> {
    /// In the report.
    pub(crate) name: &'static str,
    /// What the publisher is announced as.
    pub(crate) service: &'static str,
    pub(crate) publisher: Side,
    pub(crate) subscriber: Side,
    /// The publisher's secret key, for CURVE; of ours alone.
    pub(crate) curve: Option<&'a str>,
}

/// A publisher and the only one who listens to it.
pub(crate) struct Feed {
    name: &'static str,
    publisher: Publisher,
    listening: Server,
    subscriber: Client,
}

impl Feed {
    /// Starts both; our subscriber finds the publisher on the ring.
    pub(crate) fn start(plan: &Plan, ring: &Ring, setting: Setting<'_>) -> io::Result<Self> {
        let curve = setting.curve.map(|key| ["--curve".to_owned(), key.to_owned()]);
        let curve = || curve.clone().into_iter().flatten();
        let publisher = match setting.publisher {
            Side::Ours => {
                Publisher::start(&plan.binaries.join("publisher"), &curve().collect::<Vec<_>>())
            }
            Side::Libzmq => Publisher::start(&plan.peer("libzmq")?, &["publisher".to_owned()]),
        }?;
        let announcement = json!({ "data": [setting.service, publisher.addr.port()] });
        let stored = call(ring.api, "/announce", &announcement.to_string())?;
        if stored != "1" {
            return Err(io::Error::other(format!("announce says {stored}")));
        }
        let (program, arguments): (PathBuf, Vec<String>) = match setting.subscriber {
            Side::Ours => {
                let who = [ring.api.to_string(), setting.service.to_owned()];
                (plan.binaries.join("subscriber"), who.into_iter().chain(curve()).collect())
            }
            Side::Libzmq => {
                (plan.peer("libzmq")?, vec!["subscriber".to_owned(), publisher.addr.to_string()])
            }
        };
        let (listening, subscriber) = Client::start(&LOAD_CPU.to_string(), &program, &arguments)?;
        Ok(Self { name: setting.name, publisher, listening, subscriber })
    }

    /// Has it publish messages of so many bytes as fast as they are taken. All have to be heard.
    pub(crate) fn measure(&mut self, plan: &Plan, ring: &Ring, bytes: usize) -> io::Result<Flow> {
        let Self { publisher, listening, subscriber, .. } = self;
        let mut heard = None;
        let helpers = [&*listening, &ring.tested, &ring.other];
        let sample = Sample::take(&publisher.server, &helpers, plan.times, |window| {
            let before = listening.cpu_time()?;
            publisher.client.order(&format!("feed {} {bytes}", window.as_millis()))?;
            let published = number(&publisher.client.answer()?, "published")?;
            let said = subscriber.answer()?;
            let outcome = Outcome {
                requests: number(&said, "heard")?,
                elapsed: Duration::from_nanos(number(&said, "elapsed")?),
                lost: published - number(&said, "heard")?.min(published),
            };
            if outcome.requests != published || published == 0 {
                let text = format!("{} of {published} messages were heard", outcome.requests);
                return Err(io::Error::other(text));
            }
            heard = Some((outcome, listening.cpu_time()?.saturating_sub(before)));
            Ok(outcome)
        });
        let named =
            |error: io::Error| io::Error::new(error.kind(), format!("{}: {error}", self.name));
        let publisher = sample.map_err(named)?;
        let (outcome, cpu) = heard.ok_or_else(|| io::Error::other("nothing was measured"))?;
        Ok(Flow {
            publisher,
            subscriber_cpu: cpu.as_secs_f64() * 1e6 / outcome.requests as f64,
            subscriber_busy: cpu.as_secs_f64() / outcome.elapsed.as_secs_f64(),
        })
    }
}

fn number(said: &Value, key: &str) -> io::Result<u64> {
    let number = said.get(key).and_then(Value::as_u64);
    number.ok_or_else(|| io::Error::other(format!("no {key} in {said}")))
}

/// What one window told. CPU times are per message, in µs.
pub(crate) struct Flow {
    pub(crate) publisher: Sample,
    pub(crate) subscriber_cpu: f64,
    subscriber_busy: f64,
}

/// The figures of several pairs, round by round.
#[derive(Default)]
pub(crate) struct Flows {
    pairs: Vec<(&'static str, Vec<Flow>)>,
}

impl Flows {
    pub(crate) fn push(&mut self, pair: &'static str, flow: Flow) {
        match self.pairs.iter_mut().find(|(name, _)| *name == pair) {
            Some((_, flows)) => flows.push(flow),
            None => self.pairs.push((pair, vec![flow])),
        }
    }

    fn of(&self, pair: &str) -> &[Flow] {
        self.pairs.iter().find(|(name, _)| *name == pair).map_or(&[], |(_, flows)| flows)
    }

    /// True when both have figures to compare.
    pub(crate) fn have(&self, pairs: [&str; 2]) -> bool {
        pairs.iter().all(|pair| !self.of(pair).is_empty())
    }

    /// The median over the rounds of `figure` of `pair` divided by that of `reference` in the same round.
    pub(crate) fn ratio(&self, pair: &str, reference: &str, of: impl Fn(&Flow) -> f64) -> f64 {
        median(self.of(pair).iter().zip(self.of(reference)).map(|(a, b)| of(a) / of(b)))
    }

    /// The medians, with ratios to those of `reference` in the same rounds.
    pub(crate) fn table(&self, title: &str, reference: &str) -> Table {
        let columns = vec![
            "messages/s",
            "to the first",
            "µs CPU/message, publisher",
            "to the first",
            "subscriber",
            "to the first",
            "publisher busy",
            "subscriber busy",
            "other load on the machine",
        ];
        let rows = self.pairs.iter().map(|(name, flows)| {
            let of = |figure: fn(&Flow) -> f64| median(flows.iter().map(figure));
            let to =
                |figure: fn(&Flow) -> f64| format!("{:.2}", self.ratio(name, reference, figure));
            let cells = vec![
                format!("{:.0}", of(|f| f.publisher.rate)),
                to(|f| f.publisher.rate),
                format!("{:.3}", of(|f| f.publisher.cpu)),
                to(|f| f.publisher.cpu),
                format!("{:.3}", of(|f| f.subscriber_cpu)),
                to(|f| f.subscriber_cpu),
                format!("{:.0} %", of(|f| f.publisher.busy) * 100.0),
                format!("{:.0} %", of(|f| f.subscriber_busy) * 100.0),
                format!("{:.0} %", of(|f| f.publisher.foreign) * 100.0),
            ];
            ((*name).to_owned(), cells)
        });
        let raw = self.pairs.iter().map(|(name, flows)| {
            let raw = flows.iter().map(|f| {
                json!({
                    "rate": f.publisher.rate, "cpu_us": f.publisher.cpu, "busy": f.publisher.busy,
                    "subscriber_cpu_us": f.subscriber_cpu, "subscriber_busy": f.subscriber_busy,
                    "foreign": f.publisher.foreign, "messages": f.publisher.requests,
                })
            });
            ((*name).to_owned(), Value::Array(raw.collect()))
        });
        Table::plain(title, columns, rows.collect(), Value::Object(raw.collect()))
    }
}
