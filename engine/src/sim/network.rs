//! What the simulated network is like.

use std::ops::Range;
use std::time::Duration;

/// How the network between hosts behaves. Inside a host nothing is lost or
/// overtaken and all is fast.
///
/// Times are of the virtual clock, chances are between 0 and 1.
#[derive(Clone, Debug)]
pub struct Network {
    /// How long a packet takes from one host to another; evenly drawn for each, so a wide range
    /// reorders datagrams.
    pub delay: Range<Duration>,
    /// The chance that a packet is lost. A datagram is gone then, a piece of a stream is sent again.
    pub loss: f64,
    /// The chance that a datagram arrives twice.
    pub duplicate: f64,
    /// The largest piece of a stream that arrives at once, in bytes.
    pub segment: usize,
    /// The chance that a piece is cut somewhere else, anywhere from its first byte on.
    pub cut: f64,
    /// Bytes of a stream that may be on their way or unread by the peer's core; past that the sender
    /// waits.
    pub window: usize,
    /// After how long a connection attempt without an answer fails (`ETIMEDOUT`).
    pub connect_timeout: Duration,
    /// After how long bytes without an answer break a connection (`ETIMEDOUT`).
    pub retransmit_timeout: Duration,
    /// How long messages between cores of one host take to become visible. Their order stays.
    pub mesh_delay: Range<Duration>,
}

impl Default for Network {
    /// A good network, with the time-outs of Linux: nothing is lost, streams are cut now and then.
    fn default() -> Self {
        Self {
            delay: Duration::from_micros(100)..Duration::from_millis(2),
            loss: 0.0,
            duplicate: 0.0,
            segment: 1460,
            cut: 0.1,
            window: 64 * 1024,
            connect_timeout: Duration::from_secs(127),
            retransmit_timeout: Duration::from_secs(924),
            mesh_delay: Duration::from_micros(1)..Duration::from_micros(30),
        }
    }
}

impl Network {
    /// # Panics
    /// If it makes no sense.
    pub(super) fn check(&self) {
        for chance in [self.loss, self.duplicate, self.cut] {
            assert!((0.0..=1.0).contains(&chance), "no chance: {chance}");
        }
        assert!(self.segment > 0 && self.window > 0, "streams need room");
    }
}

/// What the network has carried since the world began.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Traffic {
    /// Datagrams handed to the network.
    pub datagrams: u64,
    /// Datagrams that reached the socket of a core; copies count.
    pub datagrams_arrived: u64,
    /// Datagrams lost by chance.
    pub datagrams_lost: u64,
    /// Datagrams that were copied on the way.
    pub datagrams_duplicated: u64,
    /// Datagrams to a host that is partitioned off or dead.
    pub datagrams_cut_off: u64,
    /// Datagrams to a port without a socket.
    pub datagrams_unclaimed: u64,
    /// Datagrams that found the socket's buffer full (`Limits::udp_kernel_buffer`).
    pub datagrams_overflowed: u64,
    /// Connections made.
    pub connections: u64,
    /// Pieces of streams that arrived, with their openings and ends.
    pub segments: u64,
    /// Pieces of streams that had to be sent again.
    pub segments_repeated: u64,
    /// Turns of all cores.
    pub turns: u64,
}
