//! Answers that a connection owes, in the order of the requests, and the handlers that work on them.

use std::any::Any;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll};

use grenache_transports::http::{Error, Head, Persistence, Version};

use super::Config;
use super::dispatch::BUSY;
use super::flow::Stream;
use super::held::Held;
use super::reply::{Answer, Reply};
use super::services::Work;
use super::stats::Counters;
use super::websocket::Upgrade;
use crate::json::Json;

/// What a client is told whose handler has panicked.
const PANICKED: &str = "ERR_HANDLER_PANIC";

/// An answer that is owed.
pub(super) struct Owed {
    pub(super) what: What,
    pub(super) persistence: Persistence,
    pub(super) is_head: bool,
    /// The client takes an answer in chunks.
    pub(super) chunked: bool,
}

pub(super) enum What {
    /// A handler at work.
    Call {
        rid: Json,
        work: Work<Reply>,
        flight: Flight,
    },
    /// What it gave.
    Outcome {
        rid: Json,
        outcome: Result<Reply, String>,
    },
    /// A handler and what has to be done before and after.
    Job(Pin<Box<dyn Future<Output = Answer>>>),
    Answer(Answer),
    /// A streamed reply; without `work` its handler has ended.
    Stream {
        rid: Json,
        stream: Rc<Stream>,
        work: Option<(Work<()>, Flight)>,
        sent: Sent,
    },
    Continue,
    Refusal(Error),
    /// The last of HTTP on this connection.
    Upgrade(Box<Upgrade>),
}

/// How much of a streamed reply has been written.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Sent {
    Nothing,
    Head,
    All,
}

impl Owed {
    pub(super) fn to(head: &Head<'_>, what: What) -> Owed {
        let (persistence, is_head) = (head.persistence, head.is_head());
        Owed { what, persistence, is_head, chunked: head.version == Version::Http11 }
    }

    pub(super) fn plain(what: What) -> Owed {
        Owed { what, persistence: Persistence::KeepAlive, is_head: false, chunked: true }
    }

    /// Lets the handler go on.
    pub(super) fn poll(&mut self, context: &mut Context<'_>) {
        match &mut self.what {
            What::Call { rid, work, flight } => {
                if let Poll::Ready(outcome) = poll_work(work, &flight.counters, context) {
                    let rid = std::mem::take(rid);
                    self.replace(match outcome {
                        Ok(Reply { busy: true, .. }) => {
                            What::Answer(Answer::error(503, &rid, BUSY))
                        }
                        outcome => What::Outcome { rid, outcome },
                    });
                }
            }
            What::Job(job) => {
                if let Poll::Ready(answer) = job.as_mut().poll(context) {
                    self.replace(What::Answer(answer));
                }
            }
            What::Stream { rid, stream, work: working @ Some(_), .. } => {
                let Some((work, flight)) = working else { return };
                if let Poll::Ready(outcome) = poll_work(work, &flight.counters, context) {
                    match outcome {
                        Ok(()) => stream.finish(),
                        Err(text) => stream.end_with_error(rid, &text),
                    }
                    drop_quietly(working.take());
                    stream.abandon_input();
                }
            }
            _ => {}
        }
    }

    /// Whether a handler is at work.
    pub(super) fn is_running(&self) -> bool {
        matches!(self.what, What::Call { .. } | What::Job(_) | What::Stream { work: Some(_), .. })
    }

    fn replace(&mut self, what: What) {
        drop_quietly(std::mem::replace(&mut self.what, what));
    }
}

/// A request that handlers have in hand, counted as long as this lives.
pub(super) struct Flight {
    counters: Arc<Counters>,
    max_held: u64,
    held: Held,
}

impl Flight {
    /// Takes a place for a request with so many bytes.
    pub(super) fn take(counters: &Arc<Counters>, config: &Config, bytes: usize) -> Option<Flight> {
        if counters.in_flight.get() >= config.max_in_flight as u64 {
            counters.refused.add(1);
            return None;
        }
        let mut held = Held::none(counters.clone());
        if !held.resize(bytes, config.max_held) {
            return None;
        }
        counters.in_flight.add(1);
        Some(Flight { counters: counters.clone(), max_held: config.max_held, held })
    }

    /// As it turns out, the request has so many bytes. False if that is too much.
    pub(super) fn resize(&mut self, bytes: usize) -> bool {
        self.held.resize(bytes, self.max_held)
    }
}

impl Drop for Flight {
    fn drop(&mut self) {
        self.counters.in_flight.sub(1);
    }
}

/// Starts a handler. Whatever it does, it gives something to wait for.
pub(super) fn begin<T: 'static>(counters: &Counters, handler: impl FnOnce() -> Work<T>) -> Work<T> {
    counters.requests.add(1);
    catch_unwind(AssertUnwindSafe(handler)).unwrap_or_else(|panic| {
        let outcome = panicked(counters, &*panic);
        Box::pin(std::future::ready(Err(outcome)))
    })
}

/// Lets a handler go on and counts how it ends.
pub(super) fn poll_work<T>(
    work: &mut Work<T>,
    counters: &Counters,
    context: &mut Context<'_>,
) -> Poll<Result<T, String>> {
    let polled = catch_unwind(AssertUnwindSafe(|| work.as_mut().poll(context)));
    let polled = polled.unwrap_or_else(|panic| Poll::Ready(Err(panicked(counters, &*panic))));
    if let Poll::Ready(Err(_)) = polled {
        counters.errors.add(1);
    }
    polled
}

/// Counts and logs a panic of what others have written.
pub(super) fn panicked(counters: &Counters, panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().copied();
    let text = text.or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    tracing::error!("a handler panicked: {}", text.unwrap_or("no message"));
    counters.panics.add(1);
    PANICKED.into()
}

/// Drops what belongs to a handler: a destructor that panics takes down nothing else.
pub(super) fn drop_quietly<T>(handlers: T) {
    if catch_unwind(AssertUnwindSafe(|| drop(handlers))).is_err() {
        tracing::error!("a handler panicked while it was dropped");
    }
}
