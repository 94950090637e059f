//! Whether the other side is still there.

use core::time::Duration;

/// Says when a ping is due, and when nothing has come for too long. Any byte counts as a sign of life.
#[derive(Debug, Clone, Copy)]
pub struct KeepAlive {
    interval: Duration,
    patience: Duration,
    /// When the last byte came, or the last ping was sent.
    since: Duration,
    pinged: bool,
}

/// What has to be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Due {
    /// Nothing yet.
    Nothing,
    /// Send a ping.
    Ping,
    /// Nothing has come after the ping: the other side is taken for dead.
    Dead,
}

impl KeepAlive {
    /// Pings after `interval` of silence, and waits `patience` for anything to come after that.
    pub const fn new(interval: Duration, patience: Duration, now: Duration) -> Self {
        Self { interval, patience, since: now, pinged: false }
    }

    /// Bytes have come.
    #[inline]
    pub fn heard(&mut self, now: Duration) {
        self.since = now;
        self.pinged = false;
    }

    /// When [`due`](Self::due) has something to say.
    pub fn next(&self) -> Duration {
        self.since.saturating_add(if self.pinged { self.patience } else { self.interval })
    }

    /// What is due. A ping that is due counts as sent.
    pub fn due(&mut self, now: Duration) -> Due {
        if now < self.next() {
            return Due::Nothing;
        }
        if self.pinged {
            return Due::Dead;
        }
        self.pinged = true;
        self.since = now;
        Due::Ping
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pings_once_and_gives_up_unless_something_comes() {
        let second = Duration::from_secs;
        let mut alive = KeepAlive::new(second(30), second(10), second(5));
        assert_eq!((alive.next(), alive.due(second(34))), (second(35), Due::Nothing));
        assert_eq!((alive.due(second(35)), alive.due(second(36))), (Due::Ping, Due::Nothing));
        assert_eq!(alive.next(), second(45));
        alive.heard(second(44));
        assert_eq!(alive.due(second(73)), Due::Nothing);
        assert_eq!((alive.due(second(80)), alive.next()), (Due::Ping, second(90)));
        assert_eq!(alive.due(second(90)), Due::Dead);
    }
}
