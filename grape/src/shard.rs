//! One core's share of a grape: its part of the DHT, its socket, and the calls in progress.

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::net::{IpAddr, SocketAddr, SocketAddrV4};
use std::rc::Rc;
use std::task::{Poll, Waker};
use std::time::Duration;

use grenache_dht::{CommandError, Dht, Error, Event, Op, Route};
use grenache_engine::{Mesh, Sender, UdpSocket, now, spawn_local};

use crate::alarm::Alarm;
use crate::calls::{Asker, Calls, Ticket};
use crate::debug::Debug;
use crate::message::{Call, Message, Reply};

/// A core's share. Everything here is touched by this core's thread alone.
pub(crate) struct Shard {
    index: usize,
    cores: usize,
    dht: RefCell<Dht>,
    socket: UdpSocket,
    mesh: Mesh<Message>,
    calls: RefCell<Calls>,
    alarm: Alarm,
    debug: Debug,
    /// Datagrams and messages that found no room on the mesh.
    mesh_drops: Cell<u64>,
}

/// How long an answer waits before it is offered to a full ring again.
const RETRY: Duration = Duration::from_millis(1);

/// A call that was begun. Dropping it gives the call up.
pub(crate) struct Pending(Option<(Rc<Shard>, Ticket)>);

impl Pending {
    /// A call for which there was no room.
    const BUSY: Pending = Pending(None);

    /// The reply, if it is there already.
    pub(crate) fn now(&mut self) -> Option<Reply> {
        match self.poll(Waker::noop()) {
            Poll::Ready(reply) => Some(reply),
            Poll::Pending => None,
        }
    }

    /// Waits for the reply.
    pub(crate) async fn wait(mut self) -> Reply {
        poll_fn(|context| self.poll(context.waker())).await
    }

    fn poll(&mut self, waker: &Waker) -> Poll<Reply> {
        let Some((shard, ticket)) = &self.0 else { return Poll::Ready(Reply::Busy) };
        let polled = shard.calls.borrow_mut().poll(*ticket, waker);
        if polled.is_ready() {
            // Redeemed: there is nothing left to give up.
            self.0 = None;
        }
        polled
    }
}

impl Drop for Pending {
    fn drop(&mut self) {
        if let Some((shard, ticket)) = self.0.take() {
            shard.calls.borrow_mut().abandon(ticket);
        }
    }
}

impl Shard {
    pub(crate) fn start(
        (index, cores): (usize, usize),
        dht: Dht,
        socket: UdpSocket,
        mesh: Mesh<Message>,
        max_calls: usize,
        debug: Debug,
    ) -> Rc<Shard> {
        let shard = Rc::new(Shard {
            index,
            cores,
            dht: RefCell::new(dht),
            socket,
            mesh,
            calls: RefCell::new(Calls::new(max_calls)),
            alarm: Alarm::default(),
            debug,
            mesh_drops: Cell::new(0),
        });
        spawn_local(shard.clone().read_socket());
        spawn_local(shard.clone().read_mesh());
        spawn_local(shard.clone().keep_time());
        shard.settle();
        shard
    }

    /// Begins a call, here or on the core that owns its key.
    pub(crate) fn begin(self: &Rc<Self>, call: Call) -> Pending {
        let owner = self.owner(&call);
        let ticket = self.calls.borrow_mut().open();
        let Some(ticket) = ticket else { return Pending::BUSY };
        if owner == self.index {
            self.run(call, Asker::Here(ticket));
        } else if self.mesh.send(owner, Message::Ask(ticket.0, Box::new(call))).is_err() {
            self.count_drop();
            self.calls.borrow_mut().release(ticket);
            return Pending::BUSY;
        }
        Pending(Some((self.clone(), ticket)))
    }

    /// Whether no call is in progress, neither begun here nor run here for another core.
    pub(crate) fn is_idle(&self) -> bool {
        self.calls.borrow().is_empty()
    }

    fn owner(&self, call: &Call) -> usize {
        let dht = self.dht.borrow();
        usize::from(match call {
            Call::Lookup { key } | Call::Announce { key, .. } => dht.owner(key),
            Call::Put(put) => dht.owner(&put.target()),
            Call::Get(get) => dht.owner(&get.target),
        })
    }

    /// Starts a call whose key this core owns.
    fn run(&self, call: Call, asker: Asker) {
        // What a call that the DHT does not even begin comes to.
        let (started, refused) = {
            let dht = &mut *self.dht.borrow_mut();
            match call {
                Call::Lookup { key } => (dht.lookup(now(), key), Reply::Peers(Vec::new())),
                Call::Announce { key, port, local } => {
                    let failed = Reply::Announced(Err(Error::AllQueriesFailed));
                    (dht.announce(now(), key, port, local), failed)
                }
                Call::Put(put) => {
                    (dht.put(now(), put), Reply::Stored(Err(Error::AllQueriesFailed)))
                }
                Call::Get(get) => (dht.get(now(), get), Reply::Found(None)),
            }
        };
        match started {
            Ok(op) => {
                self.calls.borrow_mut().started(op, asker);
                self.settle();
            }
            Err(CommandError::Busy) => self.answer(asker, Reply::Busy),
            // Too long for any node to take.
            Err(_) => self.answer(asker, refused),
        }
    }

