//! A request and its answer in pieces.

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::task::{Context, Poll, ready};

use bytes::{Bytes, BytesMut};
use grenache_transports::http::client::{self, Event, Expected, Start, request};
use grenache_transports::http::{Framing, chunk};

use super::destination::InFlight;
use super::lease::Lease;
use super::{Failed, Outgoing};
use crate::Failure;
use crate::channel::Received;

/// Pieces up to this many bytes are copied between the lines that make chunks of them.
const SMALL: usize = 4 * 1024;

/// An exchange under way, both directions of which flow at once: sending and receiving take `&self`, so that two futures can
/// do them. Dropped before both are at their end, it breaks the connection off.
pub(crate) struct Exchange {
    lease: Lease,
    /// What was received and is not handed out yet.
    received: RefCell<Option<Received>>,
    /// Of the answer, once its head is here.
    status: Cell<Option<u16>>,
    finished: Cell<bool>,
    ended: Cell<bool>,
    _call: InFlight,
}

impl Exchange {
    pub(super) fn begin(
        lease: Lease,
        call: InFlight,
        start: Start<'_>,
        head: &Outgoing<'_>,
        out: &mut BytesMut,
    ) -> Exchange {
        out.clear();
        request::write_head(out, start, head.fields, Framing::Chunked);
        chunk::write(out, &head.body);
        lease.expect(Expected { to_head: false, stream: true });
        lease.channel.write(out);
        Exchange {
            lease,
            received: RefCell::default(),
            status: Cell::new(None),
            finished: Cell::new(false),
            ended: Cell::new(false),
            _call: call,
        }
    }

    /// Sends a piece of the body. Returns when there is room for the next. Dropping the future may leave a part of a large
    /// piece unsent.
    ///
    /// # Errors
    /// The connection broke, or the piece comes after [`finish`](Self::finish).
    pub(crate) async fn send(&self, mut data: Bytes) -> Result<(), Failed> {
        if self.finished.get() {
            let why = "the body was finished before".into();
            return Err(Failed::Failure(Failure::Broken(why)));
        }
        let high_water = self.lease.high_water();
        let mut line = BytesMut::new();
        loop {
            if let Some(failed) = self.lease.failed() {
                return Err(failed);
            }
            let piece = data.split_to(data.len().min((high_water / 4).max(1)));
            line.clear();
            if piece.len() <= SMALL {
                chunk::write(&mut line, &piece);
                self.lease.channel.write(&line);
            } else {
                chunk::write_size(&mut line, piece.len());
                self.lease.channel.write(&line);
                self.lease.channel.send(piece);
                self.lease.channel.write(chunk::END);
            }
            // Tells also of a connection that broke, which nobody else may be reading from.
            let drained = self.lease.channel.drained(high_water).await;
            drained.map_err(|error| self.broken(&error))?;
            if data.is_empty() {
                return Ok(());
            }
        }
    }

    /// Ends the body.
    pub(crate) fn finish(&self) {
        if !self.finished.replace(true) {
            self.lease.channel.write(chunk::LAST);
        }
    }

    /// Waits for the head of the answer and gives its status.
    ///
    /// # Errors
    /// Why there is none.
    pub(crate) async fn status(&self) -> Result<u16, Failed> {
        loop {
            if let Some(status) = self.status.get() {
                return Ok(status);
            }
            poll_fn(|context| self.poll_next(context)).await?;
        }
    }

    /// Waits for the next piece of the answer's body; `None` is its end.
    ///
    /// # Errors
    /// The answer ended before its end, or is none.
    pub(crate) async fn recv(&self) -> Result<Option<Bytes>, Failed> {
        loop {
            let next = poll_fn(|context| self.poll_next(context)).await?;
            if next.is_some() || self.ended.get() {
                return Ok(next);
            }
        }
    }

    /// The next piece of the body, or nothing but news of the head or the end.
    fn poll_next(&self, context: &mut Context<'_>) -> Poll<Result<Option<Bytes>, Failed>> {
        loop {
            if self.ended.get() {
                return Poll::Ready(Ok(None));
            }
            if let Some(failed) = self.lease.failed() {
                return Poll::Ready(Err(failed));
            }
            let mut received = self.received.borrow_mut();
            if let Some(data) = &mut *received {
                let mut input = &data[..];
                let mut parser = self.lease.parser.borrow_mut();
                let event = parser.receive(&mut input);
                let rest = input.len();
                let Some(news) = self.news(event) else {
                    *received = None;
                    continue;
                };
                data.advance(data.len() - rest);
                if self.ended.get() && rest > 0 {
                    // Bytes that nobody asked for.
                    self.lease.spend();
                }
                return Poll::Ready(news);
            }
            match ready!(self.lease.channel.poll_recv(context)) {
                Ok(Some(data)) => *received = Some(data),
                Ok(None) => {
                    let end = self.lease.parser.borrow_mut().end_of_input().map(|_| ());
                    match end {
                        Ok(()) => self.ended.set(true),
                        Err(error) => self.lease.fail_parsing(error),
                    }
                    self.lease.spend();
                }
                Err(error) => {
                    self.broken(&error);
                }
            }
        }
    }

    /// What an event tells the caller; nothing if there was none in the bytes.
    fn news(
        &self,
        event: Result<Option<Event<'_>>, client::Error>,
    ) -> Option<Result<Option<Bytes>, Failed>> {
        match event {
            Ok(None) => return None,
            Ok(Some(Event::Head(head))) => {
                self.lease.note(head.headers);
                self.status.set(Some(head.status));
            }
            Ok(Some(Event::Data(piece))) => {
                return Some(Ok(Some(Bytes::copy_from_slice(piece))));
            }
            Ok(Some(Event::End)) => {
                self.ended.set(true);
                self.lease.used.set(true);
            }
            // Answers that come whole were not asked for.
            Ok(Some(Event::Response(_))) => self.lease.spend(),
            Err(error) => {
                self.lease.fail_parsing(error);
                return self.lease.failed().map(Err);
            }
        }
        Some(Ok(None))
    }

    fn broken(&self, error: &std::io::Error) -> Failed {
        let failed = self.lease.broken(error);
        self.lease.fail(failed.clone());
        failed
    }
}

impl Drop for Exchange {
    fn drop(&mut self) {
        if !(self.finished.get() && self.ended.get()) {
            self.lease.break_off();
        }
    }
}
