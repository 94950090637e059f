use crate::event::Op;
use crate::items::{Signed, Stored};
use crate::key::Key;
use crate::signature;
use crate::token_cache::Target;
use bytes::Bytes;
use core::net::Ipv4Addr;
use std::sync::Arc;

/// An item to store (BEP44).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Put {
    /// The value, one bencoded value of any kind.
    pub v: Bytes,
    /// What makes it mutable; without it the item is immutable.
    pub mutable: Option<Mutable>,
}

/// Key, signature and version of a mutable item.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mutable {
    /// The ed25519 public key.
    pub k: [u8; 32],
    /// The ed25519 signature; anything but 64 bytes is a wrong one.
    pub sig: Bytes,
    /// The sequence number.
    pub seq: i64,
    /// The salt, empty for none.
    pub salt: Bytes,
    /// Only replace the item if its sequence number is this.
    pub cas: Option<i64>,
}

impl Put {
    /// Where the item is found: the key that its core is chosen by.
    pub fn target(&self) -> [u8; 20] {
        match &self.mutable {
            Some(mutable) => signature::mutable_target(&mutable.k, &mutable.salt),
            None => signature::immutable_target(&self.v),
        }
    }

    /// Whether the signature is right; an immutable item needs none.
    pub fn is_valid(&self) -> bool {
        self.mutable
            .as_ref()
            .is_none_or(|m| signature::verify(&m.k, &m.sig, m.seq, &m.salt, &self.v))
    }

    pub(crate) fn to_stored(&self) -> Stored {
        let signed = self.mutable.as_ref();
        let signed = signed.map(|m| Signed { k: m.k, sig: m.sig.clone(), seq: m.seq });
        Stored { v: self.v.clone(), signed, mine: true }
    }
}

/// What to get (BEP44).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Get {
    /// The target of the item.
    pub target: [u8; 20],
    /// The salt of a mutable item, empty for none.
    pub salt: Bytes,
}

/// What is to be stored on the nodes closest to a key.
#[derive(Clone, Debug)]
pub(crate) enum Job {
    Announce { op: Op, port: u16, local: Ipv4Addr },
    Put { op: Op, put: Arc<Put> },
}

/// A job while the nodes are being asked to do it.
#[derive(Debug)]
pub(crate) struct Store {
    pub(crate) key: Key,
    pub(crate) job: Job,
    pub(crate) targets: Arc<[Target]>,
    /// The first target that was not asked yet.
    pub(crate) next: usize,
    pub(crate) in_flight: usize,
    /// Nodes that did it.
    pub(crate) stored: usize,
    /// Some did not.
    pub(crate) failed: bool,
    /// The last reason with a code from 300 to 399.
    pub(crate) refusal: Option<(u16, String)>,
    /// The tokens come from the cache and may be too old after all.
    pub(crate) cached: bool,
    /// It stands in the line for a free query.
    pub(crate) in_line: bool,
}

impl Store {
    pub(crate) fn new(key: Key, job: Job, targets: Arc<[Target]>, cached: bool) -> Self {
        Self {
            key,
            job,
            targets,
            next: 0,
            in_flight: 0,
            stored: 0,
            failed: false,
            refusal: None,
            cached,
            in_line: false,
        }
    }

    /// Bytes of what is stored.
    pub(crate) fn length(&self) -> usize {
        match &self.job {
            Job::Announce { .. } => self.key.as_bytes().len(),
            Job::Put { put, .. } => put.v.len(),
        }
    }

    pub(crate) fn is_done(&self) -> bool {
        self.in_flight == 0 && self.next == self.targets.len()
    }
}
