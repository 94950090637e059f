//! A publisher of the peer library that publishes at a rate, or as much as its subscribers take.

use std::io;
use std::net::SocketAddr;
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use grenache_engine::{DriverChoice, Idle, Pinning};
use grenache_peer::publish::{self, Publisher, Stats};
use grenache_peer::{Worker, worker};

use crate::failure::{Exit, Failure};
use crate::outcome::{
    Arrivals, Environment, Generator, Load, Outcome, Pace, Published, SCHEMA, Second, Server,
    Service,
};
use crate::process::{self, Usage};
use crate::recorder::histogram;
use crate::run::Interrupt;
use crate::tick::Tick;

/// Bytes that may wait for a subscriber at most, before what is oldest is dropped.
const HIGH_WATER: usize = 4 * 1024 * 1024;

/// Bytes that wait for a subscriber on average. One may be far behind the others before something is dropped.
const DEPTH: usize = 512 * 1024;

/// The most messages that are published before it is seen what has become of them.
const BATCH: usize = 16;

/// How long to rest while nothing may be published, and while subscribers are awaited.
const REST: Duration = Duration::from_micros(100);
const LONG_REST: Duration = Duration::from_millis(5);

/// What is published, and when.
#[derive(Debug, Clone, PartialEq)]
pub struct Publications {
    /// Where subscribers connect.
    pub listen: SocketAddr,
    /// What it is announced as, and to which grapes. Without any it is not announced.
    pub service: String,
    /// The API of each.
    pub grapes: Vec<String>,
    /// Bytes of a message.
    pub bytes: usize,
    /// The topic of all.
    pub topic: String,
    /// Messages per second; without it, as many as subscribers take.
    pub rate: Option<f64>,
    /// So many subscribers are awaited first.
    pub subscribers: u64,
    /// What is left out of the figures.
    pub warm_up: Duration,
    /// How long is measured.
    pub window: Duration,
    /// How input and output are done.
    pub driver: DriverChoice,
    /// What the core does while there is nothing to do.
    pub idle: Idle,
    /// Its CPU; any, if there is none.
    pub cpu: Option<usize>,
}

impl Publications {
    /// When messages are published.
    pub fn pace(&self) -> Pace {
        let open = |rate| Pace::Open { rate, arrivals: Arrivals::Fixed };
        self.rate.map_or(Pace::Closed, open)
    }
}

/// A publisher that is there to be listened to.
pub struct Publishing {
    publications: Publications,
    publisher: Publisher,
    worker: Worker,
}

impl Publishing {
    /// Opens it to subscribers. Nothing is published yet.
    ///
    /// # Errors
    /// The port is taken, or the engine does not start.
    pub fn start(publications: Publications) -> Result<Self, Failure> {
        let publisher = Publisher::new(publish::Config {
            high_water: HIGH_WATER,
            max_subscribers: usize::MAX,
            ..publish::Config::default()
        });
        let mut config = worker::Config {
            listen: publications.listen,
            grapes: publications.grapes.clone(),
            driver: publications.driver,
            idle: publications.idle,
            pinning: publications.cpu.map_or(Pinning::Off, Pinning::From),
            drain: Duration::ZERO,
            ..worker::Config::default()
        };
        config.server.max_connections = usize::MAX;
        let (service, attached) = (publications.service.clone(), publisher.clone());
        let worker = Worker::start(config, move |_, services| {
            services.publish(&service, &attached);
        });
        let worker = worker.map_err(|error| Failure::failed(error.to_string()))?;
        Ok(Self { publications, publisher, worker })
    }

    /// Where it listens.
    pub fn addr(&self) -> SocketAddr {
        self.worker.addr()
    }

