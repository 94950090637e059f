//! Messages of one part or more.

use std::fmt;

use bytes::{Bytes, BytesMut};
use grenache_transports::zmtp::frame;
use grenache_transports::zmtp::{Connection, Misuse, Parts};

/// A message: one part or more. It keeps the bytes as they go over the wire, so clones share them, and passing a message on copies
/// nothing but what is short.
///
/// ```
/// use grenache_peer::zeromq::Message;
///
/// let message = Message::from(["topic", "text"]);
/// assert_eq!(message.len(), 2);
/// assert_eq!(message.part(1), Some(&b"text"[..]));
/// let (topic, rest) = message.split_first();
/// assert_eq!(topic, "topic");
/// assert_eq!(rest, Some(Message::from("text")));
/// ```
#[derive(Clone)]
pub struct Message {
    /// The frames of parts that were put before the others: an identity, an envelope. Empty if there are none.
    head: Bytes,
    /// The frames of the others, of which there is one at least.
    body: Bytes,
}

/// The frame of an empty part that more follow: what stands between an envelope and what is in it.
pub(crate) const DELIMITER: Bytes = Bytes::from_static(&[1, 0]);

impl Message {
    /// A message of these parts; of one empty part if there are none.
    pub fn new<P: AsRef<[u8]>>(parts: &[P]) -> Message {
        let mut body = BytesMut::new();
        match parts {
            [] => frame::write_message(&mut body, &[b""]),
            [part] => frame::write_message(&mut body, &[part.as_ref()]),
            parts => {
                let parts: Vec<&[u8]> = parts.iter().map(AsRef::as_ref).collect();
                frame::write_message(&mut body, &parts);
            }
        }
        Message::from_frames(body.freeze())
    }

    /// What was received.
    pub(crate) const fn from_frames(body: Bytes) -> Message {
        Message { head: Bytes::new(), body }
    }

    /// The same with other frames before it: whole ones that say that more follow.
    pub(crate) fn with_head(self, frames: Bytes) -> Message {
        if self.head.is_empty() {
            return Message { head: frames, ..self };
        }
        Message { head: [frames, self.head].concat().into(), body: self.body }
    }

    /// The same with one part more, before all others.
    #[must_use]
    pub fn with_first(self, part: impl AsRef<[u8]>) -> Message {
        self.with_head(frame_before(part.as_ref()))
    }

    /// How many parts it has: at least one.
    #[allow(clippy::len_without_is_empty)] // It never is.
    pub fn len(&self) -> usize {
        self.parts().count()
    }

    /// The parts.
    pub fn parts(&self) -> impl Iterator<Item = &[u8]> {
        Parts::new(&self.head).chain(Parts::new(&self.body))
    }

    /// A part by its number, from 0.
    pub fn part(&self, number: usize) -> Option<&[u8]> {
        self.parts().nth(number)
    }

    /// The part that stands first.
    pub fn first(&self) -> &[u8] {
        self.parts().next().unwrap_or_default()
    }

    /// The parts, each with bytes that are shared with the message.
    pub fn into_parts(self) -> impl Iterator<Item = Bytes> {
        let Message { head, body } = self;
        let cut = |frames: Bytes| {
            let mut left = frames.clone();
            std::iter::from_fn(move || {
                let mut parts = Parts::new(&left);
                let part = frames.slice_ref(parts.next()?);
                left = frames.slice_ref(parts.rest());
                Some(part)
            })
        };
        cut(head).chain(cut(body))
    }

    /// The part that stands first, and the message that the others are, if there are others. Nothing is copied.
    pub fn split_first(self) -> (Bytes, Option<Message>) {
        let Message { head, body } = self;
        let from = if head.is_empty() { &body } else { &head };
        let mut parts = Parts::new(from);
        let part = from.slice_ref(parts.next().unwrap_or_default());
        let rest = from.slice_ref(parts.rest());
        let rest = match (head.is_empty(), rest.is_empty()) {
            (false, _) => Some(Message { head: rest, body }),
            (true, false) => Some(Message::from_frames(rest)),
            (true, true) => None,
        };
        (part, rest)
    }

