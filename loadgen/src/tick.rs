//! What a run tells every second while it lasts.

use hdrhistogram::Histogram;

use crate::outcome::Second;

/// One second of a run. The histograms hold nanoseconds.
#[derive(Debug)]
pub struct Tick<'a> {
    /// It belongs to the warm-up: for the eye only, no report counts it.
    pub warm_up: bool,
    /// Its figures.
    pub second: &'a Second,
    /// Latencies of the answers that came in it, from the time at which their requests were to be sent. In a closed loop
    /// that is the time at which they were sent: what is corrected there is corrected when all is over.
    pub corrected: &'a Histogram<u64>,
    /// Latencies of the same answers, from the time at which their requests were sent.
    pub uncorrected: &'a Histogram<u64>,
}
