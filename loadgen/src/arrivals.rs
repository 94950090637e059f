//! When the requests of an open loop are to be sent.

use std::time::Duration;

use rand::SeedableRng;
use rand::rngs::StdRng;
use rand_distr::{Distribution, Exp1};

use crate::outcome::Arrivals;

/// The schedule of one core. It depends on the clock alone, never on answers.
#[derive(Debug)]
pub(crate) struct Schedule {
    start: Duration,
    /// Mean distance of two requests, s.
    gap: f64,
    arrivals: Arrivals,
    random: StdRng,
    /// Requests so far.
    count: u64,
    /// The first one and the next one, s after `start`.
    first: f64,
    next: f64,
}

impl Schedule {
    /// The share of core `core` of `cores` in `rate` requests per second from `start` on.
    pub(crate) fn new(
        start: Duration,
        rate: f64,
        arrivals: Arrivals,
        (core, cores): (usize, usize),
        seed: u64,
    ) -> Self {
        let gap = cores as f64 / rate;
        let mut schedule = Self {
            start,
            gap,
            arrivals,
            random: StdRng::seed_from_u64(seed),
            count: 0,
            // Fixed ones of several cores interleave.
            first: gap * core as f64 / cores as f64,
            next: gap * core as f64 / cores as f64,
        };
        if arrivals == Arrivals::Poisson {
            schedule.next = schedule.draw();
        }
        schedule
    }

    /// When the next request is to be sent.
    pub(crate) fn next(&self) -> Duration {
        self.start.saturating_add(seconds(self.next))
    }

    /// Takes the next request if it is due by `now`, and tells when it was.
    pub(crate) fn take(&mut self, now: Duration) -> Option<Duration> {
        let due = self.next();
        if due > now {
            return None;
        }
        self.count += 1;
        match self.arrivals {
            // Counted rather than added up, so that errors of rounding do not add up.
            Arrivals::Fixed => self.next = self.first + self.count as f64 * self.gap,
            Arrivals::Poisson => self.next += self.draw(),
        }
        Some(due)
    }

    fn draw(&mut self) -> f64 {
        let unit: f64 = Exp1.sample(&mut self.random);
        unit * self.gap
    }
}

/// A schedule that goes on for centuries has no next request.
fn seconds(seconds: f64) -> Duration {
    Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn times(mut schedule: Schedule, until: Duration) -> Vec<Duration> {
        std::iter::from_fn(|| schedule.take(until)).collect()
    }

    #[test]
    fn fixed_ones_keep_their_distance_and_cores_interleave() {
        let of = |core| Schedule::new(SECOND, 1000.0, Arrivals::Fixed, (core, 2), 1);
        let (even, odd) = (times(of(0), 2 * SECOND), times(of(1), 2 * SECOND));
        assert_eq!(even[..2], [SECOND, SECOND + Duration::from_millis(2)]);
        assert_eq!(odd[0], SECOND + Duration::from_millis(1));
        assert!((999..=1001).contains(&(even.len() + odd.len())), "{} {}", even.len(), odd.len());
    }

    #[test]
    fn a_long_schedule_does_not_drift() {
        let schedule = Schedule::new(Duration::ZERO, 3.0, Arrivals::Fixed, (0, 1), 1);
        let times = times(schedule, 100_000 * SECOND);
        let last = times[299_999].as_secs_f64();
        assert!((last - 299_999.0 / 3.0).abs() < 1e-6, "{last}");
    }

    #[test]
    fn poisson_has_the_rate_and_the_spread() {
        let schedule = Schedule::new(Duration::ZERO, 1000.0, Arrivals::Poisson, (0, 1), 7);
        let times = times(schedule, 100 * SECOND);
        assert!((99_000..101_000).contains(&times.len()), "{}", times.len());
        let gaps: Vec<f64> = times.windows(2).map(|w| (w[1] - w[0]).as_secs_f64()).collect();
        let mean = gaps.iter().sum::<f64>() / gaps.len() as f64;
        let variance = gaps.iter().map(|gap| (gap - mean).powi(2)).sum::<f64>() / gaps.len() as f64;
        // Of an exponential distribution the standard deviation is the mean.
        assert!((variance.sqrt() / mean - 1.0).abs() < 0.02, "{}", variance.sqrt() / mean);
    }

    #[test]
    fn the_seed_decides() {
        let of = |seed| {
            let schedule = Schedule::new(SECOND, 100.0, Arrivals::Poisson, (0, 1), seed);
            times(schedule, 3 * SECOND)
        };
        assert_eq!(of(1), of(1));
        assert_ne!(of(1), of(2));
    }
}
