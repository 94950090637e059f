//! Whether the other side is still there: pings of WebSocket (RFC 6455 section 5.5.2) and of ZMTP (RFC 37, "Connection
//! Heartbeating").

use core::time::Duration;

/// Says when a PING is due, and when nothing has come for too long: neither after our PING, nor within the time to live that
/// the other side's PING has named. Any byte counts as a sign of life.
#[derive(Debug, Clone, Copy)]
pub struct Heartbeat {
    interval: Duration,
    patience: Duration,
    /// When the last byte came, or the last PING was sent.
    since: Duration,
    pinged: bool,
    /// When the other side says that it has died, unless more comes.
    until: Duration,
}

/// What has to be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Due {
    /// Nothing yet.
    Nothing,
    /// Send a PING.
    Ping,
    /// Nothing has come: the other side is taken for dead.
    Dead,
}

impl Heartbeat {
    /// PINGs after `interval` of silence, never if it is [`Duration::MAX`], and waits `patience` for anything to come after
    /// that. The time to live to tell the other side is the sum of both, or more.
    pub const fn new(interval: Duration, patience: Duration, now: Duration) -> Self {
        Self { interval, patience, since: now, pinged: false, until: Duration::MAX }
    }

    /// Bytes have come. To be said before what they are is looked at.
    #[inline]
    pub fn heard(&mut self, now: Duration) {
        self.since = now;
        self.pinged = false;
        self.until = Duration::MAX;
    }

    /// A PING has come with this time to live; zero says nothing.
    pub fn told(&mut self, ttl: Duration, now: Duration) {
        if !ttl.is_zero() {
            self.until = now.saturating_add(ttl);
        }
    }

    /// When [`due`](Self::due) has something to say.
    pub fn next(&self) -> Duration {
        let own =
            self.since.saturating_add(if self.pinged { self.patience } else { self.interval });
        own.min(self.until)
    }

    /// What is due. A PING that is due counts as sent.
    pub fn due(&mut self, now: Duration) -> Due {
        if now < self.next() {
            return Due::Nothing;
        }
        if self.pinged || now >= self.until {
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
        let mut alive = Heartbeat::new(second(30), second(10), second(5));
        assert_eq!((alive.next(), alive.due(second(34))), (second(35), Due::Nothing));
        assert_eq!((alive.due(second(35)), alive.due(second(36))), (Due::Ping, Due::Nothing));
        assert_eq!(alive.next(), second(45));
        alive.heard(second(44));
        assert_eq!(alive.due(second(73)), Due::Nothing);
        assert_eq!((alive.due(second(80)), alive.next()), (Due::Ping, second(90)));
        assert_eq!(alive.due(second(90)), Due::Dead);
    }

    #[test]
    fn the_other_sides_word_is_taken_until_something_else_comes() {
        let second = Duration::from_secs;
        let mut alive = Heartbeat::new(Duration::MAX, second(10), second(0));
        assert_eq!(alive.next(), Duration::MAX);
        alive.heard(second(1));
        alive.told(second(3), second(1));
        assert_eq!((alive.next(), alive.due(second(3))), (second(4), Due::Nothing));
        alive.heard(second(3));
        assert_eq!(alive.due(second(1000)), Due::Nothing);
        alive.told(Duration::ZERO, second(1000));
        assert_eq!(alive.next(), Duration::MAX);
        alive.told(second(1), second(1000));
        assert_eq!(alive.due(second(1001)), Due::Dead);
    }
}
