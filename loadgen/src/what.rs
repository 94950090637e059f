//! What is asked, and over what.

use bytes::Bytes;
use grenache_peer::tls::ClientTls;
use grenache_peer::zeromq::{KeyPair, PublicKey};

use crate::payload::Payload;

/// What is asked.
#[derive(Debug, Clone, PartialEq)]
pub enum What {
    /// A path of any HTTP server: POST if there is a body, GET otherwise.
    Http {
        /// The path, with a query if there is one.
        path: String,
        /// The body.
        body: Option<Bytes>,
    },
    /// A service.
    Rpc(Payload, Transport),
    /// That a WebSocket server send back messages of so many bytes.
    Echo(usize),
    /// Nothing: what a publisher sends is counted.
    Listen {
        /// What the publisher speaks.
        feed: Feed,
        /// Only topics that begin with one of these. Without any all is taken, over WebSocket raw.
        topics: Vec<String>,
        /// Connections, of all, that read nothing.
        stalled: usize,
    },
    /// A grape: who offers a service.
    GrapeLookup,
    /// A grape: that a service is offered on this port.
    GrapeAnnounce(u16),
    /// A grape: that an item be stored.
    GrapePut(Payload),
    /// A grape: the item with this key, 40 hexadecimal digits.
    GrapeGet(String),
    /// A DHT node: who offers a service.
    DhtGetPeers,
    /// A DHT node: that a service is offered on this port.
    DhtAnnounce(u16),
}

/// How services are called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transport {
    /// HTTP/1.1, or HTTPS.
    Http,
    /// WebSocket: many requests in flight on one connection, answered in any order.
    Ws,
    /// ZeroMQ, likewise: a DEALER that connects to a ROUTER.
    Zmq(Form),
}

/// How a request lies in the parts of a ZeroMQ message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Form {
    /// In one, as an array of JSON: id, service, payload. Workers of Grenache in Rust take it
    Array,
    /// In three: id, service, payload. Any worker of the protocol takes it
    Frames,
}

/// What publishers speak.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Feed {
    /// WebSocket
    Ws,
    /// ZeroMQ: a SUB that connects to a PUB
    Zmq,
}

/// How connections are secured.
#[derive(Debug, Clone, Default)]
pub enum Security {
    /// Not at all.
    #[default]
    Open,
    /// By TLS, of everything but ZeroMQ.
    Tls(ClientTls),
    /// By CURVE, of ZeroMQ.
    Curve(Curve),
}

/// Keys for CURVE.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Curve {
    /// The server's key.
    pub server: PublicKey,
    /// Ours.
    pub keys: KeyPair,
}

impl What {
    /// Its name in reports.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Http { .. } => "http",
            Self::Rpc(..) => "rpc",
            Self::Echo(_) => "ws echo",
            Self::Listen { .. } => "sub",
            Self::GrapeLookup => "grape lookup",
            Self::GrapeAnnounce(_) => "grape announce",
            Self::GrapePut(_) => "grape put",
            Self::GrapeGet(_) => "grape get",
            Self::DhtGetPeers => "dht get_peers",
            Self::DhtAnnounce(_) => "dht announce_peer",
        }
    }

    /// What its requests carry, for people.
    pub(crate) fn payload(&self) -> String {
        match self {
            Self::Http { path, body: None } => format!("GET {path}"),
            Self::Http { path, body: Some(body) } => format!("POST {path}, {} bytes", body.len()),
            Self::Echo(bytes) => format!("{bytes} bytes"),
            Self::Listen { topics, .. } if !topics.is_empty() => {
                format!("topics {}*", topics.join("*, "))
            }
            Self::Rpc(payload, _) | Self::GrapePut(payload) => payload.to_string(),
            Self::GrapeAnnounce(port) | Self::DhtAnnounce(port) => format!("port {port}"),
            Self::GrapeGet(key) => key.clone(),
            Self::Listen { .. } | Self::GrapeLookup | Self::DhtGetPeers => String::new(),
        }
    }

    /// The transport's name in reports.
    pub(crate) fn transport(&self, security: &Security) -> &'static str {
        let secured = !matches!(security, Security::Open);
        match (self, secured) {
            (Self::Rpc(_, Transport::Zmq(Form::Frames)), false) => "zmq frames",
            (Self::Rpc(_, Transport::Zmq(Form::Frames)), true) => "zmq frames, curve",
            (Self::Rpc(_, Transport::Zmq(_)) | Self::Listen { feed: Feed::Zmq, .. }, false) => {
                "zmq"
            }
            (Self::Rpc(_, Transport::Zmq(_)) | Self::Listen { feed: Feed::Zmq, .. }, true) => {
                "zmq, curve"
            }
            (Self::Rpc(_, Transport::Ws) | Self::Echo(_) | Self::Listen { .. }, false) => "ws",
            (Self::Rpc(_, Transport::Ws) | Self::Echo(_) | Self::Listen { .. }, true) => "wss",
            _ if !self.is_stream() => "udp",
            (_, false) => "http",
            (_, true) => "https",
        }
    }

    /// Nothing is asked.
    pub fn listens(&self) -> bool {
        matches!(self, Self::Listen { .. })
    }

    /// Over connections rather than datagrams.
    pub fn is_stream(&self) -> bool {
        !matches!(self, Self::DhtGetPeers | Self::DhtAnnounce(_))
    }
}

impl Security {
    pub(crate) fn tls(&self) -> Option<&ClientTls> {
        match self {
            Self::Tls(tls) => Some(tls),
            _ => None,
        }
    }

    pub(crate) fn curve(&self) -> Option<Curve> {
        match self {
            Self::Curve(curve) => Some(curve.clone()),
            _ => None,
        }
    }
}

impl From<Option<ClientTls>> for Security {
    fn from(tls: Option<ClientTls>) -> Self {
        tls.map_or(Self::Open, Self::Tls)
    }
}
