//! A socket of libzmq's in a [`Peer`].

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use grenache_transports::zmtp::curve::{KeyPair, PublicKey};
use serde_json::{Map, Value, json};

use crate::message::{Generated, Part, told};
use crate::peer::{DEADLINE, Peer};
use crate::rpc::{Client, Form, Worker};

/// A socket to be made.
#[derive(Clone)]
pub(crate) struct Builder {
    peer: Peer,
    kind: String,
    options: Map<String, Value>,
    security: Map<String, Value>,
}

impl Builder {
    pub(crate) fn new(peer: Peer, kind: &str) -> Builder {
        Builder { peer, kind: kind.to_string(), options: Map::new(), security: Map::new() }
    }

    /// Makes it one of another type.
    pub(crate) fn kind(self, kind: &str) -> Builder {
        Builder { kind: kind.to_string(), ..self }
    }

    /// Sets an option by libzmq's name for it without `ZMQ_`, such as `SNDHWM`. Times are in milliseconds.
    pub(crate) fn option(mut self, name: &str, value: impl Into<Value>) -> Builder {
        self.options.insert(name.to_string(), value.into());
        self
    }

    /// By what name a ROUTER is to know it.
    pub(crate) fn identity(self, identity: &str) -> Builder {
        self.option("IDENTITY", identity)
    }

    /// Most messages waiting, in each direction.
    pub(crate) fn high_water_mark(self, messages: u32) -> Builder {
        self.option("SNDHWM", messages).option("RCVHWM", messages)
    }

    /// When to try again to connect, always after the same time.
    pub(crate) fn reconnect(self, interval: Duration) -> Builder {
        self.option("RECONNECT_IVL", millis(interval))
    }

    /// How long to wait for what is unsent when it is closed.
    pub(crate) fn linger(self, time: Duration) -> Builder {
        self.option("LINGER", millis(time))
    }

    /// PINGs so often and gives up if nothing comes for `timeout`; tells the other side to give up after `ttl`, whose unit is 100 ms.
    pub(crate) fn heartbeat(self, interval: Duration, timeout: Duration, ttl: Duration) -> Builder {
        self.option("HEARTBEAT_IVL", millis(interval))
            .option("HEARTBEAT_TIMEOUT", millis(timeout))
            .option("HEARTBEAT_TTL", millis(ttl))
    }

    /// Says of itself that it takes requests as arrays.
    pub(crate) fn says_array(self) -> Builder {
        self.option("METADATA", "X-Grenache-Rpc:array")
    }

    /// Lets in those with the password.
    pub(crate) fn plain_server(self, user: &str, password: &str) -> Builder {
        self.security("plain_server", json!({"users": {user: password}}))
    }

    /// Shows a password.
    pub(crate) fn plain_client(self, user: &str, password: &str) -> Builder {
        self.security("plain_client", json!({"user": user, "password": password}))
    }

    /// Has the key that clients know, and lets in those with one of `allowed`.
    pub(crate) fn curve_server(self, keys: &KeyPair, allowed: &[PublicKey]) -> Builder {
        let allowed: Vec<_> = allowed.iter().map(|key| STANDARD.encode(key.0)).collect();
        self.security("curve_server", json!({"secret": keys.secret.to_z85(), "allowed": allowed}))
    }

    /// Knows the server's key and shows its own.
    pub(crate) fn curve_client(self, server: PublicKey, keys: &KeyPair) -> Builder {
        let (public, secret) = (keys.public.to_string(), keys.secret.to_z85());
        let keys = json!({"server": server.to_string(), "public": public, "secret": secret});
        self.security("curve_client", keys)
    }

    fn security(mut self, name: &str, value: Value) -> Builder {
        self.security.insert(name.to_string(), value);
        self
    }

    /// Makes it, neither bound nor connected.
    #[track_caller]
    pub(crate) fn open(self) -> Socket {
        let Builder { peer, kind, options, security } = self;
        let number = peer
            .ask(json!({"do": "socket", "type": kind, "options": options, "security": security}));
        Socket { peer, number: number.as_u64().expect("a number"), port: 0 }
    }

    /// Makes it and binds it to a free port of 127.0.0.1.
    #[track_caller]
    pub(crate) fn bind(self) -> Socket {
        let mut socket = self.open();
        socket.port = socket.bind(0);
        socket
    }

