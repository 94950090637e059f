//! What a runtime is started with.

use std::net::SocketAddr;
use std::time::Duration;

use crate::idle::Idle;

/// How to start a [`Runtime`](crate::Runtime).
#[derive(Clone, Debug)]
pub struct Config {
    /// Cores to run, each a thread of its own. May exceed the machine's CPUs.
    pub cores: usize,
    /// Which driver does the I/O.
    pub driver: DriverChoice,
    /// What a core does when it has nothing to do.
    pub idle: Idle,
    /// Whether and where threads are pinned.
    pub pinning: Pinning,
    /// TCP addresses every core listens on. Port 0 is resolved once, for all cores.
    pub tcp: Vec<SocketAddr>,
    /// UDP addresses every core receives on. Port 0 is resolved once, for all cores.
    pub udp: Vec<SocketAddr>,
    /// Classic BPF that picks the core of a datagram by its content: the program's answer is the
    /// index of the core; an index past the last core leaves the choice to the kernel.
    pub steer: Option<Vec<BpfInstruction>>,
    /// Bounds of everything that could grow.
    pub limits: Limits,
    /// Threads are called `<name>-<core>`.
    pub name: String,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            cores: 1,
            driver: DriverChoice::Auto,
            idle: Idle::Park,
            pinning: Pinning::From(0),
            tcp: Vec::new(),
            udp: Vec::new(),
            steer: None,
            limits: Limits::default(),
            name: "core".into(),
        }
    }
}

/// Which driver a runtime asks for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DriverChoice {
    /// io_uring where the kernel allows it, epoll otherwise.
    #[default]
    Auto,
    /// io_uring or an error.
    Uring,
    /// epoll.
    Epoll,
}

/// Which driver a core runs on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DriverKind {
    /// io_uring.
    Uring,
    /// epoll.
    Epoll,
    /// The simulator: virtual time and network.
    Simulated,
}

impl std::fmt::Display for DriverKind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Uring => "io_uring",
            Self::Epoll => "epoll",
            Self::Simulated => "simulated",
        })
    }
}

/// Where the threads of the cores run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pinning {
    /// The kernel moves threads as it likes.
    Off,
    /// Core `i` is pinned to the CPU number `(n + i) mod CPUs` of those this process may use.
    From(usize),
}

/// One instruction of a classic BPF program, as in `struct sock_filter`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BpfInstruction {
    /// Operation.
    pub code: u16,
    /// Jump if true.
    pub jt: u8,
    /// Jump if false.
    pub jf: u8,
    /// Operand.
    pub k: u32,
}

/// Bounds per core, or per socket where said.
#[derive(Clone, Debug)]
pub struct Limits {
    /// TCP receive buffers lent to the kernel. Rounded up to a power of two, at most 32768.
    pub tcp_buffers: usize,
    /// Bytes of one TCP receive buffer.
    pub tcp_buffer_size: usize,
    /// UDP receive buffers lent to the kernel. Rounded up to a power of two, at most 32768.
    pub udp_buffers: usize,
    /// The largest datagram taken, in bytes; larger ones are dropped and counted.
    pub udp_buffer_size: usize,
    /// Bytes of memory for what a connection has received and not read; then its peer is made to
    /// wait. Bytes that come one by one count with the buffers they lie in.
    pub recv_high_water: usize,
    /// Bytes a connection may have queued to send; past that it is reset.
    pub send_cap: usize,
    /// Connections accepted and not yet taken by `accept()`, per listener.
    pub accept_queue: usize,
    /// The kernel's queue of connections, per listener.
    pub backlog: i32,
    /// How long accepting rests after an error such as running out of descriptors.
    pub accept_backoff: Duration,
    /// How long a dropped connection may take to send what is queued and see the peer's end.
    pub linger: Duration,
    /// Bytes a dropped connection may still have queued; past that it is reset at once.
    pub linger_bytes: usize,
    /// Datagrams received and not yet read, per socket; further ones are dropped and counted.
    pub udp_recv_queue: usize,
    /// Datagrams queued to send or being sent, per socket; `send_to` refuses further ones.
    pub udp_send_queue: usize,
    /// Kernel receive buffer of a UDP socket in bytes (`SO_RCVBUF`; the system may give less).
    pub udp_kernel_buffer: usize,
    /// Messages in flight from one core to another.
    pub mesh_ring: usize,
    /// Messages in flight from threads outside to one core.
    pub mesh_outside: usize,
    /// Polls of tasks before a core looks at its sockets again, and what was written leaves. Few, so that the other side of many
    /// calls works on the first while the others are made: see ARCHITECTURE.md.
    pub turn_polls: usize,
    /// Entries of the io_uring submission queue. A power of two.
    pub uring_entries: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            tcp_buffers: 256,
            tcp_buffer_size: 8 * 1024,
            udp_buffers: 128,
            udp_buffer_size: 2048,
            recv_high_water: 64 * 1024,
            send_cap: 16 * 1024 * 1024,
            accept_queue: 256,
            backlog: 4096,
            accept_backoff: Duration::from_millis(100),
            linger: Duration::from_secs(2),
            linger_bytes: 4 * 1024 * 1024,
            udp_recv_queue: 1024,
            udp_send_queue: 1024,
            udp_kernel_buffer: 1024 * 1024,
            mesh_ring: 1024,
            mesh_outside: 1024,
            turn_polls: 24,
            uring_entries: 1024,
        }
    }
}
