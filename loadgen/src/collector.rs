//! Puts together what the cores of a run tell, and says what was found.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use grenache_engine::Idle;
use hdrhistogram::Histogram;

use crate::core::{Part, Phase};
use crate::outcome::{
    Distribution, Environment, Generator, Heard, Latency, Load, Outcome, Pace, Requests, SCHEMA,
    Second, Server,
};
use crate::plan::{End, Plan};
use crate::process::Usage;
use crate::recorder::{Counts, Slice};
use crate::tick::Tick;
use crate::what::What;

/// From this share of the window on, a core of the generator is the bottleneck.
const BUSY: f64 = 0.9;

/// From this share of requests on, being late is worth a word.
const MANY_LATE: f64 = 0.01;

/// What the cores have told of the same second.
pub(crate) struct Merged {
    slice: Slice,
    second: Second,
    phase: Phase,
}

impl Merged {
    pub(crate) fn tick(&self) -> Tick<'_> {
        Tick {
            warm_up: self.phase == Phase::WarmUp,
            second: &self.second,
            corrected: &self.slice.corrected,
            uncorrected: &self.slice.uncorrected,
        }
    }
}

/// Puts together what the cores tell.
pub(crate) struct Collector {
    load: Load,
    /// When the window began, for people.
    began: SystemTime,
    open: bool,
    idle: Idle,
    server_pid: Option<u32>,
    /// Of a run that listens: connections that read nothing.
    listens: Option<usize>,
    /// Requests that were to be sent, if they were counted.
    wanted: Option<u64>,
    /// Seconds that not all cores have told of.
    waiting: BTreeMap<(Phase, Duration), Vec<Part>>,
    /// What each core has told of last.
    last: Vec<Option<(Phase, Duration)>>,
    cores: Vec<CoreUse>,
    server: Edges<Usage>,
    total: Slice,
    window: Edges<Duration>,
    seconds: Vec<Second>,
}

/// A figure at the begin of the window and at its end.
#[derive(Clone, Copy)]
struct Edges<T> {
    begin: Option<T>,
    end: Option<T>,
}

impl<T> Default for Edges<T> {
    fn default() -> Self {
        Self { begin: None, end: None }
    }
}

impl<T: Copy> Edges<T> {
    /// Notes a figure at the end of a slice of `phase`.
    fn note(&mut self, phase: Phase, figure: T) {
        match phase {
            Phase::WarmUp => self.begin = Some(figure),
            Phase::Window => self.end = Some(figure),
            Phase::Drain => {}
        }
    }

    fn both(self) -> Option<(T, T)> {
        Some((self.begin?, self.end?))
    }
}

/// The time, CPU time of a core's thread, and time in which it had nothing to do.
type CoreUse = Edges<(Duration, Duration, Duration)>;

impl Collector {
    pub(crate) fn new(plan: &Plan) -> Self {
        Self {
            load: plan.describe(),
            began: SystemTime::now(),
            open: matches!(plan.pace, Pace::Open { .. }),
            idle: plan.idle,
            server_pid: plan.server_pid,
            listens: match plan.what {
                What::Listen { stalled, .. } => Some(stalled),
                _ => None,
            },
            wanted: match plan.end {
                End::After(_) => None,
                End::Requests(all) => Some(all),
            },
            waiting: BTreeMap::new(),
            last: vec![None; plan.cores],
            cores: vec![CoreUse::default(); plan.cores],
            server: Edges::default(),
            total: Slice::new(),
            window: Edges::default(),
            seconds: Vec::new(),
        }
    }

    /// Tells when the window begins, for people.
    pub(crate) fn begin(&mut self, at: SystemTime) {
        self.began = at;
    }

    pub(crate) fn is_done(&self) -> bool {
        self.last.iter().all(|last| matches!(last, Some((Phase::Drain, _))))
    }

    /// Takes what a core tells, and gives the seconds that all cores have told of by now.
    pub(crate) fn take(&mut self, core: usize, part: Part) -> Vec<Merged> {
        let key = (part.phase, part.began);
        self.last[core] = Some(key);
        self.cores[core].note(part.phase, (part.ended, part.cpu, part.idle));
        if let Some(usage) = part.server {
            self.server.note(part.phase, usage);
        }
        self.waiting.entry(key).or_default().push(part);
        // None is less than anything.
        let told = self.last.iter().min().copied().flatten();
        let mut merged = Vec::new();
        while let Some(first) = self.waiting.first_entry()
            && told.is_some_and(|told| *first.key() <= told || told.0 == Phase::Drain)
        {
            let (_, parts) = first.remove_entry();
            if let Some(one) = self.merge(parts) {
                merged.push(one);
            }
        }
        merged
    }

