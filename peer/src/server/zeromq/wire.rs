//! What a ZeroMQ connection of a server speaks.

use std::cell::RefCell;
use std::rc::Rc;

use bytes::{Bytes, BytesMut};
use grenache_transports::ws::code;
use grenache_transports::zmtp::{
    Config, Connection, Credentials, Event as Frame, Metadata, Parts, Phase, SocketType, frame,
};

use super::call::{self, Back, Form, Layout};
use crate::arena::Arena;
use crate::envelope::{self, Malformed};
use crate::json::Json;
use crate::outbox::Outbox;
use crate::publish;
use crate::server::Server;
use crate::server::multiplex::{Event, Leave, Ready, Wire};
use crate::server::reply::{self, HAND_OVER, Reply};
use crate::zeromq::{PublicKey, RPC_ARRAY, RPC_PROPERTY, Sealer};

/// One ZeroMQ connection.
pub(in crate::server) struct ZeroMq {
    server: Rc<Server>,
    /// What is published is encrypted by whoever publishes.
    connection: Rc<RefCell<Connection>>,
    arena: Arena,
    key: Option<PublicKey>,
    user: Option<Rc<str>>,
}

impl ZeroMq {
    /// A connection of which nothing was read yet. The greeting is written to `out`.
    pub(in crate::server) fn new(server: &Rc<Server>, out: &mut BytesMut) -> ZeroMq {
        let max_message = usize::try_from(server.config.max_body).unwrap_or(usize::MAX);
        let limits = Config { max_frame: max_message, max_message, ..Config::default() };
        let mechanism = server.config.gate.mechanism();
        let router = Metadata::new(SocketType::Router).with(RPC_PROPERTY, RPC_ARRAY);
        let router = router.expect("it is a name");
        let publisher = Metadata::new(SocketType::Pub);
        // Who finds a socket that has nothing for it would wait for ever.
        let connection = match &server.audience {
            None => Connection::new(router, mechanism, limits, out),
            Some(_) if !server.services.has_handlers() => {
                Connection::new(publisher, mechanism, limits, out)
            }
            Some(_) => Connection::new(router, mechanism, limits, out).or(publisher),
        };
        ZeroMq {
            server: server.clone(),
            connection: Rc::new(RefCell::new(connection)),
            arena: Arena::default(),
            key: None,
            user: None,
        }
    }

    fn next(
        &mut self,
        input: &mut &[u8],
        out: &mut BytesMut,
    ) -> Result<Option<Event<Back>>, Leave> {
        loop {
            let mut connection = self.connection.borrow_mut();
            let admitted = match connection.receive(input, out) {
                Ok(None) => return Ok(None),
                Ok(Some(Frame::Message(message))) => {
                    let count = message.count;
                    let message = match message.assembled {
                        true => connection.take_message(),
                        false => self.arena.keep(message.frames),
                    };
                    return Ok(Some(read(message, count)));
                }
                Ok(Some(Frame::Subscribe(prefix))) => {
                    return Ok(Some(Event::Subscribe(Bytes::copy_from_slice(prefix))));
                }
                Ok(Some(Frame::Cancel(prefix))) => {
                    return Ok(Some(Event::Cancel(Bytes::copy_from_slice(prefix))));
                }
                Ok(Some(Frame::Ping(ttl))) => return Ok(Some(Event::Told(ttl))),
                Ok(Some(Frame::Credentials(shown))) => {
                    match shown {
                        Credentials::Plain { user, .. } => {
                            self.user = std::str::from_utf8(user).ok().map(Rc::from);
                        }
                        Credentials::Curve(key) => self.key = Some(key),
                    }
                    self.server.config.gate.admits(&shown)
                }
                Ok(Some(Frame::Ready(peer))) => {
                    let listens = matches!(peer.socket, SocketType::Sub | SocketType::Xsub);
                    let sealer = connection.is_encrypted().then(|| Sealer::new(&self.connection));
                    return Ok(Some(Event::Ready(Ready {
                        key: self.key,
                        user: self.user.take(),
                        subscribes: listens.then_some((publish::Form::ZeroMq, sealer)),
                    })));
                }
                Ok(Some(Frame::Refused(reason))) => {
                    let reason = String::from_utf8_lossy(reason);
                    return Ok(Some(Event::End(Leave::new(code::NORMAL, &reason))));
                }
                Err(error) => return Err(Leave::new(code::PROTOCOL, error.text())),
            };
            let told = if admitted { connection.accept(out) } else { connection.refuse(out) };
            debug_assert!(told.is_ok(), "it was asked");
            if !admitted {
                return Err(Leave::new(
                    code::POLICY,
                    "wrong password, or a key that is not let in",
                ));
            }
        }
    }

