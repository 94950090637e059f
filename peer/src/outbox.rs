//! What a connection sends, in pieces that the other side takes.

use std::collections::VecDeque;
use std::future::Future;
use std::io;
use std::pin::pin;
use std::task::{Context, Poll};

use bytes::{Bytes, BytesMut};

use crate::channel::Channel;

/// From this length on, bytes are handed over instead of copied.
const HAND_OVER: usize = 16 * 1024;

/// Most bytes of a large body that go into the connection at a time.
const PIECE: usize = 64 * 1024;

/// Bytes on their way into a connection. The connection itself is never given much more than `high_water`.
pub(crate) struct Outbox {
    channel: Channel,
    high_water: usize,
    /// Small things, gathered; before `large`.
    pub(crate) small: BytesMut,
    large: VecDeque<Bytes>,
    /// A piece has gone since somebody asked.
    moved: bool,
}

impl Outbox {
    pub(crate) fn new(channel: Channel, high_water: usize) -> Outbox {
        Outbox {
            channel,
            high_water: high_water.max(1),
            small: BytesMut::new(),
            large: VecDeque::new(),
            moved: false,
        }
    }

    /// Whether nothing more should be added now.
    pub(crate) fn is_full(&self) -> bool {
        !self.large.is_empty() || self.small.len() + self.channel.queued() >= self.high_water
    }

    /// Adds bytes after all others.
    pub(crate) fn push(&mut self, bytes: Bytes) {
        if self.large.is_empty() && bytes.len() < HAND_OVER {
            self.small.extend_from_slice(&bytes);
        } else if !bytes.is_empty() {
            self.large.push_back(bytes);
        }
    }

    /// Gives the connection what it takes.
    pub(crate) fn flush(&mut self) {
        if !self.small.is_empty() {
            self.channel.write(&self.small);
            self.small.clear();
        }
        while let Some(front) = self.large.front_mut() {
            if self.channel.queued() >= self.high_water {
                return;
            }
            let piece = front.split_to(front.len().min(PIECE));
            if front.is_empty() {
                self.large.pop_front();
            }
            self.channel.send(piece);
            self.moved = true;
        }
    }

    /// Waits until there is room again.
    pub(crate) fn poll_room(&self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        pin!(self.channel.drained(self.high_water / 2)).poll(context)
    }

    /// Waits until all has left. To be called when nothing is to be added and no large bytes wait.
    pub(crate) fn poll_empty(&self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        pin!(self.channel.drained(1)).poll(context)
    }

    /// Whether a piece of something large has gone into the connection since this was asked last: so there was room for it.
    pub(crate) fn has_moved(&mut self) -> bool {
        std::mem::take(&mut self.moved)
    }

    pub(crate) fn has_large(&self) -> bool {
        !self.large.is_empty()
    }
}
