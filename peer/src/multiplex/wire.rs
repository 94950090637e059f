//! What a transport has of its own.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use grenache_transports::Heartbeat;

use crate::channel::{Channel, Received};
use crate::envelope::Reply;
use crate::error::Failure;
use crate::http::{Failed, Target};
use crate::json::Json;
use crate::tls::Connector;

/// How connections of one transport are made.
pub(crate) trait Dial: 'static {
    /// What is spoken on them.
    type Wire: Wire;

    /// What bounds them.
    fn bounds(&self) -> Bounds;

    /// Makes a connection and goes through all handshakes. Dropping the future gives up.
    async fn dial(
        &self,
        to: &Target,
        tls: Option<&Connector>,
    ) -> Result<Dialled<Self::Wire>, Failure>;
}

/// What bounds the connections of a transport.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bounds {
    /// One that nobody has used for so long is closed.
    pub(crate) idle_timeout: Duration,
    /// Most requests under way on one, before another is made to the same destination.
    pub(crate) max_in_flight: usize,
    /// Most of them to one destination; beyond that each takes more.
    pub(crate) max_connections: usize,
    /// Bytes that are queued for sending at once.
    pub(crate) send_high_water: usize,
}

/// A connection whose handshakes are done.
pub(crate) struct Dialled<W: Wire> {
    pub(crate) channel: Channel,
    pub(crate) wire: W,
    pub(crate) inbound: W::Inbound,
    /// What has come after the handshake.
    pub(crate) received: Option<Received>,
    pub(crate) heartbeat: Heartbeat,
    /// A ping names the time after which this side may be given up: if nothing has left for so long after it, it is renewed.
    pub(crate) renewal: Duration,
}

/// What one connection speaks. What it writes has to leave in the order in which it was written, or not at all.
pub(crate) trait Wire: 'static {
    /// What only the side that reads needs.
    type Inbound: 'static;

    /// Writes a request, whose envelope is `body`.
    fn write_request(&self, out: &mut BytesMut, body: &Bytes);

    /// The same for a large one: what is to leave first, and what then. So it need not be copied, if the wire allows that.
    fn split_request(&self, body: &Bytes) -> (Bytes, Bytes) {
        let mut out = BytesMut::new();
        self.write_request(&mut out, body);
        (out.freeze(), Bytes::new())
    }

    /// Writes a question for a sign of life.
    fn write_ping(&self, out: &mut BytesMut);

    /// Writes that this side is done with the connection, if the wire has a word for it.
    fn write_close(&self, out: &mut BytesMut);

    /// Takes bytes off the front of `input` until they say something, or there are none left. What the wire answers by itself is
    /// written to `out`; with [`Said::Over`], that are the last words, if any.
    fn receive(
        &self,
        inbound: &mut Self::Inbound,
        input: &mut &mut [u8],
        out: &mut BytesMut,
    ) -> Option<Said>;
}

/// What the other side says.
pub(crate) enum Said {
    /// The answer to a request.
    Reply(Reply),
    /// An answer to the request of this id that cannot be read.
    Unreadable(Json, Failed),
    /// A sign of life, and for how long the other side wants to be waited for after it; zero if it does not say.
    Alive(Duration),
    /// Something that answers nothing.
    Noise,
    /// The connection is over, and for what reason there will be no answers.
    Over(Failed),
}
