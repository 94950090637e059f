//! What requests carry: one payload, or texts whose sizes are fixed or drawn at random.

use std::fmt;
use std::str::FromStr;

use grenache_peer::Json;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use rand_distr::Distribution;
use rand_distr::weighted::WeightedIndex;

/// The longest payload, bytes.
pub const MAX_PAYLOAD: usize = 64 * 1024 * 1024;

/// The most payloads that are made before a run, and the most bytes of them; requests draw from these.
const MAX_SAMPLE: usize = 1024;
const MAX_SAMPLE_BYTES: usize = 64 * 1024 * 1024;

/// The sizes of payloads in bytes of JSON, as `--size` gives them.
#[derive(Debug, Clone, PartialEq)]
pub enum Sizes {
    /// All the same: `1024`.
    Fixed(usize),
    /// Any from the one to the other, all as likely: `64-4096`.
    Uniform(usize, usize),
    /// Mostly small, seldom large: an exponential distribution with this mean: `exp:1024`.
    Exponential(usize),
    /// These, each as often as its weight says: `64=90,4096=9,65536=1`.
    Weighted(Vec<(usize, f64)>),
}

/// What requests carry.
#[derive(Debug, Clone, PartialEq)]
pub enum Payload {
    /// This value.
    Value(Json),
    /// A text of random letters of such a size, its quotes included.
    Text(Sizes),
}

impl FromStr for Sizes {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Some(mean) = text.strip_prefix("exp:") {
            return size(mean).map(Self::Exponential);
        }
        if text.contains('=') {
            let weighted = text.split(',').map(|part| {
                let (bytes, weight) =
                    part.split_once('=').ok_or_else(|| format!("'{part}' is not size=weight"))?;
                let weight: f64 = weight.parse().map_err(|_| format!("no weight: '{weight}'"))?;
                if !weight.is_finite() || weight <= 0.0 {
                    return Err(format!("a weight is above 0, not '{weight}'"));
                }
                Ok((size(bytes)?, weight))
            });
            return weighted.collect::<Result<_, _>>().map(Self::Weighted);
        }
        if let Some((least, most)) = text.split_once('-') {
            let (least, most) = (size(least)?, size(most)?);
            if least > most {
                return Err(format!("{least} is more than {most}"));
            }
            return Ok(Self::Uniform(least, most));
        }
        size(text).map(Self::Fixed)
    }
}

/// The least text is `""`.
fn size(text: &str) -> Result<usize, String> {
    match text.trim().parse() {
        Ok(bytes) if (2..=MAX_PAYLOAD).contains(&bytes) => Ok(bytes),
        _ => Err(format!("'{text}' is no size: 2 to {MAX_PAYLOAD} bytes")),
    }
}

impl fmt::Display for Sizes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fixed(bytes) => write!(f, "{bytes} bytes"),
            Self::Uniform(least, most) => write!(f, "{least} to {most} bytes"),
            Self::Exponential(mean) => write!(f, "{mean} bytes on average, exponential"),
            Self::Weighted(sizes) => {
                for (index, (bytes, weight)) in sizes.iter().enumerate() {
                    write!(f, "{}{bytes} bytes x {weight}", if index > 0 { ", " } else { "" })?;
                }
                Ok(())
            }
        }
    }
}

impl fmt::Display for Payload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Value(json) if json.as_str().len() <= 60 => f.write_str(json.as_str()),
            Self::Value(json) => write!(f, "a value of {} bytes", json.as_str().len()),
            Self::Text(sizes) => write!(f, "texts of {sizes}"),
        }
    }
}

impl Payload {
    /// The payloads that a run draws from: one if all are alike, up to 1,024 otherwise.
    pub(crate) fn sample(&self, seed: u64) -> Vec<Json> {
        let mut random = StdRng::seed_from_u64(seed);
        let sizes = match self {
            Self::Value(json) => return vec![json.clone()],
            Self::Text(Sizes::Fixed(bytes)) => return vec![text(*bytes, &mut random)],
            Self::Text(sizes) => sizes,
        };
        let mut sample = Vec::new();
        let mut total = 0;
        while sample.len() < MAX_SAMPLE && (sample.is_empty() || total < MAX_SAMPLE_BYTES) {
            let bytes = sizes.draw(&mut random).clamp(2, MAX_PAYLOAD);
            total += bytes;
            sample.push(text(bytes, &mut random));
        }
        sample
    }
}

impl Sizes {
    /// The largest that may come; of an exponential distribution, which has no end, the largest payload.
    pub(crate) fn most(&self) -> usize {
        match self {
            Self::Fixed(bytes) | Self::Uniform(_, bytes) => *bytes,
            Self::Exponential(_) => MAX_PAYLOAD,
            Self::Weighted(sizes) => sizes.iter().map(|(bytes, _)| *bytes).max().unwrap_or(0),
        }
    }

    fn draw(&self, random: &mut StdRng) -> usize {
        match self {
            Self::Fixed(bytes) => *bytes,
            Self::Uniform(least, most) => random.random_range(*least..=*most),
            Self::Exponential(mean) => {
                let unit: f64 = rand_distr::Exp1.sample(random);
                (unit * *mean as f64).round() as usize
            }
            Self::Weighted(sizes) => {
                // Weights are finite and above 0, so that there always is an index.
                let index = WeightedIndex::new(sizes.iter().map(|(_, weight)| *weight));
                index.map_or(2, |index| sizes[index.sample(random)].0)
            }
        }
    }
}

/// A JSON text of so many bytes with its quotes.
fn text(bytes: usize, random: &mut StdRng) -> Json {
    let letters = (2..bytes).map(|_| char::from(random.random_range(b'a'..=b'z')));
    let text: String = letters.collect();
    Json::of(&text).expect("a text has a form in JSON")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lengths(sizes: &str) -> Vec<usize> {
        let payload = Payload::Text(sizes.parse().unwrap());
        payload.sample(3).iter().map(|json| json.as_str().len()).collect()
    }

    #[test]
    fn sizes_are_what_was_asked_for() {
        assert_eq!(lengths("2"), [2]);
        assert_eq!(lengths("1024"), [1024]);
        assert!(lengths("64-128").iter().all(|length| (64..=128).contains(length)));
        let exponential = lengths("exp:1000");
        let mean = exponential.iter().sum::<usize>() / exponential.len();
        assert!((900..1100).contains(&mean), "{mean}");
        let weighted = lengths("64=3,4096=1");
        let small = weighted.iter().filter(|length| **length == 64).count();
        assert!((700..850).contains(&small) && weighted.len() == 1024, "{small}");
        assert!(weighted.iter().all(|length| matches!(length, 64 | 4096)));
    }

    #[test]
    fn large_ones_are_fewer() {
        let many = lengths("33554432-33554432");
        assert_eq!(many, [33_554_432, 33_554_432]);
    }

    #[test]
    fn what_is_no_size() {
        for bad in ["", "1", "x", "9-3", "exp:", "64=0", "64=-1", "64=x,2=1", "67108865", "64=1,x"]
        {
            assert!(bad.parse::<Sizes>().is_err(), "{bad}");
        }
    }
}
