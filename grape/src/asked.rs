//! What a program that asked a grape something waits for.

use std::future::{Future, IntoFuture};
use std::pin::Pin;

use crate::grape::Error;
use crate::message::Reply;

/// An answer to come: `.await` it on any executor, or [`wait`](Asked::wait) for it.
///
/// It comes within some 12 s whatever the network does; a grape that is stopped first ends it with
/// [`Error::Stopped`]. Dropping it leaves the grape to finish alone.
#[must_use = "the answer says whether the call succeeded"]
pub struct Asked<T> {
    reply: Result<oneshot::Receiver<Reply>, Error>,
    read: fn(Reply) -> Result<T, Error>,
}

impl<T> Asked<T> {
    pub(crate) fn new(
        reply: Result<oneshot::Receiver<Reply>, Error>,
        read: fn(Reply) -> Result<T, Error>,
    ) -> Asked<T> {
        Asked { reply, read }
    }

    /// Blocks this thread until the answer is there. Not for a core's own thread, which would wait
    /// for itself.
    ///
    /// # Errors
    /// Those of the call, [`Error::Busy`], [`Error::Stopped`].
    pub fn wait(self) -> Result<T, Error> {
        (self.read)(self.reply?.recv().map_err(|_| Error::Stopped)?)
    }
}

impl<T: 'static> IntoFuture for Asked<T> {
    type Output = Result<T, Error>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        let Asked { reply, read } = self;
        Box::pin(async move { read(reply?.await.map_err(|_| Error::Stopped)?) })
    }
}
