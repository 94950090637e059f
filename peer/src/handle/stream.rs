//! A streamed call with one end on another thread.

use std::future::pending;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::{Arc, OnceLock};

use async_channel::{Receiver, Sender};
use bytes::Bytes;
use grenache_engine::spawn_local;

use super::core::{Stay, unless};
use super::{Asked, Handle};
use crate::client::{self, StreamCall};
use crate::error::Error;
use crate::json::Json;

/// Pieces that may wait in each direction before those after them wait where they come from.
const WAITING: usize = 8;

/// A streamed call under way, as [`client::Stream`], for any executor or thread. Dropping it, and what was asked of it, breaks the
/// call off.
///
/// Both directions may be used at once, from several threads as well.
pub struct Stream {
    peer: SocketAddr,
    up: Sender<Up>,
    wanted: Sender<Wanted>,
    down: Receiver<Bytes>,
    end: Arc<End>,
}

/// For the worker.
enum Up {
    Piece(Bytes),
    Finish,
}

/// What the caller waits for.
enum Wanted {
    Piece,
    Reply(oneshot::Sender<Result<Json, Error>>),
}

/// What became of it.
#[derive(Default)]
struct End {
    /// Why the worker takes nothing any more.
    request: OnceLock<Error>,
    /// How the reply has ended, once it has. If it never does, the handle was stopped.
    reply: OnceLock<Result<(), Error>>,
}

impl End {
    fn reply(&self) -> Result<(), Error> {
        self.reply.get().cloned().unwrap_or(Err(Error::Stopped))
    }
}

impl Handle {
    /// Begins a streamed call at one of the service's workers, as [`Client::stream`](client::Client::stream).
    pub fn stream(&self, call: StreamCall) -> Asked<Stream> {
        self.begin(async move |context, stay| {
            let stream = context.client.stream(call).await?;
            let (up, pieces) = async_channel::bounded(WAITING);
            let (wanted, wants) = async_channel::bounded(1);
            let (sender, down) = async_channel::bounded(WAITING);
            let end = Arc::new(End::default());
            let there = Stream { peer: stream.peer_addr(), up, wanted, down, end: end.clone() };
            let here = Here { stream, pieces, wants, down: sender, end };
            spawn_local(here.run(stay));
            Ok(there)
        })
    }
}

impl Stream {
    /// The worker at the other end.
    pub fn peer_addr(&self) -> SocketAddr {
        self.peer
    }

    /// Sends bytes. Ready as soon as they are on their way; while the worker does not keep up, that takes until it does.
    ///
    /// # Errors
    /// Of what was sent before, those of [`client::Stream::send`]; [`Error::Closed`] after the end of the reply.
    pub fn send(&self, piece: impl Into<Bytes>) -> Asked<()> {
        self.pass(Up::Piece(piece.into()))
    }

    /// Ends the request.
    ///
    /// # Errors
    /// As [`send`](Self::send).
    pub fn finish(&self) -> Asked<()> {
        self.pass(Up::Finish)
    }

    fn pass(&self, up: Up) -> Asked<()> {
        let (sender, end, to) = (self.up.clone(), self.end.clone(), self.peer);
        Asked::later(async move {
            if sender.send(up).await.is_ok() {
                return Ok(());
            }
            Err(match end.request.get() {
                Some(error) => error.clone(),
                None => end.reply().err().unwrap_or(Error::Closed { to }),
            })
        })
    }

    /// The next bytes of the reply as they come, raw; `None` is its end. May be called before the request has ended. Dropping the
    /// future loses nothing.
    ///
    /// # Errors
    /// Those of [`client::Stream::recv`]; [`Error::Stopped`].
    pub fn recv(&self) -> Asked<Option<Bytes>> {
        let (wanted, down, end) = (self.wanted.clone(), self.down.clone(), self.end.clone());
        Asked::later(async move {
            // Refused when the reply has ended; what came before is there all the same.
            let _ = wanted.send(Wanted::Piece).await;
            match down.recv().await {
                Ok(piece) => Ok(Some(piece)),
                Err(_) => end.reply().map(|()| None),
            }
        })
    }

    /// Reads what is left of the reply as the usual one, `[rid, error, result]`. To be called once the request has ended.
    ///
    /// # Errors
    /// Those of [`client::Stream::reply`]; [`Error::Stopped`].
    pub fn reply(&self) -> Asked<Json> {
        let (wanted, end, to) = (self.wanted.clone(), self.end.clone(), self.peer);
        Asked::later(async move {
            let (answer, answered) = oneshot::async_channel();
            if wanted.send(Wanted::Reply(answer)).await.is_ok()
                && let Ok(reply) = answered.await
            {
                return reply;
            }
            end.reply().and(Err(Error::ReplyEmpty { to }))
        })
    }
}

/// The end on the core.
struct Here {
    stream: client::Stream,
    pieces: Receiver<Up>,
    wants: Receiver<Wanted>,
    down: Sender<Bytes>,
    end: Arc<End>,
}

impl Here {
    async fn run(self, _stay: Rc<Stay>) {
        // The reply decides: once it has ended, nobody wants the rest of the request.
        let both = unless(self.upward(), self.downward());
        // Whoever has dropped the other end wants nothing at all.
        if let Some(Some(end)) = unless(self.down.closed(), both).await {
            let _ = self.end.reply.set(end);
        }
    }

    /// Never ends.
    async fn upward(&self) {
        while let Ok(up) = self.pieces.recv().await {
            let sent = match up {
                Up::Piece(piece) => self.stream.send(piece).await,
                Up::Finish => {
                    self.stream.finish();
                    Ok(())
                }
            };
            if let Err(error) = sent {
                // A worker that has answered need not read on: the reply tells.
                let _ = self.end.request.set(error);
                self.pieces.close();
            }
        }
        pending().await
    }

    async fn downward(&self) -> Result<(), Error> {
        while let Ok(wanted) = self.wants.recv().await {
            match wanted {
                Wanted::Piece => match self.stream.recv().await? {
                    // Nobody may be there any more, which ends this elsewhere.
                    Some(piece) => drop(self.down.send(piece).await),
                    None => break,
                },
                Wanted::Reply(answer) => {
                    let _ = answer.send(self.stream.reply().await);
                    break;
                }
            }
        }
        Ok(())
    }
}
