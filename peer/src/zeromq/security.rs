//! How the side that makes a connection is secured.

use std::fmt;

use grenache_engine::fill_random;
use grenache_transports::zmtp::{Mechanism, Misuse, Side, curve};

use super::{KeyPair, PublicKey, SecretKey};

/// The security mechanism of the side that connects. Both sides must name the same.
#[derive(Clone, PartialEq, Eq, Default)]
pub enum Security {
    /// NULL: nobody has to say who they are, and nothing is encrypted.
    #[default]
    Null,
    /// PLAIN: this side shows a user name and a password, of at most 255 bytes each. Nothing is encrypted, these neither.
    Plain {
        /// The user name.
        user: String,
        /// The password.
        password: String,
    },
    /// CURVE: this side knows the server's key and shows its own. Everything is encrypted.
    Curve {
        /// The server's key.
        server: PublicKey,
        /// Our own; [`draw_keys`] makes a pair for a server that lets in anybody.
        keys: KeyPair,
    },
}

impl Security {
    /// For one connection. Needs to run on a core.
    pub(crate) fn mechanism(&self) -> Result<Mechanism, Misuse> {
        Ok(match self {
            Security::Null => Mechanism::null(Side::Connect),
            Security::Plain { user, password } => {
                Mechanism::plain_client(user.as_bytes(), password.as_bytes())?
            }
            Security::Curve { server, keys } => {
                Mechanism::curve_client(*server, keys.clone(), entropy())
            }
        })
    }
}

/// A new pair of CURVE keys, from the system's randomness.
pub fn draw_keys() -> KeyPair {
    let mut secret = [0; 32];
    rand::fill(&mut secret);
    SecretKey::new(secret).into()
}

/// What one connection with CURVE needs of randomness.
pub(super) fn entropy() -> curve::Entropy {
    let mut entropy = [0; 96];
    fill_random(&mut entropy);
    entropy
}

/// No passwords in it.
impl fmt::Debug for Security {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Security::Null => f.write_str("Null"),
            Security::Plain { user, .. } => write!(f, "Plain({user})"),
            Security::Curve { server, keys } => write!(f, "Curve({server}, {})", keys.public),
        }
    }
}
