//! What a connection has to send.

use std::collections::VecDeque;
use std::io::IoSlice;

use bytes::Bytes;

/// Small writes are gathered in buffers of up to this many bytes.
const GATHER: usize = 16 * 1024;
/// Buffers kept for reuse, per core.
const SPARE: usize = 256;

enum Chunk {
    Shared { data: Bytes, sent: usize },
    Gathered { data: Vec<u8>, sent: usize },
}

impl Chunk {
    fn rest(&self) -> &[u8] {
        match self {
            Self::Shared { data, sent } => &data[*sent..],
            Self::Gathered { data, sent } => &data[*sent..],
        }
    }

    fn advance(&mut self, count: usize) {
        let (Self::Shared { sent, .. } | Self::Gathered { sent, .. }) = self;
        *sent += count;
    }
}

/// Empty buffers of a core's connections, for reuse.
#[derive(Default)]
pub(crate) struct Spare {
    buffers: Vec<Vec<u8>>,
}

impl Spare {
    pub(crate) fn take(&mut self) -> Vec<u8> {
        self.buffers.pop().unwrap_or_default()
    }

    pub(crate) fn give_back(&mut self, mut buffer: Vec<u8>) {
        if self.buffers.len() < SPARE && (1..=GATHER).contains(&buffer.capacity()) {
            buffer.clear();
            self.buffers.push(buffer);
        }
    }
}

/// Bytes in the order in which they leave. While a send is in flight its chunks do not change.
#[derive(Default)]
pub(crate) struct SendQueue {
    chunks: VecDeque<Chunk>,
    bytes: usize,
    /// Chunks at the front that the driver is sending.
    frozen: usize,
}

impl SendQueue {
    pub(crate) fn len(&self) -> usize {
        self.bytes
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.bytes == 0
    }

    pub(crate) fn write(&mut self, bytes: &[u8], spare: &mut Spare) {
        if bytes.is_empty() {
            return;
        }
        self.bytes += bytes.len();
        if self.chunks.len() > self.frozen
            && let Some(Chunk::Gathered { data, .. }) = self.chunks.back_mut()
            && data.len() + bytes.len() <= GATHER
        {
            data.extend_from_slice(bytes);
            return;
        }
        let mut data = spare.take();
        data.extend_from_slice(bytes);
        self.chunks.push_back(Chunk::Gathered { data, sent: 0 });
    }

    pub(crate) fn push(&mut self, data: Bytes) {
        if !data.is_empty() {
            self.bytes += data.len();
            self.chunks.push_back(Chunk::Shared { data, sent: 0 });
        }
    }

    /// The chunks at the front, at most `max`. They stay as they are, at the same addresses, until
    /// [`sent`](Self::sent) or [`clear`](Self::clear).
    pub(crate) fn freeze(&mut self, max: usize) -> impl Iterator<Item = &[u8]> {
        self.frozen = self.chunks.len().min(max);
        self.chunks.iter().take(self.frozen).map(Chunk::rest)
    }

    /// As [`freeze`](Self::freeze), into slices.
    pub(crate) fn fill<'a>(&'a mut self, slices: &mut [IoSlice<'a>]) -> usize {
        let max = slices.len();
        let mut count = 0;
        for (slice, chunk) in slices.iter_mut().zip(self.freeze(max)) {
            *slice = IoSlice::new(chunk);
            count += 1;
        }
        count
    }

    /// The first `count` bytes have left; nothing is in flight any more.
    pub(crate) fn sent(&mut self, count: usize, spare: &mut Spare) {
        self.frozen = 0;
        let mut left = count.min(self.bytes);
        self.bytes -= left;
        while let Some(chunk) = self.chunks.front_mut() {
            let rest = chunk.rest().len();
            if left < rest {
                chunk.advance(left);
                return;
            }
            left -= rest;
            if let Some(Chunk::Gathered { data, .. }) = self.chunks.pop_front() {
                spare.give_back(data);
            }
        }
    }

    /// Drops everything. Nothing may be in flight.
    pub(crate) fn clear(&mut self) {
        self.chunks.clear();
        self.bytes = 0;
        self.frozen = 0;
    }
}
