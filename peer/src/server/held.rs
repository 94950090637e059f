//! The memory that requests take.

use std::sync::Arc;

use super::stats::Counters;

/// Bytes of requests, counted as long as this lives.
pub(super) struct Held {
    counters: Arc<Counters>,
    bytes: u64,
}

impl Held {
    pub(super) fn none(counters: Arc<Counters>) -> Held {
        Held { counters, bytes: 0 }
    }

    /// Makes it so many bytes. False, and as it was, if that is more than there may be in all.
    pub(super) fn resize(&mut self, bytes: usize, max: u64) -> bool {
        let bytes = bytes as u64;
        if bytes == self.bytes {
            return true;
        }
        let others = self.counters.held.get() - self.bytes;
        if bytes > self.bytes && others.saturating_add(bytes) > max {
            self.counters.refused.add(1);
            return false;
        }
        self.counters.held.add(bytes.wrapping_sub(self.bytes));
        self.bytes = bytes;
        true
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.counters.held.sub(self.bytes);
    }
}
