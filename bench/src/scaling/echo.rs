use std::io;
use std::rc::Rc;

use grenache_engine::TcpStream;

use super::owners::Owners;
use super::{MESSAGE, Payload};

/// Serves one connection: answers messages one by one.
pub(super) async fn serve(stream: TcpStream, owners: Rc<Owners>) {
    let mut message = Message::default();
    while let Ok(Some(bytes)) = stream.recv().await {
        let mut bytes = &bytes[..];
        while let Some(request) = message.take(&mut bytes) {
            stream.write(&owners.answer(request).await);
        }
    }
}

/// The client's end: one message in flight.
pub(super) struct Client {
    stream: TcpStream,
    message: Message,
}

impl Client {
    pub(super) fn new(stream: TcpStream) -> Self {
        Self { stream, message: Message::default() }
    }

    pub(super) async fn ask(&mut self, request: &Payload) -> io::Result<Payload> {
        self.stream.write(request);
        loop {
            let bytes = self.stream.recv().await?.ok_or(io::ErrorKind::UnexpectedEof)?;
            if let Some(answer) = self.message.take(&mut &bytes[..]) {
                return Ok(answer);
            }
        }
    }
}

/// A message as far as it has come.
struct Message {
    bytes: Payload,
    received: usize,
}

impl Default for Message {
    fn default() -> Self {
        Self { bytes: [0; MESSAGE], received: 0 }
    }
}

impl Message {
    /// Takes bytes off the front of `input` until the message is whole or nothing is left.
    fn take(&mut self, input: &mut &[u8]) -> Option<Payload> {
        let count = input.len().min(MESSAGE - self.received);
        let (front, rest) = input.split_at(count);
        self.bytes[self.received..][..count].copy_from_slice(front);
        *input = rest;
        self.received += count;
        if self.received < MESSAGE {
            return None;
        }
        self.received = 0;
        Some(self.bytes)
    }
}
