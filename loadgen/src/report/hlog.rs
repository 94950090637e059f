//! The latencies of every second as an HdrHistogram interval log, which HdrHistogram's own tools read: its plotter
//! (<https://hdrhistogram.github.io/HdrHistogramJSDemo/logparser.html>) and its `HistogramLogProcessor`.
//!
//! Values are nanoseconds; the greatest of an interval, which stands before its histogram, is in milliseconds, as these tools
//! have it. Each interval of an open loop is there twice, under the tags `corrected` and `uncorrected`. A closed loop is
//! corrected only when all is over, so its intervals are `uncorrected` alone.

use std::io::{self, Write};
use std::time::{Duration, SystemTime};

use hdrhistogram::Histogram;
use hdrhistogram::serialization::V2DeflateSerializer;
use hdrhistogram::serialization::interval_log::{IntervalLogWriterBuilder, Tag};

use crate::outcome::Pace;
use crate::tick::Tick;

/// By how much the greatest value is divided to be in milliseconds.
const MAX_DIVISOR: f64 = 1e6;

/// A log that grows each second. A run that is killed leaves the seconds it had.
pub struct Hlog<W: Write> {
    out: W,
    open: bool,
    serializer: V2DeflateSerializer,
}

impl<W: Write> Hlog<W> {
    /// Writes the head for a window that begins, or has begun, at `began`.
    ///
    /// # Errors
    /// What `out` says.
    pub fn new(mut out: W, began: SystemTime, pace: &Pace) -> io::Result<Self> {
        let mut serializer = V2DeflateSerializer::new();
        IntervalLogWriterBuilder::new()
            .add_comment("[Histogram log format version 1.3]")
            .add_comment("[Latencies in nanoseconds, written by grenache's loadgen]")
            .with_start_time(began)
            .with_base_time(began)
            .with_max_value_divisor(MAX_DIVISOR)
            .begin_log_with(&mut out, &mut serializer)?;
        out.flush()?;
        Ok(Self { out, open: matches!(pace, Pace::Open { .. }), serializer })
    }

    /// Writes a second, unless it is of the warm-up.
    ///
    /// # Errors
    /// What `out` says.
    pub fn tick(&mut self, tick: &Tick<'_>) -> io::Result<()> {
        if tick.warm_up {
            return Ok(());
        }
        let begin = length(tick.second.at);
        let long = length(tick.second.length);
        if self.open {
            self.interval("corrected", tick.corrected, begin, long)?;
        }
        self.interval("uncorrected", tick.uncorrected, begin, long)?;
        self.out.flush()
    }

    /// A writer of the crate borrows what it writes to and begins with its head. Only the interval is wanted here.
    fn interval(
        &mut self,
        tag: &'static str,
        latencies: &Histogram<u64>,
        begin: Duration,
        long: Duration,
    ) -> io::Result<()> {
        let mut text = Vec::new();
        IntervalLogWriterBuilder::new()
            .with_max_value_divisor(MAX_DIVISOR)
            .begin_log_with(&mut text, &mut self.serializer)?
            .write_histogram(latencies, begin, long, Tag::new(tag))
            .map_err(io::Error::other)?;
        let interval = text.split_inclusive(|byte| *byte == b'\n').next_back().unwrap_or_default();
        self.out.write_all(interval)
    }
}

impl<W: Write> std::fmt::Debug for Hlog<W> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Hlog").field("open", &self.open).finish_non_exhaustive()
    }
}

/// Seconds as a document has them; none are negative.
fn length(seconds: f64) -> Duration {
    Duration::try_from_secs_f64(seconds).unwrap_or_default()
}
