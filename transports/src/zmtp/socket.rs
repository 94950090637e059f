//! The patterns of sockets, and which go together (RFC 37, "The Socket-Type Property"; RFC 28, RFC 29).

use core::fmt;

/// What kind of socket a connection belongs to. PUSH, PULL, PAIR and the thread-safe ones are not spoken here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SocketType {
    /// Asks, one question at a time.
    Req,
    /// Answers, one question at a time.
    Rep,
    /// Asks without waiting for answers.
    Dealer,
    /// Knows its peers by their identity.
    Router,
    /// Publishes.
    Pub,
    /// Publishes, and sees subscriptions.
    Xpub,
    /// Subscribes.
    Sub,
    /// Subscribes by messages of its own.
    Xsub,
}

impl SocketType {
    const ALL: [Self; 8] = [
        Self::Req,
        Self::Rep,
        Self::Dealer,
        Self::Router,
        Self::Pub,
        Self::Xpub,
        Self::Sub,
        Self::Xsub,
    ];

    /// The name on the wire.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Req => "REQ",
            Self::Rep => "REP",
            Self::Dealer => "DEALER",
            Self::Router => "ROUTER",
            Self::Pub => "PUB",
            Self::Xpub => "XPUB",
            Self::Sub => "SUB",
            Self::Xsub => "XSUB",
        }
    }

    pub(super) fn read(name: &[u8]) -> Option<Self> {
        Self::ALL.into_iter().find(|socket| socket.name().as_bytes() == name)
    }

    /// Whether something can come of a connection between these two.
    pub const fn goes_with(self, peer: Self) -> bool {
        match self {
            Self::Req => matches!(peer, Self::Rep | Self::Router),
            Self::Rep => matches!(peer, Self::Req | Self::Dealer),
            Self::Dealer => matches!(peer, Self::Rep | Self::Dealer | Self::Router),
            Self::Router => matches!(peer, Self::Req | Self::Dealer | Self::Router),
            Self::Pub | Self::Xpub => matches!(peer, Self::Sub | Self::Xsub),
            Self::Sub | Self::Xsub => matches!(peer, Self::Pub | Self::Xpub),
        }
    }

    /// Whether subscriptions come from the peer.
    pub const fn publishes(self) -> bool {
        matches!(self, Self::Pub | Self::Xpub)
    }
}

impl fmt::Display for SocketType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_goes_together_goes_together_both_ways() {
        for one in SocketType::ALL {
            assert_eq!(SocketType::read(one.name().as_bytes()), Some(one));
            for other in SocketType::ALL {
                assert_eq!(one.goes_with(other), other.goes_with(one), "{one} {other}");
            }
        }
        assert_eq!(SocketType::read(b"PUSH"), None);
        assert_eq!(SocketType::read(b"pub"), None);
    }
}