    /// Adds up what the cores have told of a second. None if there is nothing to show.
    fn merge(&mut self, parts: Vec<Part>) -> Option<Merged> {
        let mut parts = parts.into_iter();
        let Part { mut slice, phase, began, mut ended, .. } = parts.next()?;
        for other in parts {
            add(&mut slice, &other.slice);
            slice.in_flight += other.slice.in_flight;
            slice.connections += other.slice.connections;
            slice.measured += other.slice.measured;
            slice.extremes = extremes(slice.extremes, other.slice.extremes);
            ended = ended.max(other.ended);
        }
        let length = ended.saturating_sub(began).as_secs_f64();
        match phase {
            Phase::WarmUp => {
                self.window.begin = Some(ended);
                // Requests of the window's first moment may be counted here already; answers belong to the time of the slice.
                let arrived = std::mem::take(&mut slice.counts.arrived);
                slice.counts.heard_bytes = 0;
                self.total.counts.add(&slice.counts);
                slice.counts.arrived = arrived;
            }
            Phase::Window => {
                self.window.end = Some(self.window.end.map_or(ended, |end| end.max(ended)));
                add(&mut self.total, &slice);
                self.total.extremes = slice.extremes;
            }
            Phase::Drain => {
                let Counts { arrived, heard_bytes, .. } = self.total.counts;
                add(&mut self.total, &slice);
                self.total.counts.arrived = arrived;
                self.total.counts.heard_bytes = heard_bytes;
                self.total.measured += slice.measured;
            }
        }
        if phase == Phase::Drain || length <= 0.0 {
            return None;
        }
        let shown = if self.open { &slice.corrected } else { &slice.uncorrected };
        let micros = |percentile| match shown.is_empty() {
            true => 0.0,
            false => shown.value_at_percentile(percentile) as f64 / 1e3,
        };
        let begin = self.window.begin.unwrap_or(began);
        let second = Second {
            at: began.saturating_sub(begin).as_secs_f64(),
            length,
            rate: slice.counts.arrived as f64 / length,
            failed: slice.counts.failed.values().sum(),
            late: slice.counts.late + slice.counts.unsent,
            in_flight: slice.in_flight,
            connections: slice.connections,
            p50: micros(50.0),
            p99: micros(99.0),
            max: micros(100.0),
        };
        if phase == Phase::Window {
            self.seconds.push(second.clone());
        }
        Some(Merged { slice, second, phase })
    }

    pub(crate) fn outcome(
        self,
        environment: Environment,
        driver: String,
        interrupted: bool,
    ) -> Outcome {
        let window = self.window.both().map(|(begin, end)| end.saturating_sub(begin));
        let window_s = window.unwrap_or_default().as_secs_f64();
        let Counts { sent, answered, empty, late, unsent, slept, arrived, unasked, .. } =
            self.total.counts;
        let per_second = |count: u64| if window_s > 0.0 { count as f64 / window_s } else { 0.0 };
        let per_request = |time: Duration| match arrived {
            0 => 0.0,
            arrived => time.as_secs_f64() * 1e6 / arrived as f64,
        };
        let share =
            |time: Duration| if window_s > 0.0 { time.as_secs_f64() / window_s } else { 0.0 };
        let uncorrected = &self.total.uncorrected;
        let corrected = if self.open || uncorrected.is_empty() {
            Distribution::of(&self.total.corrected)
        } else {
            let interval = uncorrected.value_at_percentile(50.0);
            Distribution::of(&uncorrected.clone_correct(interval))
        };
        // Time in which it had nothing to do is exact while it spins, CPU time while it parks: in the kernel it then also works.
        let used = self.cores.iter().filter_map(|core| {
            let ((time, cpu, idle), (time_then, cpu_then, idle_then)) = core.both()?;
            let cpu = cpu_then.saturating_sub(cpu);
            let active =
                time_then.saturating_sub(time).saturating_sub(idle_then.saturating_sub(idle));
            Some(match self.idle {
                Idle::Park => (cpu, cpu),
                Idle::Spin(_) => (active, cpu.min(active)),
            })
        });
        let used: Vec<(Duration, Duration)> = used.collect();
        let server = self.server.both().zip(self.server_pid).map(|((before, after), pid)| {
            let cpu = after.cpu.saturating_sub(before.cpu);
            Server {
                pid,
                cpu_us_per_request: per_request(cpu),
                busy: share(cpu),
                resident: after.resident,
            }
        });
        let heard = self.listens.map(|stalled| {
            let (fewest, most) = self.total.extremes.unwrap_or_default();
            let bytes = self.total.counts.heard_bytes;
            Heard { stalled, messages: arrived, bytes, byte_rate: per_second(bytes), fewest, most }
        });
        let busy = share(used.iter().map(|(active, _)| *active).max().unwrap_or_default());
        let mut outcome = Outcome {
            schema: SCHEMA,
            began: humantime::format_rfc3339_millis(self.began).to_string(),
            environment,
            load: self.load,
            window_s,
            interrupted,
            requests: Requests {
                sent,
                answered,
                empty,
                failed: self.total.counts.failed,
                abandoned: self.total.measured,
                late,
                unsent,
                unasked,
                connections: self.total.counts.connected,
                connect_failed: self.total.counts.connect_failed,
                examples: self.total.counts.examples,
            },
            rate: per_second(arrived),
            latency: Latency { corrected, uncorrected: Distribution::of(uncorrected) },
            seconds: self.seconds,
            generator: Generator {
                driver,
                idle: match self.idle {
                    Idle::Park => "park".to_owned(),
                    Idle::Spin(patience) => format!("spin:{}", patience.as_micros()),
                },
                cpu_us_per_request: per_request(used.iter().map(|(_, cpu)| *cpu).sum()),
                busy,
                ..Generator::default()
            },
            server,
            heard,
            ..Outcome::default()
        };
        if let Some(wanted) = self.wanted.filter(|wanted| sent < *wanted && !interrupted) {
            outcome.notes.push(format!(
                "given up after {sent} of {wanted} requests: nothing was answered any more"
            ));
        }
        remark(&mut outcome, slept);
        outcome
    }
}

