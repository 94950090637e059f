//! A WebSocket client that sends whatever frames it is told.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};

use crate::client::Client;

/// What a frame begins with: the last bit of a message, and what it is.
pub(crate) const TEXT: u8 = 0x81;
pub(crate) const BINARY: u8 = 0x82;
pub(crate) const CLOSE: u8 = 0x88;
pub(crate) const PING: u8 = 0x89;
pub(crate) const PONG: u8 = 0x8a;

/// A request for a WebSocket with further header lines, each with its line end.
pub(crate) fn upgrade(lines: &str) -> String {
    format!(
        "GET /ws HTTP/1.1\r\nhost: a\r\nupgrade: websocket\r\nconnection: keep-alive, Upgrade\r\n\
         sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n{lines}\r\n"
    )
}

/// A frame as a client sends it, masked.
pub(crate) fn frame(first: u8, payload: impl AsRef<[u8]>) -> Vec<u8> {
    const MASK: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];
    let payload = payload.as_ref();
    let mut out = vec![first];
    match payload.len() {
        length @ 0..=125 => out.push(0x80 | length as u8),
        length @ 126..=0xffff => {
            out.push(0x80 | 126);
            out.extend_from_slice(&(length as u16).to_be_bytes());
        }
        length => {
            out.push(0x80 | 127);
            out.extend_from_slice(&(length as u64).to_be_bytes());
        }
    }
    out.extend_from_slice(&MASK);
    out.extend(payload.iter().zip(MASK.iter().cycle()).map(|(byte, mask)| byte ^ mask));
    out
}

/// A frame as it was received.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Frame {
    pub(crate) first: u8,
    pub(crate) payload: Vec<u8>,
}

impl Frame {
    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.payload).expect("text")
    }
}

/// A connection that has become a WebSocket.
pub(crate) struct Socket<S = TcpStream> {
    pub(crate) client: Client<S>,
    /// The head of the answer to the upgrade, in small letters.
    pub(crate) head: String,
}

impl Socket {
    pub(crate) fn connect(addr: SocketAddr) -> Socket {
        Socket::with(addr, "")
    }

    /// With further header lines.
    pub(crate) fn with(addr: SocketAddr, lines: &str) -> Socket {
        Socket::over(Client::connect(addr), lines)
    }
}

impl<S: Read + Write> Socket<S> {
    pub(crate) fn over(mut client: Client<S>, lines: &str) -> Socket<S> {
        client.send(upgrade(lines));
        Socket::upgraded(client)
    }

    /// Reads the answer to an upgrade.
    pub(crate) fn upgraded(mut client: Client<S>) -> Socket<S> {
        let (status, head) = client.head();
        assert_eq!(status, 101, "{head}");
        assert!(
            head.contains("\r\nsec-websocket-accept: s3pplmbitxaq9kygzzhzrbk+xoo=\r\n"),
            "{head}"
        );
        Socket { client, head }
    }

    pub(crate) fn send(&mut self, first: u8, payload: impl AsRef<[u8]>) -> &mut Socket<S> {
        self.client.send(frame(first, payload));
        self
    }

    pub(crate) fn text(&mut self, text: &str) -> &mut Socket<S> {
        self.send(TEXT, text)
    }

    /// The next frame.
    pub(crate) fn next(&mut self) -> Frame {
        let head = self.client.take(2);
        let length = match head[1] {
            length @ 0..=125 => usize::from(length),
            126 => usize::from(u16::from_be_bytes(self.client.take(2).try_into().unwrap())),
            127 => u64::from_be_bytes(self.client.take(8).try_into().unwrap()) as usize,
            masked => panic!("a server's frame with a mask: {masked:#x}"),
        };
        Frame { first: head[0], payload: self.client.take(length) }
    }

    /// The next message, which has to be a text in one frame.
    pub(crate) fn answer(&mut self) -> String {
        let frame = self.next();
        assert_eq!(frame.first, TEXT, "{frame:?}");
        String::from_utf8(frame.payload).expect("text")
    }

    pub(crate) fn ask(&mut self, request: &str) -> String {
        self.text(request).answer()
    }

    /// The code and reason of the close frame, which has to be the next, and the last before the end.
    #[track_caller]
    pub(crate) fn closed(&mut self) -> (u16, String) {
        let frame = self.next();
        assert_eq!(frame.first, CLOSE, "{frame:?}");
        let end = self.client.ends();
        assert!(end, "something follows the close frame");
        let (code, reason) = frame.payload.split_at(2);
        let reason = String::from_utf8(reason.to_vec()).expect("text");
        (u16::from_be_bytes(code.try_into().unwrap()), reason)
    }
}
