//! What was published, as it arrives.

use std::net::SocketAddr;

use bytes::Bytes;
use grenache_transports::ws::Kind;
use memchr::memchr;

use crate::publish::TOPIC_END;
use crate::zeromq;

/// A message of a publisher.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// What it was published under. A publisher of Node's knows no topics; over ZeroMQ a message of one part has none.
    pub topic: Option<String>,
    /// Text, which is UTF-8, or any bytes. ZeroMQ does not say: there it is text if it is UTF-8.
    pub kind: Kind,
    /// The message.
    pub data: Bytes,
    /// The publisher.
    pub from: SocketAddr,
}

impl Message {
    /// Takes a message as it was received; `topical` if it begins with its topic.
    pub(super) fn read(from: SocketAddr, kind: Kind, mut data: Bytes, topical: bool) -> Message {
        let mut topic = None;
        if topical && let Some(end) = memchr(TOPIC_END, &data) {
            let before = data.split_to(end + 1);
            topic = Some(String::from_utf8_lossy(&before[..end]).into_owned());
        }
        Message { topic, kind, data, from }
    }

    /// Takes a message of ZeroMQ: a topic and what was published, or that alone. Of more parts nobody knows what they are.
    pub(super) fn from_parts(from: SocketAddr, message: zeromq::Message) -> Option<Message> {
        let (first, rest) = message.split_first();
        let (topic, data) = match rest.map(zeromq::Message::split_first) {
            None => (None, first),
            Some((data, None)) => (Some(String::from_utf8_lossy(&first).into_owned()), data),
            Some((_, Some(_))) => return None,
        };
        let kind = match std::str::from_utf8(&data) {
            Ok(_) => Kind::Text,
            Err(_) => Kind::Binary,
        };
        Some(Message { topic, kind, data, from })
    }

    /// The message, if it is a text.
    pub fn text(&self) -> Option<&str> {
        match self.kind {
            Kind::Text => std::str::from_utf8(&self.data).ok(),
            Kind::Binary => None,
        }
    }
}