/// The least and the greatest of both.
fn extremes(one: Option<(u64, u64)>, other: Option<(u64, u64)>) -> Option<(u64, u64)> {
    match (one, other) {
        (Some((least, most)), Some((less, more))) => Some((least.min(less), most.max(more))),
        _ => one.or(other),
    }
}

/// Adds counts and latencies, not what is a state rather than a count.
fn add(to: &mut Slice, slice: &Slice) {
    let same = |to: &mut Histogram<u64>, of: &Histogram<u64>| {
        to.add(of).expect("histograms with the same bounds");
    };
    same(&mut to.corrected, &slice.corrected);
    same(&mut to.uncorrected, &slice.uncorrected);
    to.counts.add(&slice.counts);
}

/// Says what a reader should know before using the figures.
/// Of the requests of an open loop, `slept` were taken up late.
fn remark(outcome: &mut Outcome, slept: u64) {
    let Outcome { requests, generator, load, notes, .. } = outcome;
    if generator.busy > BUSY {
        generator.limited.push(format!(
            "a core of the generator was busy for {:.0} % of the window: give it more --cores, or less to do",
            generator.busy * 100.0
        ));
    }
    let due = requests.sent + requests.unsent;
    let late = requests.late + requests.unsent;
    let share = |part: u64| if due == 0 { 0.0 } else { part as f64 / due as f64 };
    if share(slept) > MANY_LATE {
        generator.limited.push(format!(
            "{:.1} % of the requests were due while the generator's thread did not run for a millisecond or more: its CPU was \
             busy with something else, or it with too much",
            share(slept) * 100.0
        ));
    } else if share(late) > MANY_LATE {
        let all = load.connections * load.in_flight;
        notes.push(format!(
            "{:.1} % of the requests could not leave within a millisecond of their time: at most {all} may be in flight \
             (--connections x --in-flight). Read the corrected latencies; they count from the time each was to be sent.",
            share(late) * 100.0
        ));
    }
    if requests.connect_failed > 0 {
        notes.push(format!("{} attempts to connect failed", requests.connect_failed));
    }
    if load.what == "dht announce_peer" && requests.sent == 0 {
        notes
            .push("the node has given no token, without which nothing can be announced".to_owned());
    }
    if requests.answered > 0 && requests.empty == requests.answered {
        notes.push("every answer was empty: nothing was found".to_owned());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is remarked of 1,000 requests of which so many were late, with a generator that was busy for this share.
    fn remarks(busy: f64, late: u64, slept: u64) -> (usize, usize) {
        let mut outcome = Outcome {
            requests: Requests { sent: 1000, answered: 1000, late, ..Requests::default() },
            generator: Generator { busy, ..Generator::default() },
            ..Outcome::default()
        };
        remark(&mut outcome, slept);
        (outcome.generator.limited.len(), outcome.notes.len())
    }

    #[test]
    fn a_generator_that_was_the_limit_is_told_of() {
        assert_eq!(remarks(0.5, 0, 0), (0, 0));
        assert_eq!(remarks(0.95, 0, 0), (1, 0));
        // Late since the thread did not run, and late since nobody had room.
        assert_eq!(remarks(0.5, 100, 100), (1, 0));
        assert_eq!(remarks(0.5, 100, 0), (0, 1));
        assert_eq!(remarks(0.95, 100, 100), (2, 0));
    }

    #[test]
    fn what_cores_leave_in_flight_adds_up() {
        let plan = crate::tests::plan();
        let mut collector = Collector::new(&Plan { cores: 2, ..plan });
        for (core, began) in [(0, 10), (1, 11)] {
            let mut recorder = crate::recorder::Recorder::new();
            recorder.measure(Duration::ZERO..Duration::MAX);
            for _ in 0..8 {
                let at = Duration::from_secs(1);
                recorder.sent(crate::recorder::Times { intended: at, sent: at });
            }
            let part = Part {
                slice: recorder.take(),
                phase: Phase::Drain,
                began: Duration::from_secs(began),
                ended: Duration::from_secs(began),
                cpu: Duration::ZERO,
                idle: Duration::ZERO,
                server: None,
            };
            collector.take(core, part);
        }
        let outcome = collector.outcome(Environment::default(), String::new(), true);
        assert_eq!((outcome.requests.sent, outcome.requests.abandoned), (16, 16));
    }
}
