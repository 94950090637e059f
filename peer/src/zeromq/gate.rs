//! Who is let in by the side that was connected to.

use std::collections::{BTreeMap, HashSet};
use std::fmt;

use grenache_transports::zmtp::{Credentials, Mechanism, Side};
use subtle::ConstantTimeEq;

use super::security::entropy;
use super::{KeyPair, PublicKey};

/// The security mechanism of the side that was connected to, and whom it lets in. Peers must name the same mechanism.
#[derive(Clone, PartialEq, Eq, Default)]
pub enum Gate {
    /// NULL: anybody.
    #[default]
    Null,
    /// PLAIN: these users, by their passwords. Nothing is encrypted, the passwords neither.
    Plain(BTreeMap<String, String>),
    /// CURVE: those who know our public key. Everything is encrypted.
    Curve {
        /// Our own keys.
        keys: KeyPair,
        /// Only clients with one of these keys; none: any client.
        allow: Option<HashSet<PublicKey>>,
    },
}

impl Gate {
    /// For one connection. Needs to run on a core.
    pub(crate) fn mechanism(&self) -> Mechanism {
        match self {
            Gate::Null => Mechanism::null(Side::Bind),
            Gate::Plain(_) => Mechanism::plain_server(),
            Gate::Curve { keys, .. } => Mechanism::curve_server(keys.clone(), entropy()),
        }
    }

    /// Whether someone with these credentials is let in.
    pub(crate) fn admits(&self, credentials: &Credentials<'_>) -> bool {
        match (self, credentials) {
            (Gate::Plain(users), Credentials::Plain { user, password }) => {
                let known = std::str::from_utf8(user).ok().and_then(|user| users.get(user));
                known.is_some_and(|known| known.as_bytes().ct_eq(password).into())
            }
            (Gate::Curve { allow, .. }, Credentials::Curve(key)) => {
                allow.as_ref().is_none_or(|allow| allow.contains(key))
            }
            _ => false,
        }
    }

    /// Whether it keeps secret what is said, so that it needs no TLS.
    pub(crate) fn is_secret(&self) -> bool {
        matches!(self, Gate::Curve { .. })
    }
}

/// No passwords in it.
impl fmt::Debug for Gate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Gate::Null => f.write_str("Null"),
            Gate::Plain(users) => write!(f, "Plain({} users)", users.len()),
            Gate::Curve { keys, .. } => write!(f, "Curve({})", keys.public),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::zeromq::SecretKey;

    #[test]
    fn who_is_let_in() {
        let users = [("ann".to_owned(), "secret".to_owned())];
        let plain = Gate::Plain(users.into());
        let shown = |user, password| plain.admits(&Credentials::Plain { user, password });
        assert!(shown(b"ann", b"secret"));
        for (user, password) in
            [(&b"ann"[..], &b"secre"[..]), (b"ann", b""), (b"bob", b"secret"), (b"\xff", b"secret")]
        {
            assert!(!shown(user, password));
        }
        let pair = |byte| KeyPair::from(SecretKey::new([byte; 32]));
        let one = Credentials::Curve(pair(2).public);
        assert!(!plain.admits(&one) && !Gate::Null.admits(&one));
        let curve = |allow| Gate::Curve { keys: pair(1), allow };
        assert!(curve(None).admits(&one));
        assert!(curve(Some([pair(2).public].into())).admits(&one));
        assert!(!curve(Some([pair(3).public].into())).admits(&one));
        assert!(!curve(Some(HashSet::new())).admits(&one));
    }
}