    /// Awaits subscribers, publishes, and gives what came of it; `observe` is told of every second as it ends.
    ///
    /// # Errors
    /// It was interrupted before there were enough subscribers, or `observe` failed.
    pub fn run(
        &self,
        interrupt: &Interrupt,
        observe: &mut dyn FnMut(&Tick<'_>) -> io::Result<()>,
    ) -> Result<Outcome, Failure> {
        let Publications { bytes, rate, subscribers, warm_up, window, .. } = self.publications;
        let environment = Environment::read(None);
        while self.publisher.stats().listening < subscribers {
            if interrupt.is_interrupted() {
                let text = "interrupted before there were enough subscribers".to_owned();
                return Err(Failure { exit: Exit::Interrupted, text });
            }
            thread::sleep(LONG_REST);
        }
        let message = "x".repeat(bytes);
        let mut demand = match rate {
            Some(rate) => {
                Demand::Schedule { interval: Duration::from_secs_f64(1.0 / rate), sent: 0 }
            }
            None => Demand::Credit(Credit::new(bytes)),
        };
        let start = Instant::now();
        let mut count = Count::default();
        let mut window_began = None;
        let mut seconds = Vec::new();
        let (mut at, mut before) = (Duration::ZERO, count.marks(self, start));
        while at < warm_up + window && !interrupt.is_interrupted() {
            let warming_up = at < warm_up;
            if !warming_up && window_began.is_none() {
                window_began = Some((SystemTime::now(), before));
            }
            let end = if warming_up { warm_up } else { warm_up + window };
            let until = end.min(at + Duration::from_secs(1));
            while start.elapsed() < until && !interrupt.is_interrupted() {
                let left = until.saturating_sub(start.elapsed());
                match demand.due(start.elapsed(), &self.publisher) {
                    0 => thread::sleep(demand.rest(start.elapsed()).min(left)),
                    due => (0..due).for_each(|_| count.add(self.publish(&message))),
                }
            }
            let marks = count.marks(self, start);
            let length = (marks.at - before.at).as_secs_f64();
            let second = Second {
                at: before.at.saturating_sub(warm_up).as_secs_f64(),
                length,
                rate: (marks.published - before.published) as f64 / length,
                connections: marks.stats.listening,
                ..Second::default()
            };
            let none = histogram();
            let (corrected, uncorrected) = (&none, &none);
            observe(&Tick { warm_up: warming_up, second: &second, corrected, uncorrected })?;
            if !warming_up {
                seconds.push(second);
            }
            (at, before) = (until, marks);
        }
        let (began, first) = window_began.unwrap_or((SystemTime::now(), before));
        let (window_s, published) = (
            (before.at - first.at).as_secs_f64(),
            Published {
                messages: before.published - first.published,
                refused: before.refused - first.refused,
                subscribers: before.stats.listening,
                sent: before.stats.sent - first.stats.sent,
                dropped: before.stats.dropped - first.stats.dropped,
                disconnected: before.stats.disconnected - first.stats.disconnected,
            },
        );
        let per_second = |count: u64| if window_s > 0.0 { count as f64 / window_s } else { 0.0 };
        let cpu = before.usage.cpu.saturating_sub(first.usage.cpu).as_secs_f64();
        Ok(Outcome {
            schema: SCHEMA,
            began: humantime::format_rfc3339_millis(began).to_string(),
            environment,
            load: self.describe(published.subscribers),
            window_s,
            interrupted: interrupt.is_interrupted(),
            rate: per_second(published.messages),
            seconds,
            generator: Generator {
                driver: self.worker.driver().to_string(),
                idle: match self.publications.idle {
                    Idle::Park => "park".to_owned(),
                    Idle::Spin(patience) => format!("spin:{}", patience.as_micros()),
                },
                ..Generator::default()
            },
            server: Some(Server {
                pid: std::process::id(),
                cpu_us_per_request: match published.sent {
                    0 => 0.0,
                    sent => cpu * 1e6 / sent as f64,
                },
                busy: if window_s > 0.0 { cpu / window_s } else { 0.0 },
                resident: before.usage.resident,
            }),
            published: Some(published),
            ..Outcome::default()
        })
    }

    /// False if it was refused because too many wait; the topic was checked before.
    fn publish(&self, message: &str) -> bool {
        let topic = &self.publications.topic;
        match self.publications.rate {
            Some(_) => self.publisher.publish(topic, message).is_ok(),
            None => self.publisher.publish_blocking(topic, message).is_ok(),
        }
    }

    fn describe(&self, subscribers: u64) -> Load {
        let Publications { service, bytes, warm_up, .. } = &self.publications;
        Load {
            what: "pub".to_owned(),
            transport: "ws".to_owned(),
            targets: vec![self.addr().to_string()],
            services: vec![Service { name: service.clone(), weight: 1.0 }],
            payload: format!("{bytes} bytes"),
            pace: self.publications.pace(),
            connections: subscribers as usize,
            warm_up_s: warm_up.as_secs_f64(),
            cores: 1,
            ..Load::default()
        }
    }

    /// Ends it.
    ///
    /// # Errors
    /// A defect of the worker.
    pub fn stop(self) -> Result<(), Failure> {
        self.worker.stop();
        self.worker.join().map_err(|error| Failure::failed(error.to_string()))
    }
}

/// What was counted by a time.
#[derive(Clone, Copy)]
struct Marks {
    at: Duration,
    published: u64,
    refused: u64,
    stats: Stats,
    usage: Usage,
}

#[derive(Default)]
struct Count {
    published: u64,
    refused: u64,
}

impl Count {
    fn add(&mut self, published: bool) {
        *(if published { &mut self.published } else { &mut self.refused }) += 1;
    }

