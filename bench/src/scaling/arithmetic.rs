use std::hint::black_box;
use std::time::{Duration, Instant};

use super::Count;

/// Steps of one piece of work: some 10 µs.
const STEPS: u64 = 10_000;

/// Computes for `time`, in registers alone. A piece of work counts as a request.
pub(super) fn run(time: Duration) -> Count {
    let start = Instant::now();
    let mut count = Count::default();
    let mut state = black_box(0x9e37_79b9_7f4a_7c15_u64);
    while start.elapsed() < time {
        for _ in 0..STEPS {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
        }
        state = black_box(state);
        count.answered += 1;
    }
    count.elapsed = start.elapsed();
    count
}
