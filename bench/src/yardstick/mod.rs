//! Echo servers that the engine is measured against, each as well tuned as its library allows.
//!
//! All of them run one thread and echo whatever arrives. Each says on standard output where it listens.

use std::io::{self, Write};
use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::time::Duration;

use grenache_engine::{DriverChoice, Idle};

mod buffers;
mod engine;
mod epoll_tcp;
mod epoll_udp;
mod on_glommio;
mod on_monoio;
mod on_tokio;
mod uring_tcp;
mod uring_udp;

/// Room for one message: the loads send 64 bytes, so 2 KiB is never the limit.
const MESSAGE: usize = 2048;

/// What is echoed over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Transport {
    /// A byte stream per client.
    Tcp,
    /// One socket, a datagram back for each that came.
    Udp,
}

/// The systems an echo can run on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum System {
    /// Our engine on io_uring.
    Engine,
    /// Our engine on epoll.
    EngineEpoll,
    /// Our engine on io_uring, spinning for up to a millisecond before it parks.
    EngineSpin,
    /// A loop by hand over the io-uring crate: multishot operations and a ring of provided buffers.
    Uring,
    /// The same, with the connections in the ring's own table of descriptors.
    UringDirect,
    /// A loop by hand over edge-triggered epoll.
    Epoll,
    /// monoio with SINGLE_ISSUER and DEFER_TASKRUN.
    Monoio,
    /// glommio, which has no way to set the flags of its rings.
    Glommio,
    /// tokio, current-thread runtime.
    Tokio,
}

/// Runs the echo of `system` on `addr` until the process is ended; returns only with the error that ended it.
pub fn serve(system: System, transport: Transport, addr: SocketAddr) -> io::Result<()> {
    let spin = Idle::Spin(Duration::from_millis(1));
    match (system, transport) {
        (System::Engine, _) => engine::serve(transport, addr, DriverChoice::Uring, Idle::Park),
        (System::EngineEpoll, _) => engine::serve(transport, addr, DriverChoice::Epoll, Idle::Park),
        (System::EngineSpin, _) => engine::serve(transport, addr, DriverChoice::Uring, spin),
        (System::Uring, Transport::Tcp) => uring_tcp::serve(&listen(addr)?, false),
        (System::UringDirect, Transport::Tcp) => uring_tcp::serve(&listen(addr)?, true),
        (System::Uring | System::UringDirect, Transport::Udp) => uring_udp::serve(&bind(addr)?),
        (System::Epoll, Transport::Tcp) => epoll_tcp::serve(&listen(addr)?),
        (System::Epoll, Transport::Udp) => epoll_udp::serve(&bind(addr)?),
        (System::Monoio, Transport::Tcp) => on_monoio::tcp(listen(addr)?),
        (System::Monoio, Transport::Udp) => on_monoio::udp(bind(addr)?),
        (System::Glommio, Transport::Tcp) => on_glommio::tcp(addr),
        (System::Glommio, Transport::Udp) => on_glommio::udp(addr),
        (System::Tokio, Transport::Tcp) => on_tokio::tcp(listen(addr)?),
        (System::Tokio, Transport::Udp) => on_tokio::udp(bind(addr)?),
    }
}

fn listen(addr: SocketAddr) -> io::Result<TcpListener> {
    let listener = TcpListener::bind(addr)?;
    announce(listener.local_addr()?)?;
    Ok(listener)
}

fn bind(addr: SocketAddr) -> io::Result<UdpSocket> {
    let socket = UdpSocket::bind(addr)?;
    announce(socket.local_addr()?)?;
    Ok(socket)
}

/// Prints `listening <address>`, which tells the port where port 0 was asked for; the comparison waits for this line.
pub fn announce(addr: SocketAddr) -> io::Result<()> {
    let mut out = io::stdout().lock();
    writeln!(out, "listening {addr}")?;
    out.flush()
}
