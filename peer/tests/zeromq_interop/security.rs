//! How connections of the tests are secured.

use grenache_transports::zmtp::curve::{Entropy, KeyPair, SecretKey};
use grenache_transports::zmtp::{Credentials, Mechanism, Side};

use crate::ours::Ours;
use crate::socket::Builder;

pub(crate) const USER: &str = "user";
pub(crate) const PASSWORD: &str = "secret";

/// A mechanism, and what we are in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Security {
    Null,
    PlainClient,
    PlainServer,
    CurveClient,
    CurveServer,
}

impl Security {
    pub(crate) const ALL: [Self; 5] =
        [Self::Null, Self::PlainClient, Self::PlainServer, Self::CurveClient, Self::CurveServer];

    /// What we do.
    pub(crate) fn ours(self, side: Side) -> Ours {
        let mechanism = match self {
            Self::Null => Mechanism::null(side),
            Self::PlainClient => {
                Mechanism::plain_client(USER.as_bytes(), PASSWORD.as_bytes()).expect("short ones")
            }
            Self::PlainServer => Mechanism::plain_server(),
            Self::CurveClient => Mechanism::curve_client(server().public, client(), entropy()),
            Self::CurveServer => Mechanism::curve_server(server(), entropy()),
        };
        Ours { mechanism, gate }
    }

    /// What they do.
    pub(crate) fn theirs(self, socket: Builder) -> Builder {
        match self {
            Self::Null => socket,
            Self::PlainClient => socket.plain_server(USER, PASSWORD),
            Self::PlainServer => socket.plain_client(USER, PASSWORD),
            Self::CurveClient => socket.curve_server(&server(), &[client().public]),
            Self::CurveServer => socket.curve_client(server().public, &client()),
        }
    }
}

/// Lets in the user and the client.
fn gate(credentials: Credentials<'_>) -> bool {
    match credentials {
        Credentials::Plain { user, password } => {
            (user, password) == (USER.as_bytes(), PASSWORD.as_bytes())
        }
        Credentials::Curve(key) => key == client().public,
    }
}

/// The keys of the server, whichever side that is.
pub(crate) fn server() -> KeyPair {
    keys(1)
}

/// The keys of the client who is let in.
pub(crate) fn client() -> KeyPair {
    keys(2)
}

/// The keys of somebody.
pub(crate) fn keys(seed: u8) -> KeyPair {
    SecretKey::new([seed; 32]).into()
}

pub(crate) fn entropy() -> Entropy {
    rand::random()
}
