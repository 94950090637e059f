//! Requests and replies on a ZeroMQ connection.

use std::cell::RefCell;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use grenache_engine::now;
use grenache_transports::Heartbeat;
use grenache_transports::zmtp::{
    Connection, Error, Event, Limit, Message, Metadata, Parts, SocketType, Version, frame,
};

use super::{Config, Form, Met, Pool, RPC_ARRAY, RPC_PROPERTY, connect, frames};
use crate::arena::Arena;
use crate::envelope;
use crate::error::Failure;
use crate::http::{Failed, Target};
use crate::multiplex::{Bounds, Dial, Dialled, Said, Wire};
use crate::tls::Connector;

/// Makes connections for requests.
pub(crate) struct Dialer(Config);

/// What is spoken on one of them.
pub(crate) struct Messages {
    /// Shared by those who write and the one who reads: what is encrypted is numbered, whoever has said it.
    connection: RefCell<Connection>,
    /// Calls are arrays, not frames.
    arrays: bool,
    encrypted: bool,
    /// How long the other side is told to wait for a sign of life.
    ttl: Duration,
    max_message: usize,
}

impl Pool {
    /// `tls` is for targets that are secure. Needs to run on a core.
    pub(crate) fn new(config: Config, tls: Option<Connector>) -> Pool {
        Pool::with(Dialer(config), tls)
    }
}

impl Dial for Dialer {
    type Wire = Messages;

    fn bounds(&self) -> Bounds {
        let Config { idle_timeout, max_in_flight, max_connections, send_high_water, .. } = self.0;
        Bounds { idle_timeout, max_in_flight, max_connections, send_high_water }
    }

    async fn dial(
        &self,
        to: &Target,
        tls: Option<&Connector>,
    ) -> Result<Dialled<Messages>, Failure> {
        let Config { form, max_message, ping_interval, ping_timeout, .. } = self.0;
        let dealer = Metadata::new(SocketType::Dealer);
        let Met { channel, connection, received } = connect(to, dealer, &self.0, tls).await?;
        let peer = connection.peer();
        let told = peer.and_then(|peer| peer.properties.get(RPC_PROPERTY)) == Some(RPC_ARRAY);
        // Peers of 3.0 do not know PING.
        let silent = peer.is_some_and(|peer| peer.version == Version::V3_0);
        let ping_interval = if silent { Duration::MAX } else { ping_interval };
        Ok(Dialled {
            channel,
            wire: Messages {
                arrays: form == Form::Array || form == Form::Told && told,
                encrypted: connection.is_encrypted(),
                connection: RefCell::new(connection),
                ttl: ping_interval.saturating_add(ping_timeout),
                max_message,
            },
            inbound: Arena::default(),
            received,
            heartbeat: Heartbeat::new(ping_interval, ping_timeout, now()),
            // Before the time to live is over, and after whatever silence makes the heartbeat ask for.
            renewal: ping_interval.saturating_add(ping_timeout / 2),
        })
    }
}

impl Messages {
    /// What a message answers.
    fn read(&self, frames: &Bytes, count: usize) -> Said {
        let mut parts = Parts::new(frames);
        match (self.arrays, count, parts.next(), parts.next()) {
            (true, 1, Some(body), None) => {
                let reply = envelope::decode_reply(&frames.slice_ref(body));
                // If it is no reply, nobody can tell whose answer it was meant to be.
                reply.map_or(Said::Noise, Said::Reply)
            }
            (false, 2, Some(rid), Some(result)) => frames::read_reply(rid, result),
            _ => Said::Noise,
        }
    }

    fn failed(&self, error: Error) -> Failed {
        match error {
            Error::OverLimit(Limit::Frame | Limit::Message) => {
                Failed::TooLarge { limit: self.max_message as u64 }
            }
            error => Failed::Failure(Failure::Malformed(error.to_string())),
        }
    }
}

impl Wire for Messages {
    type Inbound = Arena;

    #[inline]
    fn write_request(&self, out: &mut BytesMut, body: &Bytes) {
        let mut connection = self.connection.borrow_mut();
        // Envelopes of our own are well-formed, and on a connection that is finished nothing is sent any more.
        let _ = match self.arrays {
            true => Ok(connection.send(&[body], out)),
            false => frames::with_request(body, |parts| connection.send(parts, out)),
        };
    }

    fn split_request(&self, body: &Bytes) -> (Bytes, Bytes) {
        let mut out = BytesMut::new();
        if self.arrays && !self.encrypted {
            frame::write_header(&mut out, false, body.len());
            return (out.freeze(), body.clone());
        }
        self.write_request(&mut out, body);
        (out.freeze(), Bytes::new())
    }

    fn write_ping(&self, out: &mut BytesMut) {
        let _ = self.connection.borrow_mut().ping(self.ttl, out);
    }

    /// ZMTP has no word for it.
    fn write_close(&self, _out: &mut BytesMut) {}

    #[inline]
    fn receive(
        &self,
        arena: &mut Arena,
        input: &mut &mut [u8],
        out: &mut BytesMut,
    ) -> Option<Said> {
        let mut connection = self.connection.borrow_mut();
        let mut unread: &[u8] = input;
        let said = match connection.receive(&mut unread, out) {
            Ok(None) => None,
            Ok(Some(Event::Message(Message { frames, count, assembled }))) => {
                let frames = match assembled {
                    true => connection.take_message(),
                    false => arena.keep(frames),
                };
                Some(self.read(&frames, count))
            }
            Ok(Some(Event::Ping(ttl))) => Some(Said::Alive(ttl)),
            Ok(Some(Event::Refused(reason))) => {
                let why = format!("refused: {}", String::from_utf8_lossy(reason).escape_debug());
                Some(Said::Over(Failed::Failure(Failure::Broken(why))))
            }
            // Nothing else comes to a DEALER.
            Ok(Some(_)) => Some(Said::Noise),
            Err(error) => Some(Said::Over(self.failed(error))),
        };
        let read = input.len() - unread.len();
        *input = &mut std::mem::take(input)[read..];
        said
    }
}
