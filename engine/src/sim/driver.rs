//! The driver of a simulated core.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use super::net::{CoreId, Event, Net, TURN};
use super::site::Io;
use super::tcp::{Report, Sent};
use super::udp::Inbox;
use crate::buffer::RecvBuf;
use crate::config::{DriverKind, Limits};
use crate::driver::{Bound, Driver, Flow, Key, Protocol, Wait};
use crate::mesh::Link;
use crate::net::table::Sockets;

/// The Unix time at which every world begins: 2026-01-01.
const EPOCH: Duration = Duration::from_secs(1_767_225_600);
/// Pieces of one send.
const PIECES: usize = 64;

pub(super) struct SimulatedDriver {
    net: Rc<RefCell<Net>>,
    core: CoreId,
    limits: Limits,
    random: StdRng,
    /// When the last message to each core becomes visible, by [`Link::to`].
    published: Vec<Duration>,
    /// The global number of the first core of this node.
    first: CoreId,
}

impl SimulatedDriver {
    pub(super) fn new(net: &Rc<RefCell<Net>>, core: CoreId, first: CoreId, cores: usize) -> Self {
        let seed = net.borrow_mut().draw_seed();
        let limits = net.borrow().sites[core as usize].limits.clone();
        Self {
            net: net.clone(),
            core,
            limits,
            random: StdRng::seed_from_u64(seed),
            published: vec![Duration::ZERO; cores],
            first,
        }
    }

    fn accept(&mut self, key: Key, sockets: &mut Sockets) {
        loop {
            let next = self.net.borrow_mut().next_accepted(self.core, key);
            let Some((end, peer)) = next else { return };
            let (stream, flow) = sockets.accepted(key, peer);
            let mut net = self.net.borrow_mut();
            net.pause(self.core, key, flow == Flow::Pause);
            match stream {
                Some(stream) => net.attach(end, stream),
                None => net.refuse(end),
            }
            drop(net);
            let limit = self.limits.accept_queue.max(1);
            if sockets.listener(key).is_some_and(|listener| listener.queue.len() > limit) {
                self.violated("Limits::accept_queue");
            }
            if let Some(stream) = stream {
                self.serve(stream, sockets);
            }
        }
    }

    /// Tells the table what there is to tell of a stream.
    fn serve(&mut self, key: Key, sockets: &mut Sockets) {
        loop {
            let report = self.net.borrow_mut().next_report(self.core, key);
            let Some(report) = report else { return };
            match report {
                Report::Connected(result) => sockets.connected(key, result),
                Report::Received(data) => {
                    let data = RecvBuf::owned(data);
                    let most = self.limits.recv_high_water + data.footprint();
                    let flow = sockets.received(key, data);
                    if flow == Flow::Pause {
                        self.net.borrow_mut().pause(self.core, key, true);
                    }
                    if sockets.stream(key).is_some_and(|stream| stream.inbox_bytes > most) {
                        self.violated("Limits::recv_high_water");
                    }
                }
                Report::Ended(result) => sockets.ended(key, result),
                Report::Writable => self.send(key, sockets),
            }
        }
    }

    fn receive_datagrams(&mut self, key: Key, sockets: &mut Sockets) {
        loop {
            let next = self.net.borrow_mut().next_datagram(self.core, key);
            let Some((from, data)) = next else { return };
            if data.len() > self.limits.udp_buffer_size {
                sockets.stats.datagrams_oversized += 1;
                continue;
            }
            sockets.datagram(key, from, RecvBuf::owned(data));
            let limit = self.limits.udp_recv_queue;
            if sockets.datagrams(key).is_some_and(|socket| socket.inbox.len() > limit) {
                self.violated("Limits::udp_recv_queue");
            }
        }
    }

    fn violated(&self, what: &str) {
        self.net.borrow_mut().violated(format!("core {} is past {what}", self.core));
    }
}

impl Driver for SimulatedDriver {
    fn kind(&self) -> DriverKind {
        DriverKind::Simulated
    }

