//! How many retries a client may make.

use std::cell::Cell;
use std::time::Duration;

use grenache_engine::now;

use super::Config;

/// What a client may spend on retries, so that they do not make a bad situation worse: a bucket of tokens that requests and time
/// fill, and each retry takes one from.
pub(super) struct Budget {
    tokens: Cell<f64>,
    filled: Cell<Duration>,
    per_request: f64,
    per_second: f64,
    most: f64,
}

impl Budget {
    pub(super) fn new(config: &Config) -> Budget {
        Budget {
            tokens: Cell::new(config.retries_per_second.min(config.retry_burst)),
            filled: Cell::new(now()),
            per_request: config.retry_ratio,
            per_second: config.retries_per_second,
            most: config.retry_burst,
        }
    }

    /// A request was made.
    pub(super) fn earn(&self) {
        self.tokens.set((self.tokens.get() + self.per_request).min(self.most));
    }

    /// Takes one retry, if there is one.
    pub(super) fn spend(&self) -> bool {
        let now = now();
        let since = (now - self.filled.replace(now)).as_secs_f64();
        let tokens = (self.tokens.get() + since * self.per_second).min(self.most);
        let enough = tokens >= 1.0;
        self.tokens.set(if enough { tokens - 1.0 } else { tokens });
        enough
    }
}