    /// Writes an answer of one part, or of two.
    fn send(&self, out: &mut Outbox, envelope: &[u8], before: Option<&[u8]>, body: Bytes) {
        let mut connection = self.connection.borrow_mut();
        if connection.is_encrypted() {
            let parts: Vec<&[u8]> = Parts::new(envelope).chain(before).chain([&body[..]]).collect();
            let mut frames = BytesMut::new();
            // It is ready: a request has come on it.
            let _ = connection.send(&parts, &mut frames);
            return out.push(frames.freeze());
        }
        out.small.extend_from_slice(envelope);
        if let Some(before) = before {
            frame::write_header(&mut out.small, true, before.len());
            out.small.extend_from_slice(before);
        }
        frame::write_header(&mut out.small, false, body.len());
        out.push(body);
    }
}

/// Finds the request in a message.
fn read(message: Bytes, count: usize) -> Event<Back> {
    let mut parts = Parts::new(&message);
    let layout = Layout::of(parts, count);
    let envelope = match layout.envelope {
        0 => Bytes::new(),
        count => {
            parts.by_ref().take(count).for_each(drop);
            message.slice(..message.len() - parts.rest().len())
        }
    };
    let request = message.slice(message.len() - parts.rest().len()..);
    let first = parts.next().map(|part| message.slice_ref(part)).unwrap_or_default();
    let (body, form) = match layout.rest {
        1 => (first, Form::Array),
        3 => (request, Form::Frames(first)),
        _ => (request, Form::Neither),
    };
    Event::Message(body, Back { envelope, form })
}

impl Wire for ZeroMq {
    type Back = Back;

    const PROMISES: bool = true;

    fn receive(
        &mut self,
        input: &mut &mut [u8],
        out: &mut BytesMut,
    ) -> Result<Option<Event<Back>>, Leave> {
        let mut unread: &[u8] = input;
        let event = self.next(&mut unread, out);
        let read = input.len() - unread.len();
        *input = &mut std::mem::take(input)[read..];
        event
    }

    fn decode<'m>(message: &'m Bytes, back: &Back) -> Result<envelope::Request<'m>, Malformed> {
        match back.form {
            Form::Array => envelope::decode_request(message),
            Form::Frames(_) => call::decode_frames(message),
            Form::Neither => Err(Malformed),
        }
    }

    fn is_ready(&self) -> bool {
        self.connection.borrow().phase() == Phase::Ready
    }

    fn is_within(&self) -> bool {
        self.buffered() > 0
    }

    fn buffered(&self) -> usize {
        self.connection.borrow().buffered()
    }

    fn write_reply(
        &mut self,
        out: &mut Outbox,
        rid: &Json,
        back: &Back,
        outcome: &Result<Reply, String>,
    ) {
        let Back { envelope, form } = back;
        if let Form::Frames(id) = form {
            return self.send(out, envelope, Some(id), call::encode_result(outcome));
        }
        if let Ok(Reply { result, .. }) = outcome
            && !self.connection.borrow().is_encrypted()
        {
            let length = reply::length(rid, result);
            if length < HAND_OVER {
                out.small.extend_from_slice(envelope);
                frame::write_header(&mut out.small, false, length);
                return envelope::encode_reply(&mut out.small, rid, Ok(result));
            }
        }
        self.send(out, envelope, None, reply::envelope(rid, outcome));
    }

    fn write_busy(&mut self, out: &mut Outbox, rid: &Json, back: &Back) {
        let id = match &back.form {
            Form::Frames(id) => Some(&id[..]),
            Form::Array | Form::Neither => None,
        };
        self.send(out, &back.envelope, id, call::encode_busy(&back.form, rid));
    }

    fn write_ping(&mut self, out: &mut BytesMut) -> bool {
        let config = &self.server.config;
        let ttl = config.ping_interval.saturating_add(config.ping_timeout);
        self.connection.borrow_mut().ping(ttl, out).unwrap_or(false)
    }

    /// ZMTP has no word for it.
    fn write_end(&mut self, _out: &mut Outbox, _leave: &Leave) {}
}
