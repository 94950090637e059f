//! Streams between hosts: what the two kernels and the network do.
//!
//! A connection has two ends. Each has a queue of segments on their way to the other, which arrive
//! in order, and an inbox of what has arrived and was not read by its core. A segment that does not
//! get through is sent again, later and later, until the time-out of the network. An end that is
//! gone (killed, reset, timed out) is [`State::Absent`]: what arrives for it is answered by a reset
//! if its host has power, and by nothing otherwise.

use std::collections::VecDeque;
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use std::time::Duration;

use super::net::{CoreId, Event, Io, Net, seen_from, to_v4};
use crate::driver::{Key, Protocol};

/// After how long a segment that did not get through is sent again, at first.
const RETRY: Duration = Duration::from_millis(200);
/// The longest wait for sending again.
const RETRY_MOST: Duration = Duration::from_secs(120);
/// How often a sender that may not send asks whether the reader is still there.
const PROBE: Duration = Duration::from_secs(5);

/// One end of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct End {
    pub(super) connection: u64,
    /// 0 is the end that connected.
    pub(super) side: usize,
}

impl End {
    fn other(self) -> Self {
        Self { side: 1 - self.side, ..self }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// The kernel of this side knows nothing of it.
    Absent,
    Connecting,
    Open,
    /// Closed by its core; the kernel sends the rest.
    Orphan,
}

enum Segment {
    /// Opens the connection, and the answer to that.
    Open,
    Data(Vec<u8>),
    Finish,
}

/// What is on its way from one end to the other.
#[derive(Default)]
struct Outbound {
    segments: VecDeque<(Duration, Segment)>,
    /// The arrival of the first segment is scheduled.
    scheduled: bool,
    /// When the last segment may arrive at the earliest.
    last: Duration,
    /// Since when the first segment does not get through.
    stalled: Option<Duration>,
    retry: Duration,
    /// Bytes sent and, as far as this end knows, not read.
    unread: usize,
    /// Bytes read which this end does not know of.
    read: usize,
    window_scheduled: bool,
    finished: bool,
    /// The core waits for room in the window.
    blocked: bool,
    probing: bool,
}

struct Side {
    state: State,
    core: CoreId,
    host: Ipv4Addr,
    address: SocketAddrV4,
    /// The core's name for it, once accepted.
    key: Option<Key>,
    /// In a listener's backlog.
    waiting: bool,
    /// The core was told how connecting ended.
    told_connected: bool,
    inbox: VecDeque<Vec<u8>>,
    paused: bool,
    ended: bool,
    told_ended: bool,
    error: Option<i32>,
    told_error: bool,
    out: Outbound,
}

impl Side {
    fn new(state: State, core: CoreId, host: Ipv4Addr, address: SocketAddrV4) -> Self {
        Self {
            state,
            core,
            host,
            address,
            key: None,
            waiting: false,
            told_connected: false,
            inbox: VecDeque::new(),
            paused: false,
            ended: false,
            told_ended: false,
            error: None,
            told_error: false,
            out: Outbound::default(),
        }
    }

    fn is_held(&self) -> bool {
        self.state != State::Absent || self.key.is_some() || self.waiting
    }
}

pub(super) struct Connection {
    sides: [Side; 2],
}

/// What a stream has to tell its core.
pub(super) enum Report {
    Connected(Result<(), i32>),
    Received(Vec<u8>),
    Ended(Result<(), i32>),
    /// There is room to send, or no more need to wait for it.
    Writable,
}

/// What came of sending.
pub(super) enum Sent {
    Bytes(usize),
    Blocked,
    Failed(i32),
}

/// What cores ask for.
impl Net {
    pub(super) fn connect(&mut self, core: CoreId, key: Key, to: SocketAddr) -> Result<(), i32> {
        let mut to = to_v4(to).ok_or(libc::ENETUNREACH)?;
        if to.port() == 0 {
            return Err(libc::ECONNREFUSED);
        }
        if to.ip().is_unspecified() {
            to.set_ip(Ipv4Addr::LOCALHOST);
        }
        let site = &self.sites[core as usize];
        if !site.alive {
            return Err(libc::ENETDOWN);
        }
        let ip = site.ip;
        let own = if to.ip().is_loopback() { *to.ip() } else { ip };
        let port = self.machine(ip).connect().ok_or(libc::EADDRNOTAVAIL)?;
        let own = SocketAddrV4::new(own, port);
        let mut side = Side::new(State::Connecting, core, ip, own);
        side.key = Some(key);
        let host = Self::host_of(ip, *to.ip());
        let other = Side::new(State::Absent, CoreId::MAX, host, to);
        let connection = self.next_connection;
        self.next_connection += 1;
        self.connections.insert(connection, Connection { sides: [side, other] });
        let end = End { connection, side: 0 };
        self.insert(core, key, Io::Stream(end));
        self.push(end, Segment::Open);
        Ok(())
    }

