//! Requests and replies on a WebSocket: each a message of its own.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use grenache_engine::now;
use grenache_transports::Heartbeat;
use grenache_transports::ws::{self, Close, Deflater, Event, Kind, code, frame};

use super::connect::{Upgraded, connect};
use super::masks::Masks;
use super::{Config, Pool};
use crate::arena::Arena;
use crate::envelope;
use crate::error::Failure;
use crate::http::{Failed, Target};
use crate::multiplex::{Bounds, Dial, Dialled, Said, Wire};
use crate::tls::Connector;

/// As Node asks for it.
const PATH: &str = "/ws";

/// Makes WebSockets for requests.
pub(crate) struct Dialer {
    config: Config,
    masks: Rc<Masks>,
}

/// What is written on a WebSocket.
pub(crate) struct Frames {
    masks: Rc<Masks>,
    deflater: RefCell<Option<Deflater>>,
}

/// What reads from it.
pub(crate) struct Inbound {
    decoder: ws::Connection,
    arena: Arena,
    max_message: usize,
}

impl Pool {
    /// `tls` is for targets that are secure. Needs to run on a core.
    pub(crate) fn new(config: Config, tls: Option<Connector>) -> Pool {
        Pool::with(Dialer { config, masks: Rc::new(Masks::new()) }, tls)
    }
}

impl Dial for Dialer {
    type Wire = Frames;

    fn bounds(&self) -> Bounds {
        let Config { idle_timeout, max_in_flight, max_connections, send_high_water, .. } =
            self.config;
        Bounds { idle_timeout, max_in_flight, max_connections, send_high_water }
    }

    async fn dial(&self, to: &Target, tls: Option<&Connector>) -> Result<Dialled<Frames>, Failure> {
        let Config { max_message, ping_interval, ping_timeout, .. } = self.config;
        let upgraded = connect(to, PATH, None, &self.config, tls).await?;
        let Upgraded { channel, decoder, deflater, received, .. } = upgraded;
        Ok(Dialled {
            channel,
            wire: Frames { masks: self.masks.clone(), deflater: RefCell::new(deflater) },
            inbound: Inbound { decoder, arena: Arena::default(), max_message },
            received,
            heartbeat: Heartbeat::new(ping_interval, ping_timeout, now()),
            renewal: Duration::MAX,
        })
    }
}

impl Frames {
    fn write_close_with(&self, out: &mut BytesMut, code: u16) {
        frame::write_close(out, Some(self.masks.draw()), Some(Close { code, reason: "" }));
    }
}

impl Wire for Frames {
    type Inbound = Inbound;

    #[inline]
    fn write_request(&self, out: &mut BytesMut, body: &Bytes) {
        let mask = Some(self.masks.draw());
        match &mut *self.deflater.borrow_mut() {
            Some(deflater) => deflater.write_message(out, Kind::Text, mask, body),
            None => frame::write_message(out, Kind::Text, mask, body),
        }
    }

    fn write_ping(&self, out: &mut BytesMut) {
        frame::write_ping(out, Some(self.masks.draw()), b"");
    }

    fn write_close(&self, out: &mut BytesMut) {
        self.write_close_with(out, code::NORMAL);
    }

    #[inline]
    fn receive(
        &self,
        inbound: &mut Inbound,
        input: &mut &mut [u8],
        out: &mut BytesMut,
    ) -> Option<Said> {
        let event = match inbound.decoder.receive(input) {
            Ok(event) => event?,
            Err(error) => {
                self.write_close_with(out, error.close_code());
                return Some(Said::Over(match error {
                    ws::Error::FrameTooLarge | ws::Error::MessageTooLarge => {
                        Failed::TooLarge { limit: inbound.max_message as u64 }
                    }
                    _ => Failed::Failure(Failure::Malformed(error.to_string())),
                }));
            }
        };
        Some(match event {
            Event::Message(message) => {
                let message = match message.assembled {
                    true => inbound.decoder.take_message(),
                    false => inbound.arena.keep(message.data),
                };
                // If it is no reply, nobody can tell whose answer it was meant to be.
                envelope::decode_reply(&message).map_or(Said::Noise, Said::Reply)
            }
            Event::Ping(payload) => {
                frame::write_pong(out, Some(self.masks.draw()), payload);
                Said::Alive(Duration::ZERO)
            }
            Event::Pong(_) => Said::Alive(Duration::ZERO),
            Event::Close(close) => {
                self.write_close_with(out, close.map_or(code::NORMAL, |close| close.code));
                Said::Over(match close {
                    Some(Close { code, reason })
                        if !matches!(code, code::NORMAL | code::GOING_AWAY) =>
                    {
                        let why = format!("closed with {code} {reason}");
                        Failed::Failure(Failure::Broken(why.trim_end().into()))
                    }
                    _ => Failed::Closed,
                })
            }
        })
    }
}
