//! What a core does when nothing is runnable.

use std::time::Duration;

/// What a core does when it has nothing to do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Idle {
    /// Sleep in the kernel until something happens. Costs no CPU.
    #[default]
    Park,
    /// Look again and again for this long, then park. Halves the latency of a lone request and
    /// costs a whole CPU while it spins.
    Spin(Duration),
}

impl std::str::FromStr for Idle {
    type Err = String;

    /// `park`, `spin` (50 µs) or `spin:<µs>`.
    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once(':') {
            None if text == "park" => Ok(Self::Park),
            None if text == "spin" => Ok(Self::Spin(Duration::from_micros(50))),
            Some(("spin", micros)) => micros
                .parse()
                .map(|micros| Self::Spin(Duration::from_micros(micros)))
                .map_err(|_| format!("not a number of microseconds: {micros}")),
            _ => Err(format!("neither park nor spin:<microseconds>: {text}")),
        }
    }
}

impl std::str::FromStr for crate::DriverChoice {
    type Err = String;

    /// `auto`, `uring` or `epoll`.
    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "auto" => Ok(Self::Auto),
            "uring" => Ok(Self::Uring),
            "epoll" => Ok(Self::Epoll),
            _ => Err(format!("neither auto, uring nor epoll: {text}")),
        }
    }
}