    /// Sends what the DHT has to send, hands out what it has found, and sets the alarm.
    fn settle(&self) {
        let mut dht = self.dht.borrow_mut();
        while let Some(transmit) = dht.poll_transmit() {
            // A full queue drops the datagram and counts it; the DHT's time-out covers the loss.
            self.socket.send_to(transmit.payload, SocketAddr::V4(transmit.to));
        }
        while let Some(event) = dht.poll_event() {
            match event {
                Event::LookupDone { op, peers, .. } => self.finish(op, Reply::Peers(peers)),
                Event::Announced { op, result } => self.finish(op, Reply::Announced(result)),
                Event::PutDone { op, result } => self.finish(op, Reply::Stored(result)),
                Event::Got { op, result } => self.finish(op, Reply::Found(result.map(Box::new))),
                Event::Contact(contact) => self.gossip(|| Message::Met(Box::new(contact))),
                Event::ContactGone(id) => self.gossip(|| Message::Lost(Box::new(id))),
                Event::Announce { key } => {
                    let owner = usize::from(dht.owner(key.as_bytes()));
                    debug_assert_eq!(
                        owner, self.index,
                        "a key was stored on a core that does not own it"
                    );
                    self.debug.announce(key.as_bytes());
                }
                Event::Node => self.debug.event("node"),
                Event::Warning => self.debug.event("warning"),
                Event::Ready => self.debug.event("ready"),
            }
        }
        self.alarm.set(dht.poll_timeout());
    }

    fn finish(&self, op: Op, reply: Reply) {
        let asker = self.calls.borrow_mut().finished(op);
        if let Some(asker) = asker {
            self.answer(asker, reply);
        }
    }

    fn answer(&self, asker: Asker, reply: Reply) {
        match asker {
            Asker::Here(ticket) => self.calls.borrow_mut().resolve(ticket, reply),
            Asker::Core(core, ticket) => {
                // An answer must arrive: it waits for room rather than being dropped. There are never
                // more of them than the other core has tickets.
                self.calls.borrow_mut().hold(core, Message::Answer(ticket.0, Box::new(reply)));
                self.offer_held();
            }
        }
    }

    fn offer_held(&self) {
        let mut calls = self.calls.borrow_mut();
        calls.offer(|core, answer| self.mesh.send(core, answer).map_err(|full| full.0));
        if calls.holds_answers() {
            self.alarm.set(Some(now() + RETRY));
        }
    }

    fn gossip(&self, message: impl Fn() -> Message) {
        for core in (0..self.cores).filter(|core| *core != self.index) {
            // Contacts are met again; a full ring loses one piece of gossip.
            if self.mesh.send(core, message()).is_err() {
                self.count_drop();
            }
        }
    }

    fn count_drop(&self) {
        self.mesh_drops.set(self.mesh_drops.get() + 1);
    }

    async fn read_socket(self: Rc<Self>) {
        while let Ok(datagram) = self.socket.recv().await {
            self.datagram(datagram.from, &datagram.data);
            drop(datagram);
            while let Some(datagram) = self.socket.try_recv() {
                self.datagram(datagram.from, &datagram.data);
            }
            self.settle();
        }
    }

    fn datagram(&self, from: SocketAddr, payload: &[u8]) {
        let Some(from) = ipv4(from) else { return };
        let mut dht = self.dht.borrow_mut();
        match dht.route(payload) {
            Route::Here => dht.receive(now(), from, payload),
            Route::Shard(core) => {
                let moved = Message::Datagram(Box::new((from, payload.into())));
                if self.mesh.send(usize::from(core), moved).is_err() {
                    self.count_drop();
                }
            }
        }
    }

    async fn read_mesh(self: Rc<Self>) {
        loop {
            let (from, message) = self.mesh.recv().await;
            self.message(from, message);
            while let Some((from, message)) = self.mesh.try_recv() {
                self.message(from, message);
            }
            self.settle();
        }
    }

    fn message(self: &Rc<Self>, from: Sender, message: Message) {
        match (message, from) {
            (Message::Datagram(moved), _) => {
                self.dht.borrow_mut().receive(now(), moved.0, &moved.1);
            }
            (Message::Ask(ticket, call), Sender::Core(core)) => {
                self.run(*call, Asker::Core(core, Ticket(ticket)));
            }
            (Message::Answer(ticket, reply), _) => {
                self.calls.borrow_mut().resolve(Ticket(ticket), *reply);
            }
            (Message::Met(contact), _) => self.dht.borrow_mut().learn(now(), *contact),
            (Message::Lost(id), _) => self.dht.borrow_mut().forget(*id),
            (Message::Outside(asked), _) => {
                let (call, sender) = *asked;
                let pending = self.begin(call);
                spawn_local(async move {
                    // The asker may have gone away; nobody is waiting then.
                    let _ = sender.send(pending.wait().await);
                });
            }
            (Message::Bootstrap(nodes), _) => self.dht.borrow_mut().set_bootstrap(now(), *nodes),
            (Message::Ask(..), Sender::Outside) => {
                unreachable!("foreign threads only post Outside")
            }
        }
    }

    async fn keep_time(self: Rc<Self>) {
        loop {
            self.alarm.rings().await;
            self.dht.borrow_mut().handle_timeout(now());
            self.offer_held();
            self.settle();
        }
    }
}

fn ipv4(addr: SocketAddr) -> Option<SocketAddrV4> {
    match (addr.ip(), addr.port()) {
        (IpAddr::V4(ip), port) => Some(SocketAddrV4::new(ip, port)),
        (IpAddr::V6(ip), port) => ip.to_ipv4_mapped().map(|ip| SocketAddrV4::new(ip, port)),
    }
}
