//! What such a connection speaks.

use std::rc::Rc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};

use crate::envelope::{self, Malformed};
use crate::json::Json;
use crate::outbox::Outbox;
use crate::publish::Form;
use crate::server::reply::Reply;
use crate::zeromq::Sealer;

/// What a connection speaks, after what has decided on it.
pub(in crate::server) trait Wire {
    /// How an answer finds its way back, besides by the request's id.
    type Back: 'static;

    /// A ping names the time after which this side is to be given up if nothing comes from it: it has to be said again.
    const PROMISES: bool = false;

    /// Takes bytes off the front of `input` until something comes of them or nothing is left. What the protocol itself answers
    /// is written to `out`.
    ///
    /// # Errors
    /// Why the connection has to end. It comes once.
    fn receive(
        &mut self,
        input: &mut &mut [u8],
        out: &mut BytesMut,
    ) -> Result<Option<Event<Self::Back>>, Leave>;

    /// What a message asks for.
    fn decode<'m>(
        message: &'m Bytes,
        back: &Self::Back,
    ) -> Result<envelope::Request<'m>, Malformed>;

    /// Whether both sides know what they need to know of each other.
    fn is_ready(&self) -> bool {
        true
    }

    /// Whether a message has come in part.
    fn is_within(&self) -> bool;

    /// Bytes kept of it.
    fn buffered(&self) -> usize;

    /// Writes the answer to a request.
    fn write_reply(
        &mut self,
        out: &mut Outbox,
        rid: &Json,
        back: &Self::Back,
        outcome: &Result<Reply, String>,
    );

    /// Writes that a request has not been begun.
    fn write_busy(&mut self, out: &mut Outbox, rid: &Json, back: &Self::Back);

    /// Asks for a sign of life. False if the other side knows no such question.
    fn write_ping(&mut self, out: &mut BytesMut) -> bool;

    /// Writes what the protocol owes the other side, now that there is room.
    fn write_owed(&mut self, _out: &mut BytesMut) {}

    /// Says that nothing more will come.
    fn write_end(&mut self, out: &mut Outbox, leave: &Leave);
}

/// What comes of what was received.
pub(in crate::server) enum Event<B> {
    /// Both sides know what they need to know. Comes first, if it was not clear from the beginning.
    Ready(Ready),
    /// A message, and how its answer finds its way back.
    Message(Bytes, B),
    /// A subscriber wants what begins with this.
    Subscribe(Bytes),
    /// A subscriber no longer wants it.
    Cancel(Bytes),
    /// The other side counts itself dead if nothing comes from it for so long.
    Told(Duration),
    /// It ends in good order, because of the other side.
    End(Leave),
}

/// Who the other side is.
pub(in crate::server) struct Ready {
    /// The key it has proven to have.
    pub(in crate::server) key: Option<crate::zeromq::PublicKey>,
    /// The user it has shown to be.
    pub(in crate::server) user: Option<Rc<str>>,
    /// It listens to what is published, in this form; encrypted by this, if at all.
    pub(in crate::server) subscribes: Option<(Form, Option<Sealer>)>,
}

/// Why a connection ends: a code of WebSocket's, which others may not be able to say, and a short text.
pub(in crate::server) struct Leave {
    pub(in crate::server) code: u16,
    pub(in crate::server) reason: String,
}

impl Leave {
    pub(in crate::server) fn new(code: u16, reason: &str) -> Leave {
        Leave { code, reason: reason.into() }
    }
}
