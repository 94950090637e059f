//! Messages that wait, up to a high-water mark.

use std::collections::VecDeque;

use crate::zeromq::Message;

/// What a message that waits counts for besides its bytes.
const PLACE: usize = 64;

/// Messages that wait.
pub(super) struct Queue {
    messages: VecDeque<Message>,
    bytes: usize,
    max_messages: usize,
    max_bytes: usize,
}

impl Queue {
    pub(super) fn new(max_messages: usize, max_bytes: usize) -> Queue {
        Queue { messages: VecDeque::new(), bytes: 0, max_messages: max_messages.max(1), max_bytes }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.messages.is_empty()
    }

    /// Whether the high-water mark is reached.
    pub(super) fn is_full(&self) -> bool {
        self.messages.len() >= self.max_messages
            || (self.bytes >= self.max_bytes && !self.is_empty())
    }

    /// Whether there is so little that whoever was told that it is full may come back.
    pub(super) fn is_low(&self) -> bool {
        self.messages.len() <= self.max_messages / 2 && self.bytes <= self.max_bytes / 2
    }

    /// Whether it has room for this one. It has always for one: it would never get through otherwise.
    pub(super) fn has_room(&self, message: &Message) -> bool {
        let bytes = self.bytes + message.bytes() + PLACE;
        self.is_empty() || (self.messages.len() < self.max_messages && bytes <= self.max_bytes)
    }

    pub(super) fn push(&mut self, message: Message) {
        self.bytes += message.bytes() + PLACE;
        self.messages.push_back(message);
    }

    pub(super) fn pop(&mut self) -> Option<Message> {
        let message = self.messages.pop_front()?;
        self.bytes -= message.bytes() + PLACE;
        Some(message)
    }

    /// Takes all.
    pub(super) fn take(&mut self) -> VecDeque<Message> {
        self.bytes = 0;
        std::mem::take(&mut self.messages)
    }
}
