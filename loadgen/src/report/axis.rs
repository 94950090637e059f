//! The axes of charts: how far they go, and what is said along them.

use std::ops::Range;

use plotters::coord::ranged1d::{
    KeyPointHint, KeyPointWeight, NoDefaultFormatting, Ranged, ValueFormatter,
};

use super::units::{micros_of_tick, number};

/// An axis. Points are given where they are on it, which on a logarithmic one is the logarithm of what it shows.
#[derive(Debug)]
pub(super) struct Axis {
    pub(super) name: String,
    range: Range<f64>,
    /// Where there are lines across the chart, and what is said there.
    ticks: Vec<(f64, String)>,
}

impl Axis {
    /// From 0 to `most`, such as a rate or a time.
    pub(super) fn linear(name: &str, most: f64) -> Self {
        let most = if most > 0.0 { most } else { 1.0 };
        let step = [1.0, 2.0, 5.0, 10.0]
            .map(|digit| digit * 10f64.powf((most / 8.0).log10().floor()))
            .into_iter()
            .find(|step| most / step <= 8.0)
            .unwrap_or(most);
        // Nobody misses a thousandth, but 30 at the end of 29.99 seconds.
        let near = most * 1.001;
        let ticks = (0..=8).map(|index| f64::from(index) * step).filter(|at| *at <= near);
        let ticks: Vec<_> = ticks.map(|at| (at, number(at))).collect();
        let end = ticks.last().map_or(most, |(at, _)| at.max(most));
        Self { name: name.into(), range: 0.0..end, ticks }
    }

    /// Latencies (µs), logarithmic, so that all of `values` have their place. Those that are not above 0 have none.
    pub(super) fn latencies(name: &str, values: impl Iterator<Item = f64>) -> Self {
        Self::logarithmic(name, values, micros_of_tick)
    }

    /// Rates, likewise.
    pub(super) fn rates(name: &str, values: impl Iterator<Item = f64>) -> Self {
        Self::logarithmic(name, values, number)
    }

    /// Where it begins and ends.
    pub(super) fn ends(&self) -> (f64, f64) {
        (self.range.start, self.range.end)
    }

    fn logarithmic(
        name: &str,
        values: impl Iterator<Item = f64>,
        label: fn(f64) -> String,
    ) -> Self {
        let values = values.filter(|value| *value > 0.0);
        let (least, most) =
            values.fold((f64::INFINITY, 0.0_f64), |(least, most), v| (least.min(v), most.max(v)));
        // From one of 1, 2, 5, 10, 20 .. below to another above.
        let all: Vec<f64> = (-3..=10)
            .flat_map(|decade| [1.0, 2.0, 5.0].map(|digit| digit * 10f64.powi(decade)))
            .collect();
        let low = all.iter().rposition(|value| *value <= least).unwrap_or(0);
        let high = all.iter().position(|value| *value > most).unwrap_or(all.len() - 1);
        let high = high.max(low + 1).min(all.len() - 1);
        let shown = &all[low.min(high - 1)..=high];
        let every = shown.len() <= 8;
        let is_decade = |value: f64| value.log10().round() - value.log10();
        let ticks = shown
            .iter()
            .filter(|value| every || is_decade(**value).abs() < 1e-9)
            .map(|value| (value.log10(), label(*value)));
        Self {
            name: name.into(),
            range: shown[0].log10()..shown[shown.len() - 1].log10(),
            ticks: ticks.collect(),
        }
    }

    /// Percentiles of up to `count` values, ever wider apart towards 100: see [`percentile`].
    pub(super) fn percentiles(name: &str, count: u64) -> Self {
        let end = percentile(100.0, count);
        let mut ticks = vec![(0.0, "0 %".into()), (percentile(50.0, count), "50 %".into())];
        let nines = (1..=9).map(|nines| 100.0 - 100.0 * 10f64.powi(-nines));
        ticks.extend(nines.zip(1_i32..).map(|(percent, nines)| {
            (f64::from(nines), format!("{percent:.*} %", usize::try_from(nines - 2).unwrap_or(0)))
        }));
        ticks.retain(|(at, _)| *at <= end);
        Self { name: name.into(), range: 0.0..end, ticks }
    }
}

