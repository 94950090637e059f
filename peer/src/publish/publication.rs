//! A message that is published, as it goes out.

use std::sync::{Arc, OnceLock};

use bytes::{BufMut, Bytes, BytesMut};
use grenache_transports::ws::{self, Kind};
use grenache_transports::zmtp;

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

/// What a subscriber gets of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    /// A frame of WebSocket with nothing but the message, as Node's subscribers take it.
    Raw,
    /// A frame of WebSocket with the topic before the message.
    Topical,
    /// A message of ZeroMQ: the topic, if it is not empty, is a part of its own before the message.
    ZeroMq,
}

/// A message that is published, encoded once for all who get it in the same form.
pub(crate) struct Publication {
    topic: String,
    data: Data,
    /// In each form.
    frames: [OnceLock<Bytes>; 3],
}

impl Publication {
    pub(super) fn new(topic: &str, data: Data) -> Result<Arc<Publication>, Error> {
        if topic.len() > MAX_TOPIC || topic.as_bytes().contains(&0) {
            return Err(Error::Config(format!(
                "a topic has at most {MAX_TOPIC} bytes and no byte 0: '{}'",
                topic.escape_debug()
            )));
        }
        Ok(Arc::new(Publication { topic: topic.into(), data, frames: Default::default() }))
    }

    pub(super) fn topic(&self) -> &str {
        &self.topic
    }

    /// What a subscriber's prefixes are compared with. ZeroMQ knows but the beginning of a message.
    pub(super) fn subject(&self, form: Form) -> &[u8] {
        match form {
            Form::ZeroMq if self.topic.is_empty() => self.bytes(),
            _ => self.topic.as_bytes(),
        }
    }

    /// Bytes in topic and message.
    pub(super) fn len(&self) -> usize {
        self.topic.len() + self.bytes().len()
    }

    /// All that a subscriber gets, as it goes out.
    pub(super) fn frame(&self, form: Form) -> &Bytes {
        self.frames[form as usize].get_or_init(|| {
            let mut out = BytesMut::with_capacity(ws::frame::MAX_HEADER + self.len() + 1);
            self.encode(form, &mut out);
            out.freeze()
        })
    }

    /// Writes the same, for who is the only one to get it.
    pub(super) fn encode(&self, form: Form, out: &mut BytesMut) {
        match form {
            Form::Raw => self.websocket(None, out),
            Form::Topical => self.websocket(Some(&self.topic), out),
            Form::ZeroMq => self.zeromq(out),
        }
    }

    fn bytes(&self) -> &[u8] {
        match &self.data {
            Data::Text(text) => text.as_bytes(),
            Data::Binary(data) => data,
        }
    }

    fn websocket(&self, topic: Option<&str>, out: &mut BytesMut) {
        let data = self.bytes();
        let kind = if matches!(self.data, Data::Text(_)) { Kind::Text } else { Kind::Binary };
        let length = data.len() + topic.map_or(0, |topic| topic.len() + 1);
        ws::frame::write_message_header(out, kind, length);
        if let Some(topic) = topic {
            out.put_slice(topic.as_bytes());
            out.put_u8(topics::END);
        }
        out.put_slice(data);
    }

    fn zeromq(&self, out: &mut BytesMut) {
        let (topic, data) = (self.topic.as_bytes(), self.bytes());
        let parts = [topic, data];
        zmtp::frame::write_message(out, &parts[usize::from(topic.is_empty())..]);
    }
}