    /// What stands up to and including the first empty part, as frames, and the message after it; the whole message if no such
    /// part is there, or nothing after it.
    pub(crate) fn split_envelope(self) -> Result<(Bytes, Message), Message> {
        let mut parts = Parts::new(&self.body);
        while let Some(part) = parts.next() {
            if part.is_empty() && !parts.rest().is_empty() {
                let rest = self.body.slice_ref(parts.rest());
                let envelope = self.body.slice(..self.body.len() - rest.len());
                return Ok((envelope, Message::from_frames(rest)));
            }
        }
        Err(self)
    }

    /// Bytes it takes on the wire, unless it is encrypted.
    pub(crate) fn bytes(&self) -> usize {
        self.head.len() + self.body.len()
    }

    /// Its frames, in the order in which they go.
    pub(crate) fn frames(&self) -> [&Bytes; 2] {
        [&self.head, &self.body]
    }

    /// Writes it to a connection that encrypts.
    pub(crate) fn seal(&self, to: &mut Connection, out: &mut BytesMut) -> Result<(), Misuse> {
        let parts: Vec<&[u8]> = self.parts().collect();
        to.send(&parts, out)
    }
}

/// The frame of a part that more follow.
pub(crate) fn frame_before(part: &[u8]) -> Bytes {
    let mut head = BytesMut::with_capacity(frame::MAX_HEADER + part.len());
    frame::write_header(&mut head, true, part.len());
    head.extend_from_slice(part);
    head.freeze()
}

impl From<&[u8]> for Message {
    fn from(part: &[u8]) -> Message {
        Message::new(&[part])
    }
}

impl<const N: usize> From<&[u8; N]> for Message {
    fn from(part: &[u8; N]) -> Message {
        Message::new(&[part])
    }
}

impl From<&str> for Message {
    fn from(part: &str) -> Message {
        Message::new(&[part])
    }
}

impl<P: AsRef<[u8]>, const N: usize> From<[P; N]> for Message {
    fn from(parts: [P; N]) -> Message {
        Message::new(&parts)
    }
}

/// The same parts, wherever the bytes lie.
impl PartialEq for Message {
    fn eq(&self, other: &Message) -> bool {
        self.parts().eq(other.parts())
    }
}

impl Eq for Message {}

impl fmt::Debug for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.parts().map(|part| part.escape_ascii().to_string())).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_before_and_after() {
        let long = [7; 300];
        let message = Message::new(&[b"a", &b""[..], &long]).with_first("id").with_first("router");
        assert_eq!(message, Message::from([&b"router"[..], b"id", b"a", b"", &long]));
        assert_eq!(message.len(), 5);
        assert!(message.clone().into_parts().eq(message.parts()));
        let (mut seen, mut rest) = (vec![], Some(message.clone()));
        while let Some(message) = rest {
            let (first, others) = message.split_first();
            seen.push(first);
            rest = others;
        }
        assert!(message.parts().eq(seen.iter()));
        assert_eq!(Message::new::<&str>(&[]), Message::from(""));
        assert_eq!(format!("{:?}", Message::from(["a\n", ""])), r#"["a\\n", ""]"#);
    }

    #[test]
    fn envelopes() {
        let split = |parts: &[&str]| {
            let split = Message::new(parts).split_envelope().ok()?;
            Some(split.1.with_head(split.0))
        };
        for whole in [&["", "a"][..], &["x", "y", "", "a", "b"], &["", "", "a"]] {
            assert_eq!(split(whole), Some(Message::new(whole)));
        }
        let (envelope, rest) = Message::from(["x", "", "", "a"]).split_envelope().unwrap();
        assert_eq!((&envelope[..], rest), (&b"\x01\x01x\x01\0"[..], Message::from(["", "a"])));
        for none in [&["a"][..], &["a", "b"], &[""], &["a", ""]] {
            assert_eq!(split(none), None);
        }
    }
}
