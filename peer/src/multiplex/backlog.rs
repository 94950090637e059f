//! Requests that cannot leave yet.

use std::collections::VecDeque;

use bytes::{Bytes, BytesMut};

use crate::envelope::Rid;

/// Bytes of a frame that are handed over at a time.
const PIECE: usize = 64 * 1024;

/// What a connection sends once there is room: the rest of a frame, control frames, then the requests that wait, in their order.
#[derive(Default)]
pub(super) struct Backlog {
    /// What is left of a large request. Nothing else can come between.
    frame: Bytes,
    /// What of it comes after that.
    rest: Bytes,
    control: BytesMut,
    waiting: VecDeque<(Rid, Bytes)>,
}

impl Backlog {
    /// Whether nothing has to leave before what comes next.
    pub(super) fn is_empty(&self) -> bool {
        !self.is_within() && self.control.is_empty() && self.waiting.is_empty()
    }

    /// Bytes that wait.
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        let waiting = self.waiting.iter().map(|(_, body)| body.len());
        self.frame.len() + self.rest.len() + self.control.len() + waiting.sum::<usize>()
    }

    /// Whether a request has left in part.
    pub(super) fn is_within(&self) -> bool {
        !(self.frame.is_empty() && self.rest.is_empty())
    }

    /// Whether control frames have to wait: behind a request, or behind others that do.
    pub(super) fn holds_control(&self) -> bool {
        self.is_within() || !self.control.is_empty()
    }

    /// A request waits.
    pub(super) fn push(&mut self, rid: Rid, body: Bytes) {
        self.waiting.push_back((rid, body));
    }

    /// Control frames that leave behind the frame that is on its way.
    pub(super) fn control(&mut self) -> &mut BytesMut {
        &mut self.control
    }

    /// Nobody waits for the answer to this one any more. If it has not begun to leave, it will not.
    pub(super) fn remove(&mut self, rid: &Rid) {
        self.waiting.retain(|(other, _)| other != rid);
    }

    /// What leaves next; `encode` makes of a request what is to leave first, and what then.
    pub(super) fn next(
        &mut self,
        encode: impl FnOnce(&Rid, &Bytes) -> (Bytes, Bytes),
    ) -> Option<Bytes> {
        if self.frame.is_empty() {
            self.frame = std::mem::take(&mut self.rest);
        }
        if self.frame.is_empty() {
            if !self.control.is_empty() {
                return Some(self.control.split().freeze());
            }
            let (rid, body) = self.waiting.pop_front()?;
            (self.frame, self.rest) = encode(&rid, &body);
        }
        Some(self.frame.split_to(self.frame.len().min(PIECE)))
    }

    /// Nothing leaves any more.
    pub(super) fn clear(&mut self) {
        *self = Backlog::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_comes_between_the_parts_of_a_request_nor_overtakes() {
        let request = |number: u8| (Rid([number; 36]), Bytes::from(vec![number; PIECE + 1]));
        let encode = |rid: &Rid, body: &Bytes| (Bytes::copy_from_slice(&rid.0[..2]), body.clone());
        let mut backlog = Backlog::default();
        for (rid, body) in [request(1), request(2), request(3)] {
            backlog.push(rid, body);
        }
        backlog.remove(&request(2).0);
        assert!(!backlog.holds_control(), "nothing has begun to leave");
        let next = |backlog: &mut Backlog| backlog.next(encode).map(|bytes| bytes.len());
        assert_eq!(next(&mut backlog), Some(2));
        backlog.control().extend_from_slice(b"first");
        assert_eq!(next(&mut backlog), Some(PIECE));
        assert!(backlog.is_within());
        assert_eq!(next(&mut backlog), Some(1));
        assert!(!backlog.is_within() && backlog.holds_control());
        backlog.control().extend_from_slice(b"then");
        assert_eq!(backlog.next(encode).as_deref(), Some(&b"firstthen"[..]));
        assert!(!backlog.holds_control() && !backlog.is_empty());
        assert_eq!(backlog.len(), PIECE + 1);
        let left: usize = std::iter::from_fn(|| next(&mut backlog)).sum();
        assert_eq!(left, 2 + PIECE + 1);
        assert!(backlog.is_empty());
    }
}
