//! WebSocket's part.

use bytes::{BufMut, BytesMut};
use grenache_engine::fill_random;
use grenache_transports::http::Field;
use grenache_transports::http::client::Start;
use grenache_transports::ws::handshake::{Answer, Failure, Key, write_request};
use grenache_transports::ws::{self, Close, Config, Deflater, Event, Kind, Mask, Role, frame};

use super::stream::Stream;
use super::{Next, Purpose, Speaker, read_array, text};
use crate::client::draw;

const PROTOCOL: &str = "grenache.topics";

struct WebSocket {
    decoder: ws::Connection,
    deflater: Option<Deflater>,
    purpose: Purpose,
}

fn mask() -> Option<Mask> {
    let mut mask = [0; 4];
    fill_random(&mut mask);
    Some(mask)
}

/// The request for it is sent in two pieces; it may offer to compress requests and answers.
pub(super) async fn meet(stream: &Stream, purpose: Purpose) -> Option<(Box<dyn Speaker>, Vec<u8>)> {
    let deflate = purpose == Purpose::Requests && draw(2) == 0;
    let protocol = (purpose == Purpose::Topics).then_some(PROTOCOL);
    let mut random = [0; 16];
    fill_random(&mut random);
    let key = Key::new(random);
    let start = Start::new("GET", "/ws", "worker").expect("a path");
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
        let mut received = stream.recv().await?;
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
        return Some((Box::new(WebSocket { decoder, deflater, purpose }), input.to_vec()));
    }
}

impl WebSocket {
    /// Writes a message: compressed if that was agreed, or else whole, or in fragments with pings between.
    fn send(&mut self, out: &mut BytesMut, text: &str) {
        if let Some(deflater) = &mut self.deflater {
            return deflater.write_message(out, Kind::Text, mask(), text.as_bytes());
        }
        let mut rest = text.as_bytes();
        let mut first = if draw(2) == 0 { 0x01 } else { 0x02 };
        while draw(3) == 0 {
            let (piece, more) = rest.split_at(draw(rest.len() as u32 + 1) as usize);
            write_fragment(out, first, piece);
            (first, rest) = (0x00, more);
            if draw(3) == 0 {
                frame::write_ping(out, mask(), b"between");
            }
        }
        write_fragment(out, first | 0x80, rest);
    }
}

impl Speaker for WebSocket {
    fn ask(&mut self, out: &mut BytesMut, rid: &str, payload: &str) {
        self.send(out, &format!(r#"["{rid}","work",{payload}]"#));
    }

    fn subscribe(&mut self, out: &mut BytesMut, prefix: &str) {
        self.send(out, &format!("+{prefix}"));
    }

    fn ping(&mut self, out: &mut BytesMut) {
        frame::write_ping(out, mask(), b"there?");
    }

    fn close(&mut self, out: &mut BytesMut, code: u16) -> bool {
        frame::write_close(out, mask(), Some(Close { code, reason: "" }));
        true
    }

    fn receive(&mut self, input: &mut &mut [u8], out: &mut BytesMut) -> Option<Next> {
        loop {
            return match self.decoder.receive(input).expect("it keeps to the protocol") {
                None => None,
                Some(Event::Message(message)) => Some(match self.purpose {
                    Purpose::Requests => read_array(message.data),
                    Purpose::Everything => Next::Published(None, text(message.data)),
                    Purpose::Topics => {
                        let text = text(message.data);
                        let (topic, text) = text.split_once('\0').expect("a topic");
                        Next::Published(Some(topic.to_owned()), text.to_owned())
                    }
                }),
                Some(Event::Close(close)) => Some(Next::Closed(close.map(|close| close.code))),
                Some(Event::Pong(_)) => continue,
                Some(Event::Ping(payload)) => {
                    frame::write_pong(out, mask(), payload);
                    continue;
                }
            };
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
