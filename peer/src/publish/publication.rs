//! A message that is published, as it goes out.

use std::sync::{Arc, OnceLock};

use bytes::{BufMut, Bytes, BytesMut};
use grenache_transports::ws::{Kind, frame};

use super::topics::{self, MAX_TOPIC};
use crate::error::Error;
use crate::json::Json;

/// What is published: a text or any bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Data {
    /// A text, which browsers and Node get as a string.
    Text(String),
    /// Any bytes.
    Binary(Bytes),
}

impl From<&str> for Data {
    fn from(text: &str) -> Data {
        Data::Text(text.into())
    }
}

impl From<String> for Data {
    fn from(text: String) -> Data {
        Data::Text(text)
    }
}

impl From<&Json> for Data {
    fn from(json: &Json) -> Data {
        Data::Text(json.as_str().into())
    }
}

impl From<Bytes> for Data {
    fn from(data: Bytes) -> Data {
        Data::Binary(data)
    }
}

impl From<Vec<u8>> for Data {
    fn from(data: Vec<u8>) -> Data {
        Data::Binary(data.into())
    }
}

/// A message that is published, encoded once for all who get it.
pub(crate) struct Publication {
    topic: String,
    data: Data,
    /// The frame for those who get messages raw.
    raw: OnceLock<Bytes>,
    /// The frame for those who see topics.
    topical: OnceLock<Bytes>,
}

impl Publication {
    pub(super) fn new(topic: &str, data: Data) -> Result<Arc<Publication>, Error> {
        if topic.len() > MAX_TOPIC || topic.as_bytes().contains(&0) {
            return Err(Error::Config(format!(
                "a topic has at most {MAX_TOPIC} bytes and no byte 0: '{}'",
                topic.escape_debug()
            )));
        }
        let (raw, topical) = Default::default();
        Ok(Arc::new(Publication { topic: topic.into(), data, raw, topical }))
    }

    pub(super) fn topic(&self) -> &str {
        &self.topic
    }

    /// The whole frame.
    pub(super) fn frame(&self, topical: bool) -> &Bytes {
        match topical {
            false => self.raw.get_or_init(|| self.encode(None)),
            true => self.topical.get_or_init(|| self.encode(Some(&self.topic))),
        }
    }

    fn encode(&self, topic: Option<&str>) -> Bytes {
        let (kind, data) = match &self.data {
            Data::Text(text) => (Kind::Text, text.as_bytes()),
            Data::Binary(data) => (Kind::Binary, &data[..]),
        };
        let length = data.len() + topic.map_or(0, |topic| topic.len() + 1);
        let mut out = BytesMut::with_capacity(frame::MAX_HEADER + length);
        frame::write_message_header(&mut out, kind, length);
        if let Some(topic) = topic {
            out.put_slice(topic.as_bytes());
            out.put_u8(topics::END);
        }
        out.put_slice(data);
        out.freeze()
    }
}
