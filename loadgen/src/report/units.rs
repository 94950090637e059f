//! Numbers as people read them. Whatever is no number, or none that was measured, is a dash: no report says NaN.

use indicatif::{BinaryBytes, HumanCount, HumanFloatCount};

/// What stands where there is nothing to tell.
pub(super) const NOTHING: &str = "–";

/// The unit in which a document holds a figure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unit {
    Micros,
    PerSecond,
    Share,
    Bytes,
    Cpus,
}

impl Unit {
    /// `value` for people, with its unit.
    pub(super) fn show(self, value: f64) -> String {
        match self {
            _ if !value.is_finite() => NOTHING.into(),
            Self::Micros => micros(value),
            Self::PerSecond => format!("{}/s", number(value)),
            Self::Share => share(value),
            Self::Bytes => BinaryBytes(value as u64).to_string(),
            Self::Cpus => format!("{value:.2}"),
        }
    }
}

/// A latency of so many microseconds, with three digits that count. There is none of 0: nothing is that fast.
pub(super) fn micros(value: f64) -> String {
    if !value.is_finite() || value <= 0.0 {
        return NOTHING.into();
    }
    let (value, unit) = scaled(value);
    format!("{} {unit}", three_digits(value))
}

/// A latency as the label of a tick: without zeros that say nothing.
pub(super) fn micros_of_tick(value: f64) -> String {
    let (value, unit) = scaled(value);
    format!("{} {unit}", number(value))
}

fn scaled(micros: f64) -> (f64, &'static str) {
    if micros < 999.5 {
        (micros, "µs")
    } else if micros < 999_500.0 {
        (micros / 1e3, "ms")
    } else {
        (micros / 1e6, "s")
    }
}

/// A count, in groups of three digits.
pub(super) fn count(value: u64) -> String {
    HumanCount(value).to_string()
}

/// So many of what `one` of is called.
pub(super) fn several(value: usize, one: &str) -> String {
    format!("{} {one}{}", count(value as u64), if value == 1 { "" } else { "s" })
}

/// Any number in groups of three digits, with a fraction only if it is small.
pub(super) fn number(value: f64) -> String {
    if !value.is_finite() {
        NOTHING.into()
    } else if value.abs() >= 99.95 {
        HumanFloatCount(value.round()).to_string()
    } else {
        let text = three_digits(value);
        if text.contains('.') {
            text.trim_end_matches('0').trim_end_matches('.').into()
        } else {
            text
        }
    }
}

/// A share of 1 as a percentage. Neither nothing nor all is said of what is only near it.
pub(super) fn share(value: f64) -> String {
    let percent = value * 100.0;
    if !value.is_finite() {
        NOTHING.into()
    } else if percent > 0.0 && percent < 0.001 {
        "<0.001 %".into()
    } else if (99.95..100.0).contains(&percent) {
        format!("{:.3} %", (percent * 1e3).floor() / 1e3)
    } else {
        format!("{} %", number(percent))
    }
}

/// A ratio, by which figures of any size are compared.
pub(super) fn ratio(value: f64) -> String {
    if value.abs() < 99.995 && value.is_finite() { format!("{value:.2}") } else { number(value) }
}

/// So many seconds.
pub(super) fn seconds(value: f64) -> String {
    format!("{} s", number(value))
}

fn three_digits(value: f64) -> String {
    match value.abs() {
        0.0 => "0".into(),
        size if size < 0.9995 => format!("{value:.3}"),
        size if size < 9.995 => format!("{value:.2}"),
        size if size < 99.95 => format!("{value:.1}"),
        _ => format!("{value:.0}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn latencies_have_three_digits_and_the_unit_that_fits() {
        let cases = [
            (0.25, "0.250 µs"),
            (1.0, "1.00 µs"),
            (84.23, "84.2 µs"),
            (999.4, "999 µs"),
            (999.6, "1.00 ms"),
            (12_340.0, "12.3 ms"),
            (999_499.0, "999 ms"),
            (999_600.0, "1.00 s"),
            (61_000_000.0, "61.0 s"),
        ];
        for (value, text) in cases {
            assert_eq!(micros(value), text);
        }
    }

    #[test]
    fn large_numbers_are_grouped_and_small_ones_keep_their_fraction() {
        assert_eq!(number(1_234_567.8), "1,234,568");
        assert_eq!(number(99.97), "100");
        assert_eq!(number(12.5), "12.5");
        assert_eq!(number(12.0), "12");
        assert_eq!(number(0.0), "0");
        assert_eq!(count(5_472_930), "5,472,930");
        assert_eq!(Unit::PerSecond.show(182_431.2), "182,431/s");
        assert_eq!(Unit::Bytes.show(33_554_432.0), "32.00 MiB");
    }

    #[test]
    fn a_share_that_is_only_nearly_nothing_or_all_says_so() {
        assert_eq!(share(0.0), "0 %");
        assert_eq!(share(1e-7), "<0.001 %");
        assert_eq!(share(0.0123), "1.23 %");
        assert_eq!(share(0.999_999_9), "99.999 %");
        assert_eq!(share(1.0), "100 %");
    }

    #[test]
    fn what_is_no_number_is_a_dash() {
        for value in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
            for unit in [Unit::Micros, Unit::PerSecond, Unit::Share, Unit::Bytes, Unit::Cpus] {
                assert_eq!(unit.show(value), NOTHING);
            }
        }
        assert_eq!(micros(0.0), NOTHING);
    }
}
