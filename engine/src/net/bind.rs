//! Binding: one address for all cores, without ever sharing it with a stranger.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use socket2::{Domain, SockAddr, Socket, Type};

use crate::config::{BpfInstruction, Limits};
use crate::driver::{Bound, Protocol};

const RETRIES: u32 = 5;
const RETRY_AFTER: Duration = Duration::from_millis(20);

/// An address could not be had.
#[derive(Debug)]
pub struct BindError {
    /// `TCP` or `UDP`.
    pub protocol: &'static str,
    /// What was asked for.
    pub address: SocketAddr,
    /// What the system said.
    pub source: io::Error,
}

impl fmt::Display for BindError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cannot use {} {}: {}", self.protocol, self.address, self.source)
    }
}

impl std::error::Error for BindError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.source)
    }
}

/// Binds `count` sockets to one address: the first takes the port alone, so that a port in anyone's
/// use is an error even if that one shares it (`SO_REUSEPORT`); then it lets the others in.
pub(crate) fn bind_group(
    protocol: Protocol,
    address: SocketAddr,
    count: usize,
    limits: &Limits,
) -> Result<Vec<Bound>, BindError> {
    let name = if protocol == Protocol::Tcp { "TCP" } else { "UDP" };
    // The system closes the sockets of a killed process that used io_uring a little after its end.
    let mut patience = RETRIES;
    let bound = loop {
        match try_bind_group(protocol, address, count, limits) {
            Err(error) if error.kind() == io::ErrorKind::AddrInUse && patience > 0 => {
                patience -= 1;
                std::thread::sleep(RETRY_AFTER);
            }
            bound => break bound,
        }
    };
    bound.map_err(|source| BindError { protocol: name, address, source })
}

/// Binds a socket for one core.
pub(crate) fn bind_one(
    protocol: Protocol,
    address: SocketAddr,
    limits: &Limits,
) -> io::Result<Bound> {
    try_bind_group(protocol, address, 1, limits).map(|mut group| group.remove(0))
}

fn try_bind_group(
    protocol: Protocol,
    address: SocketAddr,
    count: usize,
    limits: &Limits,
) -> io::Result<Vec<Bound>> {
    let first = new_socket(protocol, address, limits)?;
    first.bind(&address.into())?;
    let address = local_address(&first)?;
    if count > 1 {
        first.set_reuse_port(true)?;
    }
    let mut sockets = vec![first];
    for _ in 1..count {
        let socket = new_socket(protocol, address, limits)?;
        socket.set_reuse_port(true)?;
        socket.bind(&address.into())?;
        sockets.push(socket);
    }
    // The kernel numbers the group's members in this order, and steering counts on it.
    if protocol == Protocol::Tcp {
        for socket in &sockets {
            socket.listen(limits.backlog)?;
        }
    }
    let bound = |socket: Socket| Bound { address, socket: Some(socket.into()) };
    Ok(sockets.into_iter().map(bound).collect())
}

fn new_socket(protocol: Protocol, address: SocketAddr, limits: &Limits) -> io::Result<Socket> {
    let domain = Domain::for_address(address);
    let kind = if protocol == Protocol::Tcp { Type::STREAM } else { Type::DGRAM };
    // SOCK_CLOEXEC comes with `new`; drivers that need it make the socket non-blocking.
    let socket = Socket::new(domain, kind, None)?;
    if address.is_ipv6() {
        // `::` takes IPv4 as well, whatever the system's default.
        socket.set_only_v6(false)?;
    }
    match protocol {
        Protocol::Tcp => {
            // A port in TIME_WAIT is free; accepted sockets inherit the rest.
            socket.set_reuse_address(true)?;
            socket.set_tcp_nodelay(true)?;
        }
        Protocol::Udp => {
            socket.set_recv_buffer_size(limits.udp_kernel_buffer)?;
            socket.set_send_buffer_size(limits.udp_kernel_buffer)?;
        }
    }
    Ok(socket)
}

/// Attaches a program that picks the member of a group of datagram sockets.
pub(crate) fn steer(group: &[Bound], program: &[BpfInstruction]) -> io::Result<()> {
    let Some(socket) = group.first().and_then(|bound| bound.socket.as_ref()) else {
        return Ok(());
    };
    crate::sys::attach_reuseport_filter(socket, program)
}

pub(crate) fn local_address(socket: &Socket) -> io::Result<SocketAddr> {
    to_socket_address(&socket.local_addr()?)
}

pub(crate) fn to_socket_address(address: &SockAddr) -> io::Result<SocketAddr> {
    address.as_socket().ok_or_else(|| io::ErrorKind::AddrNotAvailable.into())
}
