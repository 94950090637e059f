//! The pool against workers of every manner, on the real engine and in the simulator.

mod calls;
mod faults;
mod limits;
mod secure;

use std::cell::Cell;
use std::collections::VecDeque;
use std::future::{Future, poll_fn};
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use grenache_engine::{JoinHandle, TcpListener, now, sleep, spawn_local, timeout, yield_now};
use grenache_transports::ws::{self, Deflater, Event, Kind, frame};

use super::accept::accept;
use super::connect::Upgraded;
use super::{Config, Pool, code};
use crate::Failure;
use crate::channel::Channel;
use crate::envelope;
use crate::http::tests::{LONG, run};
use crate::http::{Failed, Target};
use crate::json::Json;
use crate::multiplex::tests::{Site, ask, ask_until, ask_well, number, start, text};

impl Site {
    /// `script` is told which connection it has, from 0.
    fn start<F, Fut>(any: SocketAddr, script: F) -> Site
    where
        F: Fn(Peer, usize) -> Fut + Clone + 'static,
        Fut: Future<Output = ()> + 'static,
    {
        Site::with(any, false, move |stream, number| {
            let script = script.clone();
            async move {
                if let Some(peer) = Peer::accept(Channel::Plain(stream)).await {
                    script(peer, number).await;
                }
            }
        })
    }

    /// One that answers every request with its payload.
    fn echo(any: SocketAddr) -> Site {
        Site::start(any, |peer, _| peer.echo())
    }
}

/// The worker's side of a connection.
struct Peer {
    channel: Channel,
    decoder: ws::Connection,
    deflater: Option<Deflater>,
    heard: VecDeque<Heard>,
}

/// What a client says.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Heard {
    /// The id of a request, and its payload.
    Request(Json, Json),
    Ping(Vec<u8>),
    Pong(Vec<u8>),
    Close(Option<u16>),
}

impl Peer {
    /// Nothing if the client gives up before.
    async fn accept(channel: Channel) -> Option<Peer> {
        let config = Config { deflate: true, ..Config::default() };
        let upgraded = accept(channel, &config).await.ok()?;
        let Upgraded { channel, decoder, deflater, received, .. } = upgraded;
        assert!(received.is_none(), "the client waits for the answer");
        Some(Peer { channel, decoder, deflater, heard: VecDeque::new() })
    }

    /// What the client says next, unless it ends the connection.
    async fn hear(&mut self) -> Option<Heard> {
        while self.heard.is_empty() {
            let mut data = poll_fn(|context| self.channel.poll_recv(context)).await.ok()??;
            let mut input = &mut data[..];
            while let Some(event) = self.decoder.receive(&mut input).expect("the protocol") {
                self.heard.push_back(match event {
                    Event::Message(message) => {
                        let body = Bytes::copy_from_slice(message.data);
                        let request = envelope::decode_request(&body).expect("a request");
                        assert_eq!((message.kind, &*request.key), (Kind::Text, "service"));
                        Heard::Request(request.rid, request.payload)
                    }
                    Event::Ping(payload) => Heard::Ping(payload.to_vec()),
                    Event::Pong(payload) => Heard::Pong(payload.to_vec()),
                    Event::Close(close) => Heard::Close(close.map(|close| close.code)),
                });
            }
        }
        self.heard.pop_front()
    }

    /// The next request; what else is said is passed over.
    async fn request(&mut self) -> Option<(Json, Json)> {
        loop {
            if let Heard::Request(rid, payload) = self.hear().await? {
                return Some((rid, payload));
            }
        }
    }

    async fn echo(mut self) {
        while let Some((rid, payload)) = self.request().await {
            self.reply(&rid, &payload);
        }
    }

    /// Listens until the client ends the connection.
    async fn hear_out(&mut self) {
        while self.hear().await.is_some() {}
    }

    /// The code of the close frame that comes, whatever comes before it.
    async fn closed(&mut self) -> Option<u16> {
        loop {
            if let Heard::Close(code) = self.hear().await? {
                return code;
            }
        }
    }

    fn reply(&mut self, rid: &Json, result: &Json) {
        let mut body = BytesMut::new();
        envelope::encode_reply(&mut body, rid, Ok(result));
        self.text(&body);
    }

    fn text(&mut self, text: &[u8]) {
        let mut out = BytesMut::new();
        match &mut self.deflater {
            Some(deflater) => deflater.write_message(&mut out, Kind::Text, None, text),
            None => frame::write_message(&mut out, Kind::Text, None, text),
        }
        self.channel.send(out.freeze());
    }

    fn close(&self, code: u16) {
        let mut out = BytesMut::new();
        frame::write_close(&mut out, None, Some(ws::Close { code, reason: "" }));
        self.channel.write(&out);
    }
}

fn pool() -> Pool {
    Pool::new(Config::default(), None)
}
