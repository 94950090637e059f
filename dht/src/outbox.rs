use core::net::SocketAddrV4;
use std::collections::VecDeque;

/// A datagram to send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Transmit<'a> {
    /// Where to.
    pub to: SocketAddrV4,
    /// The datagram.
    pub payload: &'a [u8],
}

/// Datagrams on their way out, one behind the other in one buffer that is used again and again.
#[derive(Default)]
pub(crate) struct Outbox {
    bytes: Vec<u8>,
    queue: VecDeque<(SocketAddrV4, usize, usize)>,
}

impl Outbox {
    /// A buffer that grew beyond this is given back when the outbox is empty.
    const KEEP: usize = 1 << 20;

    pub(crate) fn len(&self) -> usize {
        self.queue.len()
    }

    pub(crate) fn push(&mut self, to: SocketAddrV4, write: impl FnOnce(&mut Vec<u8>)) {
        if self.queue.is_empty() {
            self.bytes.clear();
            self.bytes.shrink_to(Self::KEEP);
        }
        let sent = self.queue.front().map_or(0, |&(_, start, _)| start);
        if self.bytes.len() > Self::KEEP && sent > self.bytes.len() / 2 {
            self.bytes.drain(..sent);
            for (_, start, end) in &mut self.queue {
                (*start, *end) = (*start - sent, *end - sent);
            }
        }
        let start = self.bytes.len();
        write(&mut self.bytes);
        self.queue.push_back((to, start, self.bytes.len()));
    }

    pub(crate) fn pop(&mut self) -> Option<Transmit<'_>> {
        let (to, start, end) = self.queue.pop_front()?;
        Some(Transmit { to, payload: &self.bytes[start..end] })
    }
}
