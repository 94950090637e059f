//! Calling all workers of a service.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::net::SocketAddr;
use std::rc::Rc;
use std::task::Waker;
use std::time::Duration;

use grenache_engine::{JoinHandle, spawn_local};

use super::{Call, Client};
use crate::error::Error;
use crate::json::Json;

/// Replies to [`Client::map`](super::Client::map), in the order in which they come. Dropping it takes back what is not answered.
pub struct Replies {
    shared: Rc<Shared>,
    left: usize,
    tasks: Vec<JoinHandle<()>>,
}

struct Shared {
    client: Client,
    call: Call,
    deadline: Duration,
    waiting: RefCell<VecDeque<SocketAddr>>,
    came: RefCell<VecDeque<(SocketAddr, Result<Json, Error>)>>,
    reader: RefCell<Option<Waker>>,
}

impl Replies {
    pub(super) fn start(
        client: Client,
        call: Call,
        to: Vec<SocketAddr>,
        deadline: Duration,
    ) -> Replies {
        let left = to.len();
        let at_once = left.min(client.inner.config.map_concurrency.max(1));
        let shared = Rc::new(Shared {
            client,
            call,
            deadline,
            waiting: RefCell::new(to.into()),
            came: RefCell::default(),
            reader: RefCell::default(),
        });
        let tasks = (0..at_once).map(|_| spawn_local(work(shared.clone()))).collect();
        Replies { shared, left, tasks }
    }

    /// Replies that are still to come, those that wait to be taken included.
    pub fn left(&self) -> usize {
        self.left
    }

    /// The next reply, with the worker it comes from; none when all have come. A worker that does not reply until the call's
    /// time-out gives [`Error::Timeout`] then.
    pub async fn next(&mut self) -> Option<(SocketAddr, Result<Json, Error>)> {
        if self.left == 0 {
            return None;
        }
        let next =
            std::future::poll_fn(|context| match self.shared.came.borrow_mut().pop_front() {
                Some(reply) => std::task::Poll::Ready(reply),
                None => {
                    *self.shared.reader.borrow_mut() = Some(context.waker().clone());
                    std::task::Poll::Pending
                }
            });
        let reply = next.await;
        self.left -= 1;
        Some(reply)
    }

    /// All replies, in the order in which they come.
    pub async fn all(mut self) -> Vec<(SocketAddr, Result<Json, Error>)> {
        let mut replies = Vec::with_capacity(self.left);
        while let Some(reply) = self.next().await {
            replies.push(reply);
        }
        replies
    }
}

impl Drop for Replies {
    fn drop(&mut self) {
        self.tasks.iter().for_each(JoinHandle::abort);
    }
}

/// Calls one worker after the other.
async fn work(shared: Rc<Shared>) {
    loop {
        let next = shared.waiting.borrow_mut().pop_front();
        let Some(to) = next else { return };
        let reply = one(&shared, to).await;
        shared.came.borrow_mut().push_back((to, reply));
        let reader = shared.reader.borrow_mut().take();
        if let Some(reader) = reader {
            reader.wake();
        }
    }
}

async fn one(shared: &Shared, to: SocketAddr) -> Result<Json, Error> {
    let inner = &shared.client.inner;
    let _place = inner.enter()?;
    let prepared = inner.prepare(&shared.call, shared.deadline).await?;
    let to = inner.destinations.get(to);
    inner.call(&shared.call, &prepared, Some(to), shared.deadline).await
}
