//! Streams between hosts, as cores use them.
//!
//! A connection has two ends. Each has a queue of segments on their way to the other, which arrive
//! in order, and an inbox of what has arrived and was not read by its core. What happens on the way
//! is in [`transit`](super::transit).

use std::collections::VecDeque;
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use std::time::Duration;

use super::net::{CoreId, Event, Net, seen_from, to_v4};
use super::site::Io;
use super::transit::PROBE;
use crate::driver::Key;

/// One end of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct End {
    pub(super) connection: u64,
    /// 0 is the end that connected.
    pub(super) side: usize,
}

impl End {
    pub(super) fn other(self) -> Self {
        Self { side: 1 - self.side, ..self }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// The kernel of this side knows nothing of it.
    Absent,
    Connecting,
    Open,
    /// Closed by its core; the kernel sends the rest.
    Orphan,
}

pub(super) enum Segment {
    /// Opens the connection, and the answer to that.
    Open,
    Data(Vec<u8>),
    Finish,
}

/// What is on its way from one end to the other.
#[derive(Default)]
pub(super) struct Outbound {
    pub(super) segments: VecDeque<(Duration, Segment)>,
    /// The arrival of the first segment is scheduled.
    pub(super) scheduled: bool,
    /// When the last segment may arrive at the earliest.
    pub(super) last: Duration,
    /// Since when the first segment does not get through.
    pub(super) stalled: Option<Duration>,
    pub(super) retry: Duration,
    /// Bytes sent and, as far as this end knows, not read.
    pub(super) unread: usize,
    /// Bytes read which this end does not know of.
    pub(super) read: usize,
    pub(super) window_scheduled: bool,
    pub(super) finished: bool,
    /// The core waits for room in the window.
    pub(super) blocked: bool,
    pub(super) probing: bool,
}

pub(super) struct Side {
    pub(super) state: State,
    pub(super) core: CoreId,
    pub(super) host: Ipv4Addr,
    pub(super) address: SocketAddrV4,
    /// The core's name for it, once accepted.
    pub(super) key: Option<Key>,
    /// In a listener's backlog.
    pub(super) waiting: bool,
    /// The core was told how connecting ended.
    pub(super) told_connected: bool,
    pub(super) inbox: VecDeque<Vec<u8>>,
    pub(super) paused: bool,
    pub(super) ended: bool,
    pub(super) told_ended: bool,
    pub(super) error: Option<i32>,
    pub(super) told_error: bool,
    pub(super) out: Outbound,
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

    pub(super) fn is_held(&self) -> bool {
        self.state != State::Absent || self.key.is_some() || self.waiting
    }
}

pub(super) struct Connection {
    pub(super) sides: [Side; 2],
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
