//! What a WebSocket of a server speaks.

use bytes::{Bytes, BytesMut};
use grenache_transports::ws::{self, Close, Deflater, Event as Frame, Kind, Role, code, frame};

use super::Upgrade;
use crate::arena::Arena;
use crate::envelope::{self, Malformed};
use crate::json::Json;
use crate::outbox::Outbox;
use crate::publish::{Change, Form};
use crate::server::Config;
use crate::server::multiplex::{Event, Leave, Wire};
use crate::server::reply::{self, HAND_OVER, Reply};

/// One WebSocket.
pub(in crate::server) struct WebSocket {
    decoder: ws::Connection,
    deflater: Option<Deflater>,
    arena: Arena,
    /// It listens to what is published.
    subscribes: Option<Form>,
    /// The ping that is to be answered.
    pinged: Option<Bytes>,
}

impl WebSocket {
    pub(in crate::server) fn new(config: &Config, upgrade: &Upgrade) -> WebSocket {
        let max_message = usize::try_from(config.max_body).unwrap_or(usize::MAX);
        let limits =
            ws::Config { max_frame: config.max_body, max_message, ..ws::Config::default() };
        let mut decoder = ws::Connection::new(Role::Server, limits);
        if let Some(agreed) = upgrade.deflate {
            decoder.inflate(agreed);
        }
        WebSocket {
            decoder,
            deflater: upgrade.deflate.map(|agreed| Deflater::new(Role::Server, agreed)),
            arena: Arena::default(),
            subscribes: upgrade.subscribes,
            pinged: None,
        }
    }

    fn write_message(&mut self, out: &mut Outbox, body: Bytes) {
        if let Some(deflater) = &mut self.deflater {
            let mut frame = BytesMut::new();
            deflater.write_message(&mut frame, Kind::Text, None, &body);
            return out.push(frame.freeze());
        }
        frame::write_message_header(&mut out.small, Kind::Text, body.len());
        out.push(body);
    }
}

impl Wire for WebSocket {
    type Back = ();

    fn receive(
        &mut self,
        input: &mut &mut [u8],
        _out: &mut BytesMut,
    ) -> Result<Option<Event<()>>, Leave> {
        loop {
            let message = match self.decoder.receive(input) {
                Ok(None) => return Ok(None),
                Ok(Some(Frame::Message(message))) => match message.assembled {
                    true => self.decoder.take_message(),
                    false => self.arena.keep(message.data),
                },
                // If several wait, the last one's answer will do (RFC 6455 section 5.5.3).
                Ok(Some(Frame::Ping(payload))) => {
                    self.pinged = Some(Bytes::copy_from_slice(payload));
                    continue;
                }
                Ok(Some(Frame::Pong(_))) => continue,
                Ok(Some(Frame::Close(close))) => {
                    let (code, reason) =
                        close.map_or((code::NORMAL, ""), |close| (close.code, close.reason));
                    return Ok(Some(Event::End(Leave::new(code, reason))));
                }
                Err(error) => return Err(Leave::new(error.close_code(), error.text())),
            };
            return match self.subscribes {
                None => Ok(Some(Event::Message(message, ()))),
                Some(Form::Topical) => match Change::read(&message) {
                    Some(Change::Add) => Ok(Some(Event::Subscribe(message.slice(1..)))),
                    Some(Change::Remove) => Ok(Some(Event::Cancel(message.slice(1..)))),
                    None => {
                        Err(Leave::new(code::POLICY, "neither +PREFIX nor -PREFIX, or too long"))
                    }
                },
                // Others say nothing that matters; Node's publisher does not listen either.
                Some(_) => continue,
            };
        }
    }

    fn decode<'m>(message: &'m Bytes, (): &()) -> Result<envelope::Request<'m>, Malformed> {
        envelope::decode_request(message)
    }

    fn is_within(&self) -> bool {
        self.decoder.is_within()
    }

    fn buffered(&self) -> usize {
        self.decoder.buffered()
    }

    fn write_reply(
        &mut self,
        out: &mut Outbox,
        rid: &Json,
        (): &(),
        outcome: &Result<Reply, String>,
    ) {
        if let (None, Ok(Reply { result, .. })) = (&self.deflater, outcome) {
            let length = reply::length(rid, result);
            if length < HAND_OVER {
                frame::write_message_header(&mut out.small, Kind::Text, length);
                return envelope::encode_reply(&mut out.small, rid, Ok(result));
            }
        }
        self.write_message(out, reply::envelope(rid, outcome));
    }

    fn write_busy(&mut self, out: &mut Outbox, rid: &Json, (): &()) {
        let mut body = BytesMut::new();
        envelope::encode_busy(&mut body, rid);
        self.write_message(out, body.freeze());
    }

    fn write_ping(&mut self, out: &mut BytesMut) -> bool {
        frame::write_ping(out, None, b"");
        true
    }

    fn write_owed(&mut self, out: &mut BytesMut) {
        if let Some(payload) = self.pinged.take() {
            frame::write_pong(out, None, &payload);
        }
    }

    fn write_end(&mut self, out: &mut Outbox, leave: &Leave) {
        let mut frame = BytesMut::new();
        let close = Close { code: leave.code, reason: &leave.reason };
        frame::write_close(&mut frame, None, Some(close));
        // After a large message that is on its way.
        out.push(frame.freeze());
    }
}