    /// The next connection in a listener's backlog and its peer, unless the listener is paused.
    pub(super) fn next_accepted(&mut self, core: CoreId, key: Key) -> Option<(End, SocketAddr)> {
        let Some(Io::Listener { address, backlog, paused: false }) = self.io(core, key) else {
            return None;
        };
        let address = *address;
        let end = End { connection: backlog.pop_front()?, side: 1 };
        let peer = self.side(end.other())?.address;
        Some((end, seen_from(address, peer)))
    }

    /// An accepted connection has a name now.
    pub(super) fn attach(&mut self, end: End, key: Key) {
        let Some(side) = self.side(end) else { return };
        side.key = Some(key);
        side.waiting = false;
        let core = side.core;
        self.insert(core, key, Io::Stream(end));
    }

    /// Nobody wants this connection.
    pub(super) fn refuse(&mut self, end: End) {
        if let Some(side) = self.side(end) {
            side.waiting = false;
            self.close_stream(end, true);
        }
    }

    pub(super) fn end_of(&mut self, core: CoreId, key: Key) -> Option<End> {
        match self.io(core, key) {
            Some(Io::Stream(end)) => Some(*end),
            _ => None,
        }
    }

    pub(super) fn stream_address(&mut self, core: CoreId, key: Key) -> Option<SocketAddrV4> {
        let end = self.end_of(core, key)?;
        self.side(end).map(|side| side.address)
    }

    /// The next thing that a stream has to tell.
    pub(super) fn next_report(&mut self, core: CoreId, key: Key) -> Option<Report> {
        let end = self.end_of(core, key)?;
        let (window, most) =
            (self.network.window, self.sites[core as usize].limits.tcp_buffer_size);
        let side = self.side(end)?;
        if !side.told_connected {
            side.told_connected = side.state == State::Open || side.error.is_some();
            side.told_error = side.error.is_some();
            let result = side.error.map_or(Ok(()), Err);
            return side.told_connected.then_some(Report::Connected(result));
        }
        if !side.paused
            && let Some(mut data) = side.inbox.pop_front()
        {
            if data.len() > most.max(1) {
                side.inbox.push_front(data.split_off(most.max(1)));
            }
            self.was_read(end.other(), data.len());
            return Some(Report::Received(data));
        }
        let drained = side.inbox.is_empty();
        if let Some(error) = side.error {
            let blocked = std::mem::take(&mut side.out.blocked);
            if !side.told_error && (blocked || (drained && !side.told_ended)) {
                side.told_error = true;
                side.out.blocked = blocked;
                return Some(Report::Ended(Err(error)));
            }
            return blocked.then_some(Report::Writable);
        }
        if drained && side.ended && !side.told_ended {
            side.told_ended = true;
            return Some(Report::Ended(Ok(())));
        }
        (side.out.blocked && side.out.unread < window).then(|| {
            side.out.blocked = false;
            Report::Writable
        })
    }

