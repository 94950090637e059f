//! Why there is no answer.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use grenache_transports::http::client;
use grenache_transports::http::{self, Limit};

use crate::tls;
use crate::{Error, Failure};

/// Why an exchange gave no answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Failed {
    /// The deadline has passed.
    Timeout { may_have_run: bool },
    /// `max_waiting` calls wait for a connection already.
    Full,
    /// The pool was closed.
    Stopped,
    /// The connection was closed in place of the answer.
    Closed,
    /// The answer is over `max_reply`.
    TooLarge { limit: u64 },
    /// Everything else.
    Failure(Failure),
}

impl Failed {
    /// Whether the request may have reached a handler.
    pub(crate) fn may_have_run(&self) -> bool {
        match self {
            Failed::Timeout { may_have_run } => *may_have_run,
            Failed::Full | Failed::Stopped => false,
            Failed::Closed | Failed::TooLarge { .. } => true,
            Failed::Failure(failure) => failure.may_have_run(),
        }
    }

    /// As a caller is told who asked `to` and was ready to wait for `limit`.
    pub(crate) fn into_error(self, to: SocketAddr, limit: Duration) -> Error {
        match self {
            Failed::Timeout { may_have_run } => {
                Error::Timeout { limit, to: Some(to), may_have_run }
            }
            Failed::Full => Error::Busy("too many calls wait for a connection"),
            Failed::Stopped => Error::Stopped,
            Failed::Closed => Error::Closed { to },
            Failed::TooLarge { limit } => Error::ReplyTooLarge { to, limit },
            Failed::Failure(failure) => Error::Request { to, failure },
        }
    }

    /// What the parser says of an answer.
    pub(super) fn parsing(error: client::Error, max_reply: u64) -> Failed {
        match error {
            client::Error::Unanswered => Failed::Closed,
            client::Error::Cut => Failed::Failure(Failure::Broken(error.to_string())),
            client::Error::Message(http::Error::OverLimit(Limit::Body)) => {
                Failed::TooLarge { limit: max_reply }
            }
            _ => Failed::Failure(Failure::Malformed(error.to_string())),
        }
    }

    /// A connection that broke; `waiting` if not a byte of the answer had come, `used` if an earlier request was answered.
    pub(crate) fn broken(error: &io::Error, waiting: bool, used: bool) -> Failed {
        match tls::Error::of(error) {
            Some(tls::Error::Truncated) if waiting => Failed::Closed,
            // Who is refused is so before the first answer; later alerts mean something else.
            Some(error @ (tls::Error::Refused(_) | tls::Error::Untrusted(_)))
                if waiting && !used =>
            {
                Failed::Failure(Failure::Tls(error.to_string()))
            }
            _ => Failed::Failure(Failure::Broken(error.to_string())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_alert_is_a_refusal_only_before_the_first_answer() {
        let alert = io::Error::from(tls::Error::Refused("an alert".into()));
        assert!(!Failed::broken(&alert, true, false).may_have_run());
        for (waiting, used) in [(false, false), (true, true), (false, true)] {
            assert!(Failed::broken(&alert, waiting, used).may_have_run(), "{waiting} {used}");
        }
        let other = io::Error::from(tls::Error::Protocol("an internal error".into()));
        assert!(Failed::broken(&other, true, false).may_have_run());
    }
}
