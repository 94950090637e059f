//! Copies of messages out of receive buffers.

use bytes::{Bytes, BytesMut};

/// Room for small messages, which share one piece of memory: each would cost an allocation otherwise.
const SIZE: usize = 16 * 1024;

/// A message of this length has memory of its own.
const LARGE: usize = 2 * 1024;

/// Where small messages are kept together.
#[derive(Default)]
pub(crate) struct Arena(BytesMut);

impl Arena {
    /// A copy of a message.
    #[inline]
    pub(crate) fn keep(&mut self, data: &[u8]) -> Bytes {
        if data.len() >= LARGE {
            return Bytes::copy_from_slice(data);
        }
        if self.0.capacity() - self.0.len() < data.len() {
            self.0 = BytesMut::with_capacity(SIZE);
        }
        self.0.extend_from_slice(data);
        self.0.split().freeze()
    }
}
