//! The replies of all workers of a service, on their way to another thread.

use std::net::SocketAddr;
use std::rc::Rc;

use async_channel::{Receiver, Sender};
use grenache_engine::spawn_local;

use super::core::Stay;
use super::{Asked, Handle};
use crate::client::{self, Call};
use crate::error::Error;
use crate::json::Json;

/// Replies that may wait to be taken before those after them wait on the core.
const WAITING: usize = 64;

/// One worker's reply.
pub type Part = (SocketAddr, Result<Json, Error>);

/// Replies to [`Handle::map`], one by one as they come, on any executor or thread. Dropping it takes back what is not answered.
pub struct Replies {
    parts: Receiver<Part>,
    left: usize,
}

impl Handle {
    /// Calls all workers of a service, or `limit` of them drawn at random. One failure does not touch the others;
    /// [`Call::timeout`] is for all of it together. The result is there as soon as the service is found.
    ///
    /// ```no_run
    /// # use grenache_peer::{Call, Handle, Json, handle::Config};
    /// # let handle = Handle::start(Config::default())?;
    /// for (worker, reply) in handle.map(Call::new("rest:util:net", Json::null()), None).wait()? {
    ///     println!("{worker}: {reply:?}");
    /// }
    /// # Ok::<(), grenache_peer::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`Client::map`](crate::client::Client::map).
    pub fn map(&self, call: Call, limit: Option<usize>) -> Asked<Replies> {
        self.begin(move |context, stay| async move {
            let replies = context.client.map(call, limit).await?;
            let (sender, parts) = async_channel::bounded(WAITING);
            let left = replies.left();
            spawn_local(pass_on(replies, sender, stay));
            Ok(Replies { parts, left })
        })
    }
}

/// Hands replies over as fast as they are taken.
async fn pass_on(mut replies: client::Replies, sender: Sender<Part>, _stay: Rc<Stay>) {
    let all = async {
        while let Some(part) = replies.next().await {
            if sender.send(part).await.is_err() {
                break;
            }
        }
    };
    // Whoever has dropped the other end wants no more.
    super::core::unless(sender.closed(), all).await;
}

impl Replies {
    /// Replies that are still to come, those that wait to be taken included; after the end those that will not come, because
    /// the handle was stopped.
    pub fn left(&self) -> usize {
        self.left
    }

    /// The next reply, with the worker it comes from; none when all have come. A worker that does not reply until the call's
    /// time-out gives [`Error::Timeout`] then. A handle that is stopped ends it early.
    pub async fn next(&mut self) -> Option<Part> {
        let part = self.parts.recv().await.ok();
        self.count(part)
    }

    fn count(&mut self, part: Option<Part>) -> Option<Part> {
        self.left = self.left.saturating_sub(usize::from(part.is_some()));
        part
    }
}

impl IntoIterator for Replies {
    type Item = Part;
    type IntoIter = BlockingReplies;

    fn into_iter(self) -> BlockingReplies {
        BlockingReplies(self)
    }
}

/// [`Replies`] that this thread blocks for, one after the other.
pub struct BlockingReplies(Replies);

impl Iterator for BlockingReplies {
    type Item = Part;

    /// # Panics
    /// On one of the handle's own threads, which would wait for itself.
    fn next(&mut self) -> Option<Part> {
        assert!(!super::core::is_own(), "a handle's own core cannot block: use `Replies::next`");
        let part = self.0.parts.recv_blocking().ok();
        self.0.count(part)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        // A handle that is stopped ends it early.
        (0, Some(self.0.left))
    }
}
