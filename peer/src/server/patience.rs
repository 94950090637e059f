//! How long a connection waits for what may never come.

use std::future::Future;
use std::pin::Pin;
use std::task::Context;
use std::time::Duration;

use grenache_engine::{Sleep, now, sleep_until};

use super::Config;

/// What a connection waits for that could wait for ever.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Wait {
    /// The next request.
    Idle,
    /// The next request, which will be the last.
    Draining,
    /// The rest of a request.
    Request,
    /// The rest of the handshake.
    Handshake,
    /// The next piece of a streamed request.
    Piece,
    /// The client, to read its answers.
    Reader,
}

impl Wait {
    fn limit(self, config: &Config) -> Duration {
        match self {
            Wait::Idle | Wait::Piece => config.idle_timeout,
            Wait::Draining => config.drain_grace,
            Wait::Request => config.request_timeout,
            Wait::Handshake => config.handshake_timeout,
            Wait::Reader => config.write_timeout,
        }
    }
}

/// The wait of a connection.
#[derive(Default)]
pub(super) struct Patience {
    /// For what, and since when.
    wait: Option<(Wait, Duration)>,
    timer: Option<Sleep>,
}

impl Patience {
    /// What was waited for has come, or a part of it that counts.
    pub(super) fn renew(&mut self) {
        self.wait = None;
    }

    /// Bytes have come. To a request, or a handshake, that has to come as a whole, they do not count.
    pub(super) fn renew_by_bytes(&mut self) {
        if !matches!(self.wait, Some((Wait::Request | Wait::Handshake, _))) {
            self.wait = None;
        }
    }

    /// Waits on. True once it has taken too long; otherwise the task is woken when it has.
    pub(super) fn is_over(
        &mut self,
        wait: Wait,
        config: &Config,
        context: &mut Context<'_>,
    ) -> bool {
        let now = now();
        let since = match self.wait {
            Some((same, since)) if same == wait => since,
            _ => now,
        };
        self.wait = Some((wait, since));
        let deadline = since.saturating_add(wait.limit(config));
        if now >= deadline {
            return true;
        }
        // A timer that comes too early is set again then; so most requests leave it as it is.
        let set = |timer: &Sleep| timer.deadline() > now && timer.deadline() <= deadline;
        if !self.timer.as_ref().is_some_and(set) {
            let timer = self.timer.insert(sleep_until(deadline));
            let _not_yet = Pin::new(timer).poll(context);
        }
        false
    }
}
