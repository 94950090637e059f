//! Workers that speak ZMTP.

use std::collections::VecDeque;
use std::future::{Future, poll_fn};
use std::net::SocketAddr;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use grenache_transports::zmtp::{Connection, Event, Metadata, SocketType};

use super::Site;
use crate::channel::Channel;
use crate::envelope;
use crate::json::Json;
use crate::zeromq::{
    Config, Form, Gate, KeyPair, Pool, RPC_ARRAY, RPC_PROPERTY, SecretKey, Security,
};

/// What a worker says of itself, and how a client is set up for it.
#[derive(Clone)]
pub(super) struct Router {
    /// It says that it takes arrays.
    pub(super) arrays: bool,
    pub(super) gate: Gate,
    /// It says that it speaks ZMTP 3.0.
    pub(super) old: bool,
    pub(super) config: Config,
}

/// A pair of keys that is always the same.
pub(super) fn keys(number: u8) -> KeyPair {
    KeyPair::from(SecretKey::new([number; 32]))
}

impl Router {
    pub(super) fn new(arrays: bool, gate: Gate) -> Router {
        let security = match &gate {
            Gate::Null => Security::Null,
            Gate::Plain(users) => {
                let (user, password) = users.first_key_value().expect("a user");
                Security::Plain { user: user.clone(), password: password.clone() }
            }
            Gate::Curve { keys: server, .. } => {
                Security::Curve { server: server.public, keys: keys(2) }
            }
        };
        Router { arrays, gate, old: false, config: Config { security, ..Config::default() } }
    }

    /// Arrays, in clear.
    pub(super) fn plain() -> Router {
        Router::new(true, Gate::Null)
    }

    /// Encrypted.
    pub(super) fn curve(arrays: bool) -> Router {
        Router::new(arrays, Gate::Curve { keys: keys(1), allow: None })
    }

    /// Both forms, in clear and encrypted.
    pub(super) fn all() -> [Router; 4] {
        [Router::plain(), Router::new(false, Gate::Null), Router::curve(true), Router::curve(false)]
    }

    /// A client's connections to such a worker.
    pub(super) fn pool(&self) -> Pool {
        Pool::new(self.config.clone(), None)
    }

    /// A worker that treats every connection as a test wants; `script` is told which it is, from 0.
    pub(super) fn start<F, Fut>(&self, any: SocketAddr, script: F) -> Site
    where
        F: Fn(Peer, usize) -> Fut + Clone + 'static,
        Fut: Future<Output = ()> + 'static,
    {
        let router = self.clone();
        Site::with(any, false, move |stream, number| {
            let (script, router) = (script.clone(), router.clone());
            async move {
                if let Some(peer) = Peer::accept(Channel::Plain(stream), &router).await {
                    script(peer, number).await;
                }
            }
        })
    }

    /// One that answers every request with its payload.
    pub(super) fn echo(&self, any: SocketAddr) -> Site {
        self.start(any, |peer, _| peer.echo())
    }
}

/// A request as the worker has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Request {
    /// Its id without quotes.
    pub(super) rid: String,
    /// In the frames form the payload is a text.
    pub(super) payload: Json,
    pub(super) frames: bool,
}

/// What a client says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Heard {
    Request(Request),
    Ping(Duration),
}

/// The worker's side of a connection.
pub(super) struct Peer {
    pub(super) channel: Channel,
    pub(super) connection: Connection,
    heard: VecDeque<Heard>,
    out: BytesMut,
    /// Every byte that has come, if a test wants to see them.
    pub(super) tap: Option<Vec<u8>>,
}

impl Peer {
    /// Nothing if the client is not let in, or gives up before.
    pub(super) async fn accept(channel: Channel, router: &Router) -> Option<Peer> {
        let mut metadata = Metadata::new(SocketType::Router);
        if router.arrays {
            metadata = metadata.with(RPC_PROPERTY, RPC_ARRAY).expect("a property");
        }
        let limits = Config { max_message: 1 << 30, ..Config::default() }.limits();
        let mut out = BytesMut::new();
        let mut connection = Connection::new(metadata, router.gate.mechanism(), limits, &mut out);
        if router.old {
            // The minor version in the greeting.
            out[11] = 0;
        }
        loop {
            channel.write(&out.split());
            let received = poll_fn(|context| channel.poll_recv(context)).await.ok()??;
            let mut input = &received[..];
            loop {
                match connection.receive(&mut input, &mut out) {
                    Ok(None) => break,
                    Ok(Some(Event::Credentials(shown))) => match router.gate.admits(&shown) {
                        true => connection.accept(&mut out).expect("it was asked"),
                        false => {
                            connection.refuse(&mut out).expect("it was asked");
                            channel.write(&out);
                            return None;
                        }
                    },
                    Ok(Some(Event::Ready(peer))) => {
                        assert_eq!(peer.socket, SocketType::Dealer);
                        assert!(peer.identity.is_empty());
                        channel.write(&out.split());
                        assert!(input.is_empty(), "the client waits for the READY");
                        let heard = VecDeque::new();
                        return Some(Peer { channel, connection, heard, out, tap: None });
                    }
                    Ok(Some(other)) => panic!("{other:?}"),
                    Err(_) => {
                        channel.write(&out);
                        return None;
                    }
                }
            }
        }
    }

