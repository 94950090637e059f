//! Streams on their way: what the two kernels and the network do.
//!
//! A segment that does not get through is sent again, later and later, until the time-out of the
//! network. An end that is gone (killed, reset, timed out) is [`State::Absent`]: what arrives for it
//! is answered by a reset if its host has power, and by nothing otherwise.

use std::net::Ipv4Addr;
use std::time::Duration;

use super::net::{Event, Net};
use super::site::Io;
use super::tcp::{Connection, End, Segment, Side, State};
use crate::driver::Protocol;

/// After how long a segment that did not get through is sent again, at first.
const RETRY: Duration = Duration::from_millis(200);
/// The longest wait for sending again.
const RETRY_MOST: Duration = Duration::from_secs(120);
/// How often a sender that may not send asks whether the reader is still there.
pub(super) const PROBE: Duration = Duration::from_secs(5);

impl Net {
    pub(super) fn side(&mut self, end: End) -> Option<&mut Side> {
        Some(&mut self.connections.get_mut(&end.connection)?.sides[end.side])
    }

    fn touch_end(&mut self, end: End) {
        if let Some(side) = self.side(end)
            && let Some(key) = side.key
        {
            let core = side.core;
            self.touch(core, key);
        }
    }

    /// Sends a segment from an end to the other.
    pub(super) fn push(&mut self, end: End, segment: Segment) {
        let Some((from, to)) = self.hosts(end) else { return };
        let arrival = self.now + self.travel(from, to);
        let Some(Side { out, .. }) = self.side(end) else { return };
        out.last = out.last.max(arrival);
        out.segments.push_back((out.last, segment));
        self.expect_segment(end);
    }

    fn expect_segment(&mut self, end: End) {
        let now = self.now;
        if let Some(Side { out, .. }) = self.side(end)
            && let Some((arrival, _)) = out.segments.front()
            && !out.scheduled
        {
            out.scheduled = true;
            let at = now.max(*arrival);
            self.schedule_at(at, Event::Segment(end));
        }
    }

    fn hosts(&mut self, end: End) -> Option<(Ipv4Addr, Ipv4Addr)> {
        Some((self.side(end)?.host, self.side(end.other())?.host))
    }

    pub(super) fn segment_arrives(&mut self, end: End) {
        let Some((from, to)) = self.hosts(end) else { return };
        let Some(side) = self.side(end) else { return };
        side.out.scheduled = false;
        if side.out.segments.is_empty() {
            return;
        }
        if !self.reaches(from, to) || self.loses(from, to) || !self.is_taken(end) {
            return self.stall(end);
        }
        self.traffic.segments += 1;
        if let Some(side) = self.side(end) {
            (side.out.stalled, side.out.retry) = (None, RETRY);
            side.out.segments.pop_front();
        }
        self.expect_segment(end);
        self.touch_end(end.other());
        self.settle(end.connection);
    }

    /// Gives the first segment of an end to the other end. False if it is to be sent again.
    fn is_taken(&mut self, end: End) -> bool {
        let Some(connection) = self.connections.get_mut(&end.connection) else { return false };
        let [one, two] = &mut connection.sides;
        let (sender, receiver) = if end.side == 0 { (one, two) } else { (two, one) };
        let Some((_, segment)) = sender.out.segments.front_mut() else { return false };
        match (segment, receiver.state) {
            (Segment::Open, State::Absent) if end.side == 0 => return self.is_welcome(end),
            (Segment::Open, State::Connecting) => receiver.state = State::Open,
            (Segment::Data(data), State::Open) => receiver.inbox.push_back(std::mem::take(data)),
            (Segment::Finish, State::Open | State::Orphan) => receiver.ended = true,
            (Segment::Data(_), State::Orphan) => {
                self.vanish(end.other());
                self.send_reset(end);
                return false;
            }
            _ => {
                self.send_reset(end);
                return false;
            }
        }
        true
    }

    /// A connection attempt reaches its host.
    fn is_welcome(&mut self, end: End) -> bool {
        let other = end.other();
        let Some((from, to)) =
            self.side(end).map(|side| side.address).zip(self.side(other).map(|side| side.address))
        else {
            return false;
        };
        let Some(host) = self.side(other).map(|side| side.host) else { return false };
        let hash = self.spread(from, to);
        let listener = self.machine(host).find(Protocol::Tcp, to);
        let Some((core, key)) = listener.and_then(|port| port.pick(hash, &[])) else {
            self.send_reset(end);
            return false;
        };
        let most = self.sites[core as usize].limits.backlog.max(1) as usize;
        let Some(Io::Listener { backlog, .. }) = self.io(core, key) else {
            self.violated(format!("connection for socket {key:?} which core {core} has not"));
            return false;
        };
        if backlog.len() >= most {
            return false;
        }
        backlog.push_back(end.connection);
        if let Some(side) = self.side(other) {
            (side.state, side.core) = (State::Open, core);
            (side.waiting, side.told_connected) = (true, true);
        }
        self.traffic.connections += 1;
        self.touch(core, key);
        self.push(other, Segment::Open);
        true
    }

