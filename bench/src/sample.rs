//! One measurement of one server, and what several of them say together.

use std::io;
use std::thread::sleep;
use std::time::{Duration, Instant};

use crate::load::Outcome;
use crate::server::{Server, cpus};

/// What a server needed for the load of one window.
#[derive(Clone, Copy, Debug)]
pub struct Sample {
    /// CPU time of the server per request, µs.
    pub cpu: f64,
    /// Requests answered per second.
    pub rate: f64,
    /// Share of the window in which the server ran: near 1 it is the server that limits the rate.
    pub busy: f64,
    /// Share of the machine's CPUs that went to other processes than the server and the load.
    pub foreign: f64,
    /// Requests answered.
    pub requests: u64,
}

/// How long to load a server before and while it is measured.
#[derive(Clone, Copy, Debug)]
pub struct Times {
    /// Left out of the figures.
    pub warm_up: Duration,
    /// Measured.
    pub window: Duration,
    /// How often to measure again when the machine was busy with something else.
    pub retries: usize,
}

/// From this share of the machine on, other work spoils a sample.
pub const DISTURBED: f64 = 0.05;

impl Sample {
    /// Warms `server` up, then measures it for a window.
    pub fn take(
        server: &Server,
        helpers: &[&Server],
        times: Times,
        load: impl FnMut(Duration) -> io::Result<Outcome>,
    ) -> io::Result<Self> {
        Self::of_all(&[server], helpers, times, load)
    }

    /// The same for several servers that one load is for; their CPU time is added up.
    pub fn of_all(
        servers: &[&Server],
        helpers: &[&Server],
        times: Times,
        mut load: impl FnMut(Duration) -> io::Result<Outcome>,
    ) -> io::Result<Self> {
        load(times.warm_up)?;
        let (before, foreign_before) = (settled(servers)?, foreign(servers, helpers)?);
        let start = Instant::now();
        let outcome = load(times.window)?;
        let elapsed = start.elapsed();
        let (after, foreign_after) = (settled(servers)?, foreign(servers, helpers)?);
        let cpu = (after - before).as_secs_f64();
        Ok(Self {
            cpu: cpu * 1e6 / outcome.requests as f64,
            rate: outcome.requests as f64 / outcome.elapsed.as_secs_f64(),
            busy: cpu / elapsed.as_secs_f64(),
            foreign: foreign_after.saturating_sub(foreign_before).as_secs_f64()
                / elapsed.as_secs_f64()
                / cpus()? as f64,
            requests: outcome.requests,
        })
    }
}

/// The CPU time of servers that have no request left. The kernel adds a thread's time up when it stops running, so they
/// are given a moment to park first.
fn settled(servers: &[&Server]) -> io::Result<Duration> {
    sleep(Duration::from_millis(2));
    servers.iter().map(|server| server.cpu_time()).sum()
}

/// CPU time so far of everything on this machine but `servers`, `helpers` and ourselves.
fn foreign(servers: &[&Server], helpers: &[&Server]) -> io::Result<Duration> {
    let stat = std::fs::read_to_string("/proc/stat")?;
    let mut fields = stat
        .lines()
        .next()
        .unwrap_or_default()
        .split_whitespace()
        .skip(1)
        .map(|field| field.parse::<u64>().unwrap_or(0));
    // user nice system idle iowait irq softirq steal (proc_stat(5)), in hundredths of a second.
    let mut field = || fields.next().unwrap_or(0);
    let (user, nice, system, _idle, _iowait, irq, softirq, steal) =
        (field(), field(), field(), field(), field(), field(), field(), field());
    let all = Duration::from_millis(10 * (user + nice + system + irq + softirq + steal));
    let own = std::fs::read_to_string("/proc/self/schedstat")?;
    let own = Duration::from_nanos(
        own.split(' ').next().and_then(|field| field.parse().ok()).unwrap_or(0),
    );
    let mut ours = own;
    for process in servers.iter().chain(helpers) {
        ours += process.cpu_time()?;
    }
    Ok(all.saturating_sub(ours))
}

/// The middle value; the mean of the two middle ones when there is an even number. NaN of nothing.
pub fn median(values: impl IntoIterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.into_iter().collect();
    values.sort_by(f64::total_cmp);
    match values.len() {
        0 => f64::NAN,
        count if count % 2 == 1 => values[count / 2],
        count => f64::midpoint(values[count / 2 - 1], values[count / 2]),
    }
}

/// The samples of several systems, round by round.
#[derive(Debug, Default)]
pub struct Series {
    systems: Vec<(String, Vec<Sample>)>,
}

impl Series {
    /// Adds the next round's sample of `system`.
    pub fn push(&mut self, system: &str, sample: Sample) {
        match self.systems.iter_mut().find(|(name, _)| name == system) {
            Some((_, samples)) => samples.push(sample),
            None => self.systems.push((system.to_owned(), vec![sample])),
        }
    }

    /// All systems in the order of their first sample.
    pub fn systems(&self) -> impl Iterator<Item = (&str, &[Sample])> {
        self.systems.iter().map(|(name, samples)| (name.as_str(), samples.as_slice()))
    }

    /// The samples of `system`, none when it was left out.
    pub fn of(&self, system: &str) -> &[Sample] {
        self.systems.iter().find(|(name, _)| name == system).map_or(&[], |(_, samples)| samples)
    }

    /// The median of `figure` over the rounds of `system`.
    pub fn median(&self, system: &str, figure: impl Fn(&Sample) -> f64) -> f64 {
        median(self.of(system).iter().map(figure))
    }

    /// The median over the rounds of `figure` of `system` divided by that of `reference` in the same round.
    pub fn ratio(&self, system: &str, reference: &str, figure: impl Fn(&Sample) -> f64) -> f64 {
        median(self.of(system).iter().zip(self.of(reference)).map(|(a, b)| figure(a) / figure(b)))
    }

    /// Of `candidates`, the one with the least CPU per request.
    pub fn best<'a>(&self, candidates: &[&'a str]) -> Option<&'a str> {
        let measured = candidates.iter().copied().filter(|name| !self.of(name).is_empty());
        measured.min_by(|a, b| self.median(a, |s| s.cpu).total_cmp(&self.median(b, |s| s.cpu)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_ignores_one_wild_round() {
        assert_eq!(median([1.0, 1000.0, 2.0]), 2.0);
        assert_eq!(median([4.0, 1.0, 2.0, 3.0]), 2.5);
        assert!(median([]).is_nan());
    }

    #[test]
    fn ratios_pair_samples_of_one_round() {
        let sample = |cpu| Sample { cpu, rate: 0.0, busy: 0.0, foreign: 0.0, requests: 0 };
        let mut series = Series::default();
        for (a, b) in [(1.0, 2.0), (30.0, 60.0), (2.0, 4.0)] {
            series.push("a", sample(a));
            series.push("b", sample(b));
        }
        assert_eq!(series.ratio("a", "b", |s| s.cpu), 0.5);
        assert_eq!(series.best(&["b", "a", "absent"]), Some("a"));
    }
}
