//! What one core notes while it makes load, second by second.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::ops::Range;
use std::time::Duration;

use hdrhistogram::Histogram;

use crate::outcome::Fault;
use crate::talk::{Broken, Heard, Verdict};

/// A request that leaves this much after its time is late.
pub(crate) const LATE: Duration = Duration::from_millis(1);

/// The longest latency told apart from longer ones.
const LONGEST: Duration = Duration::from_secs(3600);

/// A histogram of nanoseconds with three digits.
pub(crate) fn histogram() -> Histogram<u64> {
    Histogram::new_with_bounds(1, LONGEST.as_nanos() as u64, 3).expect("bounds in order")
}

/// What a core has noted since its last slice.
#[derive(Debug, Clone)]
pub(crate) struct Slice {
    pub(crate) corrected: Histogram<u64>,
    pub(crate) uncorrected: Histogram<u64>,
    pub(crate) counts: Counts,
    /// Now, not since: requests in flight, and connections.
    pub(crate) in_flight: u64,
    pub(crate) connections: u64,
    /// Of those in flight, requests of the window.
    pub(crate) measured: u64,
    /// Messages heard since the warm-up by the subscriber with the fewest and by that with the most, if there are any.
    pub(crate) extremes: Option<(u64, u64)>,
}

impl Slice {
    /// Nothing noted yet.
    pub(crate) fn new() -> Self {
        Self {
            corrected: histogram(),
            uncorrected: histogram(),
            counts: Counts::default(),
            in_flight: 0,
            connections: 0,
            measured: 0,
            extremes: None,
        }
    }
}

/// Counters of requests. All but `arrived`, `unasked` and `connect_failed` are of requests of the window.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    pub(crate) sent: u64,
    pub(crate) answered: u64,
    pub(crate) empty: u64,
    pub(crate) failed: BTreeMap<Fault, u64>,
    pub(crate) late: u64,
    pub(crate) unsent: u64,
    /// Requests that the generator itself took up late: its thread did not run in time.
    pub(crate) slept: u64,
    /// Right answers, and messages that nobody asked for, that arrived within the time of this slice.
    pub(crate) arrived: u64,
    /// Bytes of the messages among them that nobody asked for.
    pub(crate) heard_bytes: u64,
    pub(crate) unasked: u64,
    pub(crate) connected: u64,
    pub(crate) connect_failed: u64,
    pub(crate) examples: BTreeMap<Fault, String>,
}

impl Counts {
    pub(crate) fn add(&mut self, other: &Counts) {
        self.sent += other.sent;
        self.answered += other.answered;
        self.empty += other.empty;
        for (fault, count) in &other.failed {
            *self.failed.entry(*fault).or_default() += count;
        }
        self.late += other.late;
        self.unsent += other.unsent;
        self.slept += other.slept;
        self.arrived += other.arrived;
        self.heard_bytes += other.heard_bytes;
        self.unasked += other.unasked;
        self.connected += other.connected;
        self.connect_failed += other.connect_failed;
        for (fault, example) in &other.examples {
            self.examples.entry(*fault).or_insert_with(|| example.clone());
        }
    }
}

/// When a request was to be sent and when it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Times {
    pub(crate) intended: Duration,
    pub(crate) sent: Duration,
}

/// The notes of one core.
#[derive(Debug)]
pub(crate) struct Recorder {
    /// The time that is measured. What is before it is warm-up.
    window: Range<Duration>,
    slice: Slice,
    /// Messages that each lane has heard since the warm-up; none of a lane that does not listen.
    heard: Vec<Option<u64>>,
    /// When the last right answer came, or the last request of an open loop was due, or the run began.
    alive: Duration,
}

impl Recorder {
    pub(crate) fn new() -> Self {
        let slice = Slice::new();
        let window = Duration::MAX..Duration::MAX;
        Self { window, slice, heard: Vec::new(), alive: Duration::ZERO }
    }

    /// Sets the window.
    pub(crate) fn measure(&mut self, window: Range<Duration>) {
        self.alive = window.start;
        self.window = window;
    }

    /// Ends the window earlier than planned.
    pub(crate) fn cut(&mut self, end: Duration) {
        self.window.end = self.window.end.min(end);
    }

    fn is_measured(&self, intended: Duration) -> bool {
        self.window.contains(&intended)
    }

    pub(crate) fn sent(&mut self, times: Times) {
        self.slice.in_flight += 1;
        if self.is_measured(times.intended) {
            self.slice.counts.sent += 1;
            self.slice.measured += 1;
            self.slice.counts.late += u64::from(times.sent.saturating_sub(times.intended) > LATE);
        }
    }