    fn now(&mut self) -> Duration {
        self.net.borrow().now
    }

    fn wall_clock(&mut self) -> Duration {
        EPOCH + self.net.borrow().now
    }

    fn fill_random(&mut self, buffer: &mut [u8]) {
        self.random.fill_bytes(buffer);
    }

    fn bind(&mut self, protocol: Protocol, address: SocketAddr) -> io::Result<Bound> {
        let bound = self.net.borrow_mut().bind(self.core, protocol, address);
        let address = bound.map_err(io::Error::from_raw_os_error)?;
        Ok(Bound { address, socket: None })
    }

    fn listen(&mut self, key: Key, bound: Bound) -> io::Result<()> {
        let io = Io::Listener { address: bound.address, backlog: VecDeque::new(), paused: false };
        self.net.borrow_mut().open(self.core, key, bound.address, io);
        Ok(())
    }

    fn open_datagrams(&mut self, key: Key, bound: Bound) -> io::Result<()> {
        let io = Io::Datagrams(Inbox::new(bound.address));
        self.net.borrow_mut().open(self.core, key, bound.address, io);
        Ok(())
    }

    fn connect(&mut self, key: Key, to: SocketAddr) -> io::Result<()> {
        let connected = self.net.borrow_mut().connect(self.core, key, to);
        connected.map_err(io::Error::from_raw_os_error)
    }

    fn local_address(&mut self, key: Key) -> io::Result<SocketAddr> {
        let address = self.net.borrow_mut().stream_address(self.core, key);
        Ok(address.ok_or(io::ErrorKind::NotConnected)?.into())
    }

    fn resume(&mut self, key: Key, sockets: &mut Sockets) {
        self.net.borrow_mut().pause(self.core, key, false);
        self.accept(key, sockets);
        self.serve(key, sockets);
    }

    fn send(&mut self, key: Key, sockets: &mut Sockets) {
        let Some(out) = sockets.outgoing(key) else { return };
        let within = out.len() <= self.limits.send_cap;
        let sent = self.net.borrow_mut().send(self.core, key, out.freeze(PIECES));
        match sent {
            Sent::Bytes(count) => sockets.sent(key, count),
            Sent::Blocked => {}
            Sent::Failed(errno) => {
                sockets.ended(key, Err(errno));
                sockets.sent(key, 0);
            }
        }
        if !within {
            self.violated("Limits::send_cap");
        }
    }

    fn finish(&mut self, key: Key, _sockets: &mut Sockets) {
        self.net.borrow_mut().finish(self.core, key);
    }

    fn send_datagrams(&mut self, key: Key, sockets: &mut Sockets) {
        let mut count = 0;
        while let Some((to, data)) = sockets.next_datagram(key) {
            let sent = self.net.borrow_mut().send_datagram(self.core, key, to, &data);
            sockets.datagram_done(key, data, sent);
            count += 1;
        }
        if count > self.limits.udp_send_queue {
            self.violated("Limits::udp_send_queue");
        }
    }

    fn close(&mut self, key: Key, reset: bool, sockets: &mut Sockets) {
        self.net.borrow_mut().close(self.core, key, reset);
        sockets.closed(key);
    }

    fn poll(&mut self, _wait: Wait, sockets: &mut Sockets) {
        let touched = self.net.borrow_mut().take_touched(self.core);
        for key in touched {
            self.accept(key, sockets);
            self.serve(key, sockets);
            self.receive_datagrams(key, sockets);
        }
    }

    fn publish(&mut self, link: &Arc<Link>) {
        let mut net = self.net.borrow_mut();
        let mesh_delay = net.network.mesh_delay.clone();
        let at = net.now + TURN + net.draw(&mesh_delay);
        let last = &mut self.published[link.to];
        *last = at.max(*last);
        let to = self.first + link.to as CoreId;
        let (link, written) = (link.clone(), link.written());
        net.schedule_at(*last, Event::Mesh { link, written, to });
    }
}
