//! Connections of a socket: those that others make to it, and those that it makes, again and again.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::future::poll_fn;
use std::net::SocketAddr;
use std::rc::{Rc, Weak};

use grenache_engine::{JoinHandle, TcpListener, TcpStream, sleep, spawn_local};

use super::peers::Peers;
use crate::channel::Channel;
use crate::error::Error;
use crate::http::Target;
use crate::zeromq::{Met, accept, connect};

/// The tasks of a socket, which end with this.
#[derive(Default)]
pub(super) struct Tasks {
    running: RefCell<BTreeMap<u64, JoinHandle<()>>>,
    number: Cell<u64>,
}

impl Tasks {
    /// Begins one. It may begin others.
    pub(super) fn spawn(self: &Rc<Self>, task: impl Future<Output = ()> + 'static) -> u64 {
        let number = self.number.get() + 1;
        self.number.set(number);
        let tasks: Weak<Tasks> = Rc::downgrade(self);
        let running = spawn_local(async move {
            task.await;
            if let Some(tasks) = tasks.upgrade() {
                tasks.running.borrow_mut().remove(&number);
            }
        });
        self.running.borrow_mut().insert(number, running);
        number
    }

    /// Ends one. It may have ended.
    pub(super) fn abort(&self, number: u64) {
        let task = self.running.borrow_mut().remove(&number);
        task.inspect(|task| task.abort());
    }
}

impl Drop for Tasks {
    fn drop(&mut self) {
        self.running.take().into_values().for_each(|task| task.abort());
    }
}

/// Takes the connections that others make.
pub(super) async fn listen(peers: Rc<Peers>, tasks: Weak<Tasks>, listener: TcpListener) {
    while let Ok((stream, from)) = listener.accept().await {
        let Some(tasks) = tasks.upgrade() else { return };
        if peers.is_full() {
            peers.refuse(Error::Busy("a socket has as many peers as max_peers says"));
            continue;
        }
        let shaking = Shaking::new(&peers);
        tasks.spawn(greet(peers.clone(), shaking, stream, from));
    }
}

async fn greet(peers: Rc<Peers>, shaking: Shaking, stream: TcpStream, to: SocketAddr) {
    let (metadata, settings) = (peers.metadata.clone(), &peers.settings);
    let channel = Channel::Plain(stream);
    let met = accept(channel, metadata, &settings.gate, &settings.connection).await;
    drop(shaking);
    match met {
        Ok(met) => {
            if let Err(why) = serve(&peers, met, false).await {
                peers.refuse(why);
            }
        }
        Err(failure) => peers.refuse(Error::Request { to, failure }),
    }
}

/// Keeps a connection, until the task ends.
pub(super) async fn dial(peers: Rc<Peers>, to: SocketAddr) {
    let (mut failures, mut again) = (0, false);
    loop {
        failures = match meet(&peers, to, again).await {
            Ok(()) => 1,
            Err(why) => {
                peers.failed(why);
                failures + 1
            }
        };
        again |= failures == 1;
        sleep(peers.settings.retry.pause(failures, &peers.random)).await;
    }
}

/// Makes a connection, and stays as long as it lasts.
async fn meet(peers: &Rc<Peers>, to: SocketAddr, again: bool) -> Result<(), Error> {
    if peers.is_full() {
        return Err(Error::Busy("a socket has as many peers as max_peers says"));
    }
    let config = &peers.settings.connection;
    let met = connect(&Target::peer(to, false), peers.metadata.clone(), config, None).await;
    let met = met.map_err(|failure| Error::Request { to, failure })?;
    serve(peers, met, again).await.inspect_err(|why| peers.refuse(why.clone()))
}

/// Lets a peer in, and stays as long as its connection lasts. The error says why it is not let in.
async fn serve(peers: &Rc<Peers>, met: Met, again: bool) -> Result<(), Error> {
    let place = peers.join(met)?;
    if again {
        peers.counters.update(|stats| stats.reconnects += 1);
    }
    poll_fn(|context| place.peer.poll(peers, context)).await;
    peers.failed(place.peer.why());
    Ok(())
}

/// A connection in its handshake is counted, as long as this lives.
struct Shaking(Rc<Peers>);

impl Shaking {
    fn new(peers: &Rc<Peers>) -> Shaking {
        peers.shaking.set(peers.shaking.get() + 1);
        Shaking(peers.clone())
    }
}

impl Drop for Shaking {
    fn drop(&mut self) {
        self.0.shaking.set(self.0.shaking.get() - 1);
    }
}