    /// The first segment did not get through.
    fn stall(&mut self, end: End) {
        let now = self.now;
        let (connect, retransmit) = (self.network.connect_timeout, self.network.retransmit_timeout);
        let Some(side) = self.side(end) else { return };
        let limit = if side.state == State::Connecting { connect } else { retransmit };
        let since = *side.out.stalled.get_or_insert(now);
        if side.state != State::Absent && now - since >= limit {
            return self.fail(end, libc::ETIMEDOUT);
        }
        let retry = side.out.retry.max(RETRY);
        side.out.retry = (retry * 2).min(RETRY_MOST);
        if !side.out.segments.is_empty() {
            side.out.scheduled = true;
            self.traffic.segments_repeated += 1;
            let left = limit.saturating_sub(now - since);
            self.schedule(retry.min(left), Event::Segment(end));
        }
    }

    /// The other end was told that what it sent is gone or not wanted. Told once: if that gets lost,
    /// whoever has something to send is told again.
    pub(super) fn send_reset(&mut self, end: End) {
        if let Some((to, from)) = self.hosts(end)
            && !self.loses(from, to)
        {
            let delay = self.travel(from, to);
            self.schedule(delay, Event::Reset(end));
        }
    }

    pub(super) fn reset_arrives(&mut self, end: End) {
        let Some((to, from)) = self.hosts(end) else { return };
        if !self.reaches(from, to) {
            return;
        }
        match self.side(end).map(|side| side.state) {
            None | Some(State::Absent) => {}
            Some(State::Connecting) => self.fail(end, libc::ECONNREFUSED),
            Some(State::Open | State::Orphan) => self.fail(end, libc::ECONNRESET),
        }
    }

    fn fail(&mut self, end: End, errno: i32) {
        self.vanish(end);
        if let Some(side) = self.side(end) {
            side.error = Some(errno);
        }
        self.touch_end(end);
        self.settle(end.connection);
    }

    /// The kernel of this side knows nothing any more.
    pub(super) fn vanish(&mut self, end: End) {
        if let Some(side) = self.side(end) {
            side.state = State::Absent;
            side.out.segments.clear();
        }
    }

    /// The other core has read bytes that `end` sent.
    pub(super) fn was_read(&mut self, end: End, count: usize) {
        let Some((to, from)) = self.hosts(end) else { return };
        let delay = self.travel(from, to);
        if let Some(Side { out, .. }) = self.side(end) {
            out.read += count;
            if !std::mem::replace(&mut out.window_scheduled, true) {
                self.schedule(delay, Event::Window(end));
            }
        }
    }

    pub(super) fn window_opens(&mut self, end: End) {
        let Some((to, from)) = self.hosts(end) else { return };
        let known = self.side(end).is_some_and(|side| side.state != State::Absent);
        if known && (!self.reaches(from, to) || self.loses(from, to)) {
            return self.schedule(RETRY, Event::Window(end));
        }
        let Some(side) = self.side(end) else { return };
        side.out.window_scheduled = false;
        side.out.unread -= std::mem::take(&mut side.out.read);
        if side.out.blocked {
            self.touch_end(end);
        }
    }

    pub(super) fn probe(&mut self, end: End) {
        let Some((from, to)) = self.hosts(end) else { return };
        let reaches = self.reaches(from, to);
        let limit = self.network.retransmit_timeout;
        let now = self.now;
        let gone = self.side(end.other()).is_none_or(|other| other.state == State::Absent);
        let Some(side) = self.side(end) else { return };
        // While something is on its way, that finds out.
        let asks = side.out.blocked && side.out.segments.is_empty();
        if side.state == State::Absent || !side.out.blocked {
            side.out.probing = false;
            return;
        }
        if asks && !reaches {
            let since = *side.out.stalled.get_or_insert(now);
            if now - since >= limit {
                side.out.probing = false;
                return self.fail(end, libc::ETIMEDOUT);
            }
        } else if asks {
            side.out.stalled = None;
            if gone {
                self.send_reset(end);
            }
        }
        self.schedule(PROBE, Event::Probe(end));
    }

    /// Forgets a connection of which both sides know nothing any more.
    pub(super) fn settle(&mut self, connection: u64) {
        let Some(Connection { sides }) = self.connections.get_mut(&connection) else { return };
        for side in sides.iter_mut() {
            if side.state == State::Orphan && side.ended && side.out.segments.is_empty() {
                side.state = State::Absent;
            }
        }
        if !sides.iter().any(Side::is_held) {
            let (host, port) = (sides[0].host, sides[0].address.port());
            self.connections.remove(&connection);
            self.machine(host).disconnect(port);
        }
    }
}
