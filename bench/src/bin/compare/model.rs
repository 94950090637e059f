//! What two cores say of more of them: the model that docs/scaling.md explains.

use serde_json::{Value, json};

/// A figure, and how low and how high it may be.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Estimate {
    pub(crate) low: f64,
    pub(crate) middle: f64,
    pub(crate) high: f64,
}

impl Estimate {
    /// The median of the rounds' figures and the range in which that of endlessly many lies, 19 times of 20. It is counted
    /// off from the middle: how far, depends on how many rounds there are and not on what they are like. NaN of nothing.
    pub(crate) fn of(rounds: impl IntoIterator<Item = f64>) -> Self {
        let rounds = sorted(rounds);
        let last = rounds.len().saturating_sub(1) as f64;
        let off = (0.98 * (rounds.len() as f64).sqrt()).min(last / 2.0);
        Self {
            low: at(&rounds, last / 2.0 - off),
            middle: at(&rounds, last / 2.0),
            high: at(&rounds, last / 2.0 + off),
        }
    }

    /// The median and the middle half of the rounds' figures. NaN of nothing.
    pub(crate) fn middle_half(rounds: impl IntoIterator<Item = f64>) -> Self {
        let rounds = sorted(rounds);
        let last = rounds.len().saturating_sub(1) as f64;
        let [low, middle, high] = [0.25, 0.5, 0.75].map(|share| at(&rounds, last * share));
        Self { low, middle, high }
    }

    /// As it stands in a table.
    pub(crate) fn text(&self, digits: usize) -> String {
        let Self { low, middle, high } = self;
        format!("{middle:.digits$} ({low:.digits$}–{high:.digits$})")
    }

    pub(crate) fn json(&self) -> Value {
        json!([self.low, self.middle, self.high])
    }

    /// The same, with nothing below `floor`: noise must not make something shared speed the others up.
    fn at_least(self, floor: f64) -> Self {
        let Self { low, middle, high } = self;
        Self { low: low.max(floor), middle: middle.max(floor), high: high.max(floor) }
    }
}

fn sorted(rounds: impl IntoIterator<Item = f64>) -> Vec<f64> {
    let mut rounds: Vec<f64> = rounds.into_iter().collect();
    rounds.sort_by(f64::total_cmp);
    rounds
}

/// The figure at a place, or between the two beside it. NaN where there is none.
fn at(rounds: &[f64], place: f64) -> f64 {
    match (rounds.get(place.floor() as usize), rounds.get(place.ceil() as usize)) {
        (Some(below), Some(above)) => below + (above - below) * place.fract(),
        _ => f64::NAN,
    }
}

/// What the model needs to know of one kind of work.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Parameters {
    /// CPU time of a request on a core that is alone, µs.
    pub(crate) own: Estimate,
    /// By what factor a request gets dearer when a second core is as busy and shares no software with the first.
    pub(crate) machine: Estimate,
    /// What a request costs in addition when another core must answer it, µs.
    pub(crate) hop: Estimate,
    /// What each further core costs every request, µs: looking whether it has sent something.
    pub(crate) look: Estimate,
}

/// The share of requests for another core when each belongs to one of `cores` by a hash.
pub(crate) fn keyed(cores: usize) -> f64 {
    (cores as f64 - 1.0) / cores as f64
}

impl Parameters {
    /// CPU time of a request on `cores` busy cores of whose requests `share` cross, µs; `low` is the cheapest.
    ///
    /// From two cores one cannot see whether the third makes things dearer again. The likely and the cheapest case say no:
    /// what two cores do to each other, each does to its neighbour alone. The dearest says that all use one thing that serves
    /// them in turn, so that each further core adds what the second did.
    pub(crate) fn cost(&self, cores: usize, share: f64) -> Estimate {
        let further = cores as f64 - 1.0;
        let [machine, hop, look] = [(self.machine, 1.0), (self.hop, 0.0), (self.look, 0.0)]
            .map(|(estimate, floor)| estimate.at_least(floor));
        let own = self.own.middle;
        let (once, each) = if cores == 1 {
            (Estimate { low: 1.0, middle: 1.0, high: 1.0 }, 1.0)
        } else {
            (machine, 1.0 + (machine.high - 1.0) * further)
        };
        Estimate {
            low: own * once.low + share * hop.low + further * look.low,
            middle: own * once.middle + share * hop.middle + further * look.middle,
            high: own * each + share * hop.high + further * look.high,
        }
    }

