//! What is known of one connection.

use std::collections::VecDeque;
use std::task::Waker;

use crate::buffer::RecvBuf;
use crate::send_queue::SendQueue;
use crate::waiters::Waiters;

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fin {
    No,
    /// After the queue.
    Wanted,
    Sent,
}

/// One connection. The driver reports into it, the task's `TcpStream` reads it.
pub(crate) struct Stream {
    /// Connected; before that only a connecting task knows it.
    pub(crate) open: bool,
    pub(crate) inbox: VecDeque<RecvBuf>,
    /// What lies there, by its footprint.
    pub(crate) inbox_bytes: usize,
    /// The driver was told to stop receiving.
    pub(crate) paused: bool,
    pub(crate) eof: bool,
    pub(crate) error: Option<i32>,
    pub(crate) out: SendQueue,
    /// The driver has a send in flight.
    pub(crate) sending: bool,
    pub(crate) fin: Fin,
    /// On the list of what the driver is to be asked for.
    pub(crate) dirty: bool,
    /// The task's side is gone.
    pub(crate) dropped: bool,
    /// The driver was told to close it.
    pub(crate) released: bool,
    /// The driver has closed it; it is kept for the task's side.
    pub(crate) closed: bool,
    pub(crate) connect_waiters: Waiters,
    pub(crate) recv_waiters: Waiters,
    drain_waiters: Vec<(usize, Waker)>,
}

impl Stream {
    pub(crate) fn new(open: bool) -> Self {
        Self {
            open,
            inbox: VecDeque::new(),
            inbox_bytes: 0,
            paused: false,
            eof: false,
            error: None,
            out: SendQueue::default(),
            sending: false,
            fin: Fin::No,
            dirty: false,
            dropped: false,
            released: false,
            closed: false,
            connect_waiters: Waiters::default(),
            recv_waiters: Waiters::default(),
            drain_waiters: Vec::new(),
        }
    }

    /// The peer will send no more.
    pub(crate) fn end(&mut self) {
        self.eof = true;
        self.recv_waiters.wake();
    }

    /// The connection is broken. The first error stays.
    pub(crate) fn fail(&mut self, errno: i32) {
        self.error.get_or_insert(errno);
        if !self.sending {
            self.out.clear();
        }
        self.recv_waiters.wake();
        for (_, waker) in self.drain_waiters.drain(..) {
            waker.wake();
        }
    }

    pub(crate) fn wait_drained(&mut self, below: usize, waker: &Waker) {
        self.drain_waiters.retain(|(_, other)| !other.will_wake(waker));
        self.drain_waiters.push((below, waker.clone()));
    }

    pub(crate) fn wake_drained(&mut self) {
        let queued = self.out.len();
        self.drain_waiters.retain(|(below, waker)| {
            let done = queued < *below;
            if done {
                waker.wake_by_ref();
            }
            !done
        });
    }
}
