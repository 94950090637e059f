//! Randomness of a core, and pauses that grow.

use std::cell::RefCell;
use std::time::Duration;

use grenache_engine::fill_random;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

/// A generator of one core, seeded by the engine: a draw costs no system call, and the simulator repeats it.
pub(crate) struct Random(RefCell<StdRng>);

impl Random {
    /// Needs to run on a core.
    pub(crate) fn new() -> Random {
        let mut seed = [0; 32];
        fill_random(&mut seed);
        Random(RefCell::new(StdRng::from_seed(seed)))
    }

    /// A number from 0 to below `bound`; 0 if there is none.
    pub(crate) fn below(&self, bound: usize) -> usize {
        if bound < 2 { 0 } else { self.0.borrow_mut().random_range(0..bound) }
    }

    /// A time around `mean`, evenly from `1 - spread` to `1 + spread` of it; `spread` is at most 1.
    pub(crate) fn around(&self, mean: Duration, spread: f64) -> Duration {
        let factor = self.0.borrow_mut().random_range(-1.0..=1.0_f64) * spread.clamp(0.0, 1.0);
        // Settings may be as long as a Duration can be.
        Duration::try_from_secs_f64(mean.as_secs_f64() * (1.0 + factor)).unwrap_or(Duration::MAX)
    }
}

/// Pauses between tries that double from one try to the next, each drawn between half of it and all of it, so that those
/// who failed together do not come back together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Backoff {
    /// The first pause, at most.
    pub first: Duration,
    /// No pause is longer than this.
    pub longest: Duration,
}

impl Backoff {
    /// Pauses from `first` to `longest`, in milliseconds.
    pub const fn from_millis(first: u64, longest: u64) -> Backoff {
        Backoff { first: Duration::from_millis(first), longest: Duration::from_millis(longest) }
    }

    /// The pause after so many failures in a row.
    pub(crate) fn pause(&self, failures: u32, random: &Random) -> Duration {
        let doublings = failures.saturating_sub(1).min(30);
        let full = self.first.saturating_mul(1 << doublings).min(self.longest);
        random.around(full.mul_f64(0.75), 1.0 / 3.0)
    }
}