    /// What the client says next, unless it ends the connection.
    pub(super) async fn hear(&mut self) -> Option<Heard> {
        while self.heard.is_empty() {
            let data = poll_fn(|context| self.channel.poll_recv(context)).await.ok()??;
            self.tap.iter_mut().for_each(|tap| tap.extend_from_slice(&data));
            let mut input = &data[..];
            while let Some(event) =
                self.connection.receive(&mut input, &mut self.out).expect("the protocol")
            {
                self.heard.push_back(match event {
                    Event::Message(message) => {
                        let parts = message.parts().map(Bytes::copy_from_slice).collect();
                        Heard::Request(request(parts))
                    }
                    Event::Ping(ttl) => Heard::Ping(ttl),
                    other => panic!("{other:?}"),
                });
            }
            self.channel.write(&self.out.split());
        }
        self.heard.pop_front()
    }

    /// The next request; what else is said is passed over.
    pub(super) async fn request(&mut self) -> Option<Request> {
        loop {
            if let Heard::Request(request) = self.hear().await? {
                return Some(request);
            }
        }
    }

    pub(super) async fn echo(mut self) {
        while let Some(request) = self.request().await {
            self.reply(&request, &request.payload);
        }
    }

    /// Listens until the client ends the connection.
    pub(super) async fn hear_out(&mut self) {
        while self.hear().await.is_some() {}
    }

    pub(super) fn reply(&mut self, request: &Request, result: &Json) {
        let frames = self.encode_reply(request, result);
        self.channel.send(frames);
    }

    /// The frames of an answer. They have to be sent in the order in which they were made.
    pub(super) fn encode_reply(&mut self, request: &Request, result: &Json) -> Bytes {
        let rid = &request.rid;
        if request.frames {
            let text = result.to::<String>().unwrap_or_else(|_| result.to_string());
            return self.encode(&[rid.as_bytes(), text.as_bytes()]);
        }
        let mut body = BytesMut::new();
        envelope::encode_reply(&mut body, &Json::of(rid).expect("a text"), Ok(result));
        self.encode(&[&body])
    }

    fn encode(&mut self, parts: &[&[u8]]) -> Bytes {
        let mut out = BytesMut::new();
        self.connection.send(parts, &mut out).expect("it is ready");
        out.freeze()
    }

    /// Sends a message of these parts.
    pub(super) fn send(&mut self, parts: &[&[u8]]) {
        let frames = self.encode(parts);
        self.channel.send(frames);
    }

    pub(super) fn ping(&mut self, ttl: Duration) {
        let mut out = BytesMut::new();
        assert_eq!(self.connection.ping(ttl, &mut out), Ok(true));
        self.channel.write(&out);
    }
}

/// Takes a request apart, in either form.
fn request(parts: Vec<Bytes>) -> Request {
    match &parts[..] {
        [body] => {
            let request = envelope::decode_request(body).expect("a request");
            assert_eq!(&*request.key, "service");
            let rid = request.rid.to().expect("a text");
            Request { rid, payload: request.payload, frames: false }
        }
        [rid, key, payload] => {
            assert_eq!(key, "service");
            let text = |part: &Bytes| String::from_utf8(part.to_vec()).expect("a text");
            let payload = Json::of(&text(payload)).expect("a text");
            Request { rid: text(rid), payload, frames: true }
        }
        parts => panic!("{} parts", parts.len()),
    }
}

/// As which a client is told what the payload of a request was, if that is the result.
pub(super) fn as_result(router: &Router, payload: &Json) -> Json {
    let frames = match router.config.form {
        Form::Told => !router.arrays,
        form => form == Form::Frames,
    };
    match frames && payload.to::<String>().is_err() {
        true => Json::of(payload.as_str()).expect("a text"),
        false => payload.clone(),
    }
}
