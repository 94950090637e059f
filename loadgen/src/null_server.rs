//! A server that does nothing but answer: what the generator itself can drive is measured against it.

use std::net::{Ipv4Addr, SocketAddr};

use bytes::BytesMut;
use grenache_dht::krpc::{self, Body};
use grenache_engine::{
    Config, Core, DriverChoice, Idle, Limits, Pinning, RecvBuf, Runtime, StartError, TcpStream,
    UdpSocket, shutdown, spawn_local, wall_clock,
};
use grenache_transports::http::{self, Connection, Event, date::Date, response};
use grenache_transports::ws::handshake::{self, Offer};
use grenache_transports::ws::{self, Kind, Role, frame};
use grenache_transports::zmtp::{self, Mechanism, Metadata, Side, SocketType};

use crate::payload::MAX_PAYLOAD;

/// Nothing more is read from a connection that has more bytes than this to send.
const HIGH_WATER: usize = 1024 * 1024;

/// A server on this machine alone, on a CPU of its own. Dropping it ends it.
pub struct NullServer {
    runtime: Runtime<()>,
}

impl NullServer {
    /// Starts it on CPU number `cpu`.
    ///
    /// # Errors
    /// The engine does not start.
    pub fn start(cpu: usize, driver: DriverChoice, idle: Idle) -> Result<Self, StartError> {
        let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let config = Config {
            driver,
            idle,
            pinning: Pinning::From(cpu),
            tcp: vec![any],
            udp: vec![any],
            limits: Limits {
                send_cap: MAX_PAYLOAD + 2 * HIGH_WATER,
                udp_recv_queue: 1 << 16,
                udp_send_queue: 1 << 16,
                ..Limits::default()
            },
            name: "null-server".to_owned(),
            ..Config::default()
        };
        let runtime = Runtime::start(config, |core: Core<()>| async move {
            for listener in core.listeners {
                spawn_local(async move {
                    while let Ok((stream, _)) = listener.accept().await {
                        spawn_local(serve(stream));
                    }
                });
            }
            for socket in core.sockets {
                spawn_local(answer_datagrams(socket));
            }
            shutdown().await;
        })?;
        Ok(Self { runtime })
    }

    /// Where it answers HTTP, WebSocket and ZeroMQ.
    pub fn tcp(&self) -> SocketAddr {
        self.runtime.tcp_addrs()[0]
    }

    /// Where it answers KRPC.
    pub fn udp(&self) -> SocketAddr {
        self.runtime.udp_addrs()[0]
    }
}

/// The first byte tells what is spoken.
async fn serve(stream: TcpStream) {
    let Ok(Some(first)) = stream.recv().await else { return };
    match first.first() {
        Some(byte) if zmtp::is_zmtp(*byte) => serve_zmtp(stream, first).await,
        _ => serve_http(stream, first).await,
    }
}

/// What comes next, if there is room for the answers to it.
async fn next(stream: &TcpStream) -> Option<RecvBuf> {
    if stream.queued() > HIGH_WATER {
        stream.drained(HIGH_WATER / 2).await.ok()?;
    }
    stream.recv().await.ok()?
}

async fn serve_http(stream: TcpStream, first: RecvBuf) {
    let config = http::Config { max_body: 2 * MAX_PAYLOAD as u64, ..http::Config::default() };
    let mut connection = Connection::new(config);
    let mut date = Date::new(wall_clock());
    let mut out = BytesMut::new();
    let mut received = Some(first);
    while let Some(data) = received.take() {
        let mut input = &data[..];
        // A generator that sends what is no request has a defect, which it will report as a connection that was closed.
        while let Ok(Some(event)) = connection.receive(&mut input) {
            if let Event::Request(request) = event {
                if handshake::is_asked(&request.head)
                    && let Ok(offer) = Offer::read(&request.head)
                {
                    offer.accept(&mut out, None, None);
                    stream.write(&out);
                    return serve_websocket(stream).await;
                }
                let rid = body(request.target, request.body);
                let date = date.at(wall_clock());
                let (before, after) = rid;
                response::write(
                    &mut out,
                    200,
                    request.persistence,
                    date,
                    &[],
                    &[before, after].concat(),
                );
            }
        }
        stream.write(&out);
        out.clear();
        drop(data);
        received = next(&stream).await;
    }
}

