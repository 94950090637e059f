//! Calls whose request and reply are streams.

use std::cell::Cell;
use std::net::SocketAddr;
use std::pin::pin;
use std::rc::Rc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use grenache_engine::{now, timeout};
use grenache_transports::http::Field;

use super::attempts::{Failure, Limit};
use super::call::{Call, add_headers};
use super::destinations::{Destination, Health, InFlight};
use super::exchange::{self, read_reply};
use super::{Client, Inner, Place};
use crate::envelope::{self, in_ascii};
use crate::error::Error;
use crate::http::{Exchange, Failed, Outgoing};
use crate::json::Json;

/// Bytes of an answer with another status than 200 that are read to find an error in it.
const MAX_ERROR: usize = 64 * 1024;

/// Bytes that count as a movement of the stream once they have left.
const PIECE: usize = 64 * 1024;

/// A call with streams of bytes in both directions, at the same time if the handler likes: plain data, made anywhere.
#[derive(Debug, Clone)]
#[must_use = "a call does nothing until a client is asked to make it"]
pub struct StreamCall {
    call: Call,
    rid: Option<Json>,
    action: Option<String>,
    args: Option<Json>,
}

impl StreamCall {
    /// A call with a time-out of 60 s and three tries.
    pub fn new(service: impl Into<String>) -> StreamCall {
        let call = Call::new(service, Json::null());
        StreamCall { call, rid: None, action: None, args: None }
    }

    /// Has the request bear somebody else's id, who gets the reply as it comes.
    pub(crate) fn rid(mut self, rid: Json) -> StreamCall {
        self.rid = Some(rid);
        self
    }

    /// The name of an action for the handler; ASCII.
    pub fn action(mut self, action: impl Into<String>) -> StreamCall {
        self.action = Some(action.into());
        self
    }

    /// Arguments for the handler. They travel in a header; Node's server takes heads of up to 16 KB.
    pub fn args(mut self, args: Json) -> StreamCall {
        self.args = Some(args);
        self
    }

    /// How long finding and connecting to a worker may take; then, how long the stream may stand still, in both directions, while
    /// [`Stream::send`], [`Stream::recv`] or [`Stream::reply`] waits. 60 s.
    pub fn timeout(mut self, timeout: Duration) -> StreamCall {
        self.call = self.call.timeout(timeout);
        self
    }

    /// Tries to reach a worker, with the first. 3.
    pub fn attempts(mut self, attempts: u32) -> StreamCall {
        self.call = self.call.attempts(attempts);
        self
    }

    /// Waits for the service if nobody announces it yet, until the time-out.
    pub fn wait_for_service(mut self) -> StreamCall {
        self.call = self.call.wait_for_service();
        self
    }

    /// Adds a header for the handler, as [`Call::header`].
    pub fn header(mut self, name: impl Into<String>, value: impl Into<String>) -> StreamCall {
        self.call = self.call.header(name, value);
        self
    }

    /// The service that is called.
    pub fn service(&self) -> &str {
        self.call.service()
    }
}

/// A streamed call under way. Dropping it breaks it off.
pub struct Stream {
    exchange: Exchange,
    rid: Json,
    destination: Rc<Destination>,
    stall: Duration,
    /// When bytes went through last, in either direction.
    moved: Cell<Duration>,
    status: Cell<Option<u16>>,
    inner: Rc<Inner>,
    _in_flight: InFlight,
    _place: Place,
}

impl Client {
    /// Begins a streamed call at one of the service's workers: it is connected to when this returns, and the head of the request
    /// has left.
    ///
    /// # Errors
    /// As [`request`](Self::request); [`Error::Config`] if action or headers cannot stand in a head.
    pub async fn stream(&self, call: StreamCall) -> Result<Stream, Error> {
        let inner = &self.inner;
        inner.config.transport.needs_http("streams")?;
        let deadline = now().saturating_add(call.call.timeout);
        let place = inner.enter()?;
        let rid = call.rid.clone().unwrap_or_else(|| inner.rids.draw().to_json());
        let key = envelope::encode_stream_header(&rid, &call.call.service);
        let args = call.args.as_ref().map(|args| in_ascii(args.as_str()));
        let mut fields = Vec::new();
        push(&mut fields, "_gr", key.as_bytes())?;
        if let Some(action) = &call.action {
            push(&mut fields, "_a", action.as_bytes())?;
        }
        if let Some(args) = &args {
            push(&mut fields, "_ar", args.as_bytes())?;
        }
        add_headers(&mut fields, &call.call.headers)?;
        let head = Outgoing { target: "/", fields: &fields, body: Bytes::new(), idempotent: false };
        let open = async |to: &Rc<Destination>, limit: Limit| {
            let in_flight = to.begin();
            match inner.pool.open(&to.target, &head, limit.deadline).await {
                Ok(exchange) => Ok((exchange, to.clone(), in_flight)),
                Err(failed) => Err(Failure::of(failed, to.addr(), limit.of)),
            }
        };
        let (exchange, destination, in_flight) =
            inner.attempts(&call.call, None, deadline, open).await?;
        Ok(Stream {
            exchange,
            rid,
            destination,
            stall: call.call.timeout,
            moved: Cell::new(now()),
            status: Cell::new(None),
            inner: inner.clone(),
            _in_flight: in_flight,
            _place: place,
        })
    }
}

