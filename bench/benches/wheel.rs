//! The timer wheel by itself, which is told the time: what a timer costs with few and many others set.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Wake, Waker};
use std::time::Duration;

use criterion::{Bencher, BenchmarkId, Criterion, criterion_group, criterion_main};
use grenache_engine::wheel::Wheel;

/// Counts timers that fired.
#[derive(Default)]
struct Fired(AtomicU64);

impl Wake for Fired {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

fn wheel(c: &mut Criterion) {
    let mut group = c.benchmark_group("engine wheel");
    for outstanding in [10, 1000, 100_000] {
        let id = BenchmarkId::new("oldest timer cancelled, another set", outstanding);
        group.bench_function(id, |b| cancel_and_set(b, outstanding));
        let id = BenchmarkId::new("one timer fires, another set", outstanding);
        group.bench_function(id, |b| fire_and_set(b, outstanding));
    }
    group.finish();
}

fn cancel_and_set(b: &mut Bencher<'_>, outstanding: u32) {
    let fired = Arc::new(Fired::default());
    let waker = Waker::from(fired.clone());
    // Within about a minute, in no order.
    let deadline = |number: u64| {
        Duration::from_micros(number.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> (64 - 26))
    };
    let mut wheel = Wheel::new(Duration::ZERO);
    let mut set = 0;
    let mut next = || {
        set += 1;
        deadline(set)
    };
    let mut timers: Vec<_> =
        (0..outstanding).map(|_| wheel.insert(next(), waker.clone())).collect();
    let mut oldest = 0;
    b.iter(|| {
        wheel.cancel(timers[oldest]);
        timers[oldest] = wheel.insert(next(), waker.clone());
        oldest = if oldest + 1 < timers.len() { oldest + 1 } else { 0 };
    });
    wheel.advance(Duration::from_secs(100));
    let fired = fired.0.load(Ordering::Relaxed);
    assert_eq!(fired, u64::from(outstanding), "those that were not cancelled");
}

/// A millisecond passes in every iteration.
fn fire_and_set(b: &mut Bencher<'_>, outstanding: u32) {
    const TICK: Duration = Duration::from_millis(1);
    let fired = Arc::new(Fired::default());
    let waker = Waker::from(fired.clone());
    let mut now = Duration::ZERO;
    let mut wheel = Wheel::new(now);
    for number in 1..=outstanding {
        wheel.insert(TICK * number, waker.clone());
    }
    b.iter(|| {
        now += TICK;
        wheel.advance(now);
        wheel.insert(now + TICK * outstanding, waker.clone());
        wheel.next_deadline()
    });
    assert_eq!(u128::from(fired.0.load(Ordering::Relaxed)), now.as_millis(), "one every time");
}

criterion_group! {
    name = benches;
    config = Criterion::default()
        .sample_size(20)
        .warm_up_time(Duration::from_millis(300))
        .measurement_time(Duration::from_secs(1));
    targets = wheel
}
criterion_main!(benches);