    /// How many times as much as one core `cores` do, all of them busy; `low` is the least.
    pub(crate) fn speed_up(&self, cores: usize, share: f64) -> Estimate {
        let cost = self.cost(cores, share);
        let of = |cost: f64| cores as f64 * self.own.middle / cost;
        Estimate { low: of(cost.high), middle: of(cost.middle), high: of(cost.low) }
    }
}

/// The most that the core with the most of so many connections has, in proportion to the mean, 999 times of 1,000. They are
/// spread by a hash, like balls thrown into bins: the chance that one of the bins is `z` deviations above the mean is at most
/// `cores × exp(-z² / 2)`.
pub(crate) fn busiest(cores: usize, connections: usize) -> f64 {
    let (cores, connections) = (cores as f64, connections as f64);
    let deviations = (2.0 * (1000.0 * cores).ln()).sqrt();
    1.0 + deviations * ((cores - 1.0) / connections).sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn exactly(figure: f64) -> Estimate {
        Estimate { low: figure, middle: figure, high: figure }
    }

    const RANGE: Estimate = Estimate { low: 1.0, middle: 1.1, high: 1.2 };

    fn parameters() -> Parameters {
        Parameters { own: exactly(10.0), machine: RANGE, hop: exactly(2.0), look: exactly(0.01) }
    }

    #[test]
    fn the_more_rounds_the_narrower_is_an_estimate() {
        let few = Estimate::of((0..=100).map(f64::from));
        assert_eq!(few.middle, 50.0);
        // The 40th and the 61st of 101, as tables of the sign test have it.
        assert!((few.low - 40.15).abs() < 0.1 && (few.high - 59.85).abs() < 0.1, "{few:?}");
        let many = Estimate::of((0..=10_000).map(|round| f64::from(round) / 100.0));
        assert!(many.middle == 50.0 && many.high - many.low < 2.0, "{many:?}");
        assert_eq!(Estimate::of([3.0, 1.0]), Estimate { low: 1.0, middle: 2.0, high: 3.0 });
        assert_eq!(Estimate::of([7.0]), exactly(7.0));
        assert!(Estimate::of([]).middle.is_nan());
    }

    #[test]
    fn the_middle_half_lies_between_the_quartiles() {
        let rounds = Estimate::middle_half([5.0, 1.0, 3.0, 2.0, 4.0]);
        assert_eq!(rounds, Estimate { low: 2.0, middle: 3.0, high: 4.0 });
        assert!(Estimate::middle_half([]).middle.is_nan());
    }

    #[test]
    fn one_core_is_one_core() {
        assert_eq!(parameters().speed_up(1, 0.0), exactly(1.0));
    }

    #[test]
    fn two_cores_give_back_what_was_measured_on_two() {
        let cost = parameters().cost(2, 0.5);
        assert_eq!(
            [cost.low, cost.middle, cost.high].map(|us| (us * 100.0).round()),
            [1101.0, 1201.0, 1301.0]
        );
    }

    #[test]
    fn what_a_queue_for_all_would_do_bounds_it_from_below() {
        let free = parameters().speed_up(64, 0.0);
        // 64 × 10 / (10 + 63 × 0.01); and 64 × 10 / (10 × (1 + 63 × 0.2) + 63 × 0.01).
        assert!((free.high - 60.2).abs() < 0.1, "{free:?}");
        assert!((free.low - 4.68).abs() < 0.01, "{free:?}");
        let keyed = parameters().speed_up(64, keyed(64));
        assert!(keyed.low < free.low && keyed.middle < free.middle && keyed.high < free.high);
    }

    #[test]
    fn noise_does_not_predict_more_than_n() {
        let lucky = exactly(-0.1);
        let parameters =
            Parameters { machine: exactly(0.9), hop: lucky, look: lucky, ..parameters() };
        assert_eq!(parameters.speed_up(16, 1.0), exactly(16.0));
    }

    #[test]
    fn the_more_connections_the_better_they_are_spread() {
        assert_eq!(busiest(1, 100), 1.0);
        assert!((busiest(2, 1024) - 1.12).abs() < 0.01, "{}", busiest(2, 1024));
        assert!(busiest(64, 1000) > busiest(64, 10_000));
    }
}