    /// Makes it and connects it to a port of 127.0.0.1, whether somebody listens there or not yet.
    #[track_caller]
    pub(crate) fn connect(self, port: u16) -> Socket {
        let socket = self.open();
        socket.connect(port);
        socket
    }
}

/// A socket; its copies are the same one. All that waits, waits at most [`DEADLINE`].
#[derive(Clone)]
pub(crate) struct Socket {
    pub(crate) peer: Peer,
    pub(crate) number: u64,
    port: u16,
}

impl Socket {
    /// Where it was bound by [`Builder::bind`].
    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// Binds it to this port of 127.0.0.1, or to a free one if that is 0. Which it is.
    #[track_caller]
    pub(crate) fn bind(&self, port: u16) -> u16 {
        let port = self.ask("bind", json!({"port": port}));
        port.as_u64().and_then(|port| port.try_into().ok()).expect("a port")
    }

    #[track_caller]
    pub(crate) fn connect(&self, port: u16) {
        self.ask("connect", json!({"port": port}));
    }

    #[track_caller]
    pub(crate) fn disconnect(&self, port: u16) {
        self.ask("disconnect", json!({"port": port}));
    }

    #[track_caller]
    pub(crate) fn close(self) {
        self.ask("close", json!({}));
    }

    /// Gives libzmq a message to send.
    #[track_caller]
    pub(crate) fn send(&self, parts: &[impl AsRef<[u8]>]) {
        let parts: Vec<_> = parts.iter().map(told).collect();
        self.ask("send", json!({"parts": parts}));
    }

    /// Gives libzmq a message to send: these parts, then the generated ones.
    #[track_caller]
    pub(crate) fn send_generated(&self, before: &[impl AsRef<[u8]>], generated: Generated) {
        let parts: Vec<_> = before.iter().map(told).chain(generated.told()).collect();
        self.ask("send", json!({"parts": parts}));
    }

    /// Awaits a message.
    #[track_caller]
    pub(crate) fn receive(&self) -> Vec<Part> {
        self.receive_within(DEADLINE).expect("a message")
    }

    /// Awaits a message for so long. Prefer to send something that has to come after what must not come.
    #[track_caller]
    pub(crate) fn receive_within(&self, patience: Duration) -> Option<Vec<Part>> {
        let parts = self.ask("receive", json!({"within": millis(patience)}));
        Some(parts.as_array()?.iter().map(Part::read).collect())
    }

    #[track_caller]
    pub(crate) fn subscribe(&self, prefix: impl AsRef<[u8]>) {
        self.ask("subscribe", json!({"prefix": told(prefix)}));
    }

    #[track_caller]
    pub(crate) fn unsubscribe(&self, prefix: impl AsRef<[u8]>) {
        self.ask("unsubscribe", json!({"prefix": told(prefix)}));
    }

    /// Awaits an event by libzmq's name for it without `ZMQ_EVENT_`, in small letters, such as `handshake_succeeded`, and gives the
    /// reason it names: `400` for a refused key, `ZMTP_CRYPTOGRAPHIC` and the like for a protocol error, nothing for others.
    #[track_caller]
    pub(crate) fn event(&self, name: &str) -> String {
        self.event_of(&[name]).1
    }

    /// Awaits one of several events; which one, and its reason.
    #[track_caller]
    pub(crate) fn event_of(&self, names: &[&str]) -> (String, String) {
        self.peer.event(self.number, &names.join(" or "), |event| {
            let name = event["event"].as_str()?;
            let why = event["why"].as_str().unwrap_or_default();
            names.contains(&name).then(|| (name.to_string(), why.to_string()))
        })
    }

    /// Makes it a worker; it is a ROUTER.
    #[track_caller]
    pub(crate) fn serve(self, form: Form) -> Worker {
        self.ask("serve", json!({"form": form.name()}));
        Worker::new(self)
    }

    /// Makes it a client; it is a DEALER or a REQ.
    #[track_caller]
    pub(crate) fn client(self, form: Form) -> Client {
        self.ask("client", json!({"form": form.name()}));
        Client::new(self, form)
    }

    #[track_caller]
    pub(crate) fn ask(&self, what: &str, mut with: Value) -> Value {
        with["do"] = json!(what);
        with["socket"] = json!(self.number);
        self.peer.ask(with)
    }
}

fn millis(time: Duration) -> u64 {
    time.as_millis().try_into().expect("some time")
}
