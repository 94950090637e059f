//! Settings of a socket.

use crate::backoff::Backoff;
use crate::zeromq::{Config, Gate};

/// Settings of a [`Socket`](super::Socket). libzmq's name for a setting is given where it has one.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The name a ROUTER is to know this socket by, of at most 255 bytes, the first of which is not zero; empty, it draws one
    /// (`ZMQ_ROUTING_ID`). Empty.
    pub identity: Vec<u8>,
    /// Connections, whoever has made them; [`Config::security`] is for those that this side makes.
    pub connection: Config,
    /// Who is let in on connections that others make. [`Gate::Null`]: anybody.
    pub gate: Gate,
    /// Pauses before a connection that this side makes is made again (`ZMQ_RECONNECT_IVL`). 100 ms to 10 s.
    pub retry: Backoff,
    /// Messages that wait to be sent, for each peer, besides what is in its connection ([`Config::send_high_water`]); what
    /// happens beyond is the pattern's (`ZMQ_SNDHWM`). 1000.
    pub send_messages: usize,
    /// Bytes of them, likewise; one message may always wait. 16 MiB.
    pub send_bytes: usize,
    /// Messages of a peer that wait to be taken, before nothing more is read from it (`ZMQ_RCVHWM`). 1000.
    pub receive_messages: usize,
    /// Bytes of them, likewise. 16 MiB.
    pub receive_bytes: usize,
    /// A ROUTER says so if a message cannot be sent, instead of dropping it (`ZMQ_ROUTER_MANDATORY`). Off.
    pub mandatory: bool,
    /// Who comes to a ROUTER with an identity that another has takes that one's place, and is not refused
    /// (`ZMQ_ROUTER_HANDOVER`). Off.
    pub handover: bool,
    /// Most peers at once, with those that are in their handshake and those that have left messages behind which nobody has taken.
    /// Beyond it connections are closed at once. 10,000.
    pub max_peers: usize,
    /// Most prefixes that a peer may subscribe to at a PUB or XPUB; beyond it, its connection is closed. 10,000.
    pub max_subscriptions: usize,
    /// Most bytes of them, likewise. 1 MiB.
    pub max_subscription_bytes: usize,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings {
            identity: Vec::new(),
            connection: Config::default(),
            gate: Gate::default(),
            retry: Backoff::from_millis(100, 10_000),
            send_messages: 1000,
            send_bytes: 16 * 1024 * 1024,
            receive_messages: 1000,
            receive_bytes: 16 * 1024 * 1024,
            mandatory: false,
            handover: false,
            max_peers: 10_000,
            max_subscriptions: 10_000,
            max_subscription_bytes: 1024 * 1024,
        }
    }
}
