//! Messages of publishers, on their way to another thread.

use std::rc::Rc;
use std::sync::{Arc, Mutex, PoisonError};

use async_channel::{Receiver, Sender};
use grenache_engine::{shutdown, spawn_local};

use super::core::{Stay, unless};
use super::{Asked, Handle};
use crate::error::Error;
use crate::subscribe::{self, Message, Stats, Subscribe};

/// Messages that may wait to be taken by the other thread, besides those that wait on the core.
const WAITING: usize = 64;

/// Messages as they come, on any executor or thread, until it is dropped or the handle stops.
pub struct Subscription {
    messages: Receiver<Message>,
    stats: Arc<Mutex<Stats>>,
}

impl Handle {
    /// Listens to publishers, as [`Subscriber::subscribe`](subscribe::Subscriber::subscribe). The result is there as soon as one
    /// is connected and has taken note of the topics: what is published from then on arrives. Until then, without a time-out, the
    /// service is waited for.
    ///
    /// It counts as one call of the handle while it lives.
    pub fn subscribe(&self, to: Subscribe) -> Asked<Subscription> {
        self.begin(move |context, stay| async move {
            let subscription = context.subscriber.subscribe(to)?;
            let connected = unless(shutdown(), subscription.connected()).await;
            connected.ok_or(Error::Stopped)?;
            let (sender, messages) = async_channel::bounded(WAITING);
            let stats = Arc::new(Mutex::new(subscription.stats()));
            spawn_local(pass_on(subscription, sender, stats.clone(), stay));
            Ok(Subscription { messages, stats })
        })
    }
}

/// Hands messages over as fast as they are taken.
async fn pass_on(
    mut subscription: subscribe::Subscription,
    sender: Sender<Message>,
    stats: Arc<Mutex<Stats>>,
    _stay: Rc<Stay>,
) {
    let all = async {
        loop {
            let message = subscription.next().await;
            *stats.lock().unwrap_or_else(PoisonError::into_inner) = subscription.stats();
            if sender.send(message).await.is_err() {
                return;
            }
        }
    };
    // Whoever has dropped the other end wants no more; nor does a handle that stops.
    unless(shutdown(), unless(sender.closed(), all)).await;
}

impl Subscription {
    /// The next message; none if the handle was stopped.
    pub async fn next(&self) -> Option<Message> {
        self.messages.recv().await.ok()
    }

    /// What had been counted when the last message was handed over.
    pub fn stats(&self) -> Stats {
        *self.stats.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl IntoIterator for Subscription {
    type Item = Message;
    type IntoIter = BlockingMessages;

    fn into_iter(self) -> BlockingMessages {
        BlockingMessages(self)
    }
}

/// A [`Subscription`] that this thread blocks for, message by message.
pub struct BlockingMessages(Subscription);

impl Iterator for BlockingMessages {
    type Item = Message;

    /// # Panics
    /// On one of the handle's own threads, which would wait for itself.
    fn next(&mut self) -> Option<Message> {
        assert!(
            !super::core::is_own(),
            "a handle's own core cannot block: use `Subscription::next`"
        );
        self.0.messages.recv_blocking().ok()
    }
}