/// Answers requests, and sends back what is binary. Nothing comes before the handshake is answered.
async fn serve_websocket(stream: TcpStream) {
    let config = ws::Config {
        max_frame: 2 * MAX_PAYLOAD as u64,
        max_message: 2 * MAX_PAYLOAD,
        ..ws::Config::default()
    };
    let mut connection = ws::Connection::new(Role::Server, config);
    let mut out = BytesMut::new();
    while let Some(mut received) = next(&stream).await {
        let mut input = &mut received[..];
        while let Ok(Some(event)) = connection.receive(&mut input) {
            let ws::Event::Message(message) = event else { continue };
            match message.kind {
                Kind::Binary => frame::write_message(&mut out, Kind::Binary, None, message.data),
                Kind::Text => {
                    let (before, after) = body("/", message.data);
                    frame::write_message_header(&mut out, Kind::Text, before.len() + after.len());
                    out.extend_from_slice(before);
                    out.extend_from_slice(after);
                }
            }
        }
        stream.write(&out);
        out.clear();
    }
}

/// Answers requests in one part and in three.
async fn serve_zmtp(stream: TcpStream, first: RecvBuf) {
    let config = zmtp::Config {
        max_frame: 2 * MAX_PAYLOAD,
        max_message: 2 * MAX_PAYLOAD,
        ..zmtp::Config::default()
    };
    let ours = Metadata::new(SocketType::Router).with("X-Grenache-Rpc", b"array");
    let ours = ours.expect("a name and a short value");
    let mut out = BytesMut::new();
    let mut connection = zmtp::Connection::new(ours, Mechanism::null(Side::Bind), config, &mut out);
    let mut received = Some(first);
    while let Some(data) = received.take() {
        let mut input = &data[..];
        while let Ok(Some(event)) = connection.receive(&mut input, &mut out) {
            let zmtp::Event::Message(message) = event else { continue };
            let Some(part) = message.parts().next() else { continue };
            if message.count > 1 {
                zmtp::frame::write_message(&mut out, &[part, b"null"]);
                continue;
            }
            let (before, after) = body("/", part);
            zmtp::frame::write_header(&mut out, false, before.len() + after.len());
            out.extend_from_slice(before);
            out.extend_from_slice(after);
        }
        stream.write(&out);
        out.clear();
        drop(data);
        received = next(&stream).await;
    }
}

/// A right answer to a request, in two parts.
fn body<'a>(target: &str, body: &'a [u8]) -> (&'a [u8], &'static [u8]) {
    match target {
        "/lookup" => (b"", br#"["127.0.0.1:1337"]"#),
        "/announce" => (b"", b"1"),
        "/put" => (b"", br#""0000000000000000000000000000000000000000""#),
        "/get" => (b"", b"{}"),
        _ => match body {
            // An envelope: its id, then no error and no result.
            [b'[', b'"', rest @ ..] => {
                let id = rest.iter().position(|byte| *byte == b'"').map_or(0, |end| end + 3);
                (&body[..id], b",null,null]")
            }
            _ => (b"", b"ok"),
        },
    }
}

async fn answer_datagrams(socket: UdpSocket) {
    let mut out = Vec::new();
    while let Ok(datagram) = socket.recv().await {
        let Ok(message) = krpc::parse(&datagram.data) else { continue };
        let (Body::Query(..), transaction) = (&message.body, message.transaction) else { continue };
        out.clear();
        out.extend_from_slice(b"d1:rd2:id20:00000000000000000000");
        out.extend_from_slice(b"5:token1:t6:valuesl6:\x7f\x00\x00\x01\x05\x39ee1:t");
        out.extend_from_slice(transaction.len().to_string().as_bytes());
        out.push(b':');
        out.extend_from_slice(transaction);
        out.extend_from_slice(b"1:y1:re");
        socket.send_to(&out, datagram.from);
    }
}