    /// A request is over, rightly answered or not.
    pub(crate) fn over(&mut self, times: Times, now: Duration, verdict: Verdict) {
        let measured = self.is_measured(times.intended);
        let counts = &mut self.slice.counts;
        self.slice.in_flight -= 1;
        self.slice.measured -= u64::from(measured);
        match verdict {
            Verdict::Right | Verdict::Empty => {
                self.alive = now;
                counts.arrived += u64::from(now < self.window.end);
                counts.answered += u64::from(measured);
                counts.empty += u64::from(measured && verdict == Verdict::Empty);
                if measured || now < self.window.start {
                    let corrected = now.saturating_sub(times.intended).as_nanos() as u64;
                    let uncorrected = now.saturating_sub(times.sent).as_nanos() as u64;
                    self.slice.corrected.saturating_record(corrected);
                    self.slice.uncorrected.saturating_record(uncorrected);
                }
            }
            Verdict::Failed(fault, why) => {
                self.example(fault, why);
                if measured {
                    *self.slice.counts.failed.entry(fault).or_default() += 1;
                }
            }
        }
    }

    /// A lane listens.
    pub(crate) fn listens(&mut self, lane: usize) {
        if self.heard.len() <= lane {
            self.heard.resize(lane + 1, None);
        }
        self.heard[lane].get_or_insert(0);
    }

    /// A lane that listens has heard something.
    pub(crate) fn heard(&mut self, lane: usize, heard: Heard, now: Duration) {
        if now < self.window.end
            && let Some(Some(messages)) = self.heard.get_mut(lane)
        {
            self.slice.counts.arrived += heard.messages;
            self.slice.counts.heard_bytes += heard.bytes;
            *messages += heard.messages;
        }
    }

    /// What lanes have heard so far was warm-up.
    pub(crate) fn warmed_up(&mut self) {
        self.heard.iter_mut().flatten().for_each(|messages| *messages = 0);
    }

    /// A subscription has ended.
    pub(crate) fn lost(&mut self, now: Duration, broken: &Broken) {
        self.example(broken.fault, broken.why.clone());
        if self.is_measured(now) {
            *self.slice.counts.failed.entry(broken.fault).or_default() += 1;
        }
    }

    /// A request of an open loop is taken up, to be sent as soon as a connection has room.
    pub(crate) fn due(&mut self, intended: Duration, now: Duration) {
        self.alive = now;
        let slept = now.saturating_sub(intended) > LATE;
        self.slice.counts.slept += u64::from(slept && self.is_measured(intended));
    }

    /// A request of an open loop will not be sent any more.
    pub(crate) fn unsent(&mut self, intended: Duration) {
        self.slice.counts.unsent += u64::from(self.is_measured(intended));
    }

    pub(crate) fn unasked(&mut self) {
        self.slice.counts.unasked += 1;
    }

    pub(crate) fn connected(&mut self, now: Duration) {
        self.slice.connections += 1;
        self.slice.counts.connected += u64::from(self.is_measured(now));
    }

    pub(crate) fn disconnected(&mut self) {
        self.slice.connections -= 1;
    }

    pub(crate) fn connect_failed(&mut self, why: impl Into<Cow<'static, str>>) {
        self.slice.counts.connect_failed += 1;
        self.example(Fault::Connect, why.into());
    }

    fn example(&mut self, fault: Fault, why: Cow<'static, str>) {
        self.slice.counts.examples.entry(fault).or_insert_with(|| why.into_owned());
    }

    /// When the last right answer came, or the last request of an open loop was due; the begin of the window if none was.
    pub(crate) fn alive(&self) -> Duration {
        self.alive
    }

    /// Requests in flight.
    pub(crate) fn in_flight(&self) -> u64 {
        self.slice.in_flight
    }

    /// Connections, and the first failure in words.
    pub(crate) fn ready(&self) -> (u64, Option<String>) {
        let examples = &self.slice.counts.examples;
        (self.slice.connections, examples.values().next().cloned())
    }

    /// Gives what was noted since the last time, and begins anew.
    pub(crate) fn take(&mut self) -> Slice {
        let mut slice = self.slice.clone();
        let heard = || self.heard.iter().flatten().copied();
        slice.extremes = heard().min().zip(heard().max());
        self.slice.corrected.reset();
        self.slice.uncorrected.reset();
        self.slice.counts = Counts::default();
        slice
    }
}
