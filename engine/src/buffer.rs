//! Received bytes.

use std::cell::RefCell;
use std::fmt;
use std::ops::{Deref, DerefMut};
use std::rc::Rc;

use crate::buffer_ring::Lease;

/// Bytes received. They lie in a buffer of the driver, which is given back on drop.
///
/// Handlers may keep a few: when half of the buffers lent to the kernel are held, further bytes are
/// copied out on arrival, so that a slow handler never starves the other connections.
pub struct RecvBuf {
    source: Source,
    start: usize,
    end: usize,
}

/// What a piece costs besides its bytes: its place in a queue, the allocator's share.
const OVERHEAD: usize = 64;

enum Source {
    Ring(Lease),
    Heap { data: Vec<u8>, pool: Option<Rc<Pool>> },
}

impl RecvBuf {
    /// Bytes in a buffer lent to the kernel.
    pub(crate) fn leased(lease: Lease, start: usize, end: usize) -> Self {
        Self { source: Source::Ring(lease), start, end }
    }

    /// The first `len` bytes of a buffer from `pool`.
    pub(crate) fn in_pool(pool: Rc<Pool>, data: Vec<u8>, len: usize) -> Self {
        Self { source: Source::Heap { data, pool: Some(pool) }, start: 0, end: len }
    }

    /// Bytes of its own.
    pub(crate) fn owned(data: Vec<u8>) -> Self {
        let end = data.len();
        Self { source: Source::Heap { data, pool: None }, start: 0, end }
    }

    /// Bytes of memory it keeps while it waits to be read. Of a buffer lent to the kernel only the
    /// bytes themselves count: there are few and all share them.
    pub(crate) fn footprint(&self) -> usize {
        let bytes = match &self.source {
            Source::Ring(_) => self.len(),
            Source::Heap { data, .. } => data.len(),
        };
        bytes + OVERHEAD
    }

    /// Removes the first `count` bytes, or all if there are fewer.
    pub fn advance(&mut self, count: usize) {
        self.start = self.end.min(self.start.saturating_add(count));
    }
}

impl Deref for RecvBuf {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match &self.source {
            Source::Ring(lease) => &lease[self.start..self.end],
            Source::Heap { data, .. } => &data[self.start..self.end],
        }
    }
}

/// For protocols that decode in place.
impl DerefMut for RecvBuf {
    fn deref_mut(&mut self) -> &mut [u8] {
        match &mut self.source {
            Source::Ring(lease) => &mut lease[self.start..self.end],
            Source::Heap { data, .. } => &mut data[self.start..self.end],
        }
    }
}

impl AsRef<[u8]> for RecvBuf {
    fn as_ref(&self) -> &[u8] {
        self
    }
}

impl fmt::Debug for RecvBuf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RecvBuf({} bytes)", self.len())
    }
}

impl Drop for RecvBuf {
    fn drop(&mut self) {
        if let Source::Heap { data, pool: Some(pool) } = &mut self.source {
            pool.give_back(std::mem::take(data));
        }
    }
}

/// Buffers of one size that are used again.
pub(crate) struct Pool {
    size: usize,
    keep: usize,
    free: RefCell<Vec<Vec<u8>>>,
}

impl Pool {
    /// Buffers of `size` bytes, of which `keep` are kept for reuse.
    pub(crate) fn new(size: usize, keep: usize) -> Rc<Self> {
        Rc::new(Self { size, keep, free: RefCell::default() })
    }

    /// A buffer of the pool's size, with anything in it.
    pub(crate) fn take(&self) -> Vec<u8> {
        self.free.borrow_mut().pop().unwrap_or_else(|| vec![0; self.size])
    }

    pub(crate) fn give_back(&self, buffer: Vec<u8>) {
        let mut free = self.free.borrow_mut();
        if free.len() < self.keep && buffer.len() == self.size {
            free.push(buffer);
        }
    }
}