    fn marks(&self, publishing: &Publishing, start: Instant) -> Marks {
        let usage = process::usage(std::process::id());
        Marks {
            at: start.elapsed(),
            published: self.published,
            refused: self.refused,
            stats: publishing.publisher.stats(),
            usage: usage.unwrap_or(Usage { cpu: Duration::ZERO, resident: 0 }),
        }
    }
}

/// What may be published.
enum Demand {
    Schedule { interval: Duration, sent: u32 },
    Credit(Credit),
}

impl Demand {
    /// How many messages are due now.
    fn due(&mut self, now: Duration, publisher: &Publisher) -> usize {
        match self {
            Self::Schedule { interval, sent } if *interval * *sent <= now => {
                *sent += 1;
                1
            }
            Self::Schedule { .. } => 0,
            Self::Credit(credit) => credit.take(now, publisher.stats()),
        }
    }

    /// How long nothing will be.
    fn rest(&self, now: Duration) -> Duration {
        match self {
            Self::Schedule { interval, sent } => (*interval * *sent).saturating_sub(now),
            Self::Credit(_) => REST,
        }
    }
}

/// Keeps what waits for subscribers below what would be dropped, and above nothing. `flush` would wait for a subscriber that never
/// reads, and hold up the others.
struct Credit {
    /// Messages that may wait for a subscriber.
    depth: u64,
    /// Messages times the subscribers there were.
    offered: u64,
    /// What of it was sent or dropped, and since when that is so.
    over: u64,
    since: Duration,
}

impl Credit {
    /// What is not over after this time waits for subscribers that do not read.
    const PATIENCE: Duration = Duration::from_millis(50);

    fn new(bytes: usize) -> Self {
        let room = DEPTH / (bytes + 80);
        Self { depth: room.clamp(1, 1024) as u64, offered: 0, over: 0, since: Duration::ZERO }
    }

    fn take(&mut self, now: Duration, stats: Stats) -> usize {
        let over = stats.sent + stats.dropped;
        if over != self.over {
            (self.over, self.since) = (over, now);
        } else if now.saturating_sub(self.since) >= Self::PATIENCE {
            (self.offered, self.since) = (over, now);
        }
        let waits = self.offered.saturating_sub(over) / stats.listening.max(1);
        let count = self.depth.saturating_sub(waits).min(BATCH as u64);
        self.offered += count * stats.listening;
        if stats.listening == 0 { 0 } else { count as usize }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stats(listening: u64, sent: u64) -> Stats {
        Stats { listening, sent, ..Stats::default() }
    }

    #[test]
    fn no_more_is_published_than_subscribers_take() {
        let mut credit = Credit::new(100);
        let mut take = |millis, stats| credit.take(Duration::from_millis(millis), stats);
        let mut published = 0;
        while let count @ 1.. = take(0, stats(10, 0)) {
            published += count;
        }
        assert_eq!(published, 1024);
        assert_eq!(take(1, stats(10, 10 * 512)), BATCH);
        assert_eq!(take(1, stats(0, 10 * 512)), 0);
    }

    #[test]
    fn whoever_never_reads_holds_up_nobody_for_long() {
        let mut credit = Credit::new(100);
        let mut take = |millis| credit.take(Duration::from_millis(millis), stats(2, 100));
        while take(0) > 0 {}
        assert_eq!(take(40), 0);
        assert_eq!(take(50), BATCH);
    }
}
