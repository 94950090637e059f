//! The services asked for, and how often each is.

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use rand_distr::Distribution;
use rand_distr::weighted::WeightedAliasIndex;

use crate::outcome::Service;

/// Draws services in proportion to their weights.
pub(crate) struct Mix {
    names: Vec<String>,
    weights: Option<WeightedAliasIndex<f64>>,
    random: StdRng,
}

/// `name` or `name=weight`.
pub(crate) fn parse(text: &str) -> Result<Service, String> {
    let (name, weight) = match text.rsplit_once('=') {
        None => (text, 1.0),
        Some((name, weight)) => match weight.parse() {
            Ok(weight) if f64::is_finite(weight) && weight > 0.0 => (name, weight),
            _ => return Err(format!("'{weight}' is no weight of '{name}': a number above 0")),
        },
    };
    if name.is_empty() {
        return Err(format!("'{text}' names no service"));
    }
    Ok(Service { name: name.to_owned(), weight })
}

/// Each service as `count` services that share its weight, called `name:0` and so on; as it is if `count` is 1.
pub(crate) fn spread(services: Vec<Service>, count: u32) -> Vec<Service> {
    if count == 1 {
        return services;
    }
    let several = |service: Service| {
        let Service { name, weight } = service;
        (0..count).map(move |number| Service {
            name: format!("{name}:{number}"),
            weight: weight / f64::from(count),
        })
    };
    services.into_iter().flat_map(several).collect()
}

impl Mix {
    pub(crate) fn new(services: &[Service], seed: u64) -> Self {
        let weights = services.iter().map(|service| service.weight).collect();
        let several = services.len() > 1;
        Self {
            names: services.iter().map(|service| service.name.clone()).collect(),
            // Weights are finite and above 0; should they add up to more than a number holds, all are as likely.
            weights: several.then(|| WeightedAliasIndex::new(weights).ok()).flatten(),
            random: StdRng::seed_from_u64(seed),
        }
    }

    pub(crate) fn name(&self, index: usize) -> &str {
        &self.names[index]
    }

    /// The index of the next one.
    pub(crate) fn draw(&mut self) -> usize {
        match &self.weights {
            None if self.names.len() < 2 => 0,
            None => self.random.random_range(0..self.names.len()),
            Some(weights) => weights.sample(&mut self.random),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weights_are_the_shares() {
        let services = [parse("a=3").unwrap(), parse("b").unwrap()];
        let mut mix = Mix::new(&services, 5);
        let a = (0..10_000).filter(|_| mix.draw() == 0).count();
        assert!((7300..7700).contains(&a), "{a}");
    }

    #[test]
    fn one_stands_for_many() {
        let services = spread(vec![parse("a=4").unwrap()], 2);
        let names: Vec<_> = services.iter().map(|s| (s.name.as_str(), s.weight)).collect();
        assert_eq!(names, [("a:0", 2.0), ("a:1", 2.0)]);
    }

    #[test]
    fn what_is_no_service() {
        assert_eq!(parse("rest:a").map(|s| s.name), Ok("rest:a".to_owned()));
        for bad in ["", "=1", "a=", "a=0", "a=-1", "a=x", "a=inf"] {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }
}
