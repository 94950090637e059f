//! The mechanisms of security, each with who is let in by it.

use grenache_peer::zeromq::{Gate, Security};

use crate::security::{PASSWORD, USER, client, server};
use crate::socket::Builder;

/// A mechanism.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mechanism {
    Null,
    Plain,
    Curve,
}

impl Mechanism {
    pub(crate) const ALL: [Self; 3] = [Self::Null, Self::Plain, Self::Curve];

    /// How a worker of ours lets in a [`client`](Self::client).
    pub(crate) fn gate(self) -> Gate {
        match self {
            Self::Null => Gate::Null,
            Self::Plain => Gate::Plain([(USER.into(), PASSWORD.into())].into()),
            Self::Curve => Gate::Curve { keys: server(), allow: Some([client().public].into()) },
        }
    }

    /// What makes a socket of theirs one that is let in.
    pub(crate) fn client(self, socket: Builder) -> Builder {
        match self {
            Self::Null => socket,
            Self::Plain => socket.plain_client(USER, PASSWORD),
            Self::Curve => socket.curve_client(server().public, &client()),
        }
    }

    /// What makes a socket of theirs one that lets in those with our [`security`](Self::security).
    pub(crate) fn server(self, socket: Builder) -> Builder {
        match self {
            Self::Null => socket,
            Self::Plain => socket.plain_server(USER, PASSWORD),
            Self::Curve => socket.curve_server(&server(), &[client().public]),
        }
    }

    /// How our own clients are let in.
    pub(crate) fn security(self) -> Security {
        match self {
            Self::Null => Security::Null,
            Self::Plain => Security::Plain { user: USER.into(), password: PASSWORD.into() },
            Self::Curve => Security::Curve { server: server().public, keys: client() },
        }
    }
}
