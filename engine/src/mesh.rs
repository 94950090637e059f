//! The mesh between the cores of a runtime: one single-producer ring per ordered pair.
//!
//! What a core sends becomes visible to the other, which is woken if it sleeps, at the end of the
//! turn. Messages from one sender arrive in order. A full ring refuses: the caller decides.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::fmt;
use std::future::poll_fn;
use std::rc::Rc;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::Poll;

use crate::executor::Executor;
use crate::ring::{self, Consumer, Counters, Producer};
use crate::wake::Home;

/// Who sent a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sender {
    /// A core of the same runtime, possibly the receiver itself.
    Core(usize),
    /// `post` from a thread outside.
    Outside,
}

/// The message found no room; here it is back.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Full<M>(pub M);

impl<M> fmt::Debug for Full<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Full(..)")
    }
}

impl<M> fmt::Display for Full<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the other core's queue is full")
    }
}

impl<M> std::error::Error for Full<M> {}

/// One direction between two cores, as their executors see it.
pub(crate) struct Link {
    /// The sender's core.
    pub(crate) from: usize,
    /// The receiver's core.
    pub(crate) to: usize,
    counters: Arc<Counters>,
    receiver: Arc<Home>,
}

impl Link {
    /// How many messages were ever written, modulo the word size.
    pub(crate) fn written(&self) -> usize {
        self.counters.written()
    }

    /// Shows the receiver everything up to `written` and wakes it.
    pub(crate) fn publish(&self, written: usize) {
        self.counters.publish(written);
        self.receiver.bell.ring();
    }

    pub(crate) fn has_mail(&self) -> bool {
        !self.counters.is_empty()
    }
}

/// Messages from outside threads to one core.
pub(crate) struct Outside<M> {
    queue: Mutex<VecDeque<M>>,
    capacity: usize,
    home: Arc<Home>,
}

impl<M> Outside<M> {
    pub(crate) fn post(&self, message: M) -> Result<(), Full<M>> {
        let mut queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner);
        if queue.len() >= self.capacity {
            return Err(Full(message));
        }
        queue.push_back(message);
        self.home.set_mail(true);
        drop(queue);
        self.home.bell.ring();
        Ok(())
    }

    fn take(&self) -> Option<M> {
        if !self.home.has_mail() {
            return None;
        }
        let mut queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner);
        let message = queue.pop_front();
        self.home.set_mail(!queue.is_empty());
        message
    }
}

/// One core's ends of the mesh, made before its thread.
pub(crate) struct Ends<M> {
    outbound: Vec<Option<(Producer<M>, Arc<Link>)>>,
    inbound: Vec<Option<Consumer<M>>>,
    links: Vec<Arc<Link>>,
    outside: Arc<Outside<M>>,
    index: usize,
    capacity: usize,
}

impl<M> Ends<M> {
    /// What the executor of this core has to watch.
    pub(crate) fn links(&self) -> Vec<Arc<Link>> {
        self.links.clone()
    }

    pub(crate) fn outside(&self) -> Arc<Outside<M>> {
        self.outside.clone()
    }
}

/// Makes the ends of a mesh over the given cores.
pub(crate) fn build<M>(homes: &[Arc<Home>], ring: usize, outside: usize) -> Vec<Ends<M>> {
    let ends = |(index, home): (usize, &Arc<Home>)| Ends {
        outbound: homes.iter().map(|_| None).collect(),
        inbound: homes.iter().map(|_| None).collect(),
        outside: Arc::new(Outside {
            queue: Mutex::default(),
            capacity: outside,
            home: home.clone(),
        }),
        links: Vec::new(),
        index,
        capacity: ring,
    };
    let mut all: Vec<Ends<M>> = homes.iter().enumerate().map(ends).collect();
    for from in 0..homes.len() {
        for (to, home) in homes.iter().enumerate().filter(|(to, _)| *to != from) {
            let (producer, consumer, counters) = ring::new(ring);
            let link = Arc::new(Link { from, to, counters, receiver: home.clone() });
            all[from].outbound[to] = Some((producer, link.clone()));
            all[to].inbound[from] = Some(consumer);
            all[to].links.push(link);
        }
    }
    all
}

struct Inner<M> {
    executor: Rc<Executor>,
    ends: RefCell<Ends<M>>,
    /// To itself.
    own: RefCell<VecDeque<M>>,
    /// Where the next look for a message starts, so that no sender starves the others.
    turn: Cell<usize>,
}

/// One core's connection to the others. Clones are the same connection.
pub struct Mesh<M> {
    inner: Rc<Inner<M>>,
}

impl<M> Clone for Mesh<M> {
    fn clone(&self) -> Self {
        Self { inner: self.inner.clone() }
    }
}

impl<M> Mesh<M> {
    pub(crate) fn new(executor: &Rc<Executor>, ends: Ends<M>) -> Self {
        Self {
            inner: Rc::new(Inner {
                executor: executor.clone(),
                ends: RefCell::new(ends),
                own: RefCell::default(),
                turn: Cell::new(0),
            }),
        }
    }

    /// Sends to core `to`, which may be this one.
    ///
    /// # Errors
    /// [`Full`] if as many messages as `Limits::mesh_ring` wait there already.
    ///
    /// # Panics
    /// If there is no such core.
    pub fn send(&self, to: usize, message: M) -> Result<(), Full<M>> {
        let inner = &*self.inner;
        let mut ends = inner.ends.borrow_mut();
        if to == ends.index {
            let mut own = inner.own.borrow_mut();
            if own.len() >= ends.capacity {
                return Err(Full(message));
            }
            own.push_back(message);
            drop(own);
            inner.executor.mesh_waiters().wake();
            return Ok(());
        }
        let (producer, link) = ends.outbound[to].as_mut().expect("one ring per pair");
        producer.push(message).map_err(Full)?;
        inner.executor.mesh_written(link);
        Ok(())
    }

    /// The next message, if there is one.
    pub fn try_recv(&self) -> Option<(Sender, M)> {
        let inner = &*self.inner;
        let mut ends = inner.ends.borrow_mut();
        let sources = ends.inbound.len() + 1;
        let first = inner.turn.get();
        for step in 0..sources {
            let source = (first + step) % sources;
            let message = if source == ends.inbound.len() {
                ends.outside.take().map(|message| (Sender::Outside, message))
            } else if source == ends.index {
                let message = inner.own.borrow_mut().pop_front();
                message.map(|message| (Sender::Core(source), message))
            } else {
                let message = ends.inbound[source].as_mut().and_then(Consumer::pop);
                message.map(|message| (Sender::Core(source), message))
            };
            if message.is_some() {
                inner.turn.set((source + 1) % sources);
                return message;
            }
        }
        None
    }

    /// Waits for the next message.
    pub async fn recv(&self) -> (Sender, M) {
        poll_fn(|context| match self.try_recv() {
            Some(message) => Poll::Ready(message),
            None => {
                self.inner.executor.mesh_waiters().add(context.waker());
                Poll::Pending
            }
        })
        .await
    }
}