    pub(super) fn pause(&mut self, core: CoreId, key: Key, pause: bool) {
        let end = match self.io(core, key) {
            Some(Io::Listener { paused, .. }) => return *paused = pause,
            Some(Io::Stream(end)) => *end,
            _ => return,
        };
        if let Some(side) = self.side(end) {
            side.paused = pause;
        }
    }

    /// Sends as much of these bytes as the window has room for.
    pub(super) fn send<'a>(
        &mut self,
        core: CoreId,
        key: Key,
        slices: impl Iterator<Item = &'a [u8]>,
    ) -> Sent {
        let window = self.network.window;
        let Some(end) = self.end_of(core, key) else { return Sent::Failed(libc::EBADF) };
        let Some(side) = self.side(end) else { return Sent::Failed(libc::EBADF) };
        if side.state != State::Open {
            side.told_error = true;
            return Sent::Failed(side.error.unwrap_or(libc::EPIPE));
        }
        let room = window.saturating_sub(side.out.unread);
        if room == 0 {
            side.out.blocked = true;
            if !std::mem::replace(&mut side.out.probing, true) {
                side.out.stalled = None;
                self.schedule(PROBE, Event::Probe(end));
            }
            return Sent::Blocked;
        }
        let mut data = Vec::new();
        for slice in slices {
            data.extend_from_slice(&slice[..slice.len().min(room - data.len())]);
            if data.len() == room {
                break;
            }
        }
        side.out.unread += data.len();
        let count = data.len();
        while !data.is_empty() {
            let mut size = data.len().min(self.network.segment);
            if self.chance(self.network.cut) {
                size = self.draw_size(size);
            }
            let rest = data.split_off(size);
            self.push(end, Segment::Data(std::mem::replace(&mut data, rest)));
        }
        Sent::Bytes(count)
    }

    /// Ends the sending side.
    pub(super) fn finish(&mut self, core: CoreId, key: Key) {
        if let Some(end) = self.end_of(core, key) {
            self.finish_end(end);
        }
    }

    fn finish_end(&mut self, end: End) {
        if let Some(side) = self.side(end)
            && matches!(side.state, State::Open | State::Orphan)
            && !std::mem::replace(&mut side.out.finished, true)
        {
            self.push(end, Segment::Finish);
        }
    }

    /// The core has closed this end.
    pub(super) fn close_stream(&mut self, end: End, reset: bool) {
        let Some(side) = self.side(end) else { return };
        side.key = None;
        let unread = !side.inbox.is_empty();
        side.inbox.clear();
        match side.state {
            State::Open if reset || unread => {
                self.vanish(end);
                self.send_reset(end.other());
            }
            State::Open => {
                side.state = State::Orphan;
                self.finish_end(end);
            }
            // What comes back, if the other end is there already, is answered by a reset.
            State::Connecting => self.vanish(end),
            State::Absent | State::Orphan => {}
        }
        self.settle(end.connection);
    }

    /// The power of a node is gone: its ends are, and nobody is told.
    pub(super) fn cut_power(&mut self, node: u32) {
        let sites = &self.sites;
        let mut ends = Vec::new();
        for (&connection, Connection { sides }) in &self.connections {
            for (side, state) in sides.iter().enumerate() {
                if sites.get(state.core as usize).is_some_and(|site| site.node == node) {
                    ends.push(End { connection, side });
                }
            }
        }
        for end in ends {
            self.vanish(end);
            if let Some(side) = self.side(end) {
                (side.key, side.waiting) = (None, false);
                side.inbox.clear();
            }
            self.settle(end.connection);
        }
    }
}

/// What happens on the way.
impl Net {
    fn side(&mut self, end: End) -> Option<&mut Side> {
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
    fn push(&mut self, end: End, segment: Segment) {
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
    fn send_reset(&mut self, end: End) {
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
    fn vanish(&mut self, end: End) {
        if let Some(side) = self.side(end) {
            side.state = State::Absent;
            side.out.segments.clear();
        }
    }

    /// The other core has read bytes that `end` sent.
    fn was_read(&mut self, end: End, count: usize) {
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
    fn settle(&mut self, connection: u64) {
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
