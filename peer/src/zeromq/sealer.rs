//! Encryption of messages for one peer.

use std::cell::RefCell;
use std::rc::Rc;

use bytes::BytesMut;
use grenache_transports::zmtp::{Connection, Parts};

/// Encrypts what goes to one peer, in the order in which it leaves. Clones are the same.
#[derive(Clone)]
pub(crate) struct Sealer(Rc<RefCell<Connection>>);

impl Sealer {
    /// A connection whose messages are encrypted.
    pub(crate) fn new(connection: &Rc<RefCell<Connection>>) -> Sealer {
        Sealer(connection.clone())
    }

    /// The frames of a message, encrypted.
    pub(crate) fn seal(&self, frames: &[u8]) -> BytesMut {
        let mut out = BytesMut::new();
        let parts: Vec<&[u8]> = Parts::new(frames).collect();
        // Nothing is written on a connection that has ended.
        let _ = self.0.borrow_mut().send(&parts, &mut out);
        out
    }
}
