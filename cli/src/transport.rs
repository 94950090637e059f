//! How peers speak to each other.

use clap::ValueEnum;

/// How peers speak to each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Transport {
    /// HTTP/1.1, or HTTPS with the --tls options, as grenache-nodejs-http
    Http,
    /// WebSocket, as grenache-nodejs-ws
    Ws,
    /// ZeroMQ (ZMTP 3.1), as grenache-nodejs-zmq or our own peers
    Zmq,
}

impl Transport {
    /// All of them.
    pub(crate) const ALL: [Transport; 3] = [Transport::Http, Transport::Ws, Transport::Zmq];
}

impl From<Transport> for grenache_peer::Transport {
    fn from(transport: Transport) -> grenache_peer::Transport {
        match transport {
            Transport::Http => grenache_peer::Transport::Http,
            Transport::Ws => grenache_peer::Transport::WebSocket,
            Transport::Zmq => grenache_peer::Transport::ZeroMq,
        }
    }
}

/// How publishers and subscribers speak to each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Feed {
    /// WebSocket, as grenache-nodejs-ws
    Ws,
    /// ZeroMQ, PUB to SUB
    Zmq,
}

impl From<Feed> for Transport {
    fn from(feed: Feed) -> Transport {
        match feed {
            Feed::Ws => Transport::Ws,
            Feed::Zmq => Transport::Zmq,
        }
    }
}