impl Stream {
    /// The worker at the other end.
    pub fn peer_addr(&self) -> SocketAddr {
        self.destination.addr()
    }

    /// Sends bytes; waits while the worker does not keep up.
    ///
    /// # Errors
    /// [`Error::Timeout`] if the worker takes nothing for [`StreamCall::timeout`]; [`Error::Request`] or [`Error::Closed`] if the
    /// connection is gone. A worker that has answered already need not read on: see [`recv`](Self::recv).
    pub async fn send(&self, mut data: Bytes) -> Result<(), Error> {
        loop {
            let piece = data.split_to(data.len().min(PIECE));
            self.moving(self.exchange.send(piece)).await?;
            if data.is_empty() {
                return Ok(());
            }
        }
    }

    /// Ends the request.
    pub fn finish(&self) {
        self.exchange.finish();
    }

    /// The next bytes of the reply as they come, raw; `None` is its end. May be called before the request has ended. Dropping the
    /// future loses nothing.
    ///
    /// # Errors
    /// [`Error::Remote`] if the answer is an error of the worker; [`Error::Timeout`] if nothing comes for
    /// [`StreamCall::timeout`]; what else may have happened to the connection.
    pub async fn recv(&self) -> Result<Option<Bytes>, Error> {
        let status = self.status().await?;
        if status != 200 {
            let body = self.rest(MAX_ERROR).await?;
            self.destination.report(Health::Well, &self.inner.config, &self.inner.random);
            return match self.read_reply(status, &body) {
                Err(error) => Err(error),
                Ok(_) => Err(self.bad_status(status)),
            };
        }
        self.chunk().await
    }

    /// Reads what is left of the reply as the usual one, `[rid, error, result]`. To be called once the request has ended.
    ///
    /// # Errors
    /// As [`Client::request`].
    pub async fn reply(&self) -> Result<Json, Error> {
        let status = self.status().await?;
        let limit = if status == 200 { self.inner.config.max_inflated } else { MAX_ERROR };
        let body = self.rest(limit).await?;
        self.read_reply(status, &body)
    }

    fn read_reply(&self, status: u16, body: &Bytes) -> Result<Json, Error> {
        read_reply(status, body, |rid| *rid == self.rid, self.peer_addr())
    }

    async fn status(&self) -> Result<u16, Error> {
        if let Some(status) = self.status.get() {
            return Ok(status);
        }
        let status = self.moving(self.exchange.status()).await?;
        self.status.set(Some(status));
        Ok(status)
    }

    async fn chunk(&self) -> Result<Option<Bytes>, Error> {
        let chunk = self.moving(self.exchange.recv()).await?;
        if chunk.is_none() {
            self.destination.report(Health::Well, &self.inner.config, &self.inner.random);
        }
        Ok(chunk)
    }

    async fn rest(&self, limit: usize) -> Result<Bytes, Error> {
        let mut body = BytesMut::new();
        while let Some(chunk) = self.chunk().await? {
            if chunk.len() > limit - body.len() {
                return Err(Error::ReplyTooLarge { to: self.peer_addr(), limit: limit as u64 });
            }
            body.extend_from_slice(&chunk);
        }
        Ok(body.freeze())
    }

    fn bad_status(&self, status: u16) -> Error {
        let failure = crate::error::Failure::Status(status, String::new());
        Error::Request { to: self.peer_addr(), failure }
    }

    /// Waits for the stream to move, in whichever direction, at most as long as it may stand still.
    async fn moving<T>(&self, step: impl Future<Output = Result<T, Failed>>) -> Result<T, Error> {
        let to = self.peer_addr();
        let mut step = pin!(step);
        let began = now();
        let error = loop {
            let moved = began.max(self.moved.get());
            let left = moved.saturating_add(self.stall).saturating_sub(now());
            match timeout(left, step.as_mut()).await {
                Ok(Ok(value)) => {
                    self.moved.set(now());
                    return Ok(value);
                }
                Ok(Err(failed)) => break Failure::of(failed, to, self.stall).error,
                Err(_) if self.moved.get() > moved => {}
                Err(_) => {
                    let limit = self.stall;
                    break Error::Timeout { limit, to: Some(to), may_have_run: true };
                }
            }
        };
        let health = exchange::health(&error, now() - began);
        self.destination.report(health, &self.inner.config, &self.inner.random);
        Err(error)
    }
}

fn push<'a>(fields: &mut Vec<Field<'a>>, name: &'a str, value: &'a [u8]) -> Result<(), Error> {
    let bad = |_| Error::Config(format!("'{}' cannot stand in a header", value.escape_ascii()));
    fields.push(Field::new(name, value).map_err(bad)?);
    Ok(())
}
