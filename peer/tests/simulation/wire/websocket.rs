//! The client's end of a WebSocket, made of transports/ws by hand, so that it can do what no client of ours does.

use std::net::SocketAddr;

use bytes::{BufMut, BytesMut};
use grenache_engine::{TcpStream, fill_random};
use grenache_transports::http::Field;
use grenache_transports::http::client::Start;
use grenache_transports::ws::handshake::{Answer, Failure, Key, write_request};
use grenache_transports::ws::{self, Close, Config, Deflater, Event, Kind, Mask, Role, frame};

use crate::client::draw;

pub(crate) struct Wire {
    stream: TcpStream,
    decoder: ws::Connection,
    deflater: Option<Deflater>,
    /// Received, and not looked at.
    input: Vec<u8>,
}

/// What comes next.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Next {
    Message(Vec<u8>),
    Pong,
    /// A close frame with its code.
    Closed(Option<u16>),
    /// The end without one, or a break.
    Gone,
}

fn mask() -> Option<Mask> {
    let mut mask = [0; 4];
    fill_random(&mut mask);
    Some(mask)
}

impl Wire {
    /// A WebSocket of a worker, `None` if it does not come about. The request for it is sent in two pieces.
    pub(crate) async fn connect(
        to: SocketAddr,
        deflate: bool,
        protocol: Option<&'static str>,
    ) -> Option<Wire> {
        let stream = TcpStream::connect(to).await.ok()?;
        let mut random = [0; 16];
        fill_random(&mut random);
        let (key, host) = (Key::new(random), to.to_string());
        let start = Start::new("GET", "/ws", &host).expect("a path");
        let fields = protocol
            .map(|name| Field::new("sec-websocket-protocol", name.as_bytes()).expect("a field"));
        let mut request = BytesMut::new();
        write_request(&mut request, start, &key, deflate, fields.as_slice());
        let (begin, end) = request.split_at(draw(request.len() as u32) as usize);
        stream.write(begin);
        grenache_engine::yield_now().await;
        stream.write(end);
        let mut answer = Answer::new(&key, protocol, deflate);
        loop {
            let mut received = stream.recv().await.ok()??;
            let mut input = &mut received[..];
            let agreed = match answer.receive(&mut input) {
                Ok(Some(agreed)) => agreed,
                Ok(None) => continue,
                // The rest of the request came late.
                Err(Failure::Status(408)) => return None,
                Err(failure) => panic!("it is a worker of ours: {failure}"),
            };
            assert_eq!(agreed.protocol, protocol.is_some());
            let mut decoder = ws::Connection::new(Role::Client, Config::default());
            agreed.deflate.inspect(|agreed| decoder.inflate(*agreed));
            let deflater = agreed.deflate.map(|agreed| Deflater::new(Role::Client, agreed));
            let input = input.to_vec();
            return Some(Wire { stream, decoder, deflater, input });
        }
    }

    /// Sends a message: compressed if that was agreed, or else whole, or in fragments with pings between.
    pub(crate) fn send(&mut self, text: &str) {
        let mut out = BytesMut::new();
        if let Some(deflater) = &mut self.deflater {
            deflater.write_message(&mut out, Kind::Text, mask(), text.as_bytes());
            return self.stream.write(&out);
        }
        let mut rest = text.as_bytes();
        let mut first = if draw(2) == 0 { 0x01 } else { 0x02 };
        while draw(3) == 0 {
            let (piece, more) = rest.split_at(draw(rest.len() as u32 + 1) as usize);
            write_fragment(&mut out, first, piece);
            (first, rest) = (0x00, more);
            if draw(3) == 0 {
                frame::write_ping(&mut out, mask(), b"between");
            }
        }
        write_fragment(&mut out, first | 0x80, rest);
        self.stream.write(&out);
    }

    /// Sends a part of a message, and never the rest.
    pub(crate) fn send_part(&mut self, text: &str) {
        let mut out = BytesMut::new();
        frame::write_message(&mut out, Kind::Text, mask(), text.as_bytes());
        self.stream.write(&out[..1 + draw(out.len() as u32 - 1) as usize]);
    }

    pub(crate) fn ping(&mut self) {
        let mut out = BytesMut::new();
        frame::write_ping(&mut out, mask(), b"there?");
        self.stream.write(&out);
    }

    pub(crate) fn close(&mut self, code: u16) {
        let mut out = BytesMut::new();
        frame::write_close(&mut out, mask(), Some(Close { code, reason: "" }));
        self.stream.write(&out);
    }

    /// Ends this side.
    pub(crate) fn finish(&mut self) {
        self.stream.shutdown();
    }

    /// Breaks it off.
    pub(crate) fn abort(self) {
        self.stream.abort();
    }

    /// What the worker sends next. Its pings are answered. Dropping the future loses nothing.
    pub(crate) async fn next(&mut self) -> Next {
        loop {
            let mut input = &mut self.input[..];
            let before = input.len();
            let event = self.decoder.receive(&mut input).expect("it keeps to the protocol");
            let next = match event {
                None => None,
                Some(Event::Message(message)) => Some(Next::Message(message.data.to_vec())),
                Some(Event::Pong(_)) => Some(Next::Pong),
                Some(Event::Close(close)) => Some(Next::Closed(close.map(|close| close.code))),
                Some(Event::Ping(payload)) => {
                    let mut out = BytesMut::new();
                    frame::write_pong(&mut out, mask(), payload);
                    self.stream.write(&out);
                    let taken = before - input.len();
                    self.input.drain(..taken);
                    continue;
                }
            };
            let taken = before - input.len();
            self.input.drain(..taken);
            if let Some(next) = next {
                return next;
            }
            match self.stream.recv().await {
                Ok(Some(received)) => self.input.extend_from_slice(&received),
                _ => return Next::Gone,
            }
        }
    }
}

fn write_fragment(out: &mut BytesMut, first: u8, payload: &[u8]) {
    let mask = mask().expect("a client has one");
    out.put_u8(first);
    match payload.len() {
        length @ 0..=125 => out.put_u8(0x80 | length as u8),
        length @ 126..=0xffff => {
            out.put_u8(0x80 | 126);
            out.put_u16(length as u16);
        }
        length => {
            out.put_u8(0x80 | 127);
            out.put_u64(length as u64);
        }
    }
    out.put_slice(&mask);
    out.extend(payload.iter().zip(mask.iter().cycle()).map(|(byte, mask)| byte ^ mask));
}