/// To plotters an axis is whatever gives the places of values and of ticks.
impl Ranged for &Axis {
    type FormatOption = NoDefaultFormatting;
    type ValueType = f64;

    fn map(&self, value: &f64, (low, high): (i32, i32)) -> i32 {
        let share = (value - self.range.start) / (self.range.end - self.range.start);
        low + (f64::from(high - low) * share).round() as i32
    }

    fn key_points<Hint: KeyPointHint>(&self, hint: Hint) -> Vec<f64> {
        match hint.weight() {
            KeyPointWeight::Bold => self.ticks.iter().map(|(at, _)| *at).collect(),
            KeyPointWeight::Any => Vec::new(),
        }
    }

    fn range(&self) -> Range<f64> {
        self.range.clone()
    }
}

impl ValueFormatter<f64> for &Axis {
    fn format_ext(&self, at: &f64) -> String {
        self.ticks.iter().find(|tick| tick.0 == *at).map_or(String::new(), |tick| tick.1.clone())
    }
}

/// Where percentile `percent` of `count` values is on their axis: the logarithm of 1 in how many is beyond it, so that 90, 99 and
/// 99.9 are equally far apart. The last value of all stands where 1 in `count` is.
pub(super) fn percentile(percent: f64, count: u64) -> f64 {
    let end = (count.max(10) as f64).log10();
    let beyond = 1.0 - percent / 100.0;
    if beyond <= 0.0 { end } else { (-beyond.log10()).clamp(0.0, end) }
}

/// Where a value is on a logarithmic axis.
pub(super) fn logarithm(value: f64) -> f64 {
    value.log10()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(axis: &Axis) -> Vec<&str> {
        axis.ticks.iter().map(|(_, label)| label.as_str()).collect()
    }

    #[test]
    fn percentiles_go_as_far_as_there_are_values() {
        let axis = Axis::percentiles("", 100_000);
        assert_eq!(labels(&axis), ["0 %", "50 %", "90 %", "99 %", "99.9 %", "99.99 %", "99.999 %"]);
        assert_eq!(percentile(100.0, 100_000), 5.0);
        assert_eq!(percentile(99.9999, 100_000), 5.0);
        assert!((percentile(99.9, 100_000) - 3.0).abs() < 1e-9);
        assert_eq!(labels(&Axis::percentiles("", 1)), ["0 %", "50 %", "90 %"]);
    }

    #[test]
    fn latencies_have_a_place_whatever_they_are() {
        let axis = Axis::latencies("", [84.0, 1_300.0].into_iter());
        assert_eq!(labels(&axis), ["50 µs", "100 µs", "200 µs", "500 µs", "1 ms", "2 ms"]);
        for values in [vec![], vec![1e-9], vec![1e12], vec![1.0], vec![1e-9, 1e12], vec![0.3, 7e6]]
        {
            let axis = Axis::latencies("", values.iter().copied());
            assert!(axis.range.start < axis.range.end, "{values:?}: {:?}", axis.range);
            assert!(axis.ticks.len() >= 2, "{values:?}");
        }
    }

    #[test]
    fn a_linear_axis_has_round_ticks() {
        let thirty = ["0", "5", "10", "15", "20", "25", "30"];
        assert_eq!(labels(&Axis::linear("", 30.0)), thirty);
        assert_eq!(labels(&Axis::linear("", 29.99)), thirty);
        assert_eq!(labels(&Axis::linear("", 182_431.0)), ["0", "50,000", "100,000", "150,000"]);
        for most in [0.0, 0.4, 1.0, 61.0, f64::NAN] {
            let axis = Axis::linear("", most);
            assert!(axis.ticks.len() >= 2, "{most}");
        }
    }
}
