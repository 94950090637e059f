//! What `main` of a core is given.

use std::io;
use std::rc::Rc;

use crate::driver::Bound;
use crate::executor::Executor;
use crate::mesh::{Ends, Mesh};
use crate::net::tcp::TcpListener;
use crate::net::udp::UdpSocket;

/// One core: its number, its sockets and its connection to the others.
pub struct Core<M> {
    /// Its number, from 0.
    pub index: usize,
    /// How many there are.
    pub cores: usize,
    /// One per address in `Config::tcp`, in that order.
    pub listeners: Vec<TcpListener>,
    /// One per address in `Config::udp`, in that order.
    pub sockets: Vec<UdpSocket>,
    /// The way to the other cores.
    pub mesh: Mesh<M>,
}

impl<M> Core<M> {
    /// Opens the sockets of a core on its executor.
    pub(crate) fn open(
        executor: &Rc<Executor>,
        cores: usize,
        ends: Ends<M>,
        tcp: Vec<Bound>,
        udp: Vec<Bound>,
    ) -> io::Result<Self> {
        let listeners = tcp.into_iter().map(|bound| TcpListener::open(executor, bound));
        let listeners = listeners.collect::<io::Result<_>>()?;
        let sockets = udp.into_iter().map(|bound| UdpSocket::open(executor, bound));
        let sockets = sockets.collect::<io::Result<_>>()?;
        let mesh = Mesh::new(executor, ends);
        Ok(Self { index: executor.index(), cores, listeners, sockets, mesh })
    }
}
