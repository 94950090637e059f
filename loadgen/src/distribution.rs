//! What a histogram says.

use hdrhistogram::Histogram;

use crate::outcome::Distribution;

/// The nines up to which the curve goes: 99.9999 %.
const NINES: u32 = 5;

impl Distribution {
    /// Of nanoseconds.
    pub(crate) fn of(histogram: &Histogram<u64>) -> Self {
        if histogram.is_empty() {
            return Self::default();
        }
        let micros = |nanos: u64| nanos as f64 / 1e3;
        let at = |percentile| micros(histogram.value_at_percentile(percentile));
        let curve = percentiles(histogram.len()).map(|percent| (percent, at(percent)));
        Self {
            count: histogram.len(),
            min: micros(histogram.min()),
            mean: histogram.mean() / 1e3,
            stddev: histogram.stdev() / 1e3,
            p50: at(50.0),
            p90: at(90.0),
            p99: at(99.0),
            p99_9: at(99.9),
            p99_99: at(99.99),
            max: micros(histogram.max()),
            curve: curve.collect(),
        }
    }
}

/// 0, 10 .. 90, 91 .. 99, 99.1 .. 99.9 and so on, as far as `count` values tell them apart, and 100.
fn percentiles(count: u64) -> impl Iterator<Item = f64> {
    let decades = (0..=NINES).flat_map(move |nines| {
        // In steps of a tenth of what the nines leave; whole numbers, so that 99.9 is 99.9.
        let scale = 10_u64.pow(nines);
        let steps = (0..=9).skip(usize::from(nines > 0)).map(move |step| {
            let percent = 100 * scale - 10 * (10 - step);
            (percent, scale)
        });
        steps.filter(move |(percent, scale)| {
            // So many are above.
            (100 * scale - percent) * count >= 100 * scale
        })
    });
    let decades = decades.map(|(percent, scale)| percent as f64 / scale as f64);
    decades.chain([100.0])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_curve_is_as_fine_as_there_are_values() {
        let of = |count| percentiles(count).collect::<Vec<_>>();
        assert_eq!(of(1), [0.0, 100.0]);
        assert_eq!(of(2), [0.0, 10.0, 20.0, 30.0, 40.0, 50.0, 100.0]);
        assert_eq!(
            of(1000)[18..],
            [99.0, 99.1, 99.2, 99.3, 99.4, 99.5, 99.6, 99.7, 99.8, 99.9, 100.0]
        );
        assert_eq!(of(u64::MAX / 1_000_000_000).len(), 10 + 9 * 5 + 1);
        assert!(of(1_000_000).windows(2).all(|pair| pair[0] < pair[1]));
    }

    #[test]
    fn figures_are_microseconds() {
        let mut histogram = crate::recorder::histogram();
        for millis in 1..=1000 {
            histogram.record(millis * 1_000_000).unwrap();
        }
        let of = Distribution::of(&histogram);
        let near = |a: f64, b: f64| (a / b - 1.0).abs() < 0.002;
        assert_eq!(of.count, 1000);
        for (figure, right) in [
            (of.min, 1e3),
            (of.p50, 500e3),
            (of.p99, 990e3),
            (of.p99_9, 999e3),
            (of.max, 1000e3),
            (of.at(99.9), 999e3),
            (of.at(99.05), 991e3),
            (of.at(100.0), 1000e3),
        ] {
            assert!(near(figure, right), "{figure} {right}");
        }
        assert_eq!(Distribution::of(&crate::recorder::histogram()), Distribution::default());
    }
}
