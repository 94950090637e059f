//! Counters of one core.

use std::time::Duration;

/// What a core has counted since it started.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Connections accepted.
    pub accepted: u64,
    /// Connections made.
    pub connected: u64,
    /// Errors of accepting, such as running out of descriptors; each was followed by a rest.
    pub accept_errors: u64,
    /// Connections reset because more was queued than `Limits::send_cap`.
    pub send_overflows: u64,
    /// Dropped connections whose queue did not leave within `Limits::linger`.
    pub linger_expired: u64,
    /// Times a connection was paused because it had not read what it received.
    pub recv_pauses: u64,
    /// Times the kernel found no receive buffer and was asked again (io_uring only).
    pub buffer_shortages: u64,
    /// Received buffers copied out because half of the lent ones were held (io_uring only).
    pub buffer_copies: u64,
    /// Datagrams received.
    pub datagrams_received: u64,
    /// Datagrams handed to the kernel.
    pub datagrams_sent: u64,
    /// Datagrams dropped because nobody read the socket.
    pub datagrams_dropped: u64,
    /// Datagrams dropped because they were larger than `Limits::udp_buffer_size`.
    pub datagrams_oversized: u64,
    /// Datagrams refused because the send queue was full.
    pub datagrams_refused: u64,
    /// Datagrams the kernel refused to send.
    pub datagrams_failed: u64,
    /// Tasks started.
    pub tasks_spawned: u64,
    /// Tasks that panicked.
    pub tasks_panicked: u64,
    /// Turns of the executor.
    pub turns: u64,
    /// Time spent looking for work in vain ([`Idle::Spin`](crate::Idle::Spin)): CPU time that did nothing.
    pub spun: Duration,
    /// Time spent asleep in the kernel, waiting for something to happen, with what it did there before and after.
    pub parked: Duration,
}
